"""The dependencies' layer: pruned, compiled, kept, and whole for both architectures."""

import platform
import struct
import sys
from pathlib import Path

import pytest

from infra import layer, target
from infra.flavour import FLAVOURS, FlavourName
from infra.prune import prune
from infra.target import compile_bytecode, drop_sources, platforms, readable
from tests.infra.conftest import lay_out_dependencies
from tests.infra.test_flavour import pack


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    return root


KEPT = {
    "package/__init__.py",
    "package/core.so",
    "package/data.npz",
    "package/testing/__init__.py",
    "package-1.dist-info/METADATA",
    "package-1.dist-info/entry_points.txt",
    "package-1.dist-info/licenses/LICENSE",
    "package-1.dist-info/LICENSE.txt",
    "numpy/f2py/__init__.py",
    "onnxruntime/capi/libonnxruntime_providers_shared.so",
}
REMOVED = {
    "package/tests/test_it.py",
    "package/tests/data/deep.csv",
    "package/__init__.pyi",
    "package/fast.pyx",
    "package/include/fast.h",
    "package/conftest.py",
    "package-1.dist-info/RECORD",
    "package-1.dist-info/WHEEL",
    "package-1.dist-info/sboms/all.json",
    "pydantic/v1/main.py",
    "sklearn/datasets/images/flower.jpg",
    "onnxruntime/capi/libonnxruntime.so.1.31.1",
    "onnxruntime/transformers/optimizer.py",
    "bin/tool",
}


def test_pruning_leaves_what_a_function_reads(tmp_path: Path) -> None:
    make(tmp_path, *KEPT, *REMOVED)
    (tmp_path / "package-1.dist-info/METADATA").write_text("Name: package\n")
    prune(tmp_path)
    assert files(tmp_path) == KEPT


def test_pruning_a_tree_that_has_none_of_it_is_no_error(tmp_path: Path) -> None:
    prune(tmp_path)


@pytest.mark.parametrize(
    ("requirement", "kept"),
    [('protobuf>=5; extra == "kafka"', False), ("protobuf>=5", True)],
    ids=["asked for by an extra", "asked for"],
)
def test_what_only_onnxruntime_asks_for_goes_unless_another_package_needs_it(
    tmp_path: Path, requirement: str, kept: bool
) -> None:
    asked = {"onnxruntime": "protobuf", "protobuf": "", "own": requirement}
    for name, needs in asked.items():
        make(tmp_path, f"{name}/deep/code.py", f"{name}-1.dist-info/RECORD")
        requires = f"Requires-Dist: {needs}\n" if needs else ""
        (tmp_path / f"{name}-1.dist-info/METADATA").write_text(f"Name: {name}\nVersion: 1\n{requires}")
        (tmp_path / f"{name}-1.dist-info/RECORD").write_text(f"{name}/deep/code.py,,\n{name}-1.dist-info/METADATA,,\n")
    prune(tmp_path)
    assert (tmp_path / "protobuf").exists() is (tmp_path / "protobuf-1.dist-info").exists() is kept
    assert (tmp_path / "onnxruntime/deep/code.py").exists()


def _compiled(tmp_path: Path, name: str) -> dict[str, bytes]:
    root = make(tmp_path / name, "package/__init__.py", "package/names.py", "package/__pycache__/stale.cpython-312.pyc")
    (root / "package/names.py").write_text('def f(a={"x", "y", "z"}): return a in {"p", "q", "r"}\n')
    compile_bytecode(root, "/opt/python")
    return {path.name: path.read_bytes() for path in root.rglob("*.pyc")}


def test_bytecode_is_unchecked_the_same_each_time_and_knows_its_place_on_lambda(tmp_path: Path) -> None:
    first, second = _compiled(tmp_path, "one"), _compiled(tmp_path, "two")
    assert first == second
    assert len(first) == 2
    assert all(name.endswith(f".cpython-3{sys.version_info.minor}.pyc") for name in first)
    for code in first.values():
        assert struct.unpack("<I", code[4:8]) == (1,)  # hash-based, not checked (PEP 552)
        assert b"/opt/python/package/" in code
        assert str(tmp_path).encode() not in code


def test_a_module_that_does_not_compile_stops_the_build(tmp_path: Path) -> None:
    make(tmp_path, "package/broken.py")
    (tmp_path / "package/broken.py").write_text("def\n")
    with pytest.raises(SystemExit, match="does not compile"):
        compile_bytecode(tmp_path, "/var/task")


def test_a_package_without_sources_imports_from_its_bytecode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path, "sourceless_package/__init__.py", "sourceless_package/deep/__init__.py")
    (root / "sourceless_package/deep/names.py").write_text("where = __file__\n")
    (root / "sourceless_package/data.csv").write_text("a,b\n")
    compile_bytecode(root, "/opt/python")
    drop_sources(root)
    kept = {"__init__.pyc", "deep/__init__.pyc", "deep/names.pyc", "data.csv"}
    assert files(root) == {f"sourceless_package/{name}" for name in kept}
    monkeypatch.syspath_prepend(root)
    from sourceless_package.deep import names  # type: ignore[import-not-found]  # noqa: PLC0415

    assert names.where == str(root / "sourceless_package/deep/names.pyc")


def test_everybody_may_read_the_tree(tmp_path: Path) -> None:
    make(tmp_path, "a/b.py")
    (tmp_path / "a/b.py").chmod(0o600)
    (tmp_path / "a").chmod(0o700)
    readable(tmp_path)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "a/b.py").stat().st_mode & 0o777 == 0o644


