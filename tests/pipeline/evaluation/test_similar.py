"""Groups against series."""

import pytest

from pipeline.evaluation.figures import PairMistake, Share
from pipeline.evaluation.similar import GroupedShot, similar_figures


def _shot(
    id_: str,
    series: str,
    group: str | None,
    kind: str = "original",
    *,
    made: bool = True,
    day: str = "1",
    keeper: str | None = None,
    alike_counts: bool = True,
) -> GroupedShot:
    return GroupedShot(
        f"/{id_}", series, kind, made, day, id_, group, keeper, alike_counts
    )


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


def test_dark_frames_only_must_not_be_grouped_with_others() -> None:
    dark = [
        _shot("x0", "x", "g", alike_counts=False),
        _shot("x1", "x", None, "darker", alike_counts=False),
        _shot("y0", "y", "g", alike_counts=False),
    ]
    figures = similar_figures(dark, [])
    assert figures is not None
    assert figures.recall == Share.of(0, 0)
    assert figures.precision == Share.of(0, 1)
    (kind,) = figures.kinds
    assert kind.kind == "different dark photos of one minute and place"
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
