"""The models that are measured: `python -m bench.models DIR` fits and packs them, with events and the right answers.

Each family has a folder: store/ is a store with its artifact alone, requests.json what it is asked. Seeded, so that
every machine measures the same.
"""

import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_iris, make_classification
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from model.pack import pack
from model.source import Source
from model.store import Store

SEED, VERSION = 7, "1.0.0"
MANY = 1_000
"""Rows of the large request."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """An estimator, the rows it was fitted on, and whether a request names its columns."""

    estimator: Any
    sample: pd.DataFrame
    named: bool = False


def forest() -> Fitted:
    """The tutorials' own: iris and 100 trees."""
    data, target = load_iris(return_X_y=True, as_frame=True)
    return Fitted(RandomForestClassifier(100, random_state=SEED).fit(data.to_numpy(), target), data)


def boosted() -> Fitted:
    """Histogram gradient boosting, 30 features."""
    data, target = load_breast_cancer(return_X_y=True, as_frame=True)
    return Fitted(HistGradientBoostingClassifier(random_state=SEED).fit(data.to_numpy(), target), data)


def linear() -> Fitted:
    """Scaler and logistic regression, 30 features."""
    data, target = load_breast_cancer(return_X_y=True, as_frame=True)
    return Fitted(make_pipeline(StandardScaler(), LogisticRegression()).fit(data.to_numpy(), target), data)


def mixed() -> Fitted:
    """Named columns, numbers with gaps and strings: imputed, scaled, encoded, boosted. Invented passengers."""
    draw = np.random.default_rng(SEED)
    age = draw.normal(30, 14, MANY).clip(0, 80).round(1)
    passengers = pd.DataFrame(
        {
            "age": np.where(draw.random(MANY) < 0.2, np.nan, age),
            "fare": draw.lognormal(3, 1, MANY).round(2),
            "relatives": draw.integers(0, 6, MANY),
            "sex": draw.choice(["female", "male"], MANY),
            "port": draw.choice(["Cherbourg", "Queenstown", "Southampton"], MANY),
        }
    )
    odds = (passengers["sex"] == "female") * 2.0 - passengers["relatives"] * 0.3 - age / 50 + draw.normal(0, 1, MANY)
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["age", "fare", "relatives"]),
        (OneHotEncoder(handle_unknown="ignore"), ["sex", "port"]),
    )
    pipeline = make_pipeline(columns, GradientBoostingClassifier(random_state=SEED))
    return Fitted(pipeline.fit(passengers, np.where(odds > 0, "lived", "died")), passengers, named=True)


def _noisy(trees: int) -> Fitted:
    data, target = make_classification(3_000, 12, n_informative=8, flip_y=0.2, random_state=SEED)
    sample = pd.DataFrame(data.round(4)).add_prefix("x")
    return Fitted(RandomForestClassifier(trees, random_state=SEED).fit(sample.to_numpy(), target), sample)


def large() -> Fitted:
    """A forest whose pickle has 10 MB; its graph has 4."""
    return _noisy(178)


def larger() -> Fitted:
    """A forest whose graph has 10 MB; its pickle has 23."""
    return _noisy(413)


FAMILIES: dict[str, Callable[[], Fitted]] = {
    "forest": forest, "boosted": boosted, "linear": linear, "mixed": mixed, "large": large, "larger": larger,
}  # fmt: skip


def requests(fitted: Fitted) -> dict[str, Any]:
    """Bodies of one row and of MANY, by the number of rows, each with the predictions that the estimator gives."""
    many = fitted.sample.sample(MANY, replace=True, random_state=SEED)
    return {str(count): _request(fitted, many.head(count)) for count in (1, MANY)}


def _request(fitted: Fitted, rows: pd.DataFrame) -> dict[str, Any]:
    plain = rows.astype(object).where(rows.notna(), None)
    instances = plain.to_dict("records") if fitted.named else plain.to_numpy().tolist()
    predictions: Sequence[Any] = fitted.estimator.predict(rows if fitted.named else rows.to_numpy()).tolist()
    return {"body": json.dumps({"instances": instances}), "predictions": predictions}


def main() -> None:
    """Fit and pack every family into the folder given."""
    for name, fit in FAMILIES.items():
        print(f"Fitting and packing {name}", flush=True)
        folder = Path(sys.argv[1], name)
        (folder / "store").mkdir(parents=True)
        fitted = fit()
        joblib.dump(fitted.estimator, buffer := io.BytesIO())
        store = Store((folder / "store").as_uri())
        manifest = pack(Source(buffer.getvalue()), store, name, VERSION, sample=fitted.sample)
        print(f"  {manifest.engine} {'; '.join(manifest.notes)}", flush=True)
        (folder / "requests.json").write_text(json.dumps(requests(fitted)))


if __name__ == "__main__":
    main()
