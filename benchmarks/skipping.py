"""The same command again, over photos that are all analysed."""

import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from benchmarks.processes import measure, piccl
from benchmarks.report import Report
from benchmarks.settings import ROOT

SECTION: Final = "skipping"
_PHOTOS: Final = 10_000
_QUICK_PHOTOS: Final = 2_000
_GOAL_S: Final = 10.0
_HELP_GOAL_S: Final = 0.5


def run(report: Report, quick: bool) -> None:
    _help(report)
    number = _QUICK_PHOTOS if quick else _PHOTOS
    if report.settings.most_photos is not None:
        number = min(number, report.settings.most_photos)
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        _make(photos, number)
        command = piccl(
            "backfill",
            photos,
            "--user=me",
            "--weights=none",
            f"--store=sqlite:///{folder}/piccl.db",
            f"--dead-letters={folder}/dead-letters.jsonl",
            "--json",
        )
        report.doing(f"{SECTION}: analysing {number:,} small photos once")
        first = measure(command)
        if first.answer["analysed"] != number:
            raise RuntimeError(f"{first.answer['analysed']} of {number} analysed")
        report.doing(f"{SECTION}: the same command again")
        runs = [measure(command) for _ in range(report.settings.rounds)]
    if any(done.answer["skipped"] != number for done in runs):
        raise RuntimeError("not all photos were skipped")
    case = f"{number:,} photos"
    walls = [done.wall_s for done in runs]
    peak_mb = round(max(done.peak_mb for done in runs))
    whole = report.add(
        SECTION, "piccl backfill, again", "s", walls, case=case, peak_mb=peak_mb
    )
    own = [done.answer["seconds"] for done in runs]
    report.add(SECTION, "piccl backfill, again, without its start", "s", own, case=case)
    report.ratio(f"skipping {case}", whole, 1, _GOAL_S, at_most=True, unit="s")


def _help(report: Report) -> None:
    """How long a command line takes that needs nothing."""
    seconds = []
    for _ in range(report.settings.rounds + 1):
        began_s = time.perf_counter()
        subprocess.run(piccl("--help"), cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - began_s)
    # The first reads the files.
    row = report.add(SECTION, "piccl --help", "s", seconds[1:])
    report.ratio("piccl --help", row, 1, _HELP_GOAL_S, at_most=True, unit="s")


def _make(folder: Path, number: int) -> None:
    """Photos as small as can be: what is in them is not read when it counts."""
    folder.mkdir()
    chance = np.random.default_rng(0)
    console = Console(stderr=True)
    title = f"Making {number:,} small photos"
    for place in track(range(number), title, console=console, transient=True):
        rgb = chance.integers(0, 256, (24, 32, 3), np.uint8)
        Image.fromarray(rgb).save(folder / f"{place:05}.jpg")
