"""How well photos taken too dark are told, on photos not learned from: as tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from models import images
from models.accuracy import auc, auc_interval, wilson_interval
from models.darkness import hard_cases, network
from models.darkness.thresholds import (
    choose_by_fold,
    choose_probability,
    choose_threshold,
    plain_statistics,
)

if TYPE_CHECKING:
    from models.darkness.train import Folds

Bools = NDArray[np.bool_]
Scores = NDArray[np.float64]

# Labels of borderline photos that must never be called dark: in one a whole
# street is lit, in the other the subject is.
_NEVER = ("night, well lit", "low key on purpose")
# Of what was meant, the share that the goal lets be called dark.
_GOAL = 0.05
# The plain statistics that do best, here and on photos of other sources.
_RIVALS = ("maximum", "99th percentile")


@dataclass(frozen=True)
class Photo:
    """One labelled photo, prepared.

    Attributes:
        path: Its file, in dark/, bright/ or borderline/.
        label: The manifest's.
        judgement: too dark, dark on purpose, not dark, unsure or bright.
        sha256: Of the file's bytes, hexadecimal.
        pixels: float32, (64, 64, 3), RGB, 0 to 1.
    """

    path: Path
    label: str
    judgement: str
    sha256: str
    pixels: NDArray[np.float32]

    @property
    def folder(self) -> str:
        return self.path.parent.name


@dataclass(frozen=True)
class Judged:
    """Photos, with scores from networks that saw nothing of their groups.

    Attributes:
        photos: N photos.
        groups: N names of what is not parted.
        scores: float64, (N,).
        fold_of: intp, (N,).
        threshold: From where on `scores` are called dark.
        fixed: Whether the threshold was not chosen by the scores.
    """

    photos: Sequence[Photo]
    groups: NDArray[np.str_]
    scores: Scores
    fold_of: NDArray[np.intp]
    threshold: float
    fixed: bool

    @property
    def thresholds(self) -> Scores:
        """What the other folds choose for each photo; float64, (N,)."""
        if self.fixed:
            return np.full(len(self.photos), self.threshold)
        _, meant, never = marks(self.photos)
        return choose_by_fold(
            self.scores, self.fold_of, meant, never, choose_probability
        )


def marks(photos: Sequence[Photo]) -> tuple[Bools, Bools, Bools]:
    """Which are too dark, which of dark/ are on purpose, which never dark."""
    too_dark = [photo.judgement == "too dark" for photo in photos]
    meant = [photo.label == "dark on purpose" for photo in photos]
    never = [photo.folder == "bright" or photo.label in _NEVER for photo in photos]
    return np.array(too_dark), np.array(meant), np.array(never)


def threshold_of(scores: Scores, photos: Sequence[Photo]) -> float:
    """The threshold to ship: what all photos choose."""
    _, meant, never = marks(photos)
    return choose_probability(scores, meant, never)


def real_photos(judged: Judged) -> Table:
    """The network beside the best plain statistic, on the photos as they are."""
    photos, scores = judged.photos, judged.scores
    too_dark, meant, never = marks(photos)
    bright = np.array([photo.folder == "bright" for photo in photos])
    statistics = plain_statistics(np.array([photo.pixels for photo in photos]))
    best = max(
        statistics,
        key=lambda name: auc(statistics[name][too_dark], statistics[name][meant]),
    )
    plain = statistics[best]

    def order(others: Bools) -> list[str]:
        groups = judged.groups[too_dark], judged.groups[others]
        return [_auc(v[too_dark], v[others], *groups) for v in (scores, plain)]

    table = Table("out of fold", "the network", f"{best} of luma", title="Too dark")
    table.add_row("AUC against bright", *order(bright))
    table.add_row("AUC against on purpose", *order(meant))
    kinds = {"too dark, found": too_dark, "on purpose, called dark": meant}
    kinds["bright, called dark"] = bright
    for label in sorted({p.label for p in photos if p.folder == "borderline"}):
        kinds[f"{label}, called dark"] = np.array([p.label == label for p in photos])
    # The figures at a threshold that the same photos chose are a little too
    # good; a fold's photos had no say in the threshold of the others.
    blind = choose_by_fold(plain, judged.fold_of, meant, never)
    chosen = choose_threshold(plain, meant, never)
    for star, calls in (
        ("", (scores >= judged.threshold, plain >= chosen)),
        ("*", (scores >= judged.thresholds, plain >= blind)),
    ):
        table.add_section()
        for name, rows in kinds.items():
            table.add_row(f"{name}{star}", *(_share(called[rows]) for called in calls))
    table.caption = "* at thresholds that the other folds chose. 95 % intervals."
    return table


def made_cases(judged: Judged, folds: "Folds") -> tuple[Table, Table]:
    """The network beside the plain statistics, on hard cases made from the photos.

    Each case is scored by a network that saw nothing of the photo it was made
    from, and judged, as plain statistics are, at the threshold that the real
    photos of the other folds chose.
    """
    photos = judged.photos
    _, meant, never = marks(photos)
    real = plain_statistics(np.array([photo.pixels for photo in photos]))
    thresholds = {"the network": judged.thresholds}
    for name, values in real.items():
        thresholds[name] = choose_by_fold(values, judged.fold_of, meant, never)

    bright = np.array([photo.folder == "bright" for photo in photos])
    made = _make(photos, bright, hard_cases.TOO_DARK | hard_cases.MEANT)
    copied = _make(photos, meant, hard_cases.COPIES)
    made |= {f"dark on purpose, {kind}": case for kind, case in copied.items()}
    scores = {
        kind: {"the network": folds.score(pixels, rows), **plain_statistics(pixels)}
        for kind, (rows, pixels) in made.items()
    }
    calls = {
        kind: {
            name: scores[kind][name] >= chosen[rows]
            for name, chosen in thresholds.items()
        }
        for kind, (rows, _) in made.items()
    }

    def join(values: Mapping[str, NDArray[Any]], *, too_dark: bool) -> NDArray[Any]:
        kinds = [kind for kind in made if (kind in hard_cases.TOO_DARK) == too_dark]
        return np.concatenate([values[kind] for kind in kinds])

    groups = {kind: judged.groups[rows] for kind, (rows, _) in made.items()}
    order = Table(
        "", "AUC", "found", "meant, called", "found when 5 % of the meant are"
    )
    order.title = "Hard cases: made too dark against meant"
    for name in thresholds:
        own = {kind: scores[kind][name] for kind in made}
        called = {kind: calls[kind][name] for kind in made}
        positive, negative = join(own, too_dark=True), join(own, too_dark=False)
        # All above it are called dark: of the meant at most so many.
        goal = np.sort(negative)[::-1][int(_GOAL * len(negative))]
        order.add_row(
            name,
            _auc(
                positive, negative, *(join(groups, too_dark=d) for d in (True, False))
            ),
            _share(join(called, too_dark=True)),
            _share(join(called, too_dark=False)),
            _share(positive > goal),
        )
    order.caption = "called: at thresholds that real photos of the other folds chose"
    by_kind = Table(
        "called dark", "the network", *(f"{name} of luma" for name in _RIVALS)
    )
    for kind in made:
        cells = [_share(calls[kind][name]) for name in ("the network", *_RIVALS)]
        by_kind.add_row(kind, *cells)
    return order, by_kind


def copies(judged: Judged, folds: "Folds") -> Table:
    """How many verdicts change when a photo is copied smaller or worse."""
    kinds = ("too dark", "dark on purpose", "bright")
    judgement = np.array([photo.judgement for photo in judged.photos])
    made = _make(judged.photos, np.isin(judgement, kinds), hard_cases.COPIES)
    before = judged.scores >= judged.thresholds
    table = Table("verdicts that change", *kinds, title="Copies of the photos")
    for name, (rows, pixels) in made.items():
        called = folds.score(pixels, rows) >= judged.thresholds[rows]
        changed = called != before[rows]
        table.add_row(
            name, *(_share(changed[judgement[rows] == kind]) for kind in kinds)
        )
    return table


def _make(
    photos: Sequence[Photo], which: Bools, makers: Mapping[str, hard_cases.Maker]
) -> dict[str, tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """One case of each kind from each of some photos: their rows, and pixels."""
    rows = np.flatnonzero(which)
    made: dict[str, list[NDArray[np.float32]]] = {kind: [] for kind in makers}
    for row in rows.tolist():
        rgb = images.decode(photos[row].path.read_bytes()).rgb
        for kind, maker in makers.items():
            case = maker(rgb, np.random.default_rng(row))
            made[kind].append(network.prepare(case))
    return {kind: (rows, np.array(cases)) for kind, cases in made.items()}


def _auc(
    positive: Scores, negative: Scores, ours: NDArray[np.str_], others: NDArray[np.str_]
) -> str:
    low, high = auc_interval(positive, negative, ours, others)
    return f"{auc(positive, negative):.3f} ({low:.3f} to {high:.3f})"


def _share(called: Bools) -> str:
    hits, n = int(called.sum()), len(called)
    low, high = wilson_interval(hits, n)
    return f"{hits} of {n}: {hits / max(n, 1):.1%} ({low:.1%} to {high:.1%})"
