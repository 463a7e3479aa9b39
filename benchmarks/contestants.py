"""Who looks at a folder of photos: PICCL, what bounds it, and what others use."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.darknet import DarknetFiles
from benchmarks.inputs import Inputs
from benchmarks.machine import cores
from benchmarks.processes import (
    AS_PICCL,
    QUIET,
    ChildError,
    Run,
    measure,
    module,
    piccl,
)
from benchmarks.report import Report, Row
from benchmarks.settings import ROOT

PICCL: Final = "piccl backfill"
BARE: Final = "bare loop"
PAPER: Final = "script as in the paper"
FULL: Final = "JPEG decode alone, full size"
REDUCED: Final = "JPEG decode alone, reduced"
CLEANVISION: Final = "CleanVision"
FASTDUP: Final = "fastdup"
IMAGEDEDUP: Final = "imagededup, similar photos alone"
_LIMITS: Final = (BARE, FULL, REDUCED)


@dataclass(frozen=True)
class Network:
    """What looks for objects.

    Attributes:
        files: Darknet's.
        precision: "f32" or "bf16".
    """

    files: DarknetFiles
    precision: str = "f32"

    @property
    def arguments(self) -> list[str]:
        return [f"--cfg={self.files.cfg}", f"--weights={self.files.weights}"]


@dataclass(frozen=True)
class Outcome:
    """One round of one contestant.

    Attributes:
        photos: How many it looked at.
        speed: Photos a second, without its start.
        start_s: That takes so long; None where it is not known.
        run: The whole process; None where there is none of its own.
        note: What is worth knowing, as which library.
    """

    photos: int
    speed: float
    start_s: float | None = None
    run: Run | None = None
    note: str = ""


@dataclass(frozen=True)
class Contestant:
    """Somebody who can be asked to run once.

    Attributes:
        name: Who.
        run: Gives outcomes by name: several where a process measures several things.
        once: It runs in the first round only.
    """

    name: str
    run: Callable[[], dict[str, Outcome]]
    once: bool = False


def whole_process(
    name: str, photos: Inputs, few: Inputs, run: Callable[[Inputs], Run]
) -> Contestant:
    """Somebody who is a process, whose start is told from its speed alike for all.

    Who takes T for N photos, and t for the first n of them, is as fast as
    (N - n) / (T - t): what somebody does once is in both. The first n are looked at in
    the first round.

    Args:
        name: Who.
        photos: All of them.
        few: The first of them; as many as all if there are too few to tell, and then
            the start is part of it.
        run: Looks at all photos of a folder, once.
    """
    starts: list[Run] = []

    def outcomes() -> dict[str, Outcome]:
        if not starts and len(few) < len(photos):
            starts.append(run(few))
        done = run(photos)
        note = done.answer.get("name", "")
        number = len(photos)
        if not starts:
            speed = number / done.wall_s
            return {name: Outcome(number, speed, run=done, note=note)}
        start = starts[0]
        more_s = done.wall_s - start.wall_s
        if more_s <= 0:
            raise ChildError(f"{number} photos took no longer than {len(few)}")
        speed = (number - len(few)) / more_s
        start_s = start.wall_s - len(few) / speed
        return {name: Outcome(number, speed, start_s, done, note)}

    return Contestant(name, outcomes)


def run_piccl(
    photos: str | Path,
    number: int,
    network: Network | None,
    workers: int | None = None,
) -> Run:
    """The whole command into an empty store, once.

    Args:
        photos: Folder or prefix.
        number: How many photos are there.
        network: What looks for objects; None if nothing does.
        workers: None for all cores.

    Raises:
        ChildError: It failed, or did not analyse all of them.
    """
    options = ["--weights=none"]
    if network is not None:
        precision = f"--detect-precision={network.precision}"
        options = [*network.arguments, precision]
    if workers is not None:
        options += ["--direct_running_mode=multi_threading"]
        options += [f"--direct_num_workers={workers}"]
    with tempfile.TemporaryDirectory() as folder:
        done = measure(
            piccl(
                "backfill",
                photos,
                "--user=me",
                f"--store=sqlite:///{folder}/piccl.db",
                f"--dead-letters={folder}/dead-letters.jsonl",
                "--json",
                *options,
            )
        )
    if done.answer["analysed"] != number:
        raise ChildError(f"{done.answer['analysed']} of {number} photos were analysed")
    return done


def piccl_backfill(
    photos: Inputs, few: Inputs, network: Network | None, workers: int | None = None
) -> Contestant:
    """The whole command; `workers` None for all cores."""

    def run(some: Inputs) -> Run:
        return run_piccl(some.folder, len(some), network, workers)

    return whole_process(PICCL, photos, few, run)


def bare_loop(
    photos: Inputs, few: Inputs, network: Network | None, *, threads: int | None = None
) -> Contestant:
    """The same functions without the job; `threads` None for all cores."""
    options = [f"--threads={threads or cores()}"]
    if network is not None:
        options += [*network.arguments, f"--precision={network.precision}"]

    def run(some: Inputs) -> Run:
        return measure(module("bare", some.folder, *options), environment=AS_PICCL)

    return whole_process(BARE, photos, few, run)


def paper_script(photos: Inputs, few: Inputs, network: Network | None) -> Contestant:
    options = network.arguments if network is not None else []

    def run(some: Inputs) -> Run:
        return measure(module("paper", some.folder, *options), environment=QUIET)

    return whole_process(PAPER, photos, few, run)


def decoding(photos: Inputs) -> Contestant:
    """Nothing but decoding, by the fastest library that there is."""

    def run() -> dict[str, Outcome]:
        command = module("decode", photos.folder, str(cores()))
        answer = measure(command, environment=AS_PICCL).answer
        return {
            name: Outcome(len(photos), speed["photos_per_s"], note=speed["by"])
            for name, speed in ((FULL, answer["full"]), (REDUCED, answer["reduced"]))
        }

    return Contestant(FULL, run)


def peer(
    name: str, package: str, photos: Inputs, few: Inputs, python: Path
) -> Contestant:
    """One of `peers/photos.py`, in the environment of theirs."""
    script = ROOT / "benchmarks" / "peers" / "photos.py"

    def run(some: Inputs) -> Run:
        with tempfile.TemporaryDirectory() as folder:
            answer = Path(folder) / "answer.json"
            return measure(
                [python, "-I", script, package, some.folder, str(cores()), answer],
                answer=answer,
                # Some leave files where they run.
                folder=Path(folder),
            )

    return whole_process(name, photos, few, run)


def compete(
    report: Report,
    section: str,
    case: str,
    contestants: Sequence[Contestant],
    most_rounds: int | None = None,
) -> dict[str, Row]:
    """Run all in turns, so that a noisy minute hits all; rows by contestant.

    Who fails is put down as missing and does not stop the others.
    """
    all_rounds = min(most_rounds or report.settings.rounds, report.settings.rounds)
    rounds: dict[str, list[Outcome]] = {}
    running = list(contestants)
    for number in range(all_rounds):
        # Nobody is always the one that comes after the same other.
        first = number % max(1, len(running))
        for contestant in running[first:] + running[:first]:
            report.doing(
                f"{section}: {case}: round {number + 1} of {all_rounds}, "
                f"{contestant.name}"
            )
            try:
                for name, outcome in contestant.run().items():
                    rounds.setdefault(name, []).append(outcome)
            except ChildError as err:
                running.remove(contestant)
                report.missing(section, f"{case}: {contestant.name}", str(err))
        running = [contestant for contestant in running if not contestant.once]
    rows = {}
    for name, outcomes in rounds.items():
        speeds = [one.speed for one in outcomes]
        facts = _facts(name, outcomes)
        rows[name] = report.add(section, name, "photos/s", speeds, case=case, **facts)
    for name, outcomes in rounds.items():
        starts = [one.start_s for one in outcomes if one.start_s is not None]
        if starts:
            bound = {"is_limit": True} if name in _LIMITS else {}
            report.add(section, name, "s", starts, case=f"{case}, start", **bound)
    return rows


def _facts(name: str, outcomes: Sequence[Outcome]) -> dict[str, object]:
    facts: dict[str, object] = {"photos": outcomes[0].photos}
    runs = [one.run for one in outcomes if one.run is not None]
    if runs:
        facts["peak_mb"] = round(max(run.peak_mb for run in runs))
        facts["cpu_s"] = round(min(run.cpu_s for run in runs), 1)
        facts["wall_s"] = round(min(run.wall_s for run in runs), 1)
    if outcomes[-1].note:
        facts["by"] = outcomes[-1].note
    if name in _LIMITS:
        facts["is_limit"] = True
    return facts
