"""Whom a deployment trusts: a malicious pickle never runs where trust does not reach it.

Each pickle here would leave a mark if it were read. Over a folder and S3, through the code that serves.
"""

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model import keys, label_file, rollout, signature
from model.artifact import Policy, open_artifact
from model.errors import ArtifactCorrupt, ArtifactError, ArtifactIncompatible, ArtifactUntrusted, PublishingRefused
from model.label_file import Mover
from model.manifest import digest
from model.publish import publish
from model.registry import Registry
from model.shelf import Shelf
from model.signature import Signature, Signatures
from model.store import Store
from model.trust import Trust
from tests.conftest import ROOT, next_version
from tests.test_artifact import Mark

MANIFEST, SIGNATURE, PICKLE = "iris/1.0.0/manifest.json", "iris/1.0.0/manifest.sig", "iris/1.0.0/model.joblib"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    keys.generate(tmp_path / "key")
    return tmp_path / "key"


def public(key: Path) -> str:
    return key.with_name(f"{key.name}.pub").read_text().strip()


def signed(key: Path, *engines: Any) -> Policy:
    return Policy(Trust("signed", keys=(public(key),)), engines=engines or ("joblib",))


LABELLED = Policy(Trust("labelled"))


def put(shelf: Shelf, packed: Path, key: Path | None = None) -> None:
    publish(Store(packed.as_uri()), "iris", "1.0.0", shelf, Mover.now("ann"), key=keys.read(key) if key else None)


def write(shelf: Shelf, key: str, content: bytes) -> None:
    Store(shelf.url, shelf.endpoint).write(key, content)


def poison(shelf: Shelf, mark: Path, *, manifest_too: bool, version: str = "1.0.0") -> None:
    """Do what somebody can who may write to the store: another pickle, and a manifest that agrees with it."""
    evil = pickle.dumps(Mark(mark))
    write(shelf, f"iris/{version}/model.joblib", evil)
    if manifest_too:
        manifest = json.loads(shelf.read(f"iris/{version}/manifest.json"))
        manifest["digests"]["model.joblib"] = digest(evil)
        write(shelf, f"iris/{version}/manifest.json", json.dumps(manifest).encode())


def test_a_signed_pickle_is_read(packed: Path, shelf: Shelf, key: Path) -> None:
    put(shelf, packed, key)
    scorer = open_artifact(shelf, "iris", "1.0.0", signed(key))
    assert scorer.engine_name == "joblib"
    assert scorer.score([(6.1, 2.8, 4.7, 1.2)]).values == [1]


@pytest.mark.parametrize("mode", ["signed", "pinned", "labelled", "bundled"])
@pytest.mark.parametrize("manifest_too", [False, True])
def test_a_pickle_altered_after_publishing_never_runs(
    packed: Path, shelf: Shelf, key: Path, tmp_path: Path, mode: Any, manifest_too: bool
) -> None:
    put(shelf, packed, key)
    rollout.promote(shelf, "iris", "1.0.0", Mover.now("ann"), policy=signed(key))
    pins = {"iris/1.0.0": digest(shelf.read(MANIFEST))}
    poison(shelf, tmp_path / "mark", manifest_too=manifest_too)
    for engines in (None, ("joblib",), ("onnx",)):
        policy = Policy(Trust(mode, pins, (public(key),)), engines=engines)
        try:
            Registry(Store(shelf.url, shelf.endpoint), policy=policy).scorer("iris")
        except ArtifactError:
            continue
        assert not manifest_too  # the untouched twin answers from the untouched manifest
        assert engines != ("joblib",)
    with pytest.raises(ArtifactError):
        rollout.promote(shelf, "iris", "1.0.0", Mover.now("ann"), policy=signed(key))
    assert not (tmp_path / "mark").exists()


