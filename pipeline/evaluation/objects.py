"""Tags and subjects against the objects that people labelled; pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.tags import (
    CONFIDENCE_FLOOR,
    TAGS,
    DetectedObject,
    TagThresholds,
    judge_tags,
)
from pipeline.evaluation.figures import (
    ObjectFigures,
    Share,
    SubjectMistake,
    TagFigures,
)

# A tag that is wrong is worse than none.
_LEAST_PRECISION = 0.9
# Fine enough to read a threshold off.
_CURVE = [round(float(t), 2) for t in np.arange(CONFIDENCE_FLOOR, 0.96, 0.05)]


@dataclass(frozen=True)
class Seen:
    """A photo whose objects are labelled, and what a detector saw in it.

    Attributes:
        labelled: Tags of its labelled objects; None if only its subject is known.
        expected: Tags of which one should be the subject; None if nobody said.
        objects: As stored.
        tags: Those given.
        subject: The one given; "" for none.
        group: Its source.
    """

    path: str
    labelled: frozenset[str] | None
    expected: frozenset[str] | None
    objects: Sequence[DetectedObject]
    tags: Mapping[str, bool]
    subject: str
    group: str


def object_figures(
    photos: Sequence[Seen], thresholds: TagThresholds
) -> ObjectFigures | None:
    """Compare; None if there is nothing to compare."""
    labelled = [photo for photo in photos if photo.labelled is not None]
    judged = [photo for photo in photos if photo.expected]
    if not (labelled or judged):
        return None

    def given(photo: Seen) -> Mapping[str, bool]:
        return photo.tags

    wrong = [photo for photo in judged if photo.subject not in (photo.expected or ())]
    return ObjectFigures(
        photos=len(photos),
        overall=_figures("", thresholds.default, labelled, given, TAGS),
        tags=tuple(
            _figures(tag, thresholds.of(tag), labelled, given, [tag]) for tag in TAGS
        ),
        curve=_curve(labelled),
        subject=Share.of(len(judged) - len(wrong), len(judged)),
        mistakes=tuple(
            SubjectMistake(
                photo.path, tuple(sorted(photo.expected or ())), photo.subject
            )
            for photo in sorted(wrong, key=lambda photo: photo.path)
        ),
        halves=_halves(labelled),
    )


def choose_threshold(curve: Sequence[TagFigures]) -> float | None:
    """The lowest at which tags are surely right often enough; None if at none.

    Surely: the 95 % interval of the precision lies above `_LEAST_PRECISION`.
    """
    enough = [at for at in curve if at.precision.low > _LEAST_PRECISION]
    return min((at.threshold for at in enough), default=None)


def _halves(photos: Sequence[Seen]) -> tuple[TagFigures, ...]:
    """Each half of the sources, judged at the threshold of the other."""
    halves: tuple[list[Seen], list[Seen]] = ([], [])
    sources: dict[str, list[Seen]] = {}
    for photo in photos:
        sources.setdefault(photo.group, []).append(photo)
    # The largest first, each to the half that has less.
    for name in sorted(sources, key=lambda name: (-len(sources[name]), name)):
        min(halves, key=len).extend(sources[name])
    figures = []
    for half, other in (halves, halves[::-1]):
        threshold = choose_threshold(_curve(other))
        if threshold is None:
            return ()
        figures.append(_figures("", threshold, half, _at(threshold), TAGS))
    return tuple(figures)


def _curve(photos: Sequence[Seen]) -> tuple[TagFigures, ...]:
    return tuple(
        _figures("", threshold, photos, _at(threshold), TAGS) for threshold in _CURVE
    )


def _at(threshold: float) -> Callable[[Seen], Mapping[str, bool]]:
    one_for_all = TagThresholds(threshold, ())
    return lambda photo: judge_tags(photo.objects, one_for_all)


def _figures(
    name: str,
    threshold: float,
    photos: Sequence[Seen],
    given: Callable[[Seen], Mapping[str, bool]],
    tags: Sequence[str],
) -> TagFigures:
    right = called = there = 0
    for photo in photos:
        of_photo = given(photo)
        for tag in tags:
            is_there = tag in (photo.labelled or ())
            right += of_photo[tag] and is_there
            called += of_photo[tag]
            there += is_there
    return TagFigures(name, threshold, Share.of(right, called), Share.of(right, there))
