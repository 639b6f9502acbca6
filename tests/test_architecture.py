"""The seam and the arrows of DESIGN.md, looked at in fresh interpreters and in the source."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

HANDLER_MAY_NOT = {"sklearn", "joblib", "numpy", "scipy", "onnxruntime", "skl2onnx", "pandas", "skops"}
MODEL_MAY_NOT = {"fastapi", "starlette", "mangum", "boto3", "botocore", "aws_lambda_powertools", "uvicorn", "handler"}
BUILD_TIME = {
    "pack",
    "doctor",
    "train",
    "source",
    "describe",
    "outputs",
    "show",
    "__main__",
    "examples",
    "compile",
    "parity",
    "adversary",
    "twin",
    "claim",
    "compatible",
    "inventory",
    "keys",
    "label_file",
    "local_swap",
    "moves",
    "place",
    "prune",
    "publish",
    "rollout",
    "rollout_commands",
    "shelf",
    "skops_audit",
    "histograms",
    "compare",
    "drift_report",
    "monitoring_commands",
}
HANDLER_MAY = {"registry", "scorer", "manifest", "rows", "codec", "bulk", "store", "drift", "errors", "options"}
HANDLER_MAY |= {"reference", "records", "window", "findings"}
# What the composition root and the documents need beside: who is trusted, and a feature in words.
HANDLER_MAY_TOO = {
    "runtime": {"artifact", "trust", "serving_store", "credentials"},
    "openapi": {"faults"},
    "page": set[str](),
    "deploy_check": {"golden"},
}
PURE = (
    "routing",
    "cache",
    "codec",
    "rows",
    "faults",
    "manifest",
    "labels",
    "scorer",
    "trust",
    "golden",
    "describe",
    "adversary",
    "twin",
    "signature",
    "moves",
    "compatible",
    "reference",
    "histograms",
    "drift",
    "records",
    "quality",
)
IMPURE = {"os", "time", "datetime", "pathlib", "socket", "subprocess", "obstore", "tempfile", "shutil"}


def imported(file: Path) -> set[str]:
    """Return the dotted modules that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("file", sources("handler"), ids=lambda file: file.stem)
def test_the_handler_room_never_computes(file: Path) -> None:
    names = imported(file)
    assert not {name.split(".")[0] for name in names} & HANDLER_MAY_NOT
    of_model = {name.split(".")[1] for name in names if name.startswith("model.")}
    assert of_model <= HANDLER_MAY | HANDLER_MAY_TOO.get(file.stem, set())


@pytest.mark.parametrize("file", sources("model"), ids=lambda file: file.stem)
def test_the_model_room_knows_no_http_and_no_aws(file: Path) -> None:
    assert not {name.split(".")[0] for name in imported(file)} & MODEL_MAY_NOT


@pytest.mark.parametrize("file", sources("model"), ids=lambda file: file.stem)
def test_what_serves_never_imports_what_packs(file: Path) -> None:
    parts = set(file.relative_to(ROOT / "model").with_suffix("").parts)
    if not parts & BUILD_TIME:
        assert not {name.split(".")[1] for name in imported(file) if name.startswith("model.")} & BUILD_TIME


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_do_no_io_and_read_no_clock(name: str) -> None:
    path = ROOT / "model" / name
    for file in [path.with_suffix(".py")] if path.with_suffix(".py").exists() else path.glob("*.py"):
        assert not {found.split(".")[0] for found in imported(file)} & IMPURE


@pytest.mark.parametrize("file", sorted((ROOT / "handler").glob("on_*.py")), ids=lambda file: file.stem)
def test_edges_are_small_and_know_nothing_of_each_other(file: Path) -> None:
    assert not [name for name in imported(file) if "handler.on_" in name]
    assert len([line for line in file.read_text().splitlines() if line.strip()]) <= 40


