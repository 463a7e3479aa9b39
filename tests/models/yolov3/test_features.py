"""What a backbone adds to a descriptor: contracts, and what it finds in real photos."""

from datetime import datetime
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.descriptors import (
    DESCRIPTOR_BYTES,
    DIGEST_BYTES,
    FEATURE_BYTES,
    SUBJECT_BYTES,
    describe,
    similarities,
    stack,
)
from models.images import decode
from models.keeper import Shot
from models.similarity import SimilarOptions, group_similar
from models.tags import (
    COCO_NAMES,
    CONFIDENCE_FLOOR,
    DetectedObject,
    TagThresholds,
    objects_in,
    subject_of,
)
from models.yolov3.boxes import prepare
from models.yolov3.cfg import load_cfg, parse_cfg
from models.yolov3.detector import Detector, detect, load_detector
from models.yolov3.features import TAG_BITS, embed, feature_layer
from pipeline.evaluation.made_shots import alike_shots, read_rgb

NOON = datetime(2024, 5, 4, 12)
SIMILAR = SimilarOptions().similarity


def numbers(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def values_of(embedded: bytes) -> NDArray[np.int8]:
    return np.frombuffer(embedded[DIGEST_BYTES:-SUBJECT_BYTES], np.int8)


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    a, b = (values_of(embed(f, "x")).astype(float) for f in (one, other))
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("yolov3", 61),
        ("yolov3-tiny", 8),
        ("yolo-fastest-1.1", 80),
        ("yolo-fastest-1.1-xl", 80),
    ],
)
def test_the_layer_is_the_end_of_the_stage_of_stride_16(
    shared_models: Path, name: str, layer: int
) -> None:
    network = load_cfg(shared_models / f"{name}.cfg")
    assert feature_layer(network) == layer
    assert network.shapes[layer][:2] == (network.height // 16, network.width // 16)


HEAD = """[convolutional]
filters=18
size=1
[yolo]
mask=0,1,2
anchors=1,1, 2,2, 3,3
classes=1
num=3
"""
STAGE = "[convolutional]\nfilters=4\nsize=3\nstride=2\npad=1\n"


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (STAGE * 3 + "[upsample]\nstride=2\n[route]\nlayers=-1,1\n", 1),
        (STAGE * 3 + "[upsample]\nstride=2\n[route]\nlayers=1,-1\n", 1),
        # Neither a route to one layer, nor one that joins layers of one stage.
        (STAGE * 3 + "[route]\nlayers=-1,-1\n[route]\nlayers=0\n", 4),
        (STAGE, 0),
        ("", 0),
    ],
    ids=["upsampled first", "upsampled last", "no upsample", "one layer", "none"],
)
def test_the_layer_of_a_network_of_any_kind(layers: str, expected: int) -> None:
    network = parse_cfg("[net]\nwidth=64\nheight=64\nchannels=3\n" + layers + HEAD)
    assert feature_layer(network) == expected


@pytest.mark.parametrize(
    "shape", [(1, 1, 3), (2, 2, 4), (1, 7, 5), (3, 3, 1), (10, 13, 24), (26, 26, 512)]
)
def test_any_layer_is_embedded(shape: tuple[int, int, int]) -> None:
    features = numbers(*shape)
    embedded = embed(features, "x")
    assert len(embedded) == DIGEST_BYTES + FEATURE_BYTES + SUBJECT_BYTES
    assert len(embedded) + DESCRIPTOR_BYTES <= 512
    assert embedded == embed(features.copy(), "x")


def test_only_a_layer_is_embedded() -> None:
    with pytest.raises(ValueError, match="expected"):
        embed(numbers(1, 10, 10, 4), "x")


def test_the_bytes_are_the_same_for_ever() -> None:
    # Simple numbers, which no machine computes otherwise.
    ramp = np.arange(6 * 6 * 4, dtype=np.float32).reshape(6, 6, 4) % 7
    assert embed(ramp, "x").hex()[:40] == "2d711642fc18e8f923ddf9f923ddf907fc2318e8"


