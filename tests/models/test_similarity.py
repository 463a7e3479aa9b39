"""Groups of similar photos: what joins them, what does not, and which one stays."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import similarity
from models.blur import sharpness
from models.descriptors import (
    DESCRIPTOR_BYTES,
    DIGEST_BYTES,
    FEATURE_BYTES,
    LONGEST_BYTES,
    SUBJECT_BYTES,
    describe,
    similarities,
)
from models.exposure import exposure
from models.images import decode
from models.keeper import Shot, choose_keeper
from models.similarity import (
    Member,
    SimilarOptions,
    group_similar,
    recommend_deletion,
    similar_to,
)
from models.yolov3.features import TAG_BITS
from pipeline.evaluation.made_shots import alike_shots, degraded_copies, read_rgb

NOON = datetime(2024, 5, 4, 12)
PIXELS = SimilarOptions()
PAPER = SimilarOptions(method="paper")


def look(seed: int) -> bytes:
    patches = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return describe(np.asarray(cv2.resize(patches, (128, 96)), np.uint8))


def blend_looks(one: int, other: int, share: float) -> bytes:
    patches = [
        np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        for seed in (one, other)
    ]
    blended = ((1 - share) * patches[0] + share * patches[1]).astype(np.uint8)
    return describe(np.asarray(cv2.resize(blended, (128, 96)), np.uint8))


def alike(one: bytes, other: bytes) -> float:
    return float(similarities(one, [other])[0])


LOOKS = [look(seed) for seed in (1, 2, 3, 4, 6)]
# The first look as a backbone saw it, and as it saw something else.
SEEN = [
    LOOKS[0]
    + bytes(DIGEST_BYTES - 1)
    + b"x"
    + np.random.default_rng(seed).integers(-40, 40, FEATURE_BYTES, np.int8).tobytes()
    for seed in (1, 2)
]
# It was seen twice so surely once more: the tags that may be its subject.
MAY_BE = {
    tags: SEEN[0] + sum(TAG_BITS[tag] for tag in tags).to_bytes(SUBJECT_BYTES, "little")
    for tags in [(), ("person",), ("animal",), ("person", "animal"), ("food", "animal")]
}
NO_DETAIL = describe(np.zeros((96, 128, 3), np.uint8))


def shot(name: str, after_s: float = 0, **changes: Any) -> Shot:
    plain = Shot(
        id=name,
        taken_at=NOON + timedelta(seconds=after_s),
        timed=True,
        latitude=37.5,
        longitude=127.0,
        subject="person",
        sha256=f"sha-{name}",
        descriptor=LOOKS[0],
        sharpness=500.0,
        exposure=0.8,
        fingerprint="f1",
        shaken=False,
        dark=False,
        screenshot=False,
        damaged=False,
        pixels=12_000_000,
        decision=None,
    )
    return replace(plain, **changes)


def together(one: Shot, other: Shot, options: SimilarOptions = PIXELS) -> bool:
    found = {frozenset(group_similar([one, other], options))}
    assert found <= {frozenset(), frozenset({one.id, other.id})}
    # Fig. 4's question has the same answer, whichever is the given photo.
    assert [name for name, _ in similar_to(one, [one, other], options)] == [
        other.id for names in found if names
    ]
    assert [name for name, _ in similar_to(other, [one, other], options)] == [
        one.id for names in found if names
    ]
    return frozenset() not in found


def sets_of(groups: dict[str, Member]) -> set[frozenset[str]]:
    sets = defaultdict(set)
    for name, member in groups.items():
        sets[member.group].add(name)
    return {frozenset(names) for names in sets.values()}


@pytest.mark.parametrize("timed", [(True, False), (False, True), (False, False)])
def test_without_a_time_of_its_own_a_photo_must_look_more_alike(timed) -> None:
    # A blend of two looks, so alike that it lies between the two thresholds.
    blend = next(
        blended
        for share in np.linspace(0.05, 0.5, 46)
        if 0.45 < alike(LOOKS[0], blended := blend_looks(1, 2, share)) < 0.55
    )
    one, other = shot("a"), shot("b", 1, descriptor=blend)
    assert together(one, other)
    one, other = replace(one, timed=timed[0]), replace(other, timed=timed[1])
    assert not together(one, other)
    # The same look is enough, and Fig. 4 alone does not look.
    assert together(one, replace(other, descriptor=LOOKS[0]))
    assert together(one, other, PAPER)


def test_screenshots_are_only_similar_to_their_copies() -> None:
    one, other = shot("a", screenshot=True), shot("b", 1, screenshot=True)
    assert not together(one, other)
    assert not together(one, replace(other, screenshot=False))
    assert together(one, replace(other, sha256=one.sha256))
    assert together(one, other, PAPER)


def test_shots_of_one_thing_are_a_group_named_by_its_first() -> None:
    groups = group_similar([shot("b", 2), shot("a", 4), shot("c", 0)])
    assert set(groups) == {"a", "b", "c"}
    assert {member.group for member in groups.values()} == {"c"}
    assert {member.kind for member in groups.values()} == {"shot"}
    assert {member.similarity for member in groups.values()} == {1.0}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"descriptor": LOOKS[1]}, False),
        ({"taken_at": NOON + timedelta(seconds=179)}, True),
        ({"taken_at": NOON + timedelta(seconds=180)}, False),
        ({"taken_at": NOON - timedelta(hours=2)}, False),
        ({"subject": "animal"}, False),
        ({"subject": ""}, False),
        ({"subject": None}, True),
        ({"latitude": 37.5014}, True),
        ({"latitude": 37.5016}, False),
        ({"latitude": 37.4984}, False),
        ({"longitude": 127.0018}, True),
        ({"longitude": 127.0020}, False),
        ({"longitude": 126.9980}, False),
        ({"latitude": None, "longitude": None}, True),
        ({"longitude": None}, True),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_what_makes_two_photos_similar(changes: dict[str, Any], expected: bool) -> None:
    assert together(shot("a"), shot("b", **changes)) is expected
    assert together(shot("a", **changes), shot("b")) is expected


def test_two_photos_without_a_subject_can_be_similar() -> None:
    assert together(shot("a", subject=""), shot("b", subject=""))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("person", ("person", "animal")), ("animal", ("person", "animal")), True),
        # The network just misses it once.
        (("person", ("person",)), ("", ("person",)), True),
        # With a person, and without.
        (("person", ("person",)), ("", ()), False),
        (("person", ("person", "animal")), ("animal", ("animal",)), False),
        (("person", ("person",)), ("animal", ("person", "animal")), False),
        # What is common is the subject of neither.
        (("person", ("person", "animal")), ("food", ("food", "animal")), False),
        (("", ()), ("", ()), True),
    ],
    ids=str,
)
def test_the_subject_of_one_is_a_possible_one_of_the_other(
    one: tuple[str, tuple[str, ...]], other: tuple[str, tuple[str, ...]], expected: bool
) -> None:
    first = shot("a", subject=one[0], descriptor=MAY_BE[one[1]])
    second = shot("b", 1, subject=other[0], descriptor=MAY_BE[other[1]])
    assert together(first, second) is expected
    assert together(second, first) is expected
    # Fig. 4 alone asks for the same subject.
    assert together(first, second, PAPER) is (one[0] == other[0])


@pytest.mark.parametrize("fault", ["shaken", "dark"])
def test_a_subject_may_be_lost_in_the_dark_or_in_a_smear(fault: str) -> None:
    good, bad = shot("a"), shot("b", 1, subject="", **{fault: True})
    assert together(good, bad)
    assert not together(good, bad, PAPER)
    # The network saw something else, or nothing in a photo without that fault.
    assert not together(good, replace(bad, subject="food"))
    assert not together(good, replace(bad, **{fault: False}))
    # The better one stays.
    assert group_similar([good, bad])["b"].keeper == "a"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((0.0, 179.9995), (0.0, -179.9995), True),
        ((0.0, 179.999), (0.0, -179.999), False),
        ((0.0, 0.0), (0.0, 0.002), False),
        ((60.0, 10.0), (60.0, 10.0029), True),
        ((60.0, 10.0), (60.0, 10.0031), False),
        ((89.9999, 0.0), (89.9999, 180.0), True),
        ((-90.0, 0.0), (-90.0, 90.0), True),
        ((89.9, 0.0), (-89.9, 0.0), False),
    ],
)
def test_longitude_wraps_and_shrinks_towards_the_poles(
    one: tuple[float, float], other: tuple[float, float], expected: bool
) -> None:
    first = shot("a", latitude=one[0], longitude=one[1])
    second = shot("b", latitude=other[0], longitude=other[1])
    assert together(first, second) is expected
    assert together(first, second, PAPER) is expected


def at(hour: float, offset_h: float | None) -> datetime:
    zone = None if offset_h is None else timezone(timedelta(hours=offset_h))
    return datetime(2024, 5, 4, tzinfo=zone) + timedelta(hours=hour)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (at(12, 9), at(12, 9), True),
        (at(12, 9), at(12, None), True),
        (at(12, 9), at(13, None), False),
        (at(12, 9), at(12, 0), False),
        (at(21, 9), at(12, 0), True),
        (at(21, 9), at(12.02, 0), True),
        (at(21, 9), at(12.2, 0), False),
        (at(23, 14), at(0, -9), True),
    ],
)
def test_known_offsets_compare_instants(
    one: datetime, other: datetime, expected: bool
) -> None:
    assert together(shot("a", taken_at=one), shot("b", taken_at=other)) is expected


def test_offsets_far_apart_are_found_on_a_full_day() -> None:
    """The window in which to look is as wide as the zones of the day."""
    day = [
        shot(f"{n:03d}", taken_at=at(n / 20, 0), descriptor=LOOKS[1])
        for n in range(400)
    ]
    pair = [shot("x", taken_at=at(3, -9)), shot("y", taken_at=at(12, 0))]
    assert {"x", "y"} in sets_of(group_similar([*day, *pair]))


@pytest.mark.parametrize(
    "descriptor", [NO_DETAIL, b"", LOOKS[0] + b"x"], ids=["black", "none", "other"]
)
def test_frames_without_detail_are_not_similar(descriptor: bytes) -> None:
    dark = shot("a", descriptor=descriptor), shot("b", descriptor=descriptor)
    assert not together(*dark)
    assert together(*dark, PAPER)
    assert not together(dark[0], shot("c"))
    same_bytes = replace(dark[1], sha256=dark[0].sha256)
    assert together(dark[0], same_bytes)


def test_a_day_that_a_detector_saw_in_part_is_one_day() -> None:
    shots = [
        shot("a"),
        shot("b", 1, descriptor=SEEN[0]),
        shot("c", 2, descriptor=SEEN[0]),
        shot("d", 3, descriptor=SEEN[1]),
    ]
    assert sets_of(group_similar(shots)) == {frozenset("abcd")}
    # Where a detector saw both, it is asked.
    ((_, same), (_, plain), (_, other)) = similar_to(shots[1], shots)
    assert same == plain == 1.0
    assert PIXELS.similarity < other < 0.9
    assert [name for name, _ in similar_to(shots[1], shots)] == ["a", "c", "d"]


def test_the_paper_method_asks_for_no_pixels() -> None:
    one, other = shot("a"), shot("b", 20, descriptor=LOOKS[1])
    groups = group_similar([one, other], PAPER)
    assert sets_of(groups) == {frozenset("ab")}
    assert {member.similarity for member in groups.values()} == {None}
    assert not together(one, replace(other, subject="food"), PAPER)


def test_an_evening_is_no_chain() -> None:
    """Each photo is like the next, and the first is not like the last."""
    evening = [shot(f"{n:03d}", n * 30) for n in range(300)]
    groups = group_similar(evening)
    for names in sets_of(groups):
        numbers = sorted(int(name) for name in names)
        assert (numbers[-1] - numbers[0]) * 30 < SimilarOptions().time_s
    assert len(sets_of(groups)) >= 300 * 30 / 180


def test_a_slow_pan_is_no_chain() -> None:
    wide = np.random.default_rng(0).integers(0, 256, (10, 120, 3), dtype=np.uint8)
    wide = np.asarray(cv2.resize(wide, (2400, 200)), np.uint8)
    pan = [
        shot(f"{n:03d}", n / 5, descriptor=describe(wide[:, n * 5 : n * 5 + 250]))
        for n in range(300)
    ]
    assert all(together(one, other) for one, other in pairwise(pan))
    for names in sets_of(group_similar(pan)):
        numbers = sorted(int(name) for name in names)
        assert (numbers[-1] - numbers[0]) * 5 < 250


def test_copies_are_together_whatever_the_time_and_place() -> None:
    original = shot("a", sha256="same", descriptor=NO_DETAIL)
    copy = replace(
        original,
        id="b",
        taken_at=NOON + timedelta(hours=5),
        latitude=-10.0,
        subject="food",
    )
    groups = group_similar([copy, original])
    assert sets_of(groups) == {frozenset("ab")}
    assert {member.kind for member in groups.values()} == {"copy"}
    assert groups["a"].keeper == "a"


def test_copies_join_the_group_of_their_first() -> None:
    shots = [
        shot("a"),
        shot("b", 1, sharpness=900.0),
        shot("b2", 9000, sharpness=900.0, sha256="sha-b"),
        shot("b3", 9001, sharpness=900.0, sha256="sha-b"),
        shot("a2", 9002, sha256="sha-a"),
    ]
    groups = group_similar(shots)
    kinds = {name: member.kind for name, member in groups.items()}
    assert kinds == {"a": "shot", "a2": "copy", "b": "shot", "b2": "copy", "b3": "copy"}
    assert {member.keeper for member in groups.values()} == {"b"}


def test_the_original_of_a_kept_copy_is_the_copy() -> None:
    shots = [shot("a"), shot("a2", 1, sha256="sha-a", decision="keep"), shot("b", 2)]
    groups = group_similar(shots)
    kinds = {name: member.kind for name, member in groups.items()}
    assert kinds == {"a": "copy", "a2": "shot", "b": "shot"}


def test_the_most_similar_leader_wins() -> None:
    def edges(one: int, other: int) -> bytes:
        signs = np.zeros(DESCRIPTOR_BYTES, np.int8)
        signs[[0, 1, 2, -1]] = 1, one, other, 127
        return signs.tobytes()

    first, second = (
        shot("z", 0, descriptor=edges(100, 0)),
        shot("y", 1, descriptor=edges(0, 100)),
    )
    assert not together(first, second)
    between = shot("x", 2, descriptor=edges(60, 80))
    assert similar_to(between, [first, second]) == [("y", 0.8), ("z", 0.6)]
    groups = group_similar([first, second, between])
    assert sets_of(groups) == {frozenset("xy")}
    assert groups["x"].similarity == 0.8
    # On equal terms the earlier.
    halfway = replace(between, descriptor=edges(80, 80))
    assert sets_of(group_similar([first, second, halfway])) == {frozenset("xz")}


def test_similar_to_ranks_the_day() -> None:
    shots = [
        shot("a"),
        shot("b", 5),
        shot("c", 9, descriptor=LOOKS[1]),
        shot("d", 500),
        shot("e", 900, sha256="sha-a"),
    ]
    assert similar_to(shots[0], shots) == [("b", 1.0), ("e", 1.0)]
    assert similar_to(shots[0], shots[2:4]) == []
    assert [i for i, _ in similar_to(shots[0], shots, PAPER)] == ["b", "c", "e"]


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ({}, {"decision": "keep"}),
        ({"decision": "trash", "sharpness": 900.0}, {"shaken": True, "damaged": True}),
        ({"damaged": True, "sharpness": 900.0}, {"shaken": True}),
        ({"shaken": True, "exposure": 1.0}, {}),
        ({"dark": True, "sharpness": 900.0}, {}),
        ({"screenshot": True, "sharpness": 900.0}, {}),
        ({"sharpness": 100.0}, {}),
        ({"sharpness": None}, {}),
        ({"exposure": 0.4}, {}),
        ({"pixels": 1_000_000}, {}),
        # An enlarged copy has more pixels and no more to see.
        ({"pixels": 24_000_000, "sharpness": 150.0}, {}),
    ],
    ids=str,
)
def test_the_better_photo_is_kept(
    worse: dict[str, Any], better: dict[str, Any]
) -> None:
    for names in ("ab", "ba"):
        bad, good = shot(names[0], **worse), shot(names[1], **better)
        assert choose_keeper([bad, good]) is good
        assert group_similar([bad, good], PAPER)[bad.id].keeper == good.id


def test_scores_of_two_versions_are_not_compared() -> None:
    soft = shot("a", sharpness=210.0, fingerprint="old", pixels=6_000_000)
    sharp = shot("b", sharpness=150.0, fingerprint="new")
    assert choose_keeper([soft, sharp]) is sharp
    assert choose_keeper([replace(soft, fingerprint="new"), sharp]) is not sharp


def test_equals_keep_the_first() -> None:
    shots = [shot("a", 1), shot("c"), shot("b")]
    assert choose_keeper(shots) is shots[2]


def test_photos_that_are_all_trashed_stay_a_group() -> None:
    shots = [shot("a", decision="trash"), shot("b", decision="trash")]
    assert choose_keeper(shots) is shots[0]
    assert len(group_similar(shots)) == 2
    assert group_similar([*shots, shot("c")])["a"].keeper == "c"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"shaken": True}, True),
        ({"dark": True}, True),
        ({"screenshot": True}, True),
        ({"dark": True, "decision": "keep"}, False),
        ({"dark": True, "decision": "trash"}, True),
        ({"dark": True, "damaged": True}, False),
        ({"dark": True, "kept_for": 1}, False),
        ({"shaken": True, "screenshot": True, "kept_for": 2}, False),
    ],
    ids=str,
)
def test_a_photo_alone_is_recommended_for_its_faults(
    changes: dict[str, Any], expected: bool
) -> None:
    assert recommend_deletion(shot("a", **changes), None) is expected


def test_what_others_were_trashed_for_goes_only_for_another_that_stays() -> None:
    stayed = shot("stayed", 1, sharpness=100.0, kept_for=1, dark=True)
    better = shot("better", 2)
    assert not recommend_deletion(stayed, None)
    groups = group_similar([stayed, better])
    assert groups["stayed"].keeper == "better"
    assert recommend_deletion(stayed, groups["stayed"])


SHOTS = st.lists(
    st.builds(
        lambda **fields: shot("", **fields),
        taken_at=st.builds(
            lambda minute, offset_h: at(12 + minute / 30 + (offset_h or 0), offset_h),
            st.integers(0, 12),
            st.sampled_from([None, 0, 1, -5]),
        ),
        sha256=st.sampled_from([f"sha{n}" for n in range(30)]),
        descriptor=st.sampled_from([*LOOKS[:2], *SEEN, NO_DETAIL]),
        subject=st.sampled_from(["person", "", None]),
        latitude=st.sampled_from([37.5, 37.501, 37.502, None]),
        sharpness=st.sampled_from([None, 100.0, 500.0]),
        shaken=st.booleans(),
        dark=st.booleans(),
        screenshot=st.booleans(),
        damaged=st.booleans(),
        decision=st.sampled_from([None, "keep", "trash"]),
        kept_for=st.sampled_from([0, 0, 1]),
    ),
    max_size=25,
).map(lambda shots: [replace(one, id=f"id{place}") for place, one in enumerate(shots)])
METHODS = st.sampled_from([SimilarOptions(), PAPER])


@settings(deadline=None, max_examples=150)
@given(SHOTS, METHODS, st.randoms(use_true_random=False))
def test_order_of_arrival_is_nothing(
    shots: list[Shot], options: SimilarOptions, chance: random.Random
) -> None:
    shuffled = list(shots)
    chance.shuffle(shuffled)
    assert group_similar(shots, options) == group_similar(shuffled, options)


@settings(deadline=None, max_examples=150)
@given(SHOTS, METHODS)
def test_how_many_are_compared_at_once_is_nothing(
    shots: list[Shot], options: SimilarOptions
) -> None:
    at_once = group_similar(shots, options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similarity, "_BLOCK", 3)
        assert group_similar(shots, options) == at_once


@settings(deadline=None, max_examples=150)
@given(SHOTS, METHODS)
def test_every_group_keeps_one(shots: list[Shot], options: SimilarOptions) -> None:
    by_id = {one.id: one for one in shots}
    groups = group_similar(shots, options)
    for name, one in by_id.items():
        recommended = recommend_deletion(one, groups.get(name))
        assert not (recommended and one.decision == "keep")
        assert not (recommended and one.damaged)
        assert not (recommended and one.kept_for and name not in groups)
    for names in sets_of(groups):
        assert len(names) >= 2
        (keeper,) = {groups[name].keeper for name in names}
        assert keeper in names
        if any(by_id[name].decision != "trash" for name in names):
            assert by_id[keeper].decision != "trash"
        assert not recommend_deletion(by_id[keeper], groups[keeper])
        if any(by_id[name].decision == "keep" for name in names):
            assert by_id[keeper].decision == "keep"
        (group,) = {groups[name].group for name in names}
        assert group in names
        # Of each set of equal bytes at most one is no copy.
        shots_of_their_own = [
            by_id[n].sha256 for n in names if groups[n].kind == "shot"
        ]
        assert len(shots_of_their_own) == len(set(shots_of_their_own))


@settings(deadline=None, max_examples=100)
@given(SHOTS, METHODS)
def test_members_are_similar_to_their_leader(
    shots: list[Shot], options: SimilarOptions
) -> None:
    by_id = {one.id: one for one in shots}
    for name, member in group_similar(shots, options).items():
        one, leader = by_id[name], by_id[member.group]
        alike = dict(similar_to(leader, shots, options))
        # A copy stands where its first does.
        of_its_bytes = [i for i in by_id if by_id[i].sha256 == one.sha256]
        assert one is leader or any(i == leader.id or i in alike for i in of_its_bytes)


def test_no_photos_are_no_groups() -> None:
    assert group_similar([]) == {}
    assert group_similar([shot("a")]) == {}
    assert similar_to(shot("a"), []) == []


@pytest.mark.parametrize("span_s", [0, 86_000], ids=["one second", "all day"])
def test_a_day_of_5000_photos(span_s: int) -> None:
    rng = np.random.default_rng(0)
    signs = rng.integers(-40, 40, (2500, LONGEST_BYTES)).astype(np.int8)
    signs[:, 0] = 1
    # One detector saw every second thing.
    signs[:, DESCRIPTOR_BYTES : DESCRIPTOR_BYTES + DIGEST_BYTES] = 1
    lengths = [LONGEST_BYTES, DESCRIPTOR_BYTES]
    looks = [signs[n].tobytes()[: lengths[n % 2]] for n in range(2500)]
    times = np.sort(rng.uniform(0, span_s, 2500))
    # Each thing twice, a second apart.
    shots = [
        shot(f"{n}{twin}", times[n] + second, descriptor=looks[n])
        for n in range(2500)
        for second, twin in enumerate("ab")
    ]
    groups = group_similar(shots)
    assert sets_of(groups) == {frozenset({f"{n}a", f"{n}b"}) for n in range(2500)}


def real_shot(name: str, rgb: np.ndarray[Any, Any], pixels: int | None = None) -> Shot:
    return shot(
        name,
        descriptor=describe(rgb),
        sharpness=sharpness(rgb),
        exposure=exposure(rgb),
        pixels=pixels or rgb.shape[0] * rgb.shape[1],
    )


def files_of(shared_photos: Path) -> Sequence[Path]:
    return [
        *sorted((shared_photos / "detect").glob("coco_00000000*.jpg"))[:16],
        *sorted((shared_photos / "exif").glob("exifsample_*.jpg"))[:6],
        *sorted((shared_photos / "bright").glob("inet_*.jpg"))[:6],
    ]


def test_the_original_outlives_its_degraded_copies(shared_photos: Path) -> None:
    won, lost, judged = 0, defaultdict(int), 0
    for seed, file in enumerate(files_of(shared_photos)):
        made = degraded_copies(read_rgb(file.read_bytes()), seed, NOON)
        original, *copies = [(each.kind, decode(each.encoded)) for each in made]
        pixels = original[1].width * original[1].height
        first = real_shot("original", original[1].rgb, pixels)
        if first.sharpness is None:
            # A thumbnail, of which a blurred copy can not be told.
            continue
        judged += 1
        beaten = 0
        for kind, copy in copies:
            other = real_shot(kind, copy.rgb, copy.width * copy.height)
            # The copy is the earlier one, which wins where nothing else tells.
            other = replace(other, taken_at=NOON - timedelta(1))
            better = choose_keeper([other, first]) is first
            beaten += better
            lost[kind] += not better
        won += beaten == len(copies)
    # Of 162 photos that no constant was chosen on: 0.94 (0.89 to 0.97), short of the
    # goal, 0.95. Most of the rest lose to a copy with more light.
    assert judged >= 20
    assert won / judged >= 0.89, dict(lost)
    assert max(lost.values()) <= 0.1 * judged, dict(lost)


def test_shots_of_many_things_in_one_minute_and_place(shared_photos: Path) -> None:
    shots, thing = [], {}
    for seed, file in enumerate(files_of(shared_photos)[::2]):
        made = alike_shots(read_rgb(file.read_bytes()), seed, NOON)
        for number, each in enumerate(made):
            photo = decode(each.encoded)
            assert photo.capture.taken_at is not None
            one = real_shot(f"{seed}-{number}", photo.rgb)
            shots.append(replace(one, taken_at=photo.capture.taken_at, subject=None))
            thing[one.id] = seed
    together = {
        pair
        for names in sets_of(group_similar(shots))
        for pair in combinations(sorted(names), 2)
    }
    right = {pair for pair in together if thing[pair[0]] == thing[pair[1]]}
    alike = sum(thing[a] == thing[b] for a, b in combinations(sorted(thing), 2))
    # Measured of 384 photos: 1.000 and 0.994.
    assert len(right) / len(together) >= 0.98
    assert len(right) / alike >= 0.95


def test_one_tree_and_one_town(shared_photos: Path) -> None:
    """A walk around a tree is a few views of it; a walk in a town none of a thing."""
    shots = []
    for file in sorted((shared_photos / "bursts").iterdir()):
        if file.name.startswith(("monstree", "arezzo")):
            photo = decode(file.read_bytes())
            assert photo.capture.taken_at is not None
            shots.append(
                replace(
                    real_shot(file.name, photo.rgb),
                    taken_at=photo.capture.taken_at,
                    latitude=photo.capture.latitude,
                    longitude=photo.capture.longitude,
                )
            )
    groups = group_similar(shots)
    assert not any(name.startswith("arezzo") for name in groups)
    # The tree from behind is another view: not all twelve are one group.
    assert sum(name.startswith("monstree") for name in groups) >= 6
