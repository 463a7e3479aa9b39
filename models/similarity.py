"""Which photos of one day are shots of the same thing, and which of them to keep.

The answer is a function of the set of photos: no order of arrival can change it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from models.descriptors import pairwise_similarities, stack
from models.keeper import Shot, by_time, choose_keeper
from models.yolov3.features import TAG_BITS

VERSION: Final = 4

# Photos that are compared with the rest of their time window at once: enough to
# keep the matrix product busy, few enough for the worst day to fit in memory.
_BLOCK: Final = 128


@dataclass(frozen=True)
class SimilarOptions:
    """How alike two photos must be.

    The bounds are those of Fig. 4, which gives no values; all are exclusive.

    Attributes:
        method: "pixels" asks for Fig. 4 and a like look, "paper" for Fig. 4 alone.
        time_s: Bound of the difference in time, seconds (the paper's alpha).
        latitude_deg: Bound of the difference in latitude, degrees (gamma).
        longitude_deg: Bound of the difference in longitude, degrees at the
            equator (beta).
        similarity: Least likeness of the pixels, 0 to 1.
        untimed_similarity: The same where a camera did not write both times.
    """

    method: Literal["pixels", "paper"] = "pixels"
    time_s: float = 180.0
    latitude_deg: float = 0.0015
    longitude_deg: float = 0.0015
    # Of 226,128 pairs of different COCO photos one is as alike as 0.4 by the plain
    # descriptor and none with the backbone of Yolo-Fastest; of re-shots made by
    # code, 0.99 are. Below it are views of one park that are different photos.
    similarity: float = 0.4
    untimed_similarity: float = 0.6


@dataclass(frozen=True)
class Member:
    """A photo's place in a group of similar photos.

    Attributes:
        group: Id of the group: that of its first photo, by time and id.
        keeper: Id of the photo to keep.
        kind: "copy" if an earlier photo of the group or its keeper has the same
            bytes, else "shot". A keeper is a copy only if all the group is.
        similarity: To the first photo of the group, 0 to 1, 4 digits; None where
            pixels were not compared.
    """

    group: str
    keeper: str
    kind: Literal["copy", "shot"]
    similarity: float | None


_DEFAULTS: Final = SimilarOptions()


def group_similar(
    shots: Sequence[Shot], options: SimilarOptions = _DEFAULTS
) -> dict[str, Member]:
    """Group one user's photos of one day.

    In order of time, a photo joins the most similar of the leaders before it, or
    becomes a leader. Members are compared with their leader alone, so an evening
    of photos that each resemble the next does not become one group.

    Args:
        shots: In any order; ids are unique.
        options: How alike is alike.

    Returns:
        Photo id to membership, of photos in groups of two and more. Screenshots
        are only grouped with their copies.

    Source: Fig. 4, with absolute differences; leader clustering (Hartigan,
    Clustering Algorithms, 1975, ch. 3).
    """
    copies: dict[str, list[Shot]] = {}
    for shot in sorted(shots, key=by_time):
        copies.setdefault(shot.sha256, []).append(shot)
    firsts = [same[0] for same in copies.values()]
    groups: dict[str, list[tuple[Shot, float | None]]] = {}
    for first, (leader, similarity) in zip(
        firsts, _follow_leaders(firsts, options), strict=True
    ):
        groups.setdefault(leader.id, []).extend(
            (shot, similarity) for shot in copies[first.sha256]
        )
    members: dict[str, Member] = {}
    for group, scored in groups.items():
        keeper = choose_keeper([shot for shot, _ in scored])
        if len(scored) == 1 or keeper is None:
            continue
        all_copies = len({shot.sha256 for shot, _ in scored}) == 1
        seen = {keeper.sha256}
        # Copies stand behind each other, the earliest first.
        for shot, similarity in scored:
            copy = all_copies if shot is keeper else shot.sha256 in seen
            seen.add(shot.sha256)
            members[shot.id] = Member(
                group, keeper.id, "copy" if copy else "shot", similarity
            )
    return members


def similar_to(
    one: Shot, shots: Iterable[Shot], options: SimilarOptions = _DEFAULTS
) -> list[tuple[str, float]]:
    """The photos similar to a given one: Fig. 4's own question.

    Args:
        one: The given photo; it is not part of its own answer.
        shots: The photos of the same user and date.
        options: How alike is alike.

    Returns:
        Ids and similarities (4 digits; 1.0 for copies, and for all where pixels
        are not compared), the most similar first.
    """
    others = sorted((shot for shot in shots if shot.id != one.id), key=by_time)
    day = _Day([one, *others])
    matches, likeness = day.compare(np.array([0]), slice(1, None), options)
    found = []
    for shot, match, value in zip(others, matches[0], likeness[0], strict=True):
        if shot.sha256 == one.sha256:
            found.append((shot.id, 1.0))
        elif match:
            found.append((shot.id, round(float(value), 4)))
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def least_similarity(one: Shot, other: Shot, options: SimilarOptions) -> float | None:
    """How alike two photos must look; None where pixels are not compared."""
    if options.method == "paper":
        return None
    if one.timed and other.timed:
        return options.similarity
    return max(options.similarity, options.untimed_similarity)


def recommend_deletion(shot: Shot, member: Member | None) -> bool:
    """Whether to recommend a photo for deletion.

    Never against the user, never the keeper of a group, so never a whole group, also
    when the others are in the trash by now; and never a damaged photo: what is in the
    rest of it nobody has seen.
    """
    if shot.decision == "keep" or shot.damaged:
        return False
    if member is not None:
        return member.keeper != shot.id
    return not shot.kept_for and (shot.shaken or shot.dark or shot.screenshot)


def _follow_leaders(
    shots: Sequence[Shot], options: SimilarOptions
) -> list[tuple[Shot, float | None]]:
    """For photos by time and id: the leader, perhaps itself, and how similar."""
    day = _Day(shots)
    count = len(shots)
    leader = np.full(count, -1)
    best = np.full(count, -1.0, np.float32)
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        # Photos that already follow someone lead nobody.
        rows = start + np.flatnonzero(leader[start:stop] < 0)
        if not rows.size:
            continue
        # Among themselves first: who follows one of them is not compared with the rest.
        matches, likeness = day.compare(rows, slice(start, stop), options)
        for row, match, like in zip(rows, matches, likeness, strict=True):
            if leader[row] >= 0:
                continue
            leader[row], best[row] = row, 1.0
            after = slice(row + 1, stop)
            ahead = row + 1 - start
            # On equal terms the earlier leader stays.
            closer = match[ahead:] & (like[ahead:] > best[after])
            leader[after][closer] = row
            best[after][closer] = like[ahead:][closer]
        leaders = rows[leader[rows] == rows]
        rest = slice(stop, day.window_end(int(leaders[-1]), options.time_s))
        if rest.start >= rest.stop:
            continue
        matches, likeness = day.compare(leaders, rest, options)
        likeness[~matches] = -1
        # The first of equals, so the earlier leader stays.
        closest, nearest = likeness.argmax(0), likeness.max(0)
        closer = nearest > best[rest]
        leader[rest][closer] = leaders[closest[closer]]
        best[rest][closer] = nearest[closer]
    pixels = options.method == "pixels"
    return [
        (shots[index], round(float(value), 4) if pixels else None)
        for index, value in zip(leader, best, strict=True)
    ]


class _Day:
    """Columns of a day's photos, to compare blocks of them at once."""

    def __init__(self, shots: Sequence[Shot]) -> None:
        epoch = datetime(1970, 1, 1)
        clocks = (shot.taken_at.replace(tzinfo=None) for shot in shots)
        offsets = (shot.taken_at.utcoffset() for shot in shots)
        self._wall_s = _column((clock - epoch).total_seconds() for clock in clocks)
        self._offset_s = _column(
            None if offset is None else offset.total_seconds() for offset in offsets
        )
        self._screenshot = np.array([shot.screenshot for shot in shots], np.bool_)
        self._timed = np.array([shot.timed for shot in shots], np.bool_)
        self._latitude = _column(shot.latitude for shot in shots)
        self._longitude = _column(shot.longitude for shot in shots)
        self._looks = stack(shot.descriptor for shot in shots)
        subjects = [shot.subject for shot in shots]
        self._seen = np.array([subject is not None for subject in subjects], np.bool_)
        # A bit of a tag, or none for no subject.
        bits = [TAG_BITS.get(subject or "", 0) for subject in subjects]
        self._subject = np.array(bits, np.uint16)
        self._subjects = self._looks.subjects | self._subject
        # In the dark, or all a smear, nothing is to be seen of a subject.
        self._obscured = np.array(
            [shot.subject == "" and (shot.shaken or shot.dark) for shot in shots],
            np.bool_,
        )
        known = self._offset_s[~np.isnan(self._offset_s)]
        self._spread_s = float(np.ptp(known)) if known.size else 0.0

    def window_end(self, row: int, time_s: float) -> int:
        """Behind the last photo that can be within `time_s` of a row or of one before.

        Clocks of two zones can show very different times at one instant.
        """
        last = self._wall_s[row] + time_s + self._spread_s
        return int(np.searchsorted(self._wall_s, last, "right"))

    def compare(
        self, rows: NDArray[np.intp], span: slice, options: SimilarOptions
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Rows against a span: whether they are similar, and how alike they look.

        Returns:
            Two (rows, span) matrices. The likeness is 1 where it is not asked for.
        """
        others = np.arange(len(self._wall_s))[span]
        if options.method == "paper":
            likeness = np.ones((len(rows), len(others)), np.float32)
        else:
            likeness = pairwise_similarities(self._looks[rows], self._looks[span])
        # Few photos look alike, so the rest is asked of those few alone.
        similar = likeness >= np.float32(options.similarity)
        one, other = np.nonzero(similar)
        similar[one, other] = self._meet(rows[one], others[other], options)
        if options.method == "pixels":
            # Photos without a time of their own are all of one moment, so only
            # their look can tell them apart.
            timed = self._timed[rows][:, np.newaxis] & self._timed[span]
            similar &= timed | (likeness >= np.float32(options.untimed_similarity))
            # Screens of one program look alike whatever they say.
            drawn = self._screenshot[rows][:, np.newaxis] | self._screenshot[span]
            similar &= ~drawn
        return similar, likeness

    def _meet(
        self, one: NDArray[np.intp], other: NDArray[np.intp], options: SimilarOptions
    ) -> NDArray[np.bool_]:
        """Whether pairs of photos meet the conditions of Fig. 4."""
        time = self._wall_s[one] - self._wall_s[other]
        shift = self._offset_s[one] - self._offset_s[other]
        # Two known offsets make instants; without, there is only what clocks showed.
        time = np.abs(time - np.nan_to_num(shift))
        north = np.abs(self._latitude[one] - self._latitude[other])
        east = np.abs(self._longitude[one] - self._longitude[other])
        # Longitude wraps, and its degrees shrink with the cosine of the latitude.
        middle = np.radians((self._latitude[one] + self._latitude[other]) / 2)
        east = np.minimum(east, 360 - east) * np.cos(middle)
        near = (north < options.latitude_deg) & (east < options.longitude_deg)
        nowhere = np.isnan(north) | np.isnan(east)
        alike = self._share_subject(one, other, options)
        return np.asarray((time < options.time_s) & (near | nowhere) & alike)

    def _share_subject(
        self, one: NDArray[np.intp], other: NDArray[np.intp], options: SimilarOptions
    ) -> NDArray[np.bool_]:
        """Whether pairs of photos have one subject, as far as a detector can tell."""
        alike = self._subject[one] == self._subject[other]
        if options.method == "pixels":
            # Which of several things dominates, and whether one is seen at all,
            # changes from shot to shot: that of one has to be possible in the other.
            missing = self._subject[one] & ~self._subjects[other]
            missing |= self._subject[other] & ~self._subjects[one]
            alike |= missing == 0
            alike |= self._obscured[one] | self._obscured[other]
        return np.asarray(alike | ~self._seen[one] | ~self._seen[other])


def _column(values: Iterable[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if v is None else v for v in values], np.float64)
