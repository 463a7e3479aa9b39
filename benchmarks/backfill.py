"""The whole `piccl backfill` beside its bounds and beside others, round by round."""

from dataclasses import dataclass, replace
from typing import Final

from benchmarks.contestants import (
    BARE,
    CLEANVISION,
    FASTDUP,
    FULL,
    IMAGEDEDUP,
    PAPER,
    PICCL,
    REDUCED,
    Contestant,
    Network,
    bare_loop,
    compete,
    decoding,
    paper_script,
    peer,
    piccl_backfill,
    run_piccl,
)
from benchmarks.darknet import FASTEST, YOLOV3, darknet_files
from benchmarks.inputs import Inputs, beginning, first, make_inputs
from benchmarks.machine import has_bf16
from benchmarks.report import Report, Row
from benchmarks.settings import Settings

SECTION: Final = "backfill"
_PEERS: Final = {
    CLEANVISION: "cleanvision",
    FASTDUP: "fastdup",
    IMAGEDEDUP: "imagededup",
}
# Of 12 MP, so many take seconds.
_LEAST_DECODED: Final = 128


@dataclass(frozen=True)
class Case:
    """One kind of photos and what is looked for in them.

    Attributes:
        size: Of `inputs.SIZES`.
        network: Of `darknet`; None for no tags.
        photos: How many, so that a round takes 8 to 15 s on two cores.
        slow_photos: Of these, how many those look at who are ten times as slow.
        quick: Both, of a quick run; None where it is left out.
        goals: Contestant to the least ratio to it. The others run in the first
            round only.
        precision: Of the network.
        most_rounds: Where a round takes long or has no goal.
    """

    size: str
    network: str | None
    photos: int
    slow_photos: int
    quick: tuple[int, int] | None
    goals: dict[str, float]
    precision: str = "f32"
    most_rounds: int | None = None

    @property
    def name(self) -> str:
        if self.network is None:
            return f"{self.size}, no tags"
        return f"{self.size}, {self.network}, {self.precision}"


CASES: Final = (
    Case(
        "12 MP", None, 480, 24, (64, 8), {CLEANVISION: 8.0, FASTDUP: 2.5, REDUCED: 0.8}
    ),
    Case("2 MP", None, 640, 96, None, {}, most_rounds=1),
    Case("0.3 MP", None, 6000, 600, (1000, 200), {CLEANVISION: 4.0, FASTDUP: 9.0}),
    Case("0.3 MP", FASTEST, 800, 64, (128, 16), {BARE: 0.8}, most_rounds=2),
    Case("12 MP", YOLOV3, 72, 12, None, {BARE: 0.9}, most_rounds=2),
    Case(
        "12 MP", YOLOV3, 96, 12, (24, 4), {BARE: 0.9, PAPER: 2.5}, "bf16", most_rounds=2
    ),
)


def run(report: Report, quick: bool) -> None:
    for case in CASES:
        if report.settings.only in case.name and not (quick and case.quick is None):
            _run(report, case, quick)


def made_photos(size: str, quick: bool, settings: Settings) -> Inputs:
    """Made once for all cases and sections, however many each takes of them."""
    cases = [case for case in CASES if case.size == size]
    if quick:
        number = max(case.quick[0] for case in cases if case.quick is not None)
    else:
        number = max(case.photos for case in cases)
    return make_inputs(size, min(number, settings.most_photos or number), settings)


def prepared(
    report: Report, section: str, case: Case, quick: bool
) -> tuple[Inputs, Inputs, Network | None] | None:
    """The photos of a case, those for who is slow, and its network.

    None if it can not be run here, which is put down.
    """
    settings = report.settings
    network = None
    if case.precision == "bf16" and not has_bf16():
        report.missing(section, case.name, "this processor has no bf16")
        return None
    if case.network is not None:
        files = darknet_files(case.network, settings)
        if files is None:
            why = "not fetched: piccl weights yolo-fastest-1.1-xl"
            report.missing(section, case.name, why)
            return None
        network = Network(files, case.precision)
        if files.is_random:
            report.note(
                f"{case.name}: {case.network} has random weights, which see nothing; "
                "how fast it is does not depend on them."
            )
    counts = case.quick if quick and case.quick else (case.photos, case.slow_photos)
    report.doing(f"{section}: {case.name}: making the photos")
    made = made_photos(case.size, quick, settings)
    limit = len(made)
    photos, few = (first(made, min(count, limit), settings) for count in counts)
    report.note(f"{case.name}: {photos.described}.")
    return photos, few, network


def _run(report: Report, case: Case, quick: bool) -> None:
    given = prepared(report, SECTION, case, quick)
    if given is None:
        return
    photos, slow, network = given
    few, slow_few = beginning(photos, report.settings), beginning(slow, report.settings)
    contestants = [
        piccl_backfill(photos, few, network),
        bare_loop(photos, few, network),
        paper_script(slow, slow_few, network),
    ]
    if network is None:
        number = max(_LEAST_DECODED, len(photos) // 4)
        contestants.append(decoding(first(photos, number, report.settings)))
        contestants += _peers(report, case, slow, slow_few)
    compared = {PICCL, *case.goals, *([FULL] if REDUCED in case.goals else [])}
    contestants = [replace(one, once=one.name not in compared) for one in contestants]
    report.doing(f"{SECTION}: {case.name}: once without a clock")
    # What is compiled at the first use is kept on the disk.
    run_piccl(few.folder, len(few), network)
    rows = compete(report, SECTION, case.name, contestants, case.most_rounds)
    _goals(report, case, rows)


def _peers(report: Report, case: Case, photos: Inputs, few: Inputs) -> list[Contestant]:
    python = report.settings.peers
    if not python.is_file():
        for name in _PEERS:
            why = "requirements-benchmarks.txt is not installed; make bench does it"
            report.missing(SECTION, f"{case.name}: {name}", why)
        return []
    return [
        peer(name, package, photos, few, python) for name, package in _PEERS.items()
    ]


def _goals(report: Report, case: Case, rows: dict[str, Row]) -> None:
    ours = rows.get(PICCL)
    if ours is None:
        return
    for name, row in rows.items():
        if name != PICCL:
            goal = case.goals.get(name)
            report.ratio(f"{case.name}: of {name}", ours, row, goal)
    for name in case.goals.keys() - rows.keys():
        report.missing(SECTION, f"{case.name}: the goal of {name}", "it did not run")
