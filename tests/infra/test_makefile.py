"""The commands that the README leads with, in a copy of the project whose Python only writes down what it is asked."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.infra.conftest import clean_environment
from tests.infra.stack import ROOT

FAKE = """#!/bin/sh
echo "$@" >> "{log}"
case "$1$2" in -mvenv) mkdir -p .venv/bin; cp "$0" .venv/bin/python;; esac
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with an environment that is complete."""
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt", "infra/find-python"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(FAKE.format(log=tmp_path / "log"))
    python.chmod(0o755)
    (tmp_path / ".venv" / ".runtime").touch()
    (tmp_path / ".venv" / ".dev").touch()
    return tmp_path


def make(project: Path, *arguments: str, **environment: str) -> list[str]:
    """Run make, and return what Python was asked to do, probes left out."""
    (project / "log").unlink(missing_ok=True)
    done = subprocess.run(
        ["make", *arguments],
        cwd=project,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = (project / "log").read_text().splitlines() if (project / "log").exists() else []
    return [line for line in lines if line != "-c import pip"]


def pack(project: Path, *names: str) -> None:
    for name in names:
        manifest = project / "artifacts" / name / "1.0.0" / "manifest.json"
        manifest.parent.mkdir(parents=True)
        manifest.touch()


def test_make_alone_lists_every_target(project: Path) -> None:
    done = subprocess.run(["make"], cwd=project, env=clean_environment(), capture_output=True, text=True, check=True)
    listed = {line.split()[1] for line in done.stdout.splitlines()}
    assert listed >= {
        "setup",
        "run",
        "test",
        "check",
        "format",
        "lock",
        "build",
        "validate",
        "deploy",
        "destroy",
        "invoke",
        "clean",
    }


def test_run_packs_what_is_missing_and_serves(project: Path) -> None:
    pack(project, "iris")
    assert make(project, "run") == ["-m model train babies", "-m handler"]


def test_a_second_run_only_serves(project: Path) -> None:
    pack(project, "iris", "babies")
    assert make(project, "run") == ["-m handler"]


def test_a_model_file_of_the_users_needs_no_examples(project: Path) -> None:
    assert make(project, "run", MODEL_PATH="model.pkl") == ["-m handler"]


def test_test_packs_and_runs_pytest(project: Path) -> None:
    assert make(project, "test") == [
        "-m model train iris",
        "-m model train babies",
        "-m pytest -n auto",
    ]


def test_a_changed_lock_is_installed_again_with_its_hashes(project: Path) -> None:
    later = (project / ".venv" / ".runtime").stat().st_mtime + 10
    os.utime(project / "requirements.txt", (later, later))
    (asked, *_) = make(project, "setup")
    assert asked.startswith("-m pip install")
    assert "--require-hashes --no-deps --no-compile -r requirements.txt" in asked
    os.utime(project / ".venv" / ".runtime", (later + 1, later + 1))
    assert make(project, "setup") == []


def test_an_environment_whose_python_is_gone_is_made_again(project: Path, tmp_path: Path) -> None:
    python = project / ".venv" / "bin" / "python"
    working = tmp_path / "elsewhere"
    working.write_text(
        python.read_text().replace("case", f'case "$2" in *ensurepip*) echo 3.13 {working};; esac\ncase', 1)
    )
    working.chmod(0o755)
    python.unlink()
    asked = make(project, "setup", PYTHON=str(working))
    assert any(line.startswith("-m venv --clear .venv") for line in asked)
    assert any("--require-hashes --no-deps --no-compile -r requirements.txt" in line for line in asked)


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        # The template's own default, whatever this machine is; no flavour lets the manifests decide.
        (["MACHINE=arm64"], {}, "--arch x86_64 --flavour "),
        (["ARCH=arm64", "FLAVOUR=onnx"], {}, "--arch arm64 --flavour onnx"),
        ([], {"ARCH": "arm64", "FLAVOUR": "joblib"}, "--arch arm64 --flavour joblib"),
    ],
)
def test_the_recipe_under_sam_builds_for_the_templates_architecture(
    project: Path, arguments: list[str], environment: dict[str, str], said: str
) -> None:
    pack(project, "mine")
    (asked,) = make(project, "build-DependenciesLayer", *arguments, ARTIFACTS_DIR="/tmp/out dir", **environment)
    assert asked == f"-m infra.layer {said} --output /tmp/out dir"


def test_a_build_packs_the_examples_only_if_nothing_is_packed(project: Path) -> None:
    pack(project, "mine")
    laid_out = "-m infra.model_layer --flavour onnx --output /tmp/out"
    assert make(project, "build-ModelLayer", "FLAVOUR=onnx", ARTIFACTS_DIR="/tmp/out") == [laid_out]
    shutil.rmtree(project / "artifacts")
    asked = make(project, "build-ModelLayer", "FLAVOUR=onnx", ARTIFACTS_DIR="/tmp/out")
    assert asked == ["-m model train iris", "-m model train babies", laid_out]


@pytest.mark.parametrize(
    ("named", "event"),
    [
        ([], "ApiFunction -e events/http.json"),
        (["FUNCTION=InvokeFunction"], "InvokeFunction -e events/invoke.json"),
        (["FUNCTION=QueueFunction"], "QueueFunction -e events/queue.json"),
        (["FUNCTION=BusFunction"], "BusFunction -e events/bus.json"),
        (["FUNCTION=MonitorFunction"], "MonitorFunction -e events/schedule.json"),
        (["FUNCTION=BusFunction", "EVENT=mine.json"], "BusFunction -e mine.json"),
    ],
)
def test_invoke_gives_each_function_its_own_sample_event(project: Path, named: list[str], event: str) -> None:
    (project / ".venv" / "bin" / "sam").write_text(f'#!/bin/sh\necho "$*" >> "{project / "log"}"\n')
    (project / ".venv" / "bin" / "sam").chmod(0o755)
    assert make(project, "invoke", *named) == [f"local invoke {event}"]


def test_build_and_deploy_give_sam_the_architecture_and_the_flavour_that_the_layers_have(project: Path) -> None:
    (project / ".venv" / "bin" / "sam").write_text(f'#!/bin/sh\necho "sam $ARCH$FLAVOUR $*" >> "{project / "log"}"\n')
    (project / ".venv" / "bin" / "sam").chmod(0o755)
    built = ["sam arm64 build --parameter-overrides Architecture=arm64", "-m infra.built .aws-sam/build"]
    assert make(project, "build", "ARCH=arm64") == built
    assert make(project, "build", "MACHINE=arm64") == built  # the default is this machine's own
    for named in (
        {},
        {"FLAVOUR": "-onnx"},
    ):  # make hands on what it is given, on its command line or by the environment
        asked = make(project, "build", "ARCH=arm64", *([] if named else ["FLAVOUR=-onnx"]), **named)
        assert asked[0] == built[0].replace("arm64 ", "arm64-onnx ", 1)
    deployed = make(project, "deploy", "ARCH=arm64", "PARAMETERS=ModelDefault=babies MemorySize=2048")
    assert deployed[:2] == built
    assert deployed[2] == "-m infra.deploy deploy dev Architecture=arm64 ModelDefault=babies MemorySize=2048"
    assert make(project, "deploy", "ARCH=arm64", "ENV=prod", "YES=--yes")[2].startswith(
        "-m infra.deploy deploy prod --yes"
    )


def test_destroy_builds_nothing(project: Path) -> None:
    assert make(project, "destroy", "ENV=prod") == ["-m infra.deploy destroy prod"]
