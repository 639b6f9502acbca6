"""The built functions of each flavour on Lambda's real runtime client, behind the Runtime Interface Emulator."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.built import Function, functions
from infra.cgroup import QuotaUnavailable
from infra.emulator import Emulator, EmulatorUnavailable
from model.manifest import EngineName
from model.pack import pack
from model.source import read_source
from model.store import Store
from tests.infra.conftest import ROOT, Start, event

pytestmark = pytest.mark.sam

SOURCES = ["apigateway-v1", "apigateway-v2", "alb"]
IRIS = {"model": "iris", "instances": [[6.1, 2.8, 4.7, 1.2], [5.1, 3.5, 1.4, 0.2]]}


@pytest.fixture(scope="module")
def api(start: Start) -> Emulator:
    return start("ApiFunction")


@pytest.fixture(scope="module")
def direct(start: Start) -> Emulator:
    return start("InvokeFunction")


def sample(name: str) -> Any:
    return json.loads((ROOT / "events" / f"{name}.json").read_text())


def content_type(answer: dict[str, Any]) -> str:
    headers = answer.get("multiValueHeaders") or answer["headers"]
    return str({**answer["headers"], **{k: v[0] for k, v in headers.items() if isinstance(v, list)}}["content-type"])


@pytest.mark.parametrize("source", SOURCES)
def test_a_prediction_comes_back_from_each_kind_of_gateway(api: Emulator, source: str) -> None:
    answer = api.invoke(event(source))
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
    body = json.loads(answer["body"])
    assert (body["prediction"], body["label"]) == (1, "versicolor")
    assert body["model"] == {"name": "iris", "version": "1.0.0"}


@pytest.mark.parametrize("source", SOURCES)
def test_health_is_answered_for_each_kind_of_gateway(api: Emulator, source: str) -> None:
    assert api.invoke(event(f"{source}-health"))["statusCode"] == 200


@pytest.mark.parametrize("source", SOURCES)
def test_a_problem_leaves_as_text(api: Emulator, source: str) -> None:
    answer = api.invoke({**event(source), "body": json.dumps({"features": [1, 2, "three", 4]})})
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (400, False)
    assert content_type(answer) == "application/problem+json"
    assert json.loads(answer["body"])["status"] == 400


@pytest.mark.parametrize(("name", "key", "expected"), [("http", "prediction", 1), ("http-babies", "unit", "oz")])
def test_the_sample_events_of_the_api_predict(api: Emulator, name: str, key: str, expected: object) -> None:
    answer = api.invoke(sample(name))
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])[key] == expected


def test_the_sample_events_of_the_direct_invoke_predict(direct: Emulator) -> None:
    assert direct.invoke(sample("invoke"))["predictions"] == [1, 0]
    (ounces,) = direct.invoke(sample("invoke-babies"))["predictions"]
    assert 80 < ounces < 160


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"model": "no-such-model"}, "UnknownModel"),
        ({"version": "9.9.9"}, "UnknownModel"),
        ({"instances": [[1, 2, 3]]}, "InvalidRows"),
        ({"instances": [[1, 2, 3, "four"]]}, "InvalidRows"),
        ({"instances": None}, "InvalidRows"),
    ],
)
def test_a_direct_invoke_raises_named_errors(direct: Emulator, change: dict[str, Any], error: str) -> None:
    answer = direct.invoke({**IRIS, **change})
    assert answer["errorType"] == error
    assert answer["errorMessage"]


@pytest.mark.parametrize(("function", "payload"), [("ApiFunction", event("apigateway-v1")), ("InvokeFunction", IRIS)])
def test_five_invokes_load_the_model_once(start: Start, function: str, payload: Any) -> None:
    started = start(function)
    for _ in range(5):
        assert "errorType" not in started.invoke(payload)
    lines = [json.loads(line) for line in started.log.splitlines() if line.startswith("{")]
    assert [line["model"] for line in lines if line["message"] == "model loaded"] == ["iris"]
    assert started.log.index("model loaded") < started.log.index("INIT RTDONE")


def test_no_feature_value_is_logged(start: Start) -> None:
    started = start("ApiFunction")
    marked = {**event("apigateway-v1"), "body": json.dumps({"features": [6.125, 2.8125, "secret-value", 1.25]})}
    assert started.invoke(marked)["statusCode"] == 400
    assert (
        started.invoke({**marked, "body": json.dumps({"features": [6.125, 2.8125, 4.75, 1.25]})})["statusCode"] == 200
    )
    for value in ("6.125", "2.8125", "secret-value"):
        assert value not in started.log


def test_a_model_that_cannot_be_loaded_leaves_the_service_up(start: Start) -> None:
    started = start("ApiFunction", MODEL_STORE="file:///no/such/folder")
    answer = started.invoke(event("apigateway-v1"))
    assert answer["statusCode"] == 503
    assert "retry-after" in {name.lower() for name in answer["headers"]}
    assert "/no/such/folder" not in answer["body"]


def test_models_on_s3_answer_as_those_in_the_layer_do(start: Start, s3: Any, packed: Path) -> None:
    import hashlib  # noqa: PLC0415

    digest = hashlib.sha256((packed / "iris/1.0.0/manifest.json").read_bytes()).hexdigest()
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL")
    started = start(
        "ApiFunction",
        MODEL_STORE="s3://models/prefix",
        MODEL_TRUST="pinned",
        MODEL_PINS=f"iris/1.0.0=sha256:{digest}",
        **{name: os.environ[name] for name in names},
    )
    answer = started.invoke(event("apigateway-v1"))
    assert (answer["statusCode"], json.loads(answer["body"]).get("prediction")) == (200, 1), answer


PROBE = """
import sys
from {module} import handler as inner