def test_detectors_differ_in_their_digest_alone() -> None:
    one, other = embed(numbers(6, 6, 8), "one"), embed(numbers(6, 6, 8), "other")
    assert one[:DIGEST_BYTES] != other[:DIGEST_BYTES]
    assert one[DIGEST_BYTES:] == other[DIGEST_BYTES:]


@pytest.mark.parametrize("value", [0.0, 3.0, 1e30, np.nan, np.inf, -np.inf])
def test_what_is_the_same_everywhere_or_no_number_is_nought(value: float) -> None:
    with np.errstate(all="raise"):
        assert not values_of(embed(np.full((6, 6, 8), value, np.float32), "x")).any()


def test_one_broken_number_does_not_pass_for_many() -> None:
    features = numbers(6, 6, 8)
    features[2, 3, 4] = np.inf
    assert not values_of(embed(features, "x")).any()


def seen(name: str, confidence: float, side_px: int = 100) -> DetectedObject:
    return DetectedObject(name, confidence, 0, 0, side_px, side_px)


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ([], set()),
        # Too unsure to be seen, and yet it may be there.
        ([seen("cat", 0.1)], {"animal"}),
        ([seen("cat", 0.6), seen("person", 0.6)], {"animal", "person"}),
        # Twice as large, it is the larger one, or not.
        ([seen("cat", 0.6), seen("person", 0.6, 51)], {"animal", "person"}),
        ([seen("cat", 0.6), seen("person", 0.6, 49)], {"animal"}),
        ([seen("cat", 0.6), seen("person", 0.6, 49), seen("dog", 0.6)], {"animal"}),
        # No tag.
        ([seen("bench", 0.9)], set()),
    ],
    ids=[
        "nothing",
        "too unsure",
        "two alike",
        "just over half as wide",
        "just under half as wide",
        "two of a tag, and a smaller one",
        "without a tag",
    ],
)
def test_subjects_that_are_possible(
    objects: list[DetectedObject], expected: set[str]
) -> None:
    for features in (numbers(6, 6, 8), np.zeros((6, 6, 8), np.float32)):
        look = bytes(DESCRIPTOR_BYTES) + embed(features, "x", objects)
        (bits,) = stack([look]).subjects
        assert {tag for tag, bit in TAG_BITS.items() if bits & bit} == expected


def test_neither_scale_nor_what_is_everywhere_counts() -> None:
    features = numbers(9, 9, 8)
    assert embed(features * 4, "x") == embed(features, "x")
    raised = features + numbers(8, seed=1) * 10
    assert cosine(raised, features) > 0.999


def test_places_count() -> None:
    features = numbers(9, 9, 256)
    assert abs(cosine(features, features[:, ::-1])) < 0.4
    assert abs(cosine(features, numbers(9, 9, 256, seed=1))) < 0.4
    assert cosine(features, features + numbers(9, 9, 256, seed=1) / 4) > 0.9


def test_noise_of_another_processor_changes_next_to_nothing() -> None:
    features = numbers(20, 20, 48)
    noisy = features * (1 + 1e-5 * numbers(20, 20, 48, seed=1))
    change = np.abs(
        values_of(embed(features, "x")).astype(int) - values_of(embed(noisy, "x"))
    )
    assert change.max() <= 1
    assert change.sum() <= 2


@pytest.fixture(scope="module")
def detector(shared_models: Path) -> Detector:
    name = shared_models / "yolo-fastest-1.1-xl"
    cfg = name.with_name(name.name + ".cfg")
    weights = name.with_name(name.name + ".weights")
    return load_detector(cfg, weights)


def looks_of(detector: Detector, rgbs: list[NDArray[np.uint8]]) -> list[bytes]:
    images = np.stack([prepare(rgb, detector.network, "stretch") for rgb in rgbs])
    _, features = detector.run(images)
    return [
        describe(rgb) + embed(of_photo, "xl")
        for rgb, of_photo in zip(rgbs, features, strict=True)
    ]


