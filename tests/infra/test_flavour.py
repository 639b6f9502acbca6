"""Which engine a deployment carries, and which files of its models go with it."""

from pathlib import Path
from typing import Literal

import pytest

from infra import model_layer
from infra.flavour import FLAVOURS, FlavourName, choose
from infra.target import LIMIT
from model.manifest import EngineName, Manifest, digest, dump

FILES = {"model.joblib": b"pickle", "golden.json": b"{}", "code/own.py": b"x = 1"}


def pack(store: Path, name: str, version: str, engine: EngineName, given: Literal["array", "frame"] = "array") -> Path:
    """Write an artifact whose files say nothing, with a manifest that is one."""
    content = FILES | ({"model.onnx": b"graph"} if engine == "onnx" else {})
    manifest = Manifest(
        format=1, name=name, version=version, task="regression", estimator="Ridge", engine=engine, input=given,
        features=(), outputs=(), digests={file: digest(text) for file, text in content.items()},
        environment={}, created="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    for file, text in {**content, "manifest.json": dump(manifest)}.items():
        path = store / name / version / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    return store


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A store with a twin in each version but one."""
    pack(tmp_path, "iris", "1.0.0", "onnx")
    pack(tmp_path, "iris", "1.1.0", "joblib")
    return pack(tmp_path, "babies", "1.0.0", "onnx")


def test_onnx_serves_when_every_version_has_a_twin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack(tmp_path, "iris", "1.0.0", "onnx")
    assert choose(pack(tmp_path, "babies", "2.0.0", "onnx")) == "onnx"
    assert capsys.readouterr().out == ""


def test_one_version_without_a_twin_makes_it_joblib_for_all(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert choose(mixed) == "joblib"
    assert capsys.readouterr().out == "Not the onnx flavour: no compiled twin of iris/1.1.0\n"


def test_pandas_is_taken_only_for_an_estimator_that_needs_data_frames(
    mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert choose(pack(mixed, "framed", "1.0.0", "joblib", "frame")) == "pandas"
    assert capsys.readouterr().out.splitlines() == [
        "Not the onnx flavour: no compiled twin of framed/1.0.0, iris/1.1.0",
        "Not the joblib flavour: data frames are needed by framed/1.0.0",
    ]


def test_a_twin_needs_no_data_frames(tmp_path: Path) -> None:
    assert choose(pack(tmp_path, "framed", "1.0.0", "onnx", "frame")) == "onnx"


def test_without_models_the_estimators_engine_is_taken(tmp_path: Path) -> None:
    assert choose(tmp_path) == choose(tmp_path / "none") == "joblib"


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_flavour_that_is_named_is_taken(
    tmp_path: Path, flavour: FlavourName, capsys: pytest.CaptureFixture[str]
) -> None:
    assert choose(tmp_path, flavour) == flavour  # the models are on S3
    assert choose(pack(tmp_path, "iris", "1.0.0", "onnx"), flavour) == flavour
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("flavour", "reason"),
    [
        ("onnx", r"no compiled twin of framed/1\.0\.0, iris/1\.1\.0 in "),
        ("joblib", "data frames are needed by framed/1"),
    ],
)
def test_a_flavour_that_cannot_serve_a_model_is_refused_by_its_name(mixed: Path, flavour: str, reason: str) -> None:
    pack(mixed, "framed", "1.0.0", "joblib", "frame")
    with pytest.raises(SystemExit, match=f"FLAVOUR={flavour}: {reason}"):
        choose(mixed, flavour)


def test_a_flavour_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="FLAVOUR is one of onnx, joblib, pandas, not skops"):
        choose(tmp_path, "skops")


@pytest.mark.parametrize(("content", "said"), [(b"{", "not a manifest"), (b'{"format": 99}', "has format 99")])
def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    file = pack(tmp_path, "iris", "1.0.0", "onnx") / "iris" / "1.0.0" / "manifest.json"
    file.write_bytes(content)
    with pytest.raises(SystemExit, match=f"iris/1.0.0/manifest.json: .*{said}"):
        choose(tmp_path)


def test_a_hidden_folder_is_no_model(tmp_path: Path) -> None:
    pack(tmp_path, ".trash", "1.0.0", "joblib")
    assert choose(pack(tmp_path, "iris", "1.0.0", "onnx")) == "onnx"


def test_the_ceilings_leave_room_for_models_and_the_smaller_one_for_more() -> None:
    assert FLAVOURS["onnx"].ceiling == 130_000_000
    assert FLAVOURS["joblib"].ceiling == 250_000_000 < LIMIT == FLAVOURS["pandas"].ceiling


def shipped(store: Path, output: Path, engine: EngineName) -> set[str]:
    model_layer.lay_out(store, output, engine)
    return {str(path.relative_to(output / "model")) for path in output.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("engine", "files"),
    [("onnx", {"model.onnx", "golden.json"}), ("joblib", {"model.joblib", "code/own.py", "golden.json"})],
)
def test_a_models_files_go_as_far_as_the_engine_reads_them(tmp_path: Path, engine: EngineName, files: set[str]) -> None:
    store = pack(tmp_path / "artifacts", "iris", "1.0.0", "onnx")
    for name in ("iris/labels.json", "iris/.lock", ".gitkeep"):
        (store / name).write_text("")
    (store / "iris/1.0.0/golden.json").chmod(0o600)
    expected = {f"iris/1.0.0/{file}" for file in files | {"manifest.json"}} | {"iris/labels.json"}
    assert shipped(store, tmp_path / "out", engine) == expected
    assert (tmp_path / "out/model/iris/1.0.0/golden.json").stat().st_mode & 0o044 == 0o044


def test_an_empty_store_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / ".gitkeep").touch()
    with pytest.raises(SystemExit, match="no model is packed here"):
        model_layer.lay_out(tmp_path, tmp_path / "out", "onnx")
