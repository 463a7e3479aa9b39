"""The rows of a report as bars, a panel for each case."""

import os
import textwrap
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Final

# Before it is imported: no display is needed, and none is looked for.
os.environ.setdefault("MPLBACKEND", "Agg")

from matplotlib import pyplot
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.report import LOW_IS_GOOD, Row, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from benchmarks.report import Report

_COLUMNS: Final = 2
_BAR_INCHES: Final = 0.34
_OURS, _LIMIT, _OTHERS = "#0b6e4f", "#b08900", "#8a94a6"


def plot(report: "Report", path: Path) -> None:
    """Draw a report with at least one row into a PNG."""
    panels: dict[tuple[str, str, str], list[Row]] = {}
    for row in report.rows:
        panels.setdefault((row.section, row.case, row.unit), []).append(row)
    # Two panels side by side share the height that the taller needs.
    titles = list(panels)
    pairs = [titles[start : start + _COLUMNS] for start in range(0, len(titles), 2)]
    heights = [
        1.1 + max(len(panels[key]) for key in pair) * _BAR_INCHES for pair in pairs
    ]
    figure, grid = pyplot.subplots(
        len(pairs),
        _COLUMNS,
        figsize=(15, sum(heights) + 1.2),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    for line, pair in zip(grid, pairs, strict=True):
        bars = max(len(panels[key]) for key in pair)
        for axes, key in zip_longest(line, pair):
            if key is None:
                axes.set_axis_off()
            else:
                _panel(axes, key, panels[key], bars)
    figure.legend(
        handles=[
            Patch(color=_OURS, label="PICCL"),
            Patch(color=_LIMIT, label="what bounds it"),
            Patch(color=_OTHERS, label="others"),
        ],
        loc="outside lower center",
        ncols=3,
        frameon=False,
    )
    figure.suptitle(
        f"PICCL's benchmarks on {report.machine.get('processor', 'this machine')}, "
        f"{report.machine.get('cores', '?')} cores; medians, whiskers show all rounds",
        fontsize=11,
    )
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _panel(axes: "Axes", key: tuple[str, str, str], rows: list[Row], bars: int) -> None:
    """Draw rows, with room for so many bars, so that all are of one height."""
    section, case, unit = key
    better = "less is better" if unit in LOW_IS_GOOD else "more is better"
    places = range(len(rows))
    medians = [row.median for row in rows]
    whiskers = [
        [row.median - min(row.values) for row in rows],
        [max(row.values) - row.median for row in rows],
    ]
    axes.barh(
        places,
        medians,
        xerr=whiskers,
        color=[_colour(row) for row in rows],
        ecolor="#333333",
        capsize=2,
        height=0.72,
    )
    axes.set_yticks(
        places, [textwrap.shorten(row.name, 46) for row in rows], fontsize=9
    )
    axes.set_ylim(bars - 0.5, -0.5)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    # A bar of a log axis has no natural beginning: all show their full contrast.
    low, high = min(medians), max(max(row.values) for row in rows)
    axes.set_xlim(low / 2.5, high * 3)
    for place, row in zip(places, rows, strict=True):
        axes.annotate(
            number(row.median),
            (max(row.values), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    title = f"{section}: {case}" if case else section
    axes.set_title(f"{title} ({unit}, {better})", fontsize=10, loc="left")
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _colour(row: Row) -> str:
    if row.facts.get("is_limit"):
        return _LIMIT
    return _OURS if row.name.lower().startswith("piccl") else _OTHERS
