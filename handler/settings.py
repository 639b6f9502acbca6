"""One frozen Settings, and the only reader of the environment. A misspelt variable is an error, not a silence."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args

from model.bulk.job import loops
from model.manifest import EngineName, is_name

Mode = Literal["bundled", "pinned"]
Mismatch = Literal["refuse", "warn"]
MIB = 1024 * 1024
SERVICE, NAMESPACE = "sklearn-on-lambda", "SklearnOnLambda"
# The example in the layer that only bulk functions have, and a place to write that is gone with the function.
BULK_INPUTS, BULK_OUTPUTS = ("file:///opt/bulk/",), ("file:///tmp/",)
LAMBDA_MARK = "AWS_LAMBDA_FUNCTION_NAME"


class SettingsError(ValueError):
    """A variable has a value that it cannot have; the message names the variable and what is expected."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a deployment decides: each field is the variable MODEL_<NAME>, but the last four, which have usual names.

    `endpoint` is AWS_ENDPOINT_URL; `service` and `namespace` are Powertools' own variables; `function` is Lambda's name
    for the function, None elsewhere.
    """

    store: str
    default: str | None = None
    trust: Mode = "bundled"
    pins: Mapping[str, str] = field(default_factory=dict)
    version_mismatch: Mismatch = "refuse"
    engines: tuple[EngineName, ...] | None = None
    max_body_bytes: int = 6 * MIB
    max_rows: int = 10_000
    path: Path | None = None
    bulk_inputs: tuple[str, ...] = BULK_INPUTS
    bulk_outputs: tuple[str, ...] = BULK_OUTPUTS
    bulk_state_machine: str | None = None
    endpoint: str | None = None
    service: str = SERVICE
    namespace: str = NAMESPACE
    function: str | None = None

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
        return cls(
            store=_store(given.get("MODEL_STORE"), on_lambda=LAMBDA_MARK in env),
            default=_name("MODEL_DEFAULT", given.get("MODEL_DEFAULT")),
            trust=cast(Mode, _choice("MODEL_TRUST", given.get("MODEL_TRUST", "bundled"), get_args(Mode))),
            pins=_pins(given.get("MODEL_PINS", "")),
            version_mismatch=cast(
                Mismatch,
                _choice("MODEL_VERSION_MISMATCH", given.get("MODEL_VERSION_MISMATCH", "refuse"), get_args(Mismatch)),
            ),
            engines=_engines(given.get("MODEL_ENGINES")),
            max_body_bytes=_count("MODEL_MAX_BODY_BYTES", given.get("MODEL_MAX_BODY_BYTES"), 6 * MIB),
            max_rows=_count("MODEL_MAX_ROWS", given.get("MODEL_MAX_ROWS"), 10_000),
            path=Path(path) if path else None,
            **_bulk(given),
            bulk_state_machine=_state_machine(given.get("MODEL_BULK_STATE_MACHINE")),
            endpoint=env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or None,
            service=env.get("POWERTOOLS_SERVICE_NAME") or SERVICE,
            function=env.get(LAMBDA_MARK) or None,
            namespace=env.get("POWERTOOLS_METRICS_NAMESPACE") or NAMESPACE,
        )


VARIABLES = (
    "MODEL_STORE",
    "MODEL_DEFAULT",
    "MODEL_TRUST",
    "MODEL_PINS",
    "MODEL_VERSION_MISMATCH",
    "MODEL_ENGINES",
    "MODEL_MAX_BODY_BYTES",
    "MODEL_MAX_ROWS",
    "MODEL_PATH",
    "MODEL_BULK_INPUTS",
    "MODEL_BULK_OUTPUTS",
    "MODEL_BULK_STATE_MACHINE",
)


def _store(value: str | None, *, on_lambda: bool) -> str:
    if value is None:
        return "file:///opt/model" if on_lambda else Path("artifacts").absolute().as_uri()
    if not value.startswith(("file:///", "s3://")):
        raise SettingsError("MODEL_STORE: expected file:///folder or s3://bucket/prefix")
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


def _count(variable: str, value: str | None, default: int) -> int:
    if value is None:
        return default
    if not value.isascii() or not value.isdigit() or int(value) == 0:
        raise SettingsError(f"{variable}: expected a whole number above 0")
    return int(value)


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


def _pins(value: str) -> dict[str, str]:
    """Read "iris/1.0.0=sha256:…,babies/1.0.0=sha256:…"."""
    pins = {}
    for pin in filter(None, (part.strip() for part in value.split(","))):
        artifact, equals, digest = pin.partition("=")
        if not equals or artifact.count("/") != 1 or not digest.startswith("sha256:") or len(digest) != 71:
            raise SettingsError("MODEL_PINS: expected name/version=sha256:<64 hexadecimal digits>, separated by commas")
        pins[artifact] = digest
    return pins
