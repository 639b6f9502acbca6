"""What will hurt in a built tree: a small one made by hand; the real ones are looked at in tests/infra."""

import compileall
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

import pytest

from model.doctor import examine_folder
from model.doctor.finding import LIMIT, Finding
from tests.test_doctor import rewrite

RUNTIME = f"python3.{sys.version_info.minor}"
LAYER = {"Type": "AWS::Serverless::LayerVersion"}
Change = Callable[[Path], object]


def compiled(root: Path, mode: PycInvalidationMode = PycInvalidationMode.UNCHECKED_HASH) -> None:
    compileall.compile_dir(root, quiet=1, force=True, invalidation_mode=mode)


@pytest.fixture
def tree(packed: Path, tmp_path: Path) -> Path:
    """A function with an ONNX layer and the examples' models, of which the pickles stayed behind."""
    layers: list[Any] = [{"Ref": "Packages"}, {"Ref": "Models"}, "arn:aws:lambda:us-east-1:1:layer:foreign:1"]
    own = {"CodeUri": "Api", "Runtime": RUNTIME, "Layers": layers}
    resources = {
        "Api": {"Type": "AWS::Serverless::Function", "Properties": own},
        **{name: {**LAYER, "Properties": {"ContentUri": name}} for name in ("Packages", "Models")},
    }
    (tree := tmp_path / "build").mkdir()
    (tree / "template.yaml").write_text(json.dumps({"Resources": resources}))
    for file in ("Api/handler/on_http.py", "Packages/python/onnxruntime/__init__.py", "Packages/python/one.py"):
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text("x = 1\n")
    shutil.copytree(packed, tree / "Models/model", ignore=shutil.ignore_patterns("model.joblib"))
    compiled(tree)
    return tree


def examine(tree: Path) -> list[Finding]:
    found = examine_folder(tree, {})
    assert found is not None
    return found


def add(file: str, text: str = "x = 1\n") -> Change:
    def change(tree: Path) -> None:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text(text)
        compiled(tree)

    return change


def large(size: int) -> Change:
    def change(tree: Path) -> None:
        with (tree / "Packages/python/onnxruntime/big.so").open("wb") as sparse:
            sparse.truncate(size)

    return change


def joblib_layer(tree: Path) -> None:
    """The layer of the other flavour, with the scikit-learn that the models were packed with."""
    shutil.rmtree(tree / "Packages/python/onnxruntime")
    add("Packages/python/sklearn/__init__.py")(tree)


def pickle_of_iris(tree: Path, **changes: Any) -> None:
    rewrite(tree / "Models/model", engine="joblib", **changes)


def installed_learn(tree: Path) -> None:
    joblib_layer(tree)
    add("Packages/python/scikit_learn-0.1.dist-info/METADATA", "Name: scikit-learn\nVersion: 0.1\n")(tree)


def framed(tree: Path) -> None:
    joblib_layer(tree)
    pickle_of_iris(tree, input="frame")


CHANGES: list[tuple[Change, tuple[str, str, str], str]] = [
    (large(LIMIT), ("error", "too-large", "Api"), "python/onnxruntime 262.1 MB"),
    (large(LIMIT * 96 // 100), ("warning", "too-large", "Api"), "96% of the 262,144,000"),
    (add("Packages/python/pandas/__init__.py"), ("warning", "needless-pandas", "Api"), "150 ms"),
    (add("Packages/python/sklearn/__init__.py"), ("warning", "both-engines", "Api"), "onnxruntime and sklearn"),
    (pickle_of_iris, ("error", "no-engine", "iris/1.0.0"), "it needs sklearn, and no layer holds it"),
    (framed, ("error", "no-pandas", "iris/1.0.0"), "no layer holds pandas"),
    (installed_learn, ("error", "version-drift", "iris/1.0.0"), "it will run with 0.1"),
    (
        lambda tree: (tree / "Models/model/iris/1.0.0/model.onnx").write_bytes(b"other"),
        ("error", "digest", "iris/1.0.0"),
        "model.onnx",
    ),
    (
        lambda tree: (tree / "Models/model/iris/1.0.0/manifest.json").write_text('{"format": 99}'),
        ("error", "newer-format", "iris/1.0.0"),
        "format 99",
    ),
    (
        lambda tree: shutil.rmtree(tree / "Packages/python/__pycache__"),
        ("warning", "no-bytecode", "Packages"),
        f"1 of 2 modules have no bytecode for {RUNTIME}",
    ),
    (
        lambda tree: compiled(tree / "Api", PycInvalidationMode.TIMESTAMP),
        ("warning", "dated-bytecode", "Api"),
        "1 of 1 modules",
    ),
    (
        lambda tree: compiled(tree / "Api", PycInvalidationMode.CHECKED_HASH),
        ("hint", "checked-bytecode", "Api"),
        "1 of 1 modules",
    ),
]


def test_nothing_is_found_in_a_healthy_tree(tree: Path) -> None:
    assert examine(tree) == []


@pytest.mark.parametrize(("change", "expected", "said"), CHANGES, ids=[rule for _, (_, rule, _), _ in CHANGES])
def test_each_thing_is_found(tree: Path, change: Change, expected: tuple[str, str, str], said: str) -> None:
    change(tree)
    (finding,) = [f for f in examine(tree) if (f.severity, f.rule, f.where) == expected]
    assert said in finding.what
    assert finding.cure


def test_pandas_that_a_model_needs_is_not_needless(tree: Path) -> None:
    framed(tree)
    (tree / "Models/model/iris/1.0.0/model.joblib").touch()
    add("Packages/python/pandas/__init__.py")(tree)
    assert not {"needless-pandas", "no-pandas"} & {finding.rule for finding in examine(tree)}


def test_modules_without_sources_have_their_bytecode(tree: Path) -> None:
    source = tree / "Packages/python/one.py"
    next(source.parent.glob("__pycache__/one.*")).rename(source.with_suffix(".pyc"))
    source.unlink()
    assert examine(tree) == []


def test_two_functions_on_the_same_layers_say_it_once(tree: Path) -> None:
    stack = json.loads((tree / "template.yaml").read_text())
    stack["Resources"]["Second"] = stack["Resources"]["Api"]
    (tree / "template.yaml").write_text(json.dumps(stack))
    shutil.rmtree(tree / "Packages/python/__pycache__")
    assert [finding.rule for finding in examine(tree)] == ["no-bytecode"]
