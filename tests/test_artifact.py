"""From a store to a scorer: digests before bytes are read, trust before pickles run, golden rows before ready.

Each test runs over a folder and over S3 (moto's server), through the same code.
"""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from onnx import TensorProto, helper

from model.artifact import Policy, open_artifact
from model.errors import ArtifactCorrupt, ArtifactIncompatible, ArtifactMissing, ArtifactUntrusted
from model.manifest import EngineName, digest
from model.store import Store
from model.trust import Trust
from tests.conftest import BUCKET


class Place(Protocol):
    store: Store

    def read(self, key: str) -> bytes: ...
    def write(self, key: str, content: bytes) -> None: ...
    def delete(self, key: str) -> None: ...


class Folder:
    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, Store(folder.as_uri())

    def read(self, key: str) -> bytes:
        return (self.folder / key).read_bytes()

    def write(self, key: str, content: bytes) -> None:
        (self.folder / key).write_bytes(content)

    def delete(self, key: str) -> None:
        (self.folder / key).unlink()


class Bucket:
    def __init__(self, client: Any, endpoint: str) -> None:
        self.client, self.store = client, Store(f"s3://{BUCKET}/prefix", endpoint)

    def read(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=BUCKET, Key=f"prefix/{key}")["Body"].read())

    def write(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=f"prefix/{key}", Body=content)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=BUCKET, Key=f"prefix/{key}")


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "folder":
        yield Folder(request.getfixturevalue("store"))
    else:
        yield Bucket(request.getfixturevalue("s3"), request.getfixturevalue("s3_endpoint"))


def graph(inputs: list[str], width: int, kind: int = TensorProto.DOUBLE, operator: str = "Identity") -> bytes:
    """Return a graph that is no twin of iris."""
    given = [helper.make_tensor_value_info(name, kind, [None, width]) for name in inputs]
    node = helper.make_node(operator, [inputs[0]], ["y"])
    found = helper.make_graph([node], "foreign", given, [helper.make_tensor_value_info("y", kind, [None, width])])
    opsets = [helper.make_opsetid("", 19)]
    return bytes(helper.make_model(found, opset_imports=opsets, ir_version=10).SerializeToString())


MANIFEST = "iris/1.0.0/manifest.json"
PICKLE = "iris/1.0.0/model.joblib"


def pinned(place: Place, *engines: EngineName) -> Policy:
    """A deployment that pins iris and runs the estimator itself, whose bytes are code."""
    return Policy(Trust("pinned", {"iris/1.0.0": digest(place.read(MANIFEST))}), engines=engines or ("joblib",))


def change(place: Place, **members: Any) -> None:
    place.write(MANIFEST, json.dumps(json.loads(place.read(MANIFEST)) | members).encode())


@pytest.mark.parametrize("engine", ["joblib", "onnx"])
def test_a_pinned_artifact_answers(place: Place, engine: EngineName) -> None:
    scorer = open_artifact(place.store, "iris", "1.0.0", pinned(place, engine))
    assert scorer.engine_name == engine
    assert scorer.score([(6.1, 2.8, 4.7, 1.2)]).values == [1]


