"""Photos through the graph of the backfill, and what it made of each."""

import filecmp
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console

from models import blur, screenshots
from models.darkness import network as darkness
from models.held_out import PATHS, HeldOut, load
from pipeline.analyse import AnalysisSettings
from pipeline.backfill import build_backfill
from pipeline.evaluation.figures import Judged, Unreadable
from pipeline.evaluation.labels import LabelledPhoto
from pipeline.launch import new_pipeline, run_job
from pipeline.progress import show_progress
from store.search import PhotoQuery
from store.urls import open_store

# The columns of `deletions` that hold score and threshold.
SCORES: Final[Mapping[str, tuple[str, str]]] = {
    "shaken": ("sharpness", "sharpness_threshold"),
    "dark": ("dark_probability", "dark_threshold"),
    "screenshot": ("screenshot_probability", "screenshot_threshold"),
}


@dataclass(frozen=True)
class Scored:
    """A photo as the store has it.

    Attributes:
        row: Its columns, as the store finds them; `objects` only if asked for.
        sha256: Of its bytes.
        pixels: Width times height.
    """

    row: Mapping[str, Any]
    sha256: str
    pixels: int


@dataclass(frozen=True)
class Scorer:
    """Runs backfills into a store of its own.

    Attributes:
        folder: Where the store and the lists of unreadable files go.
    """

    settings: AnalysisSettings
    options: PipelineOptions
    folder: Path
    console: Console
    show_errors: bool = False

    def score(
        self,
        addresses: Sequence[str],
        user_id: str,
        objects_of: Collection[str] = (),
    ) -> tuple[dict[str, Scored], list[Unreadable]]:
        """Backfill photos, of a user of their own.

        Args:
            addresses: Files and folders.
            user_id: Photos of different users are never similar.
            objects_of: Paths whose objects are wanted; they take memory.

        Returns:
            By path, in the order of paths; and what could not be analysed.
        """
        letters = self.folder / f"{user_id}.jsonl"
        store = open_store(self.settings.store_url)
        store.prepare()
        pipeline = new_pipeline(self.options)
        build_backfill(
            pipeline, addresses, user_id, self.settings, dead_letters=str(letters)
        )
        with show_progress(self.console):
            run_job(pipeline, show_errors=self.show_errors)
        with letters.open(encoding="utf-8") as lines:
            dead = [json.loads(line) for line in lines]
        scored = {}
        for photo in _read(store, user_id):
            path = photo.row["path"]
            if path not in objects_of:
                photo = replace(photo, row={**photo.row, "objects": None})
            scored[path] = photo
        store.close()
        return (
            {path: scored[path] for path in sorted(scored)},
            sorted(
                (Unreadable(letter["path"], letter["reason"]) for letter in dead),
                key=lambda one: one.path,
            ),
        )


def _read(store: Any, user_id: str) -> Iterator[Scored]:
    day: dict[str, Any] = {}
    date = None
    # They come by day, so one day at a time is in memory with its descriptors.
    for row in store.search(PhotoQuery(user_id)):
        if row["date"] != date:
            date = row["date"]
            day = {photo.id: photo for photo in store.day(user_id, date)}
        photo = day[row["id"]]
        yield Scored(row, photo.sha256, photo.pixels)


def judged(
    verdict: str, photo: Scored, label: LabelledPhoto, learned: Mapping[str, HeldOut]
) -> Judged:
    """One verdict on one photo, beside what its label says.

    Args:
        verdict: shaken, dark or screenshot.
        photo: What the store has.
        label: What people say.
        learned: Photos that the detector learned from: they are judged as by one
            that had not.
    """
    score, threshold = (photo.row[column] for column in SCORES[verdict])
    as_it_ships = Judged(
        path=label.path,
        kind=label.kind,
        truth=getattr(label, verdict),
        presumed=verdict == "shaken" and label.presumed_sharp,
        score=score,
        threshold=threshold,
        called=bool(photo.row[verdict]),
        held_out=False,
        # Photos of an unknown source agree with no others.
        group=label.group or label.path,
    )
    blind = learned.get(photo.sha256)
    if blind is None:
        return as_it_ships
    low = verdict == "shaken"
    return replace(
        as_it_ships,
        score=blind.score,
        threshold=blind.threshold,
        called=blind.score < blind.threshold if low else blind.score >= blind.threshold,
        held_out=True,
    )


def photos_learned_from(
    settings: AnalysisSettings,
) -> dict[str, dict[str, HeldOut]]:
    """Held-out scores of the detectors in use, by verdict.

    A threshold of the user's own has learned from nothing; it replaces those that
    were chosen fold by fold.
    """
    lists = dict(PATHS)
    if not filecmp.cmp(settings.dark_model, darkness.WEIGHTS, shallow=False):
        # Where `piccl train-dark` has put it.
        lists["dark"] = Path(settings.dark_model).with_name(PATHS["dark"].name)
    if settings.blur_method == "paper":
        del lists["shaken"]
    thresholds = {
        "shaken": (settings.thresholds.sharpness, blur.DEFAULT_THRESHOLD),
        "dark": (settings.thresholds.dark, darkness.DEFAULT_THRESHOLD),
        "screenshot": (settings.thresholds.screenshot, screenshots.DEFAULT_THRESHOLD),
    }
    learned = {}
    for verdict in PATHS:
        photos = load(lists[verdict]) if verdict in lists else {}
        used, default = thresholds[verdict]
        if used != default:
            photos = {sha: HeldOut(one.score, used) for sha, one in photos.items()}
        learned[verdict] = photos
    return learned