def test_a_pickle_of_somebody_without_the_key_never_runs(packed: Path, shelf: Shelf, key: Path, tmp_path: Path) -> None:
    """The thief publishes as the code does: unsigned, signed by a key of his own, or beside a good signature."""
    put(shelf, packed, key)
    good = shelf.read(SIGNATURE)
    poison(shelf, tmp_path / "mark", manifest_too=True)
    evil = shelf.read(MANIFEST)
    keys.generate(tmp_path / "thief")
    own = keys.sign(keys.read(tmp_path / "thief"), evil)
    for content in (
        good,
        signature.dump(Signatures((own,))),
        signature.dump(Signatures((Signature(public(key), own.signature), own))),
        signature.dump(Signatures((Signature(public(key), "AAAA"),))),
        signature.dump(Signatures((Signature(public(key), "not base64"),))),
        signature.dump(Signatures(())),
    ):
        write(shelf, SIGNATURE, content)
        with pytest.raises(ArtifactUntrusted, match="has no good signature by a key in MODEL_PUBLIC_KEYS"):
            open_artifact(shelf, "iris", "1.0.0", signed(key))
    for content in (b"", b"{}x", b'{"signatures": 3}'):
        write(shelf, SIGNATURE, content)
        with pytest.raises(ArtifactCorrupt, match="not a file of signatures"):
            open_artifact(shelf, "iris", "1.0.0", signed(key))
    shelf.delete([SIGNATURE])
    with pytest.raises(ArtifactUntrusted, match=r"iris/1\.0\.0 is not signed: it has no manifest\.sig"):
        open_artifact(shelf, "iris", "1.0.0", signed(key))
    assert not (tmp_path / "mark").exists()


def test_a_signature_is_worth_nothing_on_another_version(store: Path, shelf: Shelf, key: Path) -> None:
    put(shelf, store, key)
    next_version(store, "iris", "2")
    publish(Store(store.as_uri()), "iris", "2", shelf, Mover.now("ann"))
    write(shelf, "iris/2/manifest.sig", shelf.read(SIGNATURE))
    with pytest.raises(ArtifactUntrusted):
        open_artifact(shelf, "iris", "2", signed(key, "onnx"))
    write(shelf, "iris/2/manifest.json", shelf.read(MANIFEST))
    with pytest.raises(ArtifactCorrupt, match=r"the manifest in iris/2 is of iris/1\.0\.0"):
        open_artifact(shelf, "iris", "2", signed(key, "onnx"))


def test_labelled_serves_the_twin_that_the_label_names_and_never_unpickles(
    packed: Path, shelf: Shelf, tmp_path: Path
) -> None:
    put(shelf, packed)

    def fresh(policy: Policy) -> Registry:
        return Registry(Store(shelf.url, shelf.endpoint), policy=policy)

    with pytest.raises(ArtifactUntrusted, match="has no label, and MODEL_TRUST=labelled serves labelled versions only"):
        fresh(LABELLED).scorer("iris")
    rollout.promote(shelf, "iris", "1.0.0", Mover.now("ann"), policy=Policy(engines=("onnx",)))
    assert fresh(LABELLED).scorer("iris").engine_name == "onnx"
    poison(shelf, tmp_path / "mark", manifest_too=True)
    with pytest.raises(ArtifactUntrusted, match="is labelled with sha256:"):
        fresh(LABELLED).scorer("iris")
    # Whoever may write to the store may move labels too: then trust is his, but it reaches no pickle.
    reading = label_file.read(shelf, "iris")
    moved = json.loads(reading.held.content or b"") | {
        "live": {"version": "1.0.0", "manifest": digest(shelf.read(MANIFEST))}
    }
    write(shelf, "iris/labels.json", json.dumps(moved).encode())
    with pytest.raises(ArtifactUntrusted, match="is a pickle, and MODEL_TRUST=labelled never reads one"):
        fresh(Policy(Trust("labelled"), engines=("joblib",))).scorer("iris")
    assert fresh(LABELLED).scorer("iris").engine_name == "onnx"
    assert not (tmp_path / "mark").exists()