class Mark:
    """A pickle that leaves a mark when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_altered_bytes_are_refused_and_never_run(place: Place, tmp_path: Path) -> None:
    policy = pinned(place)
    evil = pickle.dumps(Mark(tmp_path / "mark"))
    place.write(PICKLE, evil)
    with pytest.raises(ArtifactCorrupt, match=r"model\.joblib is not the file that was packed: its sha256 differs"):
        open_artifact(place.store, "iris", "1.0.0", policy)
    # and with a manifest that agrees with it, as somebody who can write to the store would leave it
    digests = json.loads(place.read(MANIFEST))["digests"] | {"model.joblib": digest(evil)}
    change(place, digests=digests)
    with pytest.raises(ArtifactUntrusted, match="is pinned to sha256:"):
        open_artifact(place.store, "iris", "1.0.0", policy)
    assert not (tmp_path / "mark").exists()


def test_what_is_not_pinned_is_untrusted(place: Place) -> None:
    with pytest.raises(
        ArtifactUntrusted, match=r"babies/1\.0\.0 is not pinned in MODEL_PINS; its manifest has sha256:"
    ):
        open_artifact(place.store, "babies", "1.0.0", pinned(place))


def test_a_folder_is_trusted_as_deployed_and_a_pickle_in_a_remote_store_is_not(place: Place) -> None:
    if place.store.remote:
        with pytest.raises(ArtifactUntrusted, match="set MODEL_TRUST=pinned"):
            open_artifact(place.store, "iris", "1.0.0", Policy(engines=("joblib",)))
    else:
        assert open_artifact(place.store, "iris", "1.0.0", Policy(engines=("joblib",)))


def test_a_compiled_twin_needs_no_trust_in_pickles_and_reads_none(place: Place) -> None:
    place.delete(PICKLE)
    assert open_artifact(place.store, "iris", "1.0.0", Policy()).engine_name == "onnx"


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", ArtifactCorrupt, "is no ONNX graph"),
        (b"not a graph", ArtifactCorrupt, "is no ONNX graph"),
        (graph(inputs=["numbers"], width=3), ArtifactCorrupt, "takes 3 columns of numbers, the manifest has 4"),
        (graph(inputs=["petals"], width=4), ArtifactCorrupt, "takes petals, which are not the manifest's features"),
        (graph(inputs=["numbers"], width=4, kind=TensorProto.STRING), ArtifactCorrupt, "as tensor.string."),
        (graph(inputs=["numbers"], width=4), ArtifactCorrupt, "lacks the outputs prediction, probabilities"),
        (graph(inputs=["numbers"], width=4, operator="Acrobatics"), ArtifactIncompatible, "cannot run the graph"),
    ],
)
def test_a_foreign_graph_is_a_named_error(place: Place, content: bytes, error: type[Exception], message: str) -> None:
    place.write("iris/1.0.0/model.onnx", content)
    change(place, digests=json.loads(place.read(MANIFEST))["digests"] | {"model.onnx": digest(content)})
    with pytest.raises(error, match=message):
        open_artifact(place.store, "iris", "1.0.0", pinned(place, "onnx"))


def test_an_engine_that_is_not_there_or_not_allowed_is_said(place: Place) -> None:
    change(place, engine="joblib")
    with pytest.raises(ArtifactIncompatible, match="an engine that MODEL_ENGINES forbids"):
        open_artifact(place.store, "iris", "1.0.0", pinned(place, "onnx"))


@pytest.mark.parametrize("key", [MANIFEST, PICKLE, "iris/1.0.0/golden.json"])
def test_a_missing_file_is_said_and_can_be_retried(place: Place, key: str) -> None:
    policy = pinned(place)
    place.delete(key)
    with pytest.raises(ArtifactMissing) as caught:
        open_artifact(place.store, "iris", "1.0.0", policy)
    assert caught.value.retryable


def test_an_estimator_that_forgot_its_golden_answers_does_not_become_ready(place: Place) -> None:
    golden = json.loads(place.read("iris/1.0.0/golden.json"))
    golden["predictions"][3] = 2 - golden["predictions"][3] or 1
    spoiled = json.dumps(golden).encode()
    place.write("iris/1.0.0/golden.json", spoiled)
    change(place, digests=json.loads(place.read(MANIFEST))["digests"] | {"golden.json": digest(spoiled)})
    with pytest.raises(ArtifactCorrupt, match="golden row 3 no longer has the answer"):
        open_artifact(place.store, "iris", "1.0.0", pinned(place))


@pytest.mark.parametrize(
    ("members", "error", "message"),
    [
        ({"format": 2}, ArtifactIncompatible, "format 2"),
        ({"name": "babies"}, ArtifactCorrupt, r"is of babies/1\.0\.0"),
        ({"version": "2"}, ArtifactCorrupt, "is of iris/2"),
        ({"engine": "torch"}, ArtifactCorrupt, "not a manifest"),
        ({"environment": {"scikit-learn": "0.24"}}, ArtifactIncompatible, "0.24, but"),
        ({"digests": {"code/../../../etc/passwd": "sha256:x"}}, ArtifactUntrusted, "outside its artifact"),
        ({"digests": {}}, ArtifactCorrupt, "no digest of model.joblib"),
    ],
)
def test_a_manifest_that_lies_is_refused(
    place: Place, members: dict[str, Any], error: type[Exception], message: str
) -> None:
    change(place, **members)
    with pytest.raises(error, match=message):
        open_artifact(place.store, "iris", "1.0.0", pinned(place))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_session_has_a_thread_a_vcpu_and_no_arena(packed: Path, threads: int) -> None:
    policy = Policy(engines=("onnx",), threads=threads)
    engine: Any = open_artifact(Store(packed.as_uri()), "iris", "1.0.0", policy).engine
    options = engine._run.__self__.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (threads, 1)
    assert not options.enable_cpu_mem_arena
