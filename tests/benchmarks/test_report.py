"""Medians, spreads, ratios and exponents, and where they are written."""

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from benchmarks.report import Report, exponent
from benchmarks.results import show, write
from benchmarks.settings import ROOT, Settings


@pytest.mark.parametrize(
    ("values", "median", "spread"),
    [
        pytest.param([4.0], 4.0, 0.0, id="one"),
        pytest.param([3.0, 1.0, 2.0], 2.0, 1.0, id="odd"),
        pytest.param([1.0, 2.0, 4.0, 3.0], 2.5, 1.2, id="even"),
        pytest.param([0.0, 0.0], 0.0, 0.0, id="nothing"),
    ],
)
def test_median_and_spread(
    values: Sequence[float], median: float, spread: float
) -> None:
    row = Report({}).add("section", "name", "s", values)
    assert (row.median, row.spread) == (median, spread)


def test_ratio_is_that_of_each_round() -> None:
    """A noisy round hits both, so it is no noise of their ratio."""
    report = Report({})
    ours = report.add("s", "ours", "photos/s", [10.0, 1.0, 30.0])
    theirs = report.add("s", "theirs", "photos/s", [5.0, 0.5, 10.0])
    ratio = report.ratio("of theirs", ours, theirs, 2.0)
    assert ratio.values == [2.0, 2.0, 3.0]
    assert ratio.measured == 2.0


def test_ratio_is_that_of_the_rounds_that_both_have() -> None:
    report = Report({})
    ours = report.add("s", "ours", "photos/s", [10.0, 20.0, 30.0])
    theirs = report.add("s", "theirs", "photos/s", [5.0, 2.0])
    assert report.ratio("of theirs", ours, theirs, None).values == [2.0, 10.0]
    assert report.ratio("theirs of ours", theirs, ours, None).values == [0.5, 0.1]


def test_a_number_is_the_same_in_all_rounds() -> None:
    report = Report({})
    ours = report.add("s", "ours", "photos/s", [10.0, 20.0])
    assert report.ratio("of a number", ours, 4.0, None).values == [2.5, 5.0]
    assert report.ratio("a number", 40.0, ours, None).values == [4.0, 2.0]
    assert report.ratio("of two numbers", 3.0, 2, None).values == [1.5]


def test_only_a_full_run_has_goals() -> None:
    report = Report({}, settings=Settings(is_full=False))
    assert report.ratio("of", 1.0, 2.0, 0.9).is_met is None


def test_paths_of_this_checkout_are_not_written() -> None:
    report = Report({})
    report.missing("backfill", "a peer", f"{ROOT}/x/y: no such file")
    assert report.missings[0].why == "x/y: no such file"


@pytest.mark.parametrize(
    ("measured", "goal", "at_most", "is_met"),
    [
        pytest.param(2.0, 2.0, False, True, id="reached"),
        pytest.param(1.99, 2.0, False, False, id="too-little"),
        pytest.param(2.0, 2.0, True, True, id="within"),
        pytest.param(2.01, 2.0, True, False, id="too-much"),
        pytest.param(1.0, None, False, None, id="no-goal"),
    ],
)
def test_goal(
    measured: float, goal: float | None, at_most: bool, is_met: bool | None
) -> None:
    ratio = Report({}).ratio("of", measured, 1, goal, at_most=at_most)
    assert ratio.is_met is is_met


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_exponent(power: float) -> None:
    sizes = [100.0, 1_000.0, 10_000.0]
    costs = [3 * size**power for size in sizes]
    assert math.isclose(exponent(sizes, costs), power, abs_tol=1e-9)


def test_written_and_shown(tmp_path: Path) -> None:
    report = Report({"processor": "a fast one", "cores": 2})
    ours = report.add("backfill", "piccl", "photos/s", [4, 5], case="12 MP", photos=7)
    limit = report.add("backfill", "limit", "photos/s", [8, 9], case="12 MP")
    report.add("grouping", "piccl", "s", [0.25])
    report.ratio("of the limit", ours, limit, 0.8)
    report.missing("backfill", "a peer", "it is not installed")
    report.note("The photos are made.")
    write(report, tmp_path)

    results = json.loads((tmp_path / "results.json").read_text())
    assert results["machine"] == report.machine
    assert results["rows"][0]["values"] == [4.0, 5.0]
    assert results["rows"][0]["facts"] == {"photos": 7}
    assert results["ratios"][0]["is_met"] is False
    assert results["missing"][0]["why"] == "it is not installed"
    console = Console(record=True, width=120, file=io.StringIO())
    show(report, console)
    for text in (console.export_text(), (tmp_path / "results.md").read_text()):
        for told in ("4.50", "not met", "≥ 0.8 x", "a peer", "The photos are made."):
            assert told in text
    with Image.open(tmp_path / "results.png") as plot:
        assert plot.format == "PNG"


def test_nothing_measured_is_written_too(tmp_path: Path) -> None:
    report = Report({})
    report.missing("backfill", "all", "nothing is here")
    write(report, tmp_path)
    assert "nothing is here" in (tmp_path / "results.md").read_text()