def moved_nearer(rgb: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Turned a little, a third nearer and aside, and lighter or darker."""
    rng = np.random.default_rng(seed)
    height, width = rgb.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 4), 1.3)
    turn[:, 2] += rng.choice([-0.09, 0.09], 2) * (width, height)
    moved = cv2.warpAffine(rgb, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.clip(moved * np.exp(rng.normal(0, 0.25)), 0, 255).astype(np.uint8)


def test_a_backbone_finds_more_shots_and_no_other_photos(
    shared_photos: Path, detector: Detector
) -> None:
    files = sorted((shared_photos / "detect").glob("coco_*.jpg"))[::10]
    photos = [decode(file.read_bytes()).rgb for file in files]
    looks = looks_of(detector, photos)
    moved = looks_of(detector, [moved_nearer(rgb, n) for n, rgb in enumerate(photos)])
    found = np.stack([similarities(look, moved) for look in looks]) >= SIMILAR
    plain = [look[:DESCRIPTOR_BYTES] for look in moved]
    found_plain = np.stack([similarities(look, plain) for look in looks]) >= SIMILAR
    assert found.diagonal().sum() >= found_plain.diagonal().sum() + 3
    assert not found[~np.eye(len(looks), dtype=bool)].any()


def test_shots_of_one_thing_may_have_different_subjects(
    shared_photos: Path, detector: Detector
) -> None:
    def shots_of(seed: int, file: Path) -> list[Shot]:
        made = alike_shots(read_rgb(file.read_bytes()), seed, NOON)
        photos = [decode(each.encoded) for each in made]
        rgbs = [photo.rgb for photo in photos]
        found = detect(detector, rgbs, resize="stretch", threshold=CONFIDENCE_FLOOR)
        shots = []
        for n, (photo, (seen_in, features)) in enumerate(
            zip(photos, found, strict=True)
        ):
            objects = objects_in(seen_in, COCO_NAMES, photo.width, photo.height)
            shots.append(
                Shot(
                    id=f"{seed}-{n}",
                    taken_at=photo.capture.taken_at or NOON,
                    timed=True,
                    latitude=None,
                    longitude=None,
                    subject=subject_of(objects, TagThresholds()),
                    sha256=f"{seed}-{n}",
                    descriptor=describe(photo.rgb) + embed(features, "xl", objects),
                    sharpness=None,
                    exposure=0.5,
                    fingerprint="f1",
                    shaken=False,
                    dark=False,
                    screenshot=False,
                    damaged=False,
                    pixels=1,
                    decision=None,
                )
            )
        return shots

    files = sorted((shared_photos / "detect").glob("coco_*.jpg"))[5::50]
    series = [shots_of(seed, file) for seed, file in enumerate(files)]
    groups = group_similar([shot for shots in series for shot in shots])
    found, blind, pairs = 0, 0, 0
    for shots in series:
        for one, other in combinations(shots, 2):
            pairs += 1
            blind += one.subject == other.subject
            group = groups.get(one.id), groups.get(other.id)
            found += None not in group and group[0].group == group[1].group
    # Of 384 photos: 0.94, and 0.85 where only the same subject will do.
    assert found / pairs >= 0.9
    assert blind / pairs < found / pairs
    assert all(
        member.group.split("-")[0] == name.split("-")[0]
        for name, member in groups.items()
    )


def test_the_same_photo_at_half_size_stays_alike(
    shared_photos: Path, detector: Detector
) -> None:
    files = sorted((shared_photos / "detect").glob("coco_*.jpg"))[::40]
    photos = [decode(file.read_bytes()).rgb for file in files]
    halves = [
        np.asarray(cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        for rgb in photos
    ]
    for look, half in zip(
        looks_of(detector, photos), looks_of(detector, halves), strict=True
    ):
        assert similarities(look, [half])[0] > 0.8


def test_a_walk_through_a_town_is_no_series(
    shared_photos: Path, detector: Detector
) -> None:
    files = sorted((shared_photos / "bursts").glob("arezzo_*"))
    looks = looks_of(detector, [decode(file.read_bytes()).rgb for file in files])
    assert all(similarities(a, [b])[0] < SIMILAR for a, b in combinations(looks, 2))