def handler(event, context):
    return sorted({{name.split(".")[0] for name in sys.modules}}) if event == "modules" else inner(event, context)
"""
ENGINES = {"onnx": {"onnxruntime"}, "joblib": {"sklearn", "scipy", "joblib"}}


def probed(function: Function, folder: Path) -> Function:
    """The function with one more event, "modules": the top-level modules that its process has loaded."""
    for package in function.code.iterdir():
        (folder / package.name).symlink_to(package)
    (folder / "probe.py").write_text(PROBE.format(module=function.handler.rpartition(".")[0]))
    return replace(function, handler="probe.handler", code=folder)


@pytest.mark.parametrize(
    ("name", "payloads"),
    [
        ("ApiFunction", [sample("http"), sample("http-babies"), event("apigateway-v1-health")]),
        ("InvokeFunction", [sample("invoke"), sample("invoke-babies")]),
    ],
)
def test_a_process_loads_its_own_engine_and_nothing_of_the_other(
    start: Start, tree: Path, flavour: EngineName, name: str, payloads: list[Any], tmp_path: Path
) -> None:
    started = start(probed(functions(tree)[name], tmp_path))
    for payload in payloads:
        assert "errorType" not in started.invoke(payload)
    loaded = set(started.invoke("modules"))
    others = set().union(*(names for engine, names in ENGINES.items() if engine != flavour))
    assert loaded >= {"numpy", "handler", "model"} | ENGINES[flavour]
    assert not loaded & (others | {"pandas", "onnx", "skl2onnx", "boto3"})


def test_a_model_that_takes_data_frames_only_is_served_with_pandas(
    built: Path, pandas_layer: Path, tmp_path: Path
) -> None:
    import joblib  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import FunctionTransformer  # noqa: PLC0415

    taken = pd.DataFrame({"a": [1.0, -2.0, 3.0], "b": [2.0, 1.0, -1.0]})
    estimator = make_pipeline(FunctionTransformer(pd.DataFrame.abs), LinearRegression()).fit(taken, taken.a.abs())
    joblib.dump(estimator, tmp_path / "framed.joblib")
    store = Store((tmp_path / "model").as_uri())
    assert pack(read_source(tmp_path / "framed.joblib"), store, "framed", "1.0.0").input == "frame"
    function = replace(functions(built)["InvokeFunction"], layers=(pandas_layer, tmp_path))
    with Emulator(function, {"MODEL_DEFAULT": "framed"}) as running:
        (answer,) = running.invoke({"instances": [[-7, 0]]})["predictions"]
    assert answer == pytest.approx(7)


def small_function(folder: Path, body: str) -> Function:
    folder.mkdir(exist_ok=True)
    (folder / "small.py").write_text(f"import os, subprocess, sys, time\n\ndef handler(event, context):\n    {body}\n")
    return Function("Small", "small.handler", folder, (), {"GREETING": "hello"}, 512)


def test_a_function_sees_what_lambda_shows_it_and_nothing_of_this_machine(built: Path, tmp_path: Path) -> None:
    function = small_function(tmp_path, "return {'path': sys.path, 'env': dict(os.environ)}")
    with Emulator(function, {"EXTRA": "1"}) as running:
        found = running.invoke({})
    assert (found["env"]["GREETING"], found["env"]["EXTRA"]) == ("hello", "1")
    assert found["env"]["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512"
    assert not {"VIRTUAL_ENV", "PYENV_ROOT", "HOME", "PYTHONHOME"} & set(found["env"])
    assert not [path for path in found["path"] if ".venv" in path or "site-packages" in path]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"  # or nobody reaped it yet
    except OSError:
        return False


def test_leaving_stops_every_process(built: Path, tmp_path: Path) -> None:
    function = small_function(tmp_path, "return [os.getpid(), subprocess.Popen(['sleep', '600'], process_group=0).pid]")
    with Emulator(function) as running:
        processes = running.invoke({})
        assert all(alive(process) for process in processes)
        assert 5e6 < running.peak_memory() < 1e8
    assert not any(alive(process) for process in processes)


def test_a_quota_holds_the_function_to_its_share(built: Path, tmp_path: Path) -> None:
    spin = "end = time.monotonic() + 0.5\n    while time.monotonic() < end: pass\n    return time.process_time()"
    function = small_function(tmp_path, f"start = time.process_time()\n    {spin} - start")
    try:
        with Emulator(function, vcpus=0.2) as running:
            assert 0.05 < running.invoke({}) < 0.25  # of half a second
    except QuotaUnavailable as reason:
        pytest.skip(str(reason))


def test_an_emulator_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.emulator.emulator", lambda: Path("/bin/false"))
    with pytest.raises(EmulatorUnavailable, match="did not start"), Emulator(small_function(tmp_path, "pass")):
        pass
