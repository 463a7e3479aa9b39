"""Tags and subjects against labelled objects."""

from models.tags import TAGS, DetectedObject, TagThresholds, judge_tags, subject_of
from pipeline.evaluation.figures import Share, SubjectMistake
from pipeline.evaluation.objects import Seen, object_figures

_THRESHOLDS = TagThresholds(0.3)


def _seen(
    path: str,
    labelled: set[str] | None,
    expected: set[str] | None,
    *objects: tuple[str, float],
) -> Seen:
    found = [DetectedObject(name, p, 0, 0, 100, 100) for name, p in objects]
    return Seen(
        path,
        None if labelled is None else frozenset(labelled),
        None if expected is None else frozenset(expected),
        found,
        judge_tags(found, _THRESHOLDS),
        subject_of(found, _THRESHOLDS),
    )


PHOTOS = [
    _seen("a", {"person", "bag"}, {"person"}, ("person", 0.9), ("handbag", 0.2)),
    _seen("b", {"animal"}, {"animal"}, ("dog", 0.4), ("person", 0.6)),
    _seen("c", set(), None, ("pizza", 0.35)),
    # Only its subject is known; either of the two would do.
    _seen("d", None, {"furniture", "device"}, ("refrigerator", 0.8)),
]


def test_tags_and_subject() -> None:
    figures = object_figures(PHOTOS, _THRESHOLDS)
    assert figures is not None
    assert figures.photos == 4
    # Given: person, animal, person, food; there: person, bag, animal.
    assert figures.overall.precision == Share.of(2, 4)
    assert figures.overall.recall == Share.of(2, 3)
    of_tag = {tag.name: tag for tag in figures.tags}
    assert tuple(of_tag) == TAGS
    assert of_tag["person"].precision == Share.of(1, 2)
    assert of_tag["bag"].recall == Share.of(0, 1)
    assert figures.subject == Share.of(2, 3)
    assert figures.mistakes == (SubjectMistake("b", ("animal",), "person"),)


def test_curve_trades_precision_for_recall() -> None:
    figures = object_figures(PHOTOS, _THRESHOLDS)
    assert figures is not None
    at = {point.threshold: point for point in figures.curve}
    assert min(at) == 0.1
    assert at[0.1].recall == Share.of(3, 3)
    assert at[0.1].precision == Share.of(3, 5)
    assert at[0.7].recall == Share.of(1, 3)
    assert at[0.7].precision == Share.of(1, 1)
    recalls = [point.recall.hits for point in figures.curve]
    assert recalls == sorted(recalls, reverse=True)


def test_nothing_labelled_has_no_figures() -> None:
    photos = [_seen("a", None, None, ("person", 0.9))]
    assert object_figures(photos, _THRESHOLDS) is None
