"""How right tags and subjects are, against boxes that people drew."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from models.accuracy import wilson_interval
from models.tags import (
    CLASSES_OF,
    TAGS,
    DetectedObject,
    TagThresholds,
    judge_tags,
    subject_of,
)

# From this share of the photo on, the largest labelled object is its subject.
LARGE_SHARE: Final = 0.25
# Thresholds of the curve, and the precision that the default has to reach.
CURVE: Final = tuple(n / 20 for n in range(3, 13))
LEAST_PRECISION: Final = 0.9
# Every labelled object counts, whatever the thresholds of tags.
_CERTAIN: Final = TagThresholds()

Objects = Sequence[DetectedObject]


@dataclass(frozen=True)
class TagCounts:
    """Tags of several photos together, or one tag of them.

    Attributes:
        given: Photos that were given it.
        right: Of these, how many carry it.
        carried: Photos that carry it.
    """

    given: int
    right: int
    carried: int

    @property
    def precision(self) -> float:
        return self.right / max(1, self.given)

    @property
    def recall(self) -> float:
        return self.right / max(1, self.carried)


def largest_tags(labelled: Objects, width: int, height: int) -> frozenset[str]:
    """The tags of a photo's largest labelled object.

    Args:
        labelled: What people drew, as objects of confidence 1.
        width: Of the photo, in the boxes' pixels.
        height: The same.

    Returns:
        None of them unless it covers more than a quarter of the photo.
    """
    largest = max(labelled, key=_area, default=None)
    if largest is None or _area(largest) <= LARGE_SHARE * width * height:
        return frozenset()
    return frozenset(tag for tag in TAGS if largest.name in CLASSES_OF[tag])


def is_subject_right(
    seen: Objects, labelled: Objects, width: int, height: int, thresholds: TagThresholds
) -> bool | None:
    """Whether the subject is a tag of the largest object; None if none is large."""
    tags = largest_tags(labelled, width, height)
    return subject_of(seen, thresholds) in tags if tags else None


def count_tags(
    seen: Sequence[Objects], labelled: Sequence[Objects], thresholds: TagThresholds
) -> dict[str, TagCounts]:
    """For each tag, and as "all" for all together."""
    given = [judge_tags(objects, thresholds) for objects in seen]
    carried = [judge_tags(objects, _CERTAIN) for objects in labelled]
    counts = {
        tag: TagCounts(
            sum(one[tag] for one in given),
            sum(
                one[tag] and other[tag]
                for one, other in zip(given, carried, strict=True)
            ),
            sum(other[tag] for other in carried),
        )
        for tag in TAGS
    }
    counts["all"] = TagCounts(
        *(
            sum(getattr(one, name) for one in counts.values())
            for name in ("given", "right", "carried")
        )
    )
    return counts


def choose_threshold(seen: Sequence[Objects], labelled: Sequence[Objects]) -> float:
    """The lowest of the curve from which on tags are surely right often enough.

    Surely: the 95 % interval of the precision lies above the least one, for a tag
    that is wrong is worse than none.
    """
    chosen = CURVE[-1]
    for threshold in reversed(CURVE):
        counts = count_tags(seen, labelled, TagThresholds(threshold))["all"]
        if wilson_interval(counts.right, counts.given)[0] < LEAST_PRECISION:
            break
        chosen = threshold
    return chosen


def _area(found: DetectedObject) -> int:
    return (found.right - found.left) * (found.bottom - found.top)