def test_every_older_wheel_tag_is_named() -> None:
    assert platforms("arm64")[0] == "manylinux_2_28_aarch64"
    assert "manylinux_2_24_aarch64" in platforms("arm64")  # obstore's; pip would not try it by itself
    assert platforms("x86_64")[-1] == "manylinux_2_17_x86_64"


def test_all_that_decides_the_bytes_is_in_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    base = layer.digest("a==1", "joblib", "x86_64")
    assert base == layer.digest("a==1", "joblib", "x86_64")
    others = {layer.digest("a==2", "joblib", "x86_64"), layer.digest("a==1", "onnx", "x86_64")}
    others.add(layer.digest("a==1", "joblib", "arm64"))
    monkeypatch.setattr(platform, "python_version", lambda: "3.13.99")
    others.add(layer.digest("a==1", "joblib", "x86_64"))
    monkeypatch.setattr(layer, "_MADE_BY", ("layer.py",))
    others.add(layer.digest("a==1", "joblib", "x86_64"))
    assert len(others | {base}) == 6


def test_an_interrupted_build_leaves_nothing_that_looks_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(requirements: str, arch: str, target: Path) -> None:
        make(target, "half/__init__.py")
        raise KeyboardInterrupt

    monkeypatch.setattr(layer, "install", interrupted)
    with pytest.raises(KeyboardInterrupt):
        layer.build("a==1", FLAVOURS["joblib"], "x86_64", tmp_path / "cache" / "kept")
    assert not list((tmp_path / "cache").iterdir())


def test_a_build_that_another_overtook_is_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "cache" / "kept"

    def overtaken(requirements: str, arch: str, target: Path) -> None:
        make(target, "mine.py")
        make(kept, "layer/python/theirs.py")

    monkeypatch.setattr(layer, "install", overtaken)
    layer.build("a==1", FLAVOURS["joblib"], "x86_64", kept)
    assert files(kept) == {"layer/python/theirs.py"}
    assert list(kept.parent.iterdir()) == [kept]


def test_another_python_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "PYTHON", (3, 99))
    with pytest.raises(SystemExit) as stopped:
        target.require_python()
    message = str(stopped.value)
    assert "needs Python 3.99" in message
    assert "pyenv install 3.99" in message
    assert "rm -rf .venv && make setup" in message


@pytest.mark.sam
@pytest.mark.parametrize("flavour", ["onnx", "joblib"])
@pytest.mark.parametrize(("arch", "machine"), [("x86_64", 62), ("arm64", 183)])
def test_the_layer_of_each_flavour_and_architecture_fits_and_is_of_it(
    flavour: FlavourName, arch: str, machine: int, tmp_path: Path, python_of_lambda: None
) -> None:
    said = lay_out_dependencies(flavour, arch, tmp_path / "layer")
    assert f"Dependencies ({flavour}, {arch}): " in said
    assert " MB zipped" in said
    found = list((tmp_path / "layer").rglob("*"))
    assert sum(path.stat().st_size for path in found if path.is_file()) < FLAVOURS[flavour].ceiling
    libraries = [path for path in found if ".so" in path.suffixes]
    assert len(libraries) > 25
    for library in libraries:
        assert struct.unpack_from("<H", library.read_bytes(), 18) == (machine,)  # e_machine of the ELF header
    packages = {path.stem for path in (tmp_path / "layer/python").iterdir()}
    engines = {"onnx": {"onnxruntime"}, "joblib": {"sklearn", "scipy", "joblib", "threadpoolctl"}}
    assert packages >= {"numpy", "fastapi", "mangum", "obstore", "msgspec"} | engines.pop(flavour)
    (others,) = engines.values()
    assert not packages & (others | {"pandas", "onnx", "google", "flatbuffers", "pip", "bin", "uvicorn", "rich"})


def test_the_gates_name_the_flavour_and_what_is_largest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree, code, models = make(tmp_path, "layer/python/big/a.py"), tmp_path / "code", tmp_path / "artifacts"
    make(code, "handler/on_http.py")
    layer.gates(tree / "layer", "onnx", [code], models)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Dependencies and code: 0.000 MB of the onnx flavour's 130.0 MB")
    assert said[1].startswith("Dependencies, code and models: 0.000 MB of Lambda's 262.1 MB")
    with (tree / "layer/python/big/a.py").open("wb") as file:
        file.truncate(130_000_000)
    with pytest.raises(SystemExit, match=r"6 over the onnx flavour's 130,000,000"):
        layer.gates(tree / "layer", "onnx", [code], models)
    assert "python/big" in capsys.readouterr().err


def test_models_count_against_lambdas_limit_and_not_the_flavours_ceiling(tmp_path: Path) -> None:
    def sized(file: str, size: int) -> None:
        with (tmp_path / file).open("wb") as sparse:
            sparse.truncate(size)

    make(tmp_path, "layer/python/a.py")
    models = pack(tmp_path / "artifacts", "iris", "1.0.0", "onnx")
    sized("layer/python/a.py", 100_000_000)
    sized("artifacts/iris/1.0.0/model.onnx", 160_000_000)
    sized("artifacts/iris/1.0.0/model.joblib", 160_000_000)
    layer.gates(tmp_path / "layer", "onnx", [], models)  # a function that runs the twin has no use for the pickle
    sized("artifacts/iris/1.0.0/model.onnx", 170_000_000)
    with pytest.raises(SystemExit, match="over Lambda's 262,144,000"):
        layer.gates(tmp_path / "layer", "onnx", [], models)
