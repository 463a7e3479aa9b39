"""From photos that were judged to the figures of a verdict; pure."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.accuracy import auc, auc_interval
from pipeline.evaluation.figures import (
    Auc,
    Judged,
    KindFigures,
    Share,
    VerdictFigures,
)

# Fewer sources drawn again and again are nearly always the same ones, and of one
# the interval has no width; then photos are drawn.
_MIN_SOURCES: Final = 5


def verdict_figures(
    verdict: str,
    photos: Sequence[Judged],
    *,
    score: str,
    low_is_yes: bool,
    threshold: float,
) -> VerdictFigures:
    """Compare a verdict, or that of another tool, with the labels.

    Args:
        verdict: shaken, dark or screenshot.
        photos: As it judged them, in any order.
        score: The name of its score.
        low_is_yes: It is given below the threshold.
        threshold: The one in use.
    """
    # Whatever the order of the files, the figures are the same.
    photos = sorted(photos, key=lambda photo: photo.path)
    yes = [photo for photo in photos if photo.truth is True]
    no = [photo for photo in photos if photo.truth is False]
    presumed = [photo for photo in photos if photo.truth is None and photo.presumed]
    found = sum(photo.called for photo in yes)
    wrong = sum(photo.called for photo in no)
    mistakes = [photo for photo in (*yes, *no) if photo.called != photo.truth]
    return VerdictFigures(
        verdict=verdict,
        score=score,
        low_is_yes=low_is_yes,
        threshold=threshold,
        precision=Share.of(found, found + wrong),
        recall=Share.of(found, len(yes)),
        accuracy=Share.of(found + len(no) - wrong, len(yes) + len(no)),
        false_alarms=Share.of(wrong, len(no)),
        presumed=_called(presumed) if presumed else None,
        auc=_auc(yes, no, low_is_yes),
        kinds=_kinds(photos, yes, low_is_yes),
        yes_scores=tuple(p.score for p in yes if p.score is not None),
        no_scores=tuple(p.score for p in no if p.score is not None),
        held_out=sum(photo.held_out for photo in (*yes, *no)),
        mistakes=worst_first(mistakes, low_is_yes),
        presumed_called=worst_first([p for p in presumed if p.called], low_is_yes),
        presumed_held_out=sum(photo.held_out for photo in presumed),
    )


def worst_first(photos: Sequence[Judged], low_is_yes: bool) -> tuple[Judged, ...]:
    """Wrong recommendations before missed ones, each the farthest off first."""

    def how_bad(photo: Judged) -> tuple[bool, float, str]:
        # What can not be judged is farther from a yes than any score.
        far = abs(_rank(photo, low_is_yes) - _rank(photo, low_is_yes, limit=True))
        return not photo.called, -far, photo.path

    return tuple(sorted(photos, key=how_bad))


def _kinds(
    photos: Sequence[Judged], yes: Sequence[Judged], low_is_yes: bool
) -> tuple[KindFigures, ...]:
    of: dict[tuple[str, bool | None, bool], list[Judged]] = defaultdict(list)
    for photo in photos:
        of[photo.kind, photo.truth, photo.presumed and photo.truth is None].append(
            photo
        )
    order = [True, False, None]
    return tuple(
        KindFigures(
            kind,
            truth,
            _called(members),
            _auc(yes, members, low_is_yes) if truth is False else None,
            presumed,
        )
        for (kind, truth, presumed), members in sorted(
            of.items(), key=lambda item: (order.index(item[0][1]), item[0][0])
        )
    )


def _called(photos: Sequence[Judged]) -> Share:
    return Share.of(sum(photo.called for photo in photos), len(photos))


def _auc(yes: Sequence[Judged], no: Sequence[Judged], low_is_yes: bool) -> Auc | None:
    if not (yes and no):
        return None
    ranks = _ranks(yes, low_is_yes), _ranks(no, low_is_yes)
    of_source = {photo.path: photo.group for photo in (*yes, *no)}
    if len(set(of_source.values())) < _MIN_SOURCES:
        of_source = {path: path for path in of_source}
    groups = ([of_source[photo.path] for photo in photos] for photos in (yes, no))
    low, high = auc_interval(*ranks, *groups)
    return Auc(auc(*ranks), low, high, len(set(of_source.values())))


def _ranks(photos: Sequence[Judged], low_is_yes: bool) -> NDArray[np.float64]:
    return np.array([_rank(photo, low_is_yes) for photo in photos])


def _rank(photo: Judged, low_is_yes: bool, *, limit: bool = False) -> float:
    """Higher the more it is a yes, of the score or of what it is compared with."""
    value = photo.threshold if limit else photo.score
    if value is None:
        return -math.inf
    return -value if low_is_yes else value