def test_only_onnx_means_no_joblib_at_all(store: Path, tmp_path: Path) -> None:
    """Whatever the manifest says and whoever vouches for it: with MODEL_ENGINES=onnx joblib is not even imported."""
    shelf = Shelf(store.as_uri())
    poison(shelf, tmp_path / "mark", manifest_too=True)
    manifest = json.loads(shelf.read(MANIFEST)) | {"engine": "joblib"}
    for content in (shelf.read(MANIFEST), json.dumps(manifest).encode()):
        write(shelf, MANIFEST, content)
        code = (
            "import sys\nfrom model.artifact import Policy, open_artifact\nfrom model.store import Store\n"
            "try: open_artifact(Store(sys.argv[1]), 'iris', '1.0.0', Policy(engines=('onnx',)))\n"
            "except Exception as error: print(type(error).__name__)\n"
            "assert not {'joblib', 'sklearn', 'nacl'} & set(sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, store.as_uri()], cwd=ROOT, capture_output=True, text=True, check=True
        )
    assert done.stdout.strip() == ArtifactIncompatible.__name__
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(("mode", "imported"), [("signed", True), ("bundled", False), ("labelled", False)])
def test_the_verifying_library_is_imported_only_where_manifests_are_signed(
    store: Path, key: Path, mode: str, imported: bool
) -> None:
    shelf = Shelf(store.as_uri())
    put(shelf, store)
    write(shelf, SIGNATURE, signature.dump(Signatures((keys.sign(keys.read(key), shelf.read(MANIFEST)),))))
    rollout.promote(shelf, "iris", "1.0.0", Mover.now("ann"), policy=Policy(engines=("onnx",)))
    code = (
        "import sys\nfrom handler import runtime\n"
        "env = dict(zip(('MODEL_STORE', 'MODEL_DEFAULT', 'MODEL_TRUST', 'MODEL_PUBLIC_KEYS'), sys.argv[1:]))\n"
        "assert runtime.start(env).registry.scorer().engine_name == 'onnx'\nprint('nacl' in sys.modules)"
    )
    command = [sys.executable, "-c", code, store.as_uri(), "iris", mode, public(key)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str(imported)


def test_promoting_a_foreign_pickle_does_not_run_it_on_this_machine(
    store: Path, s3: Any, s3_endpoint: str, tmp_path: Path
) -> None:
    shelf = Shelf("s3://models/foreign", s3_endpoint)
    folder = next_version(store, "iris", "2", engine="joblib")
    poison(Shelf(store.as_uri()), tmp_path / "mark", manifest_too=True, version="2")
    assert folder.is_dir()
    publish(Store(store.as_uri()), "iris", "2", shelf, Mover.now("thief"))
    with pytest.raises(ArtifactUntrusted, match="is a pickle in a remote store, and reading it runs code"):
        rollout.promote(shelf, "iris", "2", Mover.now("ann"), force=True)
    assert not (tmp_path / "mark").exists()


def test_a_key_is_written_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "key"
    found = keys.generate(file)
    assert found == public(file)
    assert signature.decode_key(found)
    assert file.stat().st_mode & 0o777 == 0o600
    assert keys.public(keys.read(file)) == found
    with pytest.raises(PublishingRefused, match="a key is never overwritten"):
        keys.generate(file)
    file.chmod(0o640)
    with pytest.raises(PublishingRefused, match="can be read by others: chmod 600"):
        keys.read(file)
    for content in (b"", b"\xff", b"ed25519:AAAA", found.encode(), b"ed25519-secret:AAAA", b"ed25519-secret:!"):
        bad = tmp_path / "bad"
        bad.write_bytes(content)
        bad.chmod(0o600)
        with pytest.raises(PublishingRefused, match=r"is no secret key|cannot be read as a key"):
            keys.read(bad)
    with pytest.raises(PublishingRefused, match="cannot be read as a key: FileNotFoundError"):
        keys.read(tmp_path / "nowhere")


def test_the_vector_of_rfc_8032_verifies() -> None:
    """Test 1 of RFC 8032, section 7.1, whose message is empty: that what is imported is Ed25519."""
    from nacl.signing import VerifyKey  # noqa: PLC0415

    key = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    signed = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    assert VerifyKey(key).verify(b"", signed) == b""
