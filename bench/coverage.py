"""Pack every estimator of scikit-learn and tell how each is served: `python -m bench.coverage` writes docs/coverage.md.

Exits with 1 when an answer is wrong, when one that fits is not served, or when fewer than 90 are served compiled.
"""

import io
import sys
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from rich.console import Console
from rich.progress import track

from bench.estimators import Case, cases
from model.artifact import Policy, open_artifact
from model.errors import ModelError
from model.pack import pack
from model.source import Source
from model.store import Store

DOCUMENT = Path(__file__).parents[1] / "docs" / "coverage.md"
WANTED = 90


@dataclass(frozen=True, slots=True)
class Coverage:
    """How one estimator is served: `right` when the served answers are the estimator's own on its data."""

    name: str
    fitted: bool
    engine: str | None = None
    converter: str = ""
    worst: float | None = None
    right: bool = False
    reason: str = ""


def covered(case: Case) -> Coverage:
    """Pack a fitted estimator as a user would, open it, and compare its answers on the data with the estimator's."""
    if case.estimator is None or case.data is None:
        return Coverage(case.name, fitted=False, reason=case.reason or "")
    content = io.BytesIO()
    joblib.dump(case.estimator, content)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder).as_uri())
        try:
            manifest = pack(Source(content.getvalue()), store, "m", "1", sample=case.data)
            scorer = open_artifact(store, "m", "1", Policy())
        except ModelError as error:
            return Coverage(case.name, fitted=True, reason=str(error))
        rows = [tuple(row) for row in case.data.to_numpy().tolist()]
        given = scorer.score(rows, ("prediction",)).values or []
        truth = case.estimator.predict(case.data.to_numpy())
    numbers = truth.dtype.kind == "f" and manifest.outputs[0].kind == "number"
    right = (
        np.allclose(np.asarray(given, float), truth, rtol=1e-5)
        if numbers
        else np.asarray(given).tolist() == truth.tolist()
    )
    worst = max(manifest.parity.get("worst", {}).values(), default=None)
    reason = "; ".join(note.removeprefix("not compiled, ") for note in manifest.notes)
    converter = manifest.parity.get("converter", "") if manifest.engine == "onnx" else ""
    return Coverage(case.name, True, manifest.engine, converter, worst, bool(right), reason)


def document(found: Iterable[Coverage]) -> str:
    """Return docs/coverage.md."""
    rows = list(found)
    fit = [row for row in rows if row.fitted]
    compiled = [row for row in fit if row.engine == "onnx"]
    exact = [row for row in compiled if row.converter == "exact"]
    lines = [
        "# How each estimator of scikit-learn is served",
        "",
        "Written by `python -m bench.coverage` (part of `make soak`): every estimator that",
        "`sklearn.utils.all_estimators()` has with `predict`, fitted with its defaults, packed and asked again.",
        "",
        f"{len(rows)} estimators, {len(fit)} fit, {sum(row.engine is not None for row in fit)} are served, "
        f"{len(compiled)} of them compiled ({len(exact)} by an exact graph in double precision), "
        f"{sum(not row.right for row in fit if row.engine)} with a wrong answer.",
        "",
        "The worst difference is over 20,000 sample and adversarial rows: of labels 0 or 1, of probabilities and",
        "decision values absolute, of numbers relative.",
        "",
        "| estimator | served by | graph | worst difference | why not compiled |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        engine = row.engine or ("not fitted" if not row.fitted else "**not served**")
        worst = f"{row.worst:.1g}" if row.worst is not None else ""
        reason = "" if row.engine == "onnx" else row.reason.replace("|", "\\|").replace("\n", " ")[:300]
        lines.append(f"| {row.name} | {engine} | {row.converter} | {worst} | {reason} |")
    return "\n".join(lines) + "\n"


def failures(found: Iterable[Coverage]) -> list[str]:
    """Return what must not be: a wrong answer, an estimator that fits and is not served, too few compiled."""
    rows = [row for row in found if row.fitted]
    wrong = [f"{row.name} is served with a wrong answer" for row in rows if row.engine and not row.right]
    left = [f"{row.name} is not served: {row.reason}" for row in rows if row.engine is None]
    compiled = sum(row.engine == "onnx" for row in rows)
    few = [f"{compiled} are served compiled, at least {WANTED} should be"] if compiled < WANTED else []
    return wrong + left + few


def main() -> None:
    """Write the document and say what is wrong with it."""
    console = Console(stderr=True)
    warnings.simplefilter("ignore")
    found = [covered(case) for case in track(list(cases()), "packing every estimator", console=console)]
    DOCUMENT.write_text(document(found))
    problems = failures(found)
    for problem in problems:
        console.print(f"[red]{problem}[/red]")
    console.print(f"wrote {DOCUMENT}")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
