"""Groups against series."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from models.descriptors import describe
from models.similarity import SimilarOptions
from pipeline.evaluation import making
from pipeline.evaluation.figures import PairMistake, Share
from pipeline.evaluation.similar import GroupedShot, similar_figures
from store.records import DayPhoto


def _shot(
    id_: str,
    series: str,
    group: str | None,
    kind: str = "original",
    *,
    made: bool = True,
    day: str = "1",
    keeper: str | None = None,
    frame: str = "",
) -> GroupedShot:
    return GroupedShot(f"/{id_}", series, kind, made, day, id_, group, keeper, frame)


SHOTS = [
    _shot("a0", "a", "g"),
    _shot("a1", "a", "g", "cropped"),
    _shot("a2", "a", None, "darker"),
    # Of another thing, and yet in the group.
    _shot("b0", "b", "g"),
    _shot("c0", "c", None),
    _shot("d0", "d", None, day="2"),
]


def test_pairs() -> None:
    figures = similar_figures(SHOTS, [])
    assert figures is not None
    # Together: a0 a1, a0 b0, a1 b0; one of three pairs of `a` is found.
    assert figures.recall == Share.of(1, 3)
    assert figures.precision == Share.of(1, 3)
    assert {(k.kind, k.truth): k.called for k in figures.kinds} == {
        ("cropped", True): Share.of(1, 1),
        ("darker", True): Share.of(0, 1),
        ("two made shots of one photo", True): Share.of(0, 1),
        # a and b, a and c, b and c; d is of another day.
        ("different photos of one minute and place", False): Share.of(2, 7),
    }
    assert figures.made == 6
    assert figures.keeper is None
    # Wrongly called ones first.
    assert [pair.truth for pair in figures.mistakes] == [False, False, True, True]
    assert figures.mistakes[0].paths == ("/a0", "/b0")


@pytest.mark.parametrize("frame", ["dark", "plain"])
def test_frames_of_little_only_must_not_be_grouped_with_others(frame: str) -> None:
    frames = [
        _shot("x0", "x", "g", frame=frame),
        _shot("x1", "x", None, "darker", frame=frame),
        _shot("y0", "y", "g", frame=frame),
    ]
    figures = similar_figures(frames, [])
    assert figures is not None
    assert figures.recall == Share.of(0, 0)
    assert figures.precision == Share.of(0, 1)
    (kind,) = figures.kinds
    assert kind.kind == f"different {frame} photos of one minute and place"
    assert kind.called == Share.of(1, 2)


def test_real_series_are_told_by_name() -> None:
    shots = [
        _shot("t0", "tree", "t", "tree", made=False),
        _shot("t1", "tree", "t", "tree", made=False),
        _shot("u0", "other", None, "walk", made=False),
    ]
    figures = similar_figures(shots, [])
    assert figures is not None
    assert {(k.kind, k.truth): k.called for k in figures.kinds} == {
        ("tree", True): Share.of(1, 1),
        ("photos of different series", False): Share.of(0, 2),
    }
    assert figures.made == 0


def test_real_and_made_series_are_told_apart() -> None:
    real = [
        _shot("t0", "tree", "t", "tree", made=False, day="r"),
        _shot("t1", "tree", None, "tree", made=False, day="r"),
        _shot("u0", "other", "t", "walk", made=False, day="r"),
    ]
    figures = similar_figures([*SHOTS, *real], [])
    assert figures is not None
    assert {
        sort.name: (sort.precision, sort.recall, sort.different)
        for sort in figures.sorts
    } == {
        "real series": (Share.of(0, 1), Share.of(0, 1), 2),
        "made re-shots": (Share.of(1, 3), Share.of(1, 3), 7),
    }
    assert figures.recall == Share.of(1, 4)
    made = similar_figures(SHOTS, [])
    assert made is not None
    assert [sort.name for sort in made.sorts] == ["made re-shots"]


def test_pairs_that_a_subject_can_not_part_count_apart() -> None:
    joined = [dataclasses.replace(shot, group="g") for shot in SHOTS[:5]]
    figures = similar_figures(SHOTS, [], joined)
    plain = similar_figures(SHOTS, [])
    assert figures is not None
    assert plain is not None
    assert plain.subject_ignored is None
    assert figures.subject_ignored is not None
    assert figures.subject_ignored.called == Share.of(7, 7)
    # They change nothing else.
    assert dataclasses.replace(figures, subject_ignored=None) == plain


def test_what_is_stored_is_grouped_once_more_without_subjects(monkeypatch) -> None:
    look = describe(np.random.default_rng(1).integers(0, 256, (96, 128, 3), np.uint8))

    def photo(id_: str, subject: str) -> DayPhoto:
        # Whatever else is stored of a photo says nothing.
        nothing = dict.fromkeys(field.name for field in dataclasses.fields(DayPhoto))
        return DayPhoto(
            **{
                **nothing,
                "id": id_,
                "taken_at": "2024-05-04T12:00:00+00:00",
                "time_source": "exif",
                "sha256": id_,
                "pixels": 9,
                "subject": subject,
                "sharpness": 9.0,
                "exposure": 1.0,
                "descriptor": look,
            }
        )

    # One look, two things: nothing but the subject can part them.
    day = [photo("a", "person"), photo("b", "animal")]
    store = SimpleNamespace(
        search=lambda query: [{"date": "d"}] * 2 if query.user_id == "alike" else [],
        day=lambda user, date: day,
        close=lambda: None,
    )
    monkeypatch.setattr(making, "open_store", lambda url: store)
    settings = SimpleNamespace(store_url="", similar=SimilarOptions())
    scorer = SimpleNamespace(settings=settings)
    shots = [_shot("a", "a", None), _shot("b", "b", None)]
    again = making._without_subject(shots, ("alike", "dark"), scorer)
    assert [shot.group for shot in again] == ["a", "a"]
    figures = similar_figures(shots, [], again)
    assert figures is not None
    assert figures.subject_ignored is not None
    assert figures.subject_ignored.called == Share.of(1, 1)


@pytest.mark.parametrize(
    ("keeper", "right"), [("o", 1), ("n", 0)], ids=["original", "noisy copy"]
)
def test_keeper(keeper: str, right: int) -> None:
    degraded = [
        _shot("o", "a", "g", keeper=keeper),
        _shot("n", "a", "g", "noisy", keeper=keeper),
        _shot("b", "a", "g", "blurred", keeper=keeper),
        # Not grouped with its copies, so nothing was chosen.
        _shot("p", "b", None),
        _shot("q", "b", None, "noisy"),
    ]
    figures = similar_figures([], degraded)
    assert figures is not None
    assert figures.keeper == Share.of(right, 1)
    assert {kind.kind: kind.called for kind in figures.keeper_kinds} == {
        "noisy": Share.of(right, 1),
        "blurred": Share.of(1, 1),
    }
    wrong = PairMistake(("/o", "/n"), "noisy", True)
    assert figures.keeper_mistakes == (() if right else (wrong,))


def test_nothing_to_compare() -> None:
    assert similar_figures([], []) is None
    assert similar_figures([_shot("a", "a", None)], []) is None
