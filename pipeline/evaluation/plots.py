"""Distributions and curves as SVG that takes its colours from the page around it.

matplotlib is imported inside the functions: it takes a second, and only a page needs
it.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.figures import ObjectFigures, VerdictFigures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS: Final = 40
# matplotlib knows no CSS variables, so it draws in colours that nothing else has,
# and they are replaced afterwards.
_INK, _MUTED, _LINE, _YES, _NO = "#010101", "#020202", "#030303", "#040404", "#050505"
_VARIABLES: Final = {
    _INK: "var(--ink)",
    _MUTED: "var(--muted)",
    _LINE: "var(--line)",
    _YES: "var(--yes)",
    _NO: "var(--no)",
}
# Its own type for this lists all of its parameters by name.
_STYLE: Final[Any] = {
    # Text stays text, in the page's own font.
    "svg.fonttype": "none",
    # Names of clip paths and markers, which must not differ between runs.
    "svg.hashsalt": "piccl",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "grid.color": _LINE,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def named(verdict: str) -> str:
    """A verdict as it stands in a sentence."""
    return "a screenshot" if verdict == "screenshot" else verdict


def score_distribution(figures: VerdictFigures) -> str:
    """Scores of yes photos above those of no photos, and the threshold between.

    What lies beyond the outermost half percent is counted in the last bin.

    Returns:
        An <svg> element; "" if no photo has a score.
    """
    from matplotlib.ticker import MaxNLocator

    scores = (*figures.yes_scores, *figures.no_scores)
    if not scores:
        return ""
    ends = [*np.quantile(scores, (0.005, 0.995)), figures.threshold]
    low, high = min(ends), max(ends)
    # A threshold at an end would hide in the frame.
    margin = 0.02 * (high - low) or 0.5
    bins = np.linspace(low - margin, high + margin, _BINS + 1)
    verdict = named(figures.verdict)
    with _figure(3.0) as figure:
        axes: list[Axes] = list(figure.subplots(2, 1, sharex=True))
        for axis, values, colour, label in (
            (axes[0], figures.yes_scores, _YES, f"should be called {verdict}"),
            (axes[1], figures.no_scores, _NO, f"should not be called {verdict}"),
        ):
            inside = np.clip(values, bins[0], bins[-1])
            axis.hist(inside, bins=list(bins), color=colour)
            # One photo on the wrong side must be seen beside hundreds.
            axis.set_yscale("function", functions=(_square_root, np.square))
            axis.yaxis.set_major_locator(MaxNLocator(4, integer=True))
            # Also where there is no photo at all.
            axis.set_ylim(bottom=0, top=max(1, axis.get_ylim()[1]))
            axis.set_title(f"{label}: {len(values)}", loc="left", fontsize=9)
            axis.axvline(figures.threshold, color=_INK, linestyle=(0, (4, 3)))
            axis.set_ylabel("photos")
        limit = f"{figures.threshold:g}"
        limit = f"below {limit}" if figures.low_is_yes else f"from {limit} on"
        axes[1].set_xlabel(f"{figures.score}; called {limit}")
        return _svg(
            figure,
            f"Distribution of {figures.score} over photos that should be called "
            f"{verdict} and photos that should not, with the threshold "
            f"{figures.threshold:g}",
            f"scores-{figures.verdict}",
        )


def precision_recall(objects: ObjectFigures) -> str:
    """Precision and recall of all tags by threshold, and the ones in use.

    Returns:
        An <svg> element; "" if there is no curve.
    """
    points = [
        (tag.recall.value, tag.precision.value, tag)
        for tag in objects.curve
        if tag.recall.value is not None and tag.precision.value is not None
    ]
    if not points:
        return ""
    recall = [at for at, _, _ in points]
    with _figure(3.2) as figure:
        axis = figure.subplots()
        axis.grid(True)
        axis.fill_between(
            recall,
            [tag.precision.low for _, _, tag in points],
            [tag.precision.high for _, _, tag in points],
            color=_NO,
            alpha=0.2,
            linewidth=0,
        )
        axis.plot(recall, [right for _, right, _ in points], color=_NO)
        for at, right, tag in points[:: max(1, len(points) // 6)]:
            axis.plot([at], [right], "o", color=_NO, markersize=3)
            axis.annotate(
                f"{tag.threshold:.2g}",
                (at, right),
                xytext=(4, 4),
                textcoords="offset points",
                color=_MUTED,
                fontsize=8,
            )
        used = objects.overall
        if used.recall.value is not None and used.precision.value is not None:
            axis.plot([used.recall.value], [used.precision.value], "D", color=_YES)
        axis.set_xlabel("recall of tags")
        axis.set_ylabel("precision of tags")
        return _svg(
            figure,
            "Precision of tags over their recall, by threshold, with the 95 % "
            "interval of the precision; the diamond is what is in use",
            "precision-recall",
        )


def _square_root(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    # matplotlib also asks for what lies below the axis.
    return np.asarray(np.sqrt(np.maximum(counts, 0)))


@contextmanager
def _figure(height_in: float) -> Iterator["Figure"]:
    """A figure as wide as a column of text, drawn in `_STYLE`."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        yield Figure(figsize=(5.2, height_in), layout="constrained")


def _svg(figure: "Figure", label: str, name: str) -> str:
    """The figure as an element of a page.

    Args:
        figure: From `_figure`, within it.
        label: What it shows, for those who do not see it.
        name: Put before its ids, which must be unique in the page.
    """
    from markupsafe import escape

    file = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(file, format="svg", metadata=nothing)
    drawn = file.getvalue()
    view = re.search(r'viewBox="[^"]*"', drawn)
    assert view is not None
    body = drawn[drawn.index(">", view.end()) + 1 :]
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(url\(|href=")#', rf"\1#{name}-", body)
    # matplotlib's list of fonts is that of its own machine.
    body = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, variable)
    return f'<svg {view[0]} role="img" aria-label="{escape(label)}">{body}'
