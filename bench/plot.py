"""The run as one picture: bench/results.svg."""

from importlib import import_module
from pathlib import Path
from typing import Any

from bench.figures import Run
from bench.lineup import TITLES
from bench.plan import FAMILIES, FULL, SMALL

_COLOURS = {
    "shipped": "#b3b3b3", "tutorial": "#8c8c8c", "joblib": "#7fb8da", "onnx": "#1f77b4", "v2": "#5b9bd0",
    "card": "#a9cfe8", "floor": "#e0c060", "empty": "#d9d9d9",
}  # fmt: skip


class PlotUnavailable(Exception):
    """matplotlib is not installed."""


def draw(run: Run, file: Path) -> None:
    """Write the picture. Raises PlotUnavailable."""
    try:
        # By name: a second, only at the end of a run, and the types are checked without the package.
        mpl: Any = import_module("matplotlib")
    except ImportError as error:
        raise PlotUnavailable("no plot: matplotlib is not installed (dependency group bench)") from error
    mpl.use("svg")
    plt: Any = import_module("matplotlib.pyplot")
    # Text as text: a reader can search it, and the file is a tenth. A fixed salt: the same run gives the same bytes.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "bench", "font.size": 9}):
        figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.6), layout="constrained")
        _first(run, left)
        _own(run, right)
        figure.savefig(file, metadata={"Date": None})
        plt.close(figure)


def _first(run: Run, axes: Any) -> None:
    """A bar a contender, at one vCPU and, paler, at the small share."""
    names = [name for name in reversed(TITLES) if run.find(name, "forest", FULL)]
    shares = [vcpus for vcpus in (FULL, SMALL) if run.find("onnx", "forest", vcpus)]
    height = 0.8 / len(shares)
    for j, vcpus in enumerate(shares):
        for i, name in enumerate(names):
            found = run.find(name, "forest", vcpus)
            if found:
                at = i + 0.4 - (j + 0.5) * height
                axes.barh(at, found.median, height * 0.95, color=_COLOURS[name], alpha=1.0 if vcpus == FULL else 0.45)
                axes.text(found.median, at, f" {found.median:,.0f}", va="center", fontsize=8)
    axes.set(yticks=range(len(names)), yticklabels=[TITLES[name] for name in names])
    axes.margins(x=0.12)
    axes.set_title(f"First prediction, ms ({FULL:g} vCPU; pale: {SMALL:g})", loc="left", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _own(run: Run, axes: Any) -> None:
    """Groups by family: the time inside the handler."""
    contenders = ("tutorial", "joblib", "onnx", "floor")
    families = [family for family in FAMILIES if run.find("onnx", family, FULL)]
    for j, name in enumerate(contenders):
        for i, family in enumerate(families):
            found = run.find(name, family, FULL)
            warm = found.at(1) if found else None
            if warm:
                at = i + (j - 1.5) * 0.2
                axes.bar(at, warm.own_p50, 0.19, color=_COLOURS[name], label=TITLES[name] if i == 0 else None)
                axes.text(at, warm.own_p50 * 1.08, f"{warm.own_p50:.2g}", ha="center", fontsize=7)
    axes.set(yscale="log", xticks=range(len(families)), xticklabels=families)
    axes.set_title("Warm prediction inside the handler, p50 ms", loc="left", fontsize=9)
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    axes.spines[["top", "right"]].set_visible(False)
