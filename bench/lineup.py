"""Who is measured: each contender as a function of built folders, with a model and, where it reads one, a bucket."""

import json
import py_compile
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any, cast

from bench.figures import Case
from bench.prices import MEMORY
from bench.trees import CACHE, CONTENDERS, ROOT, Trees
from infra.built import Function, functions
from infra.model_layer import lay_out
from infra.sizes import unzipped
from model.manifest import EngineName, digest

TITLES = {
    "shipped": "tutorial, as `sam build` ships it",
    "tutorial": "tutorial, with bytecode",
    "joblib": "ours, joblib engine",
    "onnx": "ours, compiled",
    "v2": "the same, by Open Inference v2",
    "card": "the same, asked for its card",
    "floor": "tuned floor, no framework",
    "empty": "a handler that does nothing",
}
CARD = 0
"""The number of rows of the request that asks no model anything but what it is: FastAPI answers it."""
FRAMES = frozenset({"mixed"})
"""Families whose estimator wants a data frame: there the tutorial brings pandas."""


@dataclass(frozen=True, slots=True)
class Request:
    """The bytes of an event and the predictions that are right."""

    payload: bytes
    predictions: list[Any]


@dataclass(frozen=True, slots=True)
class Lineup:
    """Makes functions of cases. `bucket` is S3's environment, with the bucket; `scratch` takes what is laid out."""

    trees: Trees
    bucket: Mapping[str, str] | None = None
    scratch: Path = CACHE

    def function(self, case: Case) -> Function:
        """The contender's function; its code folder is made anew."""
        build = {"onnx": self._ours, "joblib": self._ours, "card": self._ours, "v2": self._ours}.get(
            case.contender, self._theirs
        )
        return replace(build(case), memory=MEMORY[case.vcpus])

    def timed(self, function: Function) -> Function:
        """The same, behind a handler that writes down how long the real one takes."""
        environment = {**function.environment, "BENCH_HANDLER": function.handler}
        layers = (*function.layers, self.trees.layers["timed"])
        return replace(function, handler="timed.handler", layers=layers, environment=environment)

    def requests(self, family: str, contender: str = "") -> dict[int, Request]:
        """The events of a family by their number of rows, in the protocol that the contender is asked by."""
        found = json.loads((self.trees.models / family / "requests.json").read_text())
        event = partial(_inference, family) if contender == "v2" else _event
        asked = {int(rows): Request(event(entry["body"]), entry["predictions"]) for rows, entry in found.items()}
        return asked | {CARD: Request(_card_event(family), [])}

    def _artifact(self, family: str) -> Path:
        return next((self.trees.models / family / "store").glob("*/*/manifest.json")).parent

    def _ours(self, case: Case) -> Function:
        engine = cast(EngineName, "onnx" if case.contender in {"card", "v2"} else case.contender)
        models = self._fresh(f"models-{case.family}-{case.contender}")
        lay_out(self.trees.models / case.family / "store", models, engine)
        layers: tuple[Path, ...] = (self.trees.layers[engine], models)
        environment = {**_template().environment, "MODEL_DEFAULT": case.family}
        if case.source == "s3" and self.bucket:
            pin = f"{case.family}/{self._artifact(case.family).name}={self._digest(case.family)}"
            own = {"MODEL_STORE": f"s3://{self.bucket['BUCKET']}/models", "MODEL_TRUST": "pinned", "MODEL_PINS": pin}
            environment |= {name: value for name, value in self.bucket.items() if name.startswith("AWS_")} | own
            layers = layers[:1]
        return replace(_template(), code=self.trees.code, layers=layers, environment=environment)

    def _digest(self, family: str) -> str:
        return digest((self._artifact(family) / "manifest.json").read_bytes())

    def _theirs(self, case: Case) -> Function:
        code = self._fresh(f"function-{case.contender}-{case.family}-{case.source}")
        framed = case.family in FRAMES
        tutorial = "tutorial_frame" if framed else "tutorial"
        handler = {"floor": "floor", "empty": "empty"}.get(case.contender, tutorial)
        shutil.copy(CONTENDERS / f"{handler}.py", code)
        environment: dict[str, str] = {}
        if handler.startswith("tutorial"):
            environment = {"POWERTOOLS_SERVICE_NAME": "tutorial", "POWERTOOLS_METRICS_NAMESPACE": "tutorial"}
        if case.source == "s3" and self.bucket:
            environment |= {
                **self.bucket,
                "KEY": f"models/{case.family}/{self._artifact(case.family).name}/model.joblib",
            }
        elif handler != "empty":
            shutil.copy(self._artifact(case.family) / f"model.{'onnx' if handler == 'floor' else 'joblib'}", code)
        if handler == "floor":
            environment |= {"OPENBLAS_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}
        if case.contender != "shipped":
            py_compile.compile(
                str(code / f"{handler}.py"), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
            )
        layer = self.trees.layers.get(f"{case.contender}-frame" if framed and handler == tutorial else case.contender)
        return Function(case.contender, f"{handler}.handler", code, (layer,) if layer else (), environment, 0)

    def _fresh(self, name: str) -> Path:
        folder = self.scratch / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder


def package(function: Function) -> int:
    """Bytes that Lambda would unzip."""
    return unzipped(function.code) + sum(map(_unzipped, function.layers))


@cache
def _unzipped(layer: Path) -> int:
    return unzipped(layer)


@cache
def _template() -> Function:
    """Our function as template.yaml declares it: its handler and its settings."""
    return functions(ROOT)["ApiFunction"]


def _event(body: str) -> bytes:
    """The sample event of a REST API, asking POST /predict with that body."""
    event = json.loads((ROOT / "events" / "http.json").read_text())
    event |= {"path": "/predict", "body": body, "pathParameters": {"proxy": "predict"}}
    return json.dumps(event).encode()


def _inference(family: str, body: str) -> bytes:
    """The same rows as one tensor of the Open Inference Protocol."""
    rows = json.loads(body)["instances"]
    tensor = {
        "name": "rows",
        "shape": [len(rows), len(rows[0])],
        "datatype": "FP64",
        "data": list(chain.from_iterable(rows)),
    }
    path = f"v2/models/{family}/infer"
    event = json.loads(_event(json.dumps({"inputs": [tensor]})))
    return json.dumps(event | {"path": f"/{path}", "pathParameters": {"proxy": path}}).encode()


def _card_event(family: str) -> bytes:
    path = f"models/{family}"
    event = json.loads((ROOT / "events" / "http.json").read_text())
    event |= {"path": f"/{path}", "httpMethod": "GET", "body": None, "pathParameters": {"proxy": path}}
    return json.dumps(event).encode()
