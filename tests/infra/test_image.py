"""The container images: the same code and models, both engines; built and run in Docker where there is one."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import yaml
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from handler.__main__ import STOP_SECONDS
from handler.settings import VARIABLES
from infra.function_code import lay_out
from infra.image_context import SERVER
from tests.infra.conftest import clean_environment, sam
from tests.infra.stack import ROOT, _NoManagedPolicies, of_type
from tests.infra.test_lab import IMAGE, IRIS, _docker

IMAGES = ROOT / "infra" / "image"
TEMPLATE = yaml_parse((IMAGES / "template.yaml").read_text())
MAIN = yaml_parse((ROOT / "template.yaml").read_text())


def test_the_base_is_an_argument_and_nothing_is_run_or_downloaded() -> None:
    for name in ("Dockerfile", "server.Dockerfile"):
        steps = [line.split()[0] for line in (IMAGES / name).read_text().splitlines() if re.match("[A-Z]+ ", line)]
        assert steps[:2] == ["ARG", "FROM"]
        assert not {"RUN", "ADD"} & set(steps)
        assert "FROM ${BASE}" in (IMAGES / name).read_text()


def test_the_functions_are_those_of_the_main_template() -> None:
    main = MAIN["Resources"]
    functions = {n: r for n, r in TEMPLATE["Resources"].items() if r["Type"] == "AWS::Serverless::Function"}
    assert set(functions) == {"ApiFunction", "InvokeFunction"}
    for name, function in functions.items():
        own = function["Properties"]
        assert own["PackageType"] == "Image"
        assert (own["ImageConfig"]["Command"], own["Timeout"]) == (
            [main[name]["Properties"]["Handler"]],
            main[name]["Properties"]["Timeout"],
        )
        assert function["Metadata"]["DockerBuildArgs"] == {"BASE": {"Ref": "BaseImage"}}
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert {name for name in variables if name.startswith("MODEL_")} <= set(VARIABLES)
    for name in ("RecordShare", "RecordDetail", "Feedback"):  # the same choices, and the same refusal
        ours, theirs = (
            {key: value for key, value in parameters[name].items() if key != "Description"}
            for parameters in (TEMPLATE["Parameters"], MAIN["Parameters"])
        )
        assert ours == theirs
    assert TEMPLATE["Rules"]["FeedbackNeedsAnswers"] == MAIN["Rules"]["FeedbackNeedsAnswers"]
    assert TEMPLATE["Resources"]["Api"]["Properties"]["Auth"] == {"DefaultAuthorizer": "AWS_IAM"}


def test_the_image_sets_what_the_template_sets_for_libraries() -> None:
    main = MAIN["Globals"]["Function"]["Environment"]["Variables"]
    wanted = {n: v for n, v in main.items() if isinstance(v, str) and not n.startswith("MODEL_")}
    text = (IMAGES / "Dockerfile").read_text()
    assert all(f"{name}={value}" in text for name, value in wanted.items())


def test_the_server_finds_every_module_that_a_function_leaves_behind(tmp_path: Path, packed: Path) -> None:
    """Over the tree that the image has, but for the wheels; what it lacks would end the container at its start."""
    lay_out(ROOT, tmp_path)
    for name in SERVER:
        shutil.copy(ROOT / name, tmp_path / name)
    code = "import handler.__main__, handler.server as s; s.create(); print(s.__file__)"
    env = {
        "PATH": os.environ["PATH"],
        "MODEL_STORE": packed.as_uri(),
        "MODEL_DEFAULT": "iris",
        "MODEL_RECORD_SHARE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout


def test_compose_gives_calls_time_to_end_and_the_process_few_rights() -> None:
    (service,) = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values()
    assert int(service["stop_grace_period"].rstrip("s")) > STOP_SECONDS
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert (ROOT / ".aws-sam/image" / service["build"]["dockerfile"]).resolve() == IMAGES / "server.Dockerfile"
    assert service["build"]["context"] == ".aws-sam/image"


@pytest.mark.sam
def test_both_templates_pass_sam_and_its_linter() -> None:
    for template in ("infra/image/template.yaml", "template.yaml"):
        for lint in ([], ["--lint"]):
            done = sam("validate", "-t", template, *lint)
            assert done.returncode == 0, done.stdout + done.stderr
    command = [str(Path(sys.executable).parent / "cfn-lint"), "infra/github-role.yaml", "infra/image/template.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def context(python_of_lambda: None) -> Path:
    """The folder that `make image` lays out."""
    if not shutil.which("docker") or _docker("version").returncode:
        pytest.skip("no Docker daemon")
    if _docker("image", "inspect", IMAGE).returncode:
        pytest.skip(f"Docker has not got the base image: docker pull {IMAGE}")
    output = ROOT / ".aws-sam" / "image"
    command = [sys.executable, "-m", "infra.image_context", "--arch", "x86_64", "--output", str(output)]
    done = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return output


def built(context: Path, dockerfile: str) -> str:
    tag = f"models-{Path(dockerfile).stem.lower()}:test"
    file = str(IMAGES / dockerfile)
    done = _docker("build", "-q", "-t", tag, "-f", file, "--build-arg", f"BASE={IMAGE}", str(context))
    assert done.returncode == 0, done.stderr
    return tag


@pytest.mark.sam
@pytest.mark.lab
def test_sam_builds_the_image_and_its_functions_answer(context: Path, tmp_path: Path) -> None:
    base = f"BaseImage={IMAGE}"
    out = ("--build-dir", str(tmp_path / "build"))
    done = sam("build", "-t", "infra/image/template.yaml", *out, "--parameter-overrides", base, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    for function, event, expected in (
        ("ApiFunction", "http", '"prediction":1,'),
        ("InvokeFunction", "invoke", "predictions"),
    ):
        template = ("-t", str(tmp_path / "build" / "template.yaml"))
        done = sam(
            "local", "invoke", function, *template, "-e", f"events/{event}.json", "--skip-pull-image", timeout=180
        )
        answer = json.loads(done.stdout)
        assert expected in answer.get("body", json.dumps(answer)), done.stderr


@pytest.mark.sam
@pytest.mark.lab
def test_what_fits_in_no_layer_is_in_the_image(context: Path) -> None:
    code = "import sklearn, onnxruntime, pandas, arro3.io, handler.on_object; print(pandas.DataFrame({'a': [1]}).shape)"
    image = built(context, "Dockerfile")
    asked = _docker(
        "run", "--rm", "--entrypoint", "python3", "-w", "/var/task", "-e", "MODEL_DEFAULT=iris", image, "-c", code
    )
    assert asked.stdout.strip().endswith("(1, 1)"), asked.stderr
    size = sum(file.stat().st_size for file in context.rglob("*") if file.is_file())
    assert 262_144_000 < size < 700_000_000  # more than Lambda unzips


@pytest.fixture
def container(context: Path) -> Iterator[str]:
    name = f"models-{uuid.uuid4().hex[:8]}"
    try:
        yield name
    finally:
        _docker("rm", "-f", name)


@pytest.mark.sam
@pytest.mark.lab
def test_the_server_image_is_healthy_answers_and_stops_by_itself(context: Path, container: str) -> None:
    image = built(context, "server.Dockerfile")
    rights = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    settings = ("-e", "MODEL_DEFAULT=iris", "-e", "MODEL_RECORD_SHARE=1", "-e", "MODEL_FEEDBACK=on")
    run = _docker("run", "-d", "--name", container, *rights, "--health-interval", "1s", *settings, image)
    assert run.returncode == 0, run.stderr

    def inspected(what: str) -> str:
        return _docker("inspect", "-f", what, container).stdout.strip()

    for _ in range(60):
        if inspected("{{.State.Health.Status}}") == "healthy":
            break
        assert inspected("{{.State.Running}}") == "true", _docker("logs", container).stderr
        time.sleep(0.5)
    assert inspected("{{.State.Health.Status}}") == "healthy", _docker("logs", container)
    inside = (
        "import json, urllib.request as r\n"
        "url = 'http://127.0.0.1:8000'\n"
        f"q = r.Request(url + '/predict', json.dumps({IRIS}).encode(), {{'content-type': 'application/json'}})\n"
        "print(json.load(r.urlopen(q))['label'], b'model_requests_total' in r.urlopen(url + '/metrics').read())"
    )
    assert _docker("exec", container, "python3", "-c", inside).stdout.strip() == "versicolor True"
    assert _docker("exec", container, "python3", "-c", "import os; print(os.getuid())").stdout.strip() == "65534"
    lines = [json.loads(line) for line in _docker("logs", container).stdout.splitlines()]
    (record,) = [line for line in lines if line["message"] == "prediction"]  # the reference is in the image, too
    assert (record["model"], len(record["bins"][0])) == ("iris", 4)
    began = time.monotonic()
    assert _docker("stop", "-t", "25", container).returncode == 0
    assert time.monotonic() - began < 20  # not killed
    assert inspected("{{.State.ExitCode}}") in {"0", "143"}


def test_a_new_image_and_a_changed_parameter_publish_a_version() -> None:
    def versions(image: str, **parameters: str) -> set[str]:
        template = yaml_parse((IMAGES / "template.yaml").read_text())
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Serverless::Function":
                resource["Properties"]["ImageUri"] = (
                    f"123456789012.dkr.ecr.us-east-1.amazonaws.com/models@sha256:{image}"
                )
        with mock.patch.dict(os.environ, AWS_DEFAULT_REGION="us-east-1"):
            resources = transform(template, parameters, _NoManagedPolicies())["Resources"]
        return set(of_type(resources, "AWS::Lambda::Version"))

    before = versions("0" * 64)
    assert len(before) == 2
    assert versions("0" * 64) == before
    assert not versions("1" * 64) & before
    changed = {"ModelDefault": "babies", "MemorySize": "2048", "Architecture": "arm64"}
    for name, value in {**changed, "RecordShare": "1", "RecordDetail": "bins", "Feedback": "on"}.items():
        assert not versions("0" * 64, **{name: value}) & before, name
