"""Groups of similar shots against the series that photos are of; pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

from pipeline.evaluation.figures import (
    KindFigures,
    PairFigures,
    PairMistake,
    Share,
    SimilarFigures,
)

ORIGINAL = "original"
REAL = "real series"
MADE = "made re-shots"
SUBJECT_IGNORED = "different photos, subject ignored"


@dataclass(frozen=True)
class GroupedShot:
    """A photo of a series, and where grouping put it.

    Attributes:
        series: Unique; photos of one are similar, those of two are not.
        kind: What it is: of a made photo what was done to it, else what its label
            calls its series.
        made: Out of another photo, or it is that photo.
        day: Photos of two days are never compared.
        id: Of the photo.
        group: Id of its group; None outside of groups.
        keeper: Id of the photo its group keeps; None outside of groups.
        frame: "dark" or "plain" if little is to be seen in it: it must not be
            grouped with another series, but need not be found alike within its own.
    """

    path: str
    series: str
    kind: str
    made: bool
    day: str
    id: str
    group: str | None
    keeper: str | None
    frame: str = ""


def similar_figures(
    shots: Sequence[GroupedShot],
    degraded: Sequence[GroupedShot],
    subject_ignored: Sequence[GroupedShot] = (),
) -> SimilarFigures | None:
    """Compare; None if there is nothing to compare.

    Args:
        shots: Whose pairs are judged.
        degraded: Series of an original and copies that are worse than it.
        subject_ignored: Made shots, as they are grouped without their subjects.
    """
    # By kind, whether they are alike, and whether they were made.
    found: Counter[tuple[str, bool, bool]] = Counter()
    pairs: Counter[tuple[str, bool, bool]] = Counter()
    mistakes = []
    for one, other in _alike(shots):
        kind = _pair_kind(one, other)
        pairs[kind, True, one.made] += 1
        if _together(one, other):
            found[kind, True, one.made] += 1
        else:
            mistakes.append(PairMistake((one.path, other.path), kind, True))
    for (kind, made), count in _different(shots).items():
        pairs[kind, False, made] += count
    for one, other in _wrongly_together(shots):
        kind = _different_kind(one)
        found[kind, False, one.made] += 1
        mistakes.append(PairMistake((one.path, other.path), kind, False))
    keeper, keeper_kinds, wrongly_kept = _keepers(degraded)
    if not pairs and keeper is None:
        return None

    def of(name: str, *sorts: bool) -> PairFigures:
        def count(counts: Counter[tuple[str, bool, bool]], alike: bool) -> int:
            return sum(
                n
                for (_, truth, made), n in counts.items()
                if truth is alike and made in sorts
            )

        right, wrong = count(found, True), count(found, False)
        return PairFigures(
            name=name,
            different=count(pairs, False),
            precision=Share.of(right, right + wrong),
            recall=Share.of(right, count(pairs, True)),
        )

    everything = of("all", True, False)
    return SimilarFigures(
        precision=everything.precision,
        recall=everything.recall,
        kinds=tuple(
            KindFigures(kind, truth, Share.of(found[kind, truth, made], n))
            for (kind, truth, made), n in sorted(
                pairs.items(), key=lambda item: (not item[0][1], item[0][2], item[0][0])
            )
        ),
        keeper=keeper,
        keeper_kinds=keeper_kinds,
        made=sum(shot.made for shot in (*shots, *degraded)),
        mistakes=tuple(sorted(mistakes, key=lambda pair: (pair.truth, pair.paths))),
        keeper_mistakes=wrongly_kept,
        sorts=tuple(
            of(name, made)
            for name, made in ((REAL, False), (MADE, True))
            if any(pair[2] is made for pair in pairs)
        ),
        subject_ignored=_without_subject(subject_ignored),
    )


def _without_subject(shots: Sequence[GroupedShot]) -> KindFigures | None:
    different = sum(_different(shots).values())
    if not different:
        return None
    wrong = sum(1 for _ in _wrongly_together(shots))
    return KindFigures(SUBJECT_IGNORED, False, Share.of(wrong, different))


def _by(
    shots: Iterable[GroupedShot], attribute: str
) -> Mapping[str, list[GroupedShot]]:
    of = defaultdict(list)
    for shot in sorted(shots, key=lambda shot: shot.path):
        if (value := getattr(shot, attribute)) is not None:
            of[value].append(shot)
    return of


def _alike(shots: Iterable[GroupedShot]) -> Iterator[tuple[GroupedShot, GroupedShot]]:
    counted = [shot for shot in shots if not shot.frame]
    for members in _by(counted, "series").values():
        yield from combinations(members, 2)


def _different(shots: Iterable[GroupedShot]) -> Counter[tuple[str, bool]]:
    """How many pairs of two series and one day there are; they are too many to list.

    Returns:
        Count by kind of pair, and whether they were made.
    """
    counts: Counter[tuple[str, bool]] = Counter()
    for of_day in _by(shots, "day").values():
        for made in (True, False):
            of_kind = [shot for shot in of_day if shot.made == made]
            if of_kind:
                same = sum(comb(len(s), 2) for s in _by(of_kind, "series").values())
                if different := comb(len(of_kind), 2) - same:
                    counts[_different_kind(of_kind[0]), made] += different
    return counts


def _wrongly_together(
    shots: Iterable[GroupedShot],
) -> Iterator[tuple[GroupedShot, GroupedShot]]:
    for members in _by(shots, "group").values():
        for one, other in combinations(members, 2):
            if one.series != other.series:
                yield one, other


def _together(one: GroupedShot, other: GroupedShot) -> bool:
    return one.group is not None and one.group == other.group


def _pair_kind(one: GroupedShot, other: GroupedShot) -> str:
    if not one.made:
        return one.kind
    kinds = {one.kind, other.kind} - {ORIGINAL}
    return kinds.pop() if len(kinds) == 1 else "two made shots of one photo"


def _different_kind(one: GroupedShot) -> str:
    if not one.made:
        return "photos of different series"
    return f"different {one.frame} photos of one minute and place".replace("  ", " ")


def _keepers(
    degraded: Sequence[GroupedShot],
) -> tuple[Share | None, tuple[KindFigures, ...], tuple[PairMistake, ...]]:
    """Where an original is grouped with its copies: whether it is the one kept."""
    path_of = {shot.id: shot for shot in degraded}
    right = grouped = 0
    kinds: dict[str, list[bool]] = defaultdict(list)
    mistakes = []
    for members in _by(degraded, "series").values():
        (original,) = (shot for shot in members if shot.kind == ORIGINAL)
        copies = [
            shot
            for shot in members
            if shot.kind != ORIGINAL and _together(shot, original)
        ]
        if not copies:
            continue
        grouped += 1
        right += original.keeper == original.id
        for copy in copies:
            kinds[copy.kind].append(original.keeper != copy.id)
        kept = path_of.get(original.keeper or "")
        if kept is not None and kept is not original:
            mistakes.append(PairMistake((original.path, kept.path), kept.kind, True))
    if not grouped:
        return None, (), ()
    return (
        Share.of(right, grouped),
        tuple(
            KindFigures(kind, True, Share.of(sum(kinds[kind]), len(kinds[kind])))
            for kind in sorted(kinds)
        ),
        tuple(mistakes),
    )
