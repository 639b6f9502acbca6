"""Where a cold start goes: `python -m bench.startup` imports the built function again and again and adds up by package.

What Python itself reports (-X importtime) of each module alone, summed by the package it is of. The report costs a
tenth, so the sum is above the first prediction's share; the median of the runs is shown, in milliseconds.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
from collections import defaultdict

from rich.console import Console
from rich.table import Table

from bench.figures import Case
from bench.lineup import Lineup
from bench.plan import FULL
from bench.trees import alone, build
from infra.built import Function

_LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+([\w.]+)")
_PACKAGES = {
    *("numpy", "onnxruntime", "sklearn", "scipy", "joblib"),
    *("asyncio", "mangum", "aws_lambda_powertools", "jmespath", "msgspec", "obstore"),
    *("fastapi", "starlette", "pydantic", "pydantic_core", "opentelemetry", "anyio"),
}
_OURS = {"handler": "our own modules", "model": "our own modules"}
LOAD = "loading the model: store, digests, session, golden rows"


def group(module: str) -> str:
    """The package that a module's time is booked to. What `handler.on_http` itself does is to load the model."""
    top = module.partition(".")[0]
    if module == "handler.on_http":
        return LOAD
    return _OURS.get(top, top if top in _PACKAGES else "the standard library")


def parts(report: str) -> dict[str, float]:
    """Milliseconds by group, of the text that -X importtime writes."""
    found: dict[str, float] = defaultdict(float)
    for microseconds, module in _LINE.findall(report):
        found[group(module)] += int(microseconds) / 1000
    return found


def start(function: Function) -> dict[str, float]:
    """Import the function's handler in a fresh interpreter and return where the time went."""
    models = next(layer / "model" for layer in function.layers if (layer / "model").is_dir())
    environment = {
        **function.environment, "PATH": os.environ["PATH"], "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "MODEL_STORE": models.resolve().as_uri(),
        "PYTHONPATH": os.pathsep.join([str(function.code), *(str(layer / "python") for layer in function.layers)]),
    }  # fmt: skip
    python = [getattr(sys, "_base_executable", sys.executable), "-S", "-B", "-X", "importtime"]
    command = [*python, "-c", f"import {function.handler.rpartition('.')[0]}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    return parts(done.stderr)


def main() -> None:
    """Print the table of one engine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--engine", choices=("onnx", "joblib"), default="onnx")
    parser.add_argument("--repeat", type=int, default=9)
    options = parser.parse_args()
    with alone():
        function = Lineup(build()).function(Case(options.engine, "forest", FULL))
        runs = [start(function) for _ in range(options.repeat)]
    medians = {name: statistics.median(run.get(name, 0.0) for run in runs) for name in set().union(*runs)}
    table = Table("package", title=f"Import of {function.handler}, {options.engine}", title_justify="left")
    table.add_column("ms", justify="right")
    for name, milliseconds in sorted(medians.items(), key=lambda entry: -entry[1]):
        table.add_row(name, f"{milliseconds:.1f}")
    table.add_row("[bold]all", f"[bold]{sum(medians.values()):.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
