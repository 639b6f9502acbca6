"""One frozen Settings, and the only reader of the environment. A misspelt variable is an error, not a silence."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args

from model.bulk.job import loops
from model.manifest import EngineName, is_name
from model.store import is_place

Mode = Literal["bundled", "pinned", "signed", "labelled"]
Mismatch = Literal["refuse", "warn"]
Dialect = Literal["open-inference", "invocations", "tf-serving"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
Detail = Literal["bins", "answers", "values"]
Switch = Literal["off", "on"]
MIB = 1024 * 1024
REFRESH_SECONDS = 60
# For the runtime, the libraries (91 MB with onnxruntime, 186 MB with scikit-learn, both with FastAPI) and the requests.
RESERVED_MB = 256
SERVICE, NAMESPACE = "sklearn-on-lambda", "SklearnOnLambda"
_PUBLIC_KEY = re.compile(r"ed25519:[A-Za-z0-9+/]{43}=")
# The example in the layer that only bulk functions have, and a place to write that is gone with the function.
BULK_INPUTS, BULK_OUTPUTS = ("file:///opt/bulk/",), ("file:///tmp/",)
LAMBDA_MARK = "AWS_LAMBDA_FUNCTION_NAME"
_VCPU_MB = 1769
"""Lambda gives one vCPU for so much memory, six at most."""


class SettingsError(ValueError):
    """A variable has a value that it cannot have; the message names the variable and what is expected."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a deployment decides: each field is the variable MODEL_<NAME>, but the last nine, which have usual names.

    `endpoint` is AWS_ENDPOINT_URL; `service` and `namespace` are Powertools' own variables; `function` is Lambda's name
    for the function, None elsewhere; `function_mb` is its memory, 0 elsewhere, and `vcpus` follows from it, at least 1;
    `credentials_uri` is the container credentials endpoint, which SnapStart has instead of keys.
    """

    store: str
    default: str | None = None
    trust: Mode = "bundled"
    pins: Mapping[str, str] = field(default_factory=dict)
    public_keys: tuple[str, ...] = ()
    version_mismatch: Mismatch = "refuse"
    engines: tuple[EngineName, ...] | None = None
    max_body_bytes: int = 6 * MIB
    max_rows: int = 10_000
    cors_origin: str | None = None
    refresh_seconds: int = 0
    refresh_budget_ms: int = 1_000
    memory_mb: int | None = None
    max_columns: int = 1_000
    max_string: int = 65_536
    max_depth: int = 32
    max_digits: int = 1_000
    dialects: tuple[Dialect, ...] = DIALECTS
    api_key: str | None = field(default=None, repr=False)
    path: Path | None = None
    results_queue: str | None = None
    errors_queue: str | None = None
    results_bus: str | None = None
    bulk_inputs: tuple[str, ...] = BULK_INPUTS
    bulk_outputs: tuple[str, ...] = BULK_OUTPUTS
    bulk_state_machine: str | None = None
    deploy_http: str | None = None
    deploy_invoke: str | None = None
    record_share: float = 0.0
    record_detail: Detail = "answers"
    feedback: bool = False
    records: str | None = None
    monitor_hours: int = 24
    endpoint: str | None = None
    service: str = SERVICE
    namespace: str = NAMESPACE
    function: str | None = None
    vcpus: int = 1
    function_mb: int = 0
    snap_start: bool = False
    credentials_uri: str | None = None
    credentials_token: str | None = field(default=None, repr=False)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read MODEL_* and the usual AWS variables from `env`; an empty value counts as unset. Raises SettingsError."""
        given = {name: value for name, value in env.items() if name.startswith("MODEL_") and value.strip()}
        unknown = sorted(set(given) - set(VARIABLES))
        if unknown:
            raise SettingsError(f"{', '.join(unknown)}: no such setting; known are {', '.join(VARIABLES)}")
        path = given.get("MODEL_PATH")
        if path and LAMBDA_MARK in env:
            raise SettingsError("MODEL_PATH: for local use only; pack the file and deploy the artifact")
        if given.get("MODEL_API_KEY") and LAMBDA_MARK in env:
            raise SettingsError("MODEL_API_KEY: for local use only; on AWS the API's gateway asks for keys")
        return cls(
            store=_store(given.get("MODEL_STORE"), on_lambda=LAMBDA_MARK in env),
            default=_name("MODEL_DEFAULT", given.get("MODEL_DEFAULT")),
            trust=cast(Mode, _choice("MODEL_TRUST", given.get("MODEL_TRUST", "bundled"), get_args(Mode))),
            pins=_pins(given.get("MODEL_PINS", "")),
            public_keys=_public_keys(given.get("MODEL_PUBLIC_KEYS", ""), given.get("MODEL_TRUST")),
            version_mismatch=cast(
                Mismatch,
                _choice("MODEL_VERSION_MISMATCH", given.get("MODEL_VERSION_MISMATCH", "refuse"), get_args(Mismatch)),
            ),
            engines=_engines(given.get("MODEL_ENGINES")),
            max_body_bytes=_count("MODEL_MAX_BODY_BYTES", given.get("MODEL_MAX_BODY_BYTES"), 6 * MIB),
            max_rows=_count("MODEL_MAX_ROWS", given.get("MODEL_MAX_ROWS"), 10_000),
            cors_origin=_origin(given.get("MODEL_CORS_ORIGIN")),
            refresh_seconds=_refresh(given),
            refresh_budget_ms=_count("MODEL_REFRESH_BUDGET_MS", given.get("MODEL_REFRESH_BUDGET_MS"), 1_000),
            memory_mb=_memory(given.get("MODEL_MEMORY_MB"), env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")),
            max_columns=_count("MODEL_MAX_COLUMNS", given.get("MODEL_MAX_COLUMNS"), 1_000),
            max_string=_count("MODEL_MAX_STRING", given.get("MODEL_MAX_STRING"), 65_536),
            max_depth=_count("MODEL_MAX_DEPTH", given.get("MODEL_MAX_DEPTH"), 32),
            max_digits=_count("MODEL_MAX_DIGITS", given.get("MODEL_MAX_DIGITS"), 1_000),
            dialects=_dialects(given.get("MODEL_DIALECTS")),
            api_key=_key(given.get("MODEL_API_KEY")),
            path=Path(path) if path else None,
            results_queue=_queue("MODEL_RESULTS_QUEUE", given.get("MODEL_RESULTS_QUEUE")),
            errors_queue=_queue("MODEL_ERRORS_QUEUE", given.get("MODEL_ERRORS_QUEUE")),
            results_bus=_bus(given.get("MODEL_RESULTS_BUS")),
            **_bulk(given),
            bulk_state_machine=_state_machine(given.get("MODEL_BULK_STATE_MACHINE")),
            deploy_http=_version("MODEL_DEPLOY_HTTP", given.get("MODEL_DEPLOY_HTTP")),
            deploy_invoke=_version("MODEL_DEPLOY_INVOKE", given.get("MODEL_DEPLOY_INVOKE")),
            record_share=_share("MODEL_RECORD_SHARE", given.get("MODEL_RECORD_SHARE", "0")),
            record_detail=cast(
                Detail, _choice("MODEL_RECORD_DETAIL", given.get("MODEL_RECORD_DETAIL", "answers"), get_args(Detail))
            ),
            feedback=_feedback(given),
            records=_records(given.get("MODEL_RECORDS")),
            monitor_hours=_count("MODEL_MONITOR_HOURS", given.get("MODEL_MONITOR_HOURS"), 24),
            endpoint=env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or None,
            service=env.get("POWERTOOLS_SERVICE_NAME") or SERVICE,
            function=env.get(LAMBDA_MARK) or None,
            vcpus=max(1, int(env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") or 0) // _VCPU_MB),
            namespace=env.get("POWERTOOLS_METRICS_NAMESPACE") or NAMESPACE,
            function_mb=int(env.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") or 0),
            snap_start=env.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start",
            credentials_uri=None if "AWS_ACCESS_KEY_ID" in env else env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
            credentials_token=env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        )


VARIABLES = (
    "MODEL_STORE",
    "MODEL_DEFAULT",
    "MODEL_TRUST",
    "MODEL_PINS",
    "MODEL_PUBLIC_KEYS",
    "MODEL_VERSION_MISMATCH",
    "MODEL_ENGINES",
    "MODEL_MAX_BODY_BYTES",
    "MODEL_MAX_ROWS",
    "MODEL_CORS_ORIGIN",
    "MODEL_REFRESH_SECONDS",
    "MODEL_REFRESH_BUDGET_MS",
    "MODEL_MEMORY_MB",
    "MODEL_MAX_COLUMNS",
    "MODEL_MAX_STRING",
    "MODEL_MAX_DEPTH",
    "MODEL_MAX_DIGITS",
    "MODEL_DIALECTS",
    "MODEL_API_KEY",
    "MODEL_PATH",
    "MODEL_RESULTS_QUEUE",
    "MODEL_ERRORS_QUEUE",
    "MODEL_RESULTS_BUS",
    "MODEL_BULK_INPUTS",
    "MODEL_BULK_OUTPUTS",
    "MODEL_BULK_STATE_MACHINE",
    "MODEL_DEPLOY_HTTP",
    "MODEL_DEPLOY_INVOKE",
    "MODEL_RECORD_SHARE",
    "MODEL_RECORD_DETAIL",
    "MODEL_FEEDBACK",
    "MODEL_RECORDS",
    "MODEL_MONITOR_HOURS",
)


def _store(value: str | None, *, on_lambda: bool) -> str:
    if value is None:
        return "file:///opt/model" if on_lambda else Path("artifacts").absolute().as_uri()
    if not is_place(value):
        raise SettingsError("MODEL_STORE: expected file:///folder or s3://bucket/prefix")
    return value


def _origin(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"\*|https?://[A-Za-z0-9.-]+(:\d{1,5})?", value, re.ASCII):
        raise SettingsError("MODEL_CORS_ORIGIN: expected an origin such as https://app.example.com, or *")
    return value


def _name(variable: str, value: str | None) -> str | None:
    if value is not None and not is_name(value):
        raise SettingsError(f"{variable}: expected a model's name (letters, digits, . _ and -, 64 at most)")
    return value


def _choice(variable: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise SettingsError(f"{variable}: expected one of {', '.join(allowed)}")
    return value


def _engines(value: str | None) -> tuple[EngineName, ...] | None:
    """Read "onnx", "joblib" or both; None lets the artifact and what is installed decide."""
    if value is None:
        return None
    names = [name.strip() for name in value.split(",")]
    for name in names:
        _choice("MODEL_ENGINES", name, get_args(EngineName))
    return tuple(cast(EngineName, name) for name in names)


def _dialects(value: str | None) -> tuple[Dialect, ...]:
    """Read dialects separated by commas, or "none"; unset means all."""
    if value is None:
        return DIALECTS
    names = [name.strip() for name in value.split(",")]
    if names == ["none"]:
        return ()
    for name in names:
        _choice("MODEL_DIALECTS", name, (*DIALECTS, "none"))
    return tuple(name for name in DIALECTS if name in names)


def _key(value: str | None) -> str | None:
    if value is not None and not (value.isascii() and value.isprintable() and len(value) >= 20):
        raise SettingsError("MODEL_API_KEY: expected at least 20 printable ASCII characters, as API Gateway demands")
    return value


def _count(variable: str, value: str | None, default: int) -> int:
    if value is None:
        return default
    if not value.isascii() or not value.isdigit() or int(value) == 0:
        raise SettingsError(f"{variable}: expected a whole number above 0")
    return int(value)


def _queue(variable: str, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"https?://[^/\s]+/\d+/[\w-]{1,75}(\.fifo)?", value):
        raise SettingsError(f"{variable}: expected a queue's URL, https://sqs.region.amazonaws.com/account/name")
    return value


def _version(variable: str, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"arn:aws[\w-]*:lambda:[\w-]+:\d{12}:function:[\w-]{1,140}:\d+", value):
        raise SettingsError(f"{variable}: expected the ARN of a function's version")
    return value


def _bus(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"(arn:aws[\w-]*:events:[\w-]+:\d{12}:event-bus/)?[\w./-]{1,256}", value):
        raise SettingsError("MODEL_RESULTS_BUS: expected the name or the ARN of an event bus")
    return value


def _bulk(given: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Read the prefixes that jobs may name; what is written may never be input again."""
    inputs = _prefixes("MODEL_BULK_INPUTS", given.get("MODEL_BULK_INPUTS"), BULK_INPUTS)
    outputs = _prefixes("MODEL_BULK_OUTPUTS", given.get("MODEL_BULK_OUTPUTS"), BULK_OUTPUTS)
    looping = loops(inputs, outputs)
    if looping is not None:
        raise SettingsError(
            f"MODEL_BULK_OUTPUTS: {looping} lies inside an input prefix, so output would be input again"
        )
    return {"bulk_inputs": inputs, "bulk_outputs": outputs}


def _prefixes(variable: str, value: str | None, default: tuple[str, ...]) -> tuple[str, ...]:
    """Read "s3://bucket/in/,file:///folder/"."""
    if value is None:
        return default
    found = tuple(part.strip() for part in value.split(",") if part.strip())
    for prefix in found:
        if not re.fullmatch(r"(s3://[^/,]+|file://)/([^,]*/)?", prefix):
            raise SettingsError(f"{variable}: expected s3://bucket/prefix/ or file:///folder/, separated by commas")
    return found


def _state_machine(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"arn:[\w-]+:states:[\w-]+:\d{12}:stateMachine:[\w-]+", value):
        raise SettingsError("MODEL_BULK_STATE_MACHINE: expected the ARN of a state machine")
    return value


def _share(variable: str, value: str) -> float:
    if not re.fullmatch(r"0|1|(0?\.\d{1,9}|1\.0+|0\.0+)", value):
        raise SettingsError(f"{variable}: expected a share from 0 to 1, such as 0.1")
    return float(value)


def _feedback(given: Mapping[str, str]) -> bool:
    """Read MODEL_FEEDBACK: truths can only be compared with answers that are recorded."""
    on = _choice("MODEL_FEEDBACK", given.get("MODEL_FEEDBACK", "off"), get_args(Switch)) == "on"
    if on and not _share("MODEL_RECORD_SHARE", given.get("MODEL_RECORD_SHARE", "0")):
        raise SettingsError("MODEL_FEEDBACK: on needs a MODEL_RECORD_SHARE above 0")
    if on and given.get("MODEL_RECORD_DETAIL") == "bins":
        raise SettingsError("MODEL_FEEDBACK: on needs the answers: MODEL_RECORD_DETAIL answers or values")
    return on


def _records(value: str | None) -> str | None:
    if value is not None and not is_place(value):
        raise SettingsError("MODEL_RECORDS: expected file:///folder or s3://bucket/prefix")
    return value


def _pins(value: str) -> dict[str, str]:
    """Read "iris/1.0.0=sha256:…,babies/1.0.0=sha256:…"."""
    pins = {}
    for pin in filter(None, (part.strip() for part in value.split(","))):
        artifact, equals, digest = pin.partition("=")
        if not equals or artifact.count("/") != 1 or not digest.startswith("sha256:") or len(digest) != 71:
            raise SettingsError("MODEL_PINS: expected name/version=sha256:<64 hexadecimal digits>, separated by commas")
        pins[artifact] = digest
    return pins


def _public_keys(value: str, trust: str | None) -> tuple[str, ...]:
    """Read "ed25519:…,ed25519:…": 32 bytes each, 43 characters of base64 and one of padding."""
    keys = tuple(filter(None, (part.strip() for part in value.split(","))))
    if not all(_PUBLIC_KEY.fullmatch(key) for key in keys):
        raise SettingsError("MODEL_PUBLIC_KEYS: expected ed25519:<44 characters of base64>, separated by commas")
    if trust == "signed" and not keys:
        raise SettingsError("MODEL_PUBLIC_KEYS: expected at least one public key, for MODEL_TRUST is signed")
    return keys


def _refresh(given: Mapping[str, str]) -> int:
    """Read the seconds between two looks at a label file: by default 60 for S3, and 0 (never) for a folder.

    Pins name digests, so that nothing but a deployment can change what is served.
    """
    value, pinned = given.get("MODEL_REFRESH_SECONDS"), given.get("MODEL_TRUST") == "pinned"
    if value is None:
        return REFRESH_SECONDS if given.get("MODEL_STORE", "").startswith("s3://") and not pinned else 0
    if not value.isascii() or not value.isdigit():
        raise SettingsError("MODEL_REFRESH_SECONDS: expected a whole number, 0 for never")
    if pinned and int(value):
        raise SettingsError("MODEL_REFRESH_SECONDS: expected 0 with MODEL_TRUST=pinned, where the deployment decides")
    return int(value)


def _memory(value: str | None, function_mb: str | None) -> int | None:
    """Read the MB that models may take; on Lambda by default all but RESERVED_MB, half of a small function's."""
    if value is not None:
        return _count("MODEL_MEMORY_MB", value, 0)
    if not function_mb or not function_mb.isdigit():
        return None
    return max(int(function_mb) - RESERVED_MB, int(function_mb) // 2)
