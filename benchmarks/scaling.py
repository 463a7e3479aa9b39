"""Two workers against one: of the job, and of the bare loop in the same turns."""

from dataclasses import replace
from typing import Final

from benchmarks.backfill import CASES, Case, prepared
from benchmarks.contestants import (
    BARE,
    PICCL,
    Contestant,
    Network,
    bare_loop,
    compete,
    piccl_backfill,
)
from benchmarks.darknet import FASTEST
from benchmarks.inputs import Inputs, beginning
from benchmarks.machine import cores
from benchmarks.report import Report

SECTION: Final = "scaling"
_GOAL: Final = 0.9
# Shorter than those of `backfill`, as one worker takes twice as long.
_CASES: Final = (("0.3 MP", FASTEST, 400),)
_MOST_ROUNDS: Final = 2


def run(report: Report, quick: bool) -> None:
    if cores() < 2:
        report.missing(SECTION, "two workers", "there is one core")
        return
    for size, network, photos in _CASES:
        case = next(one for one in CASES if (one.size, one.network) == (size, network))
        case = replace(case, photos=photos)
        if report.settings.only in case.name:
            _run(report, case, quick)


def _run(report: Report, case: Case, quick: bool) -> None:
    given = prepared(report, SECTION, case, quick)
    if given is None:
        return
    photos, _, network = given
    few = beginning(photos, report.settings)
    rows = compete(
        report,
        SECTION,
        case.name,
        [
            contestant
            for workers in (1, 2)
            for contestant in _both(photos, few, network, workers)
        ],
        _MOST_ROUNDS,
    )
    if len(rows) < 4:
        return
    one, two = (rows[_name(PICCL, workers)] for workers in (1, 2))
    job = report.ratio(f"{case.name}: two workers of one", two, one, None)
    one, two = (rows[_name(BARE, workers)] for workers in (1, 2))
    loop = report.ratio(f"{case.name}: the bare loop's two of one", two, one, None)
    name = f"{case.name}: what two workers gain, of the bare loop's"
    report.ratio(name, job.values, loop.values, _GOAL)


def _both(
    photos: Inputs, few: Inputs, network: Network | None, workers: int
) -> list[Contestant]:
    return [
        _renamed(piccl_backfill(photos, few, network, workers), workers),
        _renamed(bare_loop(photos, few, network, threads=workers), workers),
    ]


def _name(name: str, workers: int) -> str:
    return f"{name}, {workers} worker{'s'[: workers - 1]}"


def _renamed(contestant: Contestant, workers: int) -> Contestant:
    return Contestant(
        _name(contestant.name, workers),
        lambda: {
            _name(name, workers): outcome for name, outcome in contestant.run().items()
        },
    )
