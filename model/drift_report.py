"""The findings of a window as one HTML file that needs nothing else: tables, and each column's shares as a picture.

Build time only: matplotlib draws, jinja2 fills in drift_report.html.
"""

import io
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from model.drift import FLOOR, SMALL, aligned
from model.errors import PackingRefused
from model.findings import Finding, Found
from model.reference import Histogram, words

TEMPLATE = Path(__file__).with_name("drift_report.html")
_TRAINING, _WINDOW, _ACROSS = "#b3b3b3", "#1f77b4", 3


def render(found: Found, source: str) -> str:
    """Return the report; raises PackingRefused where matplotlib or jinja2 is not installed."""
    try:
        # By name: the types are checked without the packages.
        jinja2: Any = import_module("jinja2")
        mpl: Any = import_module("matplotlib")
    except ImportError as error:
        raise PackingRefused(f"the report needs {error.name}: make dev, or take --json") from None
    mpl.use("svg")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(TEMPLATE.read_text())
    drawn = [(finding, _picture(mpl, finding)) for finding in found.findings]
    made = datetime.now(UTC).isoformat(timespec="seconds")
    text: str = template.render(found=found, drawn=drawn, source=source, made=made, small=SMALL, floor=FLOOR)
    return text


def _picture(mpl: Any, finding: Finding) -> str:
    """Return an SVG of all columns, training beside window; empty where there is nothing to compare."""
    if finding.reference is None or finding.drift is None or not finding.rows:
        return ""
    plt: Any = import_module("matplotlib.pyplot")
    columns = finding.reference.columns
    down = math.ceil(len(columns) / _ACROSS)
    # A fixed salt: the same window gives the same bytes.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "drift", "font.size": 8}):
        figure, axes = plt.subplots(down, _ACROSS, figsize=(11, 2.4 * down), layout="constrained", squeeze=False)
        for place, axis in enumerate(axes.flat):
            if place < len(columns):
                _shares(axis, columns[place], finding.counts[place], drifted=finding.drift.columns[place].drifted)
            else:
                axis.set_axis_off()
        figure.legend(["training", "window"], loc="outside upper right", ncols=2, frameon=False)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
        plt.close(figure)
    return file.getvalue()[file.getvalue().index("<svg") :]


def _shares(axis: Any, training: Histogram, counts: Any, *, drifted: bool) -> None:
    known, found = aligned(training, counts)
    names = [*words(training), "null", "unseen"]
    kept = [i for i in range(len(names)) if i < len(training.counts) or known[i] or found[i]]
    for offset, colour, part in ((-0.2, _TRAINING, known), (0.2, _WINDOW, found)):
        axis.bar([p + offset for p in range(len(kept))], _parts(part, kept), 0.4, color=colour)
    axis.set_xticks(range(len(kept)), [names[i] for i in kept], rotation=60, ha="right", parse_math=False)
    axis.set_title(training.name + (" — drifted" if drifted else ""), loc="left", fontsize=9, parse_math=False)
    axis.spines[["top", "right"]].set_visible(False)


def _parts(counts: Sequence[int], kept: Sequence[int]) -> list[float]:
    total = sum(counts) or 1
    return [counts[i] / total for i in kept]
