"""From judged photos to the figures of a verdict."""

import random

import pytest

from models.accuracy import wilson_interval
from pipeline.evaluation.figures import Judged, Share, VerdictFigures
from pipeline.evaluation.judging import verdict_figures


def _photo(
    path: str,
    score: float | None,
    truth: bool | None = None,
    *,
    kind: str = "photo",
    presumed: bool = False,
    threshold: float = 0.5,
    held_out: bool = False,
) -> Judged:
    called = score is not None and score >= threshold
    return Judged(path, kind, truth, presumed, score, threshold, called, held_out, path)


def _figures(photos: list[Judged]) -> VerdictFigures:
    return verdict_figures(
        "dark", photos, score="dark probability", low_is_yes=False, threshold=0.5
    )


PHOTOS = [
    _photo("found", 0.9, True, kind="too dark", held_out=True),
    _photo("found too", 0.99, True, kind="too dark"),
    _photo("missed", 0.2, True, kind="too dark"),
    _photo("missed far", 0.01, True, kind="too dark"),
    _photo("fine", 0.1, False, kind="bright"),
    _photo("fine too", 0.3, False, kind="bright", held_out=True),
    _photo("wrong", 0.6, False, kind="night"),
    _photo("less wrong", 0.55, False, kind="night"),
    # Somebody said so, so nothing is presumed.
    _photo("very wrong", 0.95, False, kind="night", presumed=True),
    _photo("unknown", 0.99, None, kind="unsure", held_out=True),
    _photo("presumed", 0.8, None, kind="boxes", presumed=True, held_out=True),
    _photo("presumed fine", 0.0, None, kind="boxes", presumed=True),
]


def test_shares_count_what_is_labelled() -> None:
    figures = _figures(PHOTOS)
    assert (figures.yes, figures.no) == (4, 5)
    assert figures.precision == Share.of(2, 5)
    assert figures.recall == Share.of(2, 4)
    assert figures.accuracy == Share.of(4, 9)
    assert figures.false_alarms == Share.of(3, 5)
    assert figures.presumed == Share.of(1, 2)
    assert [photo.path for photo in figures.presumed_called] == ["presumed"]
    assert (figures.held_out, figures.presumed_held_out) == (2, 1)
    assert sorted(figures.yes_scores) == [0.01, 0.2, 0.9, 0.99]
    assert sorted(figures.no_scores) == [0.1, 0.3, 0.55, 0.6, 0.95]


def test_share_has_wilsons_interval() -> None:
    share = Share.of(3, 7)
    assert share.value == 3 / 7
    assert (share.low, share.high) == wilson_interval(3, 7)
    assert Share.of(0, 0).value is None


def test_auc_is_of_yes_against_no_and_against_each_kind() -> None:
    figures = _figures(PHOTOS)
    assert figures.auc is not None
    # 0.99 beats all five, 0.9 four, 0.2 one, 0.01 none.
    assert figures.auc.value == pytest.approx(10 / 20)
    assert figures.auc.groups == 9
    assert {
        kind.kind: kind.auc and kind.auc.value for kind in figures.kinds
    } == pytest.approx(
        {"too dark": None, "bright": 5 / 8, "night": 5 / 12, "boxes": None}
        | {"unsure": None}
    )


def test_kinds_tell_what_each_was_called() -> None:
    called = {
        (kind.kind, kind.truth, kind.presumed): kind.called
        for kind in _figures(PHOTOS).kinds
    }
    assert called == {
        ("too dark", True, False): Share.of(2, 4),
        ("bright", False, False): Share.of(0, 2),
        ("night", False, False): Share.of(3, 3),
        ("boxes", None, True): Share.of(1, 2),
        ("unsure", None, False): Share.of(1, 1),
    }
    assert [truth for _, truth, _ in called] == [True, False, False, None, None]


def test_worst_mistakes_come_first() -> None:
    # A wrong recommendation is worse than a missed one, however far that is off.
    assert [photo.path for photo in _figures(PHOTOS).mistakes] == [
        "very wrong",
        "wrong",
        "less wrong",
        "missed far",
        "missed",
    ]


def test_order_of_photos_changes_nothing() -> None:
    shuffled = PHOTOS[:]
    random.Random(0).shuffle(shuffled)
    assert _figures(shuffled) == _figures(PHOTOS)


def test_low_scores_can_mean_yes_and_none_never_does() -> None:
    photos = [
        Judged("flat", "blur", True, False, None, 200.0, False, False, "a"),
        Judged("shaken", "blur", True, False, 100.0, 200.0, True, False, "b"),
        Judged("sharp", "sharp", False, False, 900.0, 200.0, False, False, "c"),
        Judged("sharp too", "sharp", False, False, 800.0, 200.0, False, False, "c"),
        Judged("wall", "sharp", False, False, None, 200.0, False, False, "d"),
    ]
    figures = verdict_figures(
        "shaken", photos, score="sharpness", low_is_yes=True, threshold=200.0
    )
    # `flat` loses to the sharp ones and ties with `wall`.
    assert figures.auc is not None
    assert figures.auc.value == 3.5 / 6
    assert [photo.path for photo in figures.mistakes] == ["flat"]
    assert figures.yes_scores == (100.0,)
    assert figures.no_scores == (900.0, 800.0)


def test_one_side_alone_has_no_auc() -> None:
    figures = _figures([_photo("a", 0.9, True), _photo("b", 0.1, True)])
    assert figures.auc is None
    assert figures.presumed is None
    assert figures.recall == Share.of(1, 2)
    assert figures.false_alarms.value is None
