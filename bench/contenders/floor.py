"""The floor: onnxruntime and json, no framework, no validation, no log line, no metrics. No service could be less."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(
    Path(os.environ["LAMBDA_TASK_ROOT"], "model.onnx").read_bytes(), options, providers=["CPUExecutionProvider"]
)
outputs = [output.name for output in session.get_outputs() if output.name != "decision"]
inputs = {entry.name: entry.type for entry in session.get_inputs()}
number = np.float32 if inputs["numbers"] == "tensor(float)" else np.float64


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Answer the rows of a proxy event's body, which is taken on trust."""
    rows = json.loads(event["body"])["instances"]
    answers = session.run(outputs, mixed(rows) if "strings" in inputs else {"numbers": np.array(rows, number)})
    body = {f"{name}s": answer.tolist() for name, answer in zip(outputs, answers, strict=True)}
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}


def mixed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the graph's inputs of named rows: numbers (a null is NaN) and strings, each in the features' order."""
    strings = [[value for value in row.values() if isinstance(value, str)] for row in rows]
    numbers = [[value for value in row.values() if not isinstance(value, str)] for row in rows]
    return {"numbers": np.array(numbers, number), "strings": np.array(strings, object)}
