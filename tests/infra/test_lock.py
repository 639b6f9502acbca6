"""What a layer holds is derived from pyproject.toml and the lock."""

from pathlib import Path

import pytest
from packaging.requirements import Requirement

from infra.flavour import FLAVOURS
from infra.layer import install
from infra.lock import closure, derive, direct, locked
from tests.infra.stack import ROOT


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_the_joblib_flavour_holds_what_serving_needs_and_no_more(arch: str) -> None:
    names = closure(direct(ROOT / "pyproject.toml", FLAVOURS["joblib"].groups), arch)
    assert names >= {
        "fastapi",
        "mangum",
        "aws-lambda-powertools",
        "obstore",
        "msgspec",
        "scikit-learn",
        "joblib",
        "numpy",
    }
    assert names >= {"scipy", "threadpoolctl", "pydantic-core", "starlette", "jmespath"}  # what these need
    assert not names & {"pandas", "skops", "uvicorn", "typer", "rich", "colorama", "boto3", "pytest", "pip"}
    assert not names & {"onnxruntime", "onnx", "skl2onnx", "protobuf"}


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_the_onnx_flavour_holds_the_runtime_and_nothing_of_scikit_learn(arch: str) -> None:
    names = closure(direct(ROOT / "pyproject.toml", FLAVOURS["onnx"].groups), arch)
    assert names >= {"fastapi", "mangum", "aws-lambda-powertools", "obstore", "msgspec", "onnxruntime", "numpy"}
    assert not names & {"scikit-learn", "scipy", "joblib", "threadpoolctl", "pandas", "skops", "onnx", "skl2onnx"}

    assert "pandas" in closure(direct(ROOT / "pyproject.toml", FLAVOURS["pandas"].groups), arch)


def test_each_package_comes_with_its_own_version_and_hashes() -> None:
    text = derive(FLAVOURS["joblib"].groups, "x86_64", ROOT)
    lock = (ROOT / "requirements.txt").read_text()
    assert text.count("==") == text.count("\n\n") + len(
        closure(direct(ROOT / "pyproject.toml", FLAVOURS["joblib"].groups), "x86_64")
    )
    for line in text.splitlines():
        assert line in lock
    for block in text.split("\n\n"):
        assert "--hash=sha256:" in block


PYPROJECT = """
[dependency-groups]
serve = ["Alpha_One[fast] >= 1", {include-group = "more"}]
more = ["beta"]
"""
LOCK = """# made by hand
alpha-one==1.0 \\
    --hash=sha256:aa
    # via serve
beta==2.0 ; sys_platform != 'win32' \\
    --hash=sha256:bb
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "requirements.txt").write_text(LOCK)
    return tmp_path


def test_groups_include_groups_and_names_are_normal(project: Path) -> None:
    assert [r.name for r in direct(project / "pyproject.toml", ("serve",))] == ["Alpha_One", "beta"]
    assert locked(project / "requirements.txt") == {
        "alpha-one": "alpha-one==1.0 \\\n    --hash=sha256:aa",
        "beta": "beta==2.0 ; sys_platform != 'win32' \\\n    --hash=sha256:bb",
    }
    assert derive(("serve",), "x86_64", project).count("--hash") == 2


def test_a_package_that_is_not_locked_is_an_error_that_says_what_to_do(project: Path) -> None:
    (project / "requirements.txt").write_text(LOCK.replace("beta==", "gamma=="))
    with pytest.raises(SystemExit, match="does not lock beta: run `make lock`"):
        derive(("serve",), "x86_64", project)


def test_extras_and_markers_are_read_for_the_target() -> None:
    """anyio's own metadata names trio under an extra; click wants colorama on Windows only."""

    def names(requirement: str) -> set[str]:
        return closure([Requirement(requirement)], "arm64")

    assert "idna" in names("anyio")
    assert "trio" not in names("anyio")
    assert "trio" in names("anyio[trio]")
    assert "colorama" not in names("click")


def _block(name: str) -> str:
    return locked(ROOT / "requirements.txt")[name]


def test_a_wrong_hash_stops_the_build(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = _block("mangum") + "\n" + _block("typing-extensions") + "\n"
    install(good, "x86_64", tmp_path / "good")
    assert (tmp_path / "good" / "mangum").is_dir()
    name, _, rest = _block("mangum").partition("--hash=sha256:")
    wrong = name + "--hash=sha256:" + "0" * 64 + "\n" + _block("typing-extensions") + "\n"
    assert rest
    with pytest.raises(SystemExit, match="pip could not install"):
        install(wrong, "x86_64", tmp_path / "wrong")
    assert not (tmp_path / "wrong" / "mangum").exists()
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in capfd.readouterr().err


def test_a_package_without_a_hash_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="pip could not install"):
        install(
            "typing-extensions==" + _block("typing-extensions").split("==")[1].split()[0] + "\n", "x86_64", tmp_path
        )


def test_a_dependency_that_the_derivation_forgot_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="pip could not install"):
        install(_block("mangum") + "\n", "x86_64", tmp_path)