def loaded(code: str, **env: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after `code`."""
    script = f"{code}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | env
    result = subprocess.run([sys.executable, "-c", script], env=clean, capture_output=True, text=True, check=True)
    return set(result.stdout.splitlines()[-1].split())


# Powertools looks into botocore's top package (1 ms) for a user agent; the SDK itself is never loaded.
NEVER_SERVED = {"boto3", "s3transfer", "typer", "skops", "uvicorn", "pytest", "requests"}


# 150 ms of a cold start that no prediction needs: see handler.front.
FRAMEWORK = {"fastapi", "starlette", "pydantic", "opentelemetry"}
ENGINES = {"onnx": {"onnxruntime"}, "joblib": {"sklearn", "scipy", "joblib"}}


@pytest.mark.parametrize("edge", ["on_http", "on_invoke", "on_queue", "on_bus"])
def test_nothing_of_records_is_loaded_where_none_are_written(edge: str, packed: Path) -> None:
    ours = "[n for n in sys.modules if n.startswith(('handler.', 'model.')) and 'record' in n]"
    code = f"import handler.{edge}, sys\nprint(*{ours})"

    def records(**settings: str) -> str:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "MODEL_STORE": packed.as_uri()}
        env |= {"MODEL_DEFAULT": "iris"} | settings
        return subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
        ).stdout.splitlines()[-1]

    assert records() == ""
    assert "handler.records" in records(MODEL_RECORD_SHARE="0.1")


def test_the_monitor_loads_no_engine_no_sdk_and_no_framework(packed: Path) -> None:
    env = {"MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris", "MODEL_RECORD_SHARE": "1"}
    found = loaded("import handler.on_schedule", **env)
    assert not found & (NEVER_SERVED | FRAMEWORK | {"numpy", "onnxruntime", "sklearn", "joblib"})


@pytest.mark.parametrize("engine", ["onnx", "joblib"])
@pytest.mark.parametrize("edge", ["on_http", "on_invoke", "on_queue", "on_bus", "on_object", "on_map"])
def test_a_bundled_model_loads_its_engine_and_no_sdk(edge: str, engine: str, packed: Path) -> None:
    env = {"MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris", "PYDANTIC_DISABLE_PLUGINS": "__all__"}
    found = loaded(f"import handler.{edge}", **env, MODEL_ENGINES=engine)
    assert not found & NEVER_SERVED
    other = "joblib" if engine == "onnx" else "onnx"
    assert ENGINES[engine] <= found
    assert not found & ENGINES[other]
    assert not found & FRAMEWORK


QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/results"


@pytest.mark.parametrize("edge", ["on_http", "on_invoke", "on_queue", "on_bus"])
def test_only_an_edge_that_has_somewhere_to_send_loads_the_sdk_and_never_boto3(edge: str, tmp_path: Path) -> None:
    env = {"MODEL_STORE": tmp_path.as_uri(), "AWS_DEFAULT_REGION": "us-east-1"}
    code = f"import handler.{edge}, sys\nprint('botocore.client' in sys.modules, 'boto3' in sys.modules)"

    def sdk(**settings: str) -> list[str]:
        clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | env | settings
        result = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
        return result.stdout.splitlines()[-1].split()

    assert sdk() == ["False", "False"]
    assert sdk(MODEL_RESULTS_QUEUE=QUEUE) == [str(edge in {"on_queue", "on_bus"}), "False"]


def test_the_application_needs_no_engine_until_a_model_is_asked_for(tmp_path: Path) -> None:
    found = loaded("import handler.on_http", MODEL_STORE=tmp_path.as_uri())
    assert not found & (HANDLER_MAY_NOT | NEVER_SERVED)


def test_the_authorizer_knows_tokens_and_no_model() -> None:
    env = {"JWT_ISSUER": "https://issuer.example", "JWT_AUDIENCE": "a"}
    found = loaded("import handler.on_authorize", **env)
    assert not found & (HANDLER_MAY_NOT | NEVER_SERVED | FRAMEWORK | {"mangum", "msgspec", "obstore", "model"})
    assert {"joserfc", "cryptography"} <= found


@pytest.mark.parametrize("file", sources("handler"), ids=lambda file: file.stem)
def test_only_the_authorizer_imports_what_only_its_zip_has(file: Path) -> None:
    own = "authorizer" in file.parts or file.stem == "on_authorize"
    names = imported(file)
    assert own or not [name for name in names if name.split(".")[0] == "joserfc" or "authorizer" in name]
    assert not own or {name for name in names if name.startswith(("handler.", "model."))} == {
        name for name in names if name.startswith("handler.authorizer")
    }


DIALECTS = {"open_inference": "/v2", "invocations": "/ping", "tf_serving": "/v1/models"}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_is_imported_by_its_first_request_only(name: str, packed: Path) -> None:
    call = """
import json, sys
from handler.on_http import handler
event = json.load(open({event!r}))
def ask(path):
    return handler(event | {{"path": path, "httpMethod": "GET" if path != "/predict" else "POST"}}, None)["statusCode"]
lazy = ("handler.dialects.", "handler.docs", "handler.query", "handler.proxy_events", "model.codec.csv",
        "model.codec.tensors", "model.codec.frames", "zlib")
def loaded():
    return {{name for name in sys.modules if name.startswith(lazy)}} - before
before = set()
before = {{name for name in loaded() if name == "zlib"}}
print(ask("/predict"), *sorted(loaded() - {{"handler.dialects.contract"}}))
print(ask({path!r}), *sorted(name for name in loaded() if name.startswith("handler.dialects.")))
""".format(event=str(ROOT / "tests/infra/events/apigateway-v1.json"), path=DIALECTS[name])
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "MODEL_STORE": packed.as_uri(), "MODEL_DEFAULT": "iris"}
    result = subprocess.run([sys.executable, "-c", call], env=env, capture_output=True, text=True, check=True)
    first, second = (line.split() for line in result.stdout.splitlines() if not line.startswith("{"))
    assert first == ["200"]
    assert second[0] == "200"
    assert f"handler.dialects.{name}" in second
    assert not {f"handler.dialects.{other}" for other in DIALECTS if other != name} & set(second)


def test_the_command_line_helps_and_inspects_without_an_engine(packed: Path) -> None:
    inspect = f"import sys; sys.argv = ['model', 'inspect', {str(packed / 'iris/1.0.0')!r}, '--json']\n"
    code = inspect + "import model.__main__\ntry: model.__main__.main()\nexcept SystemExit: pass"
    assert not loaded(code) & {"sklearn", "joblib", "numpy", "pandas"}


@pytest.mark.parametrize(
    ("edge", "ceiling"), [("on_http", 320), ("on_invoke", 260), ("on_queue", 260), ("on_bus", 260)]
)
def test_what_an_edge_imports_stays_within_its_ceiling(edge: str, ceiling: int, tmp_path: Path) -> None:
    """Counted in modules, which noise cannot cross: 280 and 218 when this was written, before any model."""
    code = f"import handler.{edge}, sys\nprint(len(sys.modules))"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "MODEL_STORE": tmp_path.as_uri()}
    env["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    result = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert int(result.stdout.splitlines()[-1]) <= ceiling
