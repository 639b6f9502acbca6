"""Inputs for the bulk tests: rows of iris or babies in every format, and what an output holds."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import arro3.core as arrow
import arro3.io
import msgspec
import numpy as np
import pandas as pd

from model.artifact import Policy, open_artifact
from model.manifest import digest
from model.scorer import Scorer
from model.store import Store
from model.trust import Trust

NAMES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
FORMATS = ("rows.csv", "rows.csv.gz", "rows.jsonl", "rows.jsonl.gz", "rows.parquet")


def scorer(packed: Path, name: str = "iris") -> Scorer:
    store = Store(packed.as_uri())
    pins = {f"{name}/1.0.0": digest(store.read(f"{name}/1.0.0/manifest.json"))}
    return open_artifact(store, name, "1.0.0", Policy(Trust("pinned", pins)))


def frame(count: int, seed: int = 0) -> pd.DataFrame:
    """Rows of iris with an id before and a remark behind them, columns in another order than the model's."""
    numbers = np.random.default_rng(seed).uniform(0.1, 7.9, size=(count, 4)).round(2)
    columns: dict[str, Any] = {"id": [f"r{i}" for i in range(count)]}
    columns |= {name: numbers[:, i] for i, name in reversed(list(enumerate(NAMES)))}
    return pd.DataFrame(columns | {"remark": [("plain", "a, b", 'said "so"')[i % 3] for i in range(count)]})


def content(data: pd.DataFrame, name: str) -> bytes:
    """Return the rows in the format that a file's name says."""
    if name.endswith(".parquet"):
        out = io.BytesIO()
        types = {"O": arrow.DataType.string(), "T": arrow.DataType.string(), "f": arrow.DataType.float64()}
        columns: dict[str, Any] = {}
        for column in data:
            values = [None if value is None else value for value in data[column].tolist()]
            kind = "T" if any(isinstance(value, str) for value in values) else data[column].dtype.kind
            columns[str(column)] = arrow.Array(values, type=types.get(kind, arrow.DataType.int64()))
        arro3.io.write_parquet(arrow.RecordBatch.from_pydict(columns), out, max_row_group_size=max(len(data) // 5, 1))
        return out.getvalue()
    text = data.to_csv(index=False) if ".csv" in name else data.to_json(orient="records", lines=True)
    return gzip.compress(text.encode(), 1) if name.endswith(".gz") else text.encode()


def read(body: bytes, name: str) -> pd.DataFrame:
    """Return a part's rows."""
    if name.endswith(".parquet"):
        return pd.DataFrame(
            [row for batch in arro3.io.read_parquet(body) for row in batch.to_struct_array().to_pylist()]
        )
    text = io.StringIO((gzip.decompress(body) if name.endswith(".gz") else body).decode())
    if ".csv" in name:
        return pd.read_csv(text)
    return pd.DataFrame([json.loads(line) for line in text])


def errors(body: bytes) -> list[tuple[int, str | None, str]]:
    found: list[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any]).decode_lines(body)
    return [(bad["line"], bad["field"], bad["reason"]) for bad in found]
