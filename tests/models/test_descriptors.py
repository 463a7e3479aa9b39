"""The look of photos: contracts on made frames, figures on real ones."""

from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.descriptors import (
    DESCRIPTOR_BYTES,
    describe,
    exposure,
    pairwise_similarities,
    similarities,
)
from models.images import decode
from models.similarity import SimilarOptions

SIMILAR = SimilarOptions().similarity


def scene(seed: int, height: int = 384, width: int = 512) -> NDArray[np.uint8]:
    """A made frame of soft coloured patches, other ones for each seed."""
    patches = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(patches, (width, height)), np.uint8)


def alike(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    row = np.frombuffer(describe(other), np.uint8)[np.newaxis]
    return float(similarities(describe(one), row)[0])


def another_shot(rgb: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """As a hand would take it a moment later: turned, nearer, lighter, noisier."""
    rng = np.random.default_rng(seed)
    height, width = rgb.shape[:2]
    turn = cv2.getRotationMatrix2D(
        (width / 2, height / 2), rng.normal(0, 2.5), 1.1 * np.exp(rng.normal(0, 0.04))
    )
    turn[:, 2] += rng.normal(0, 0.03, 2) * (width, height)
    moved = cv2.warpAffine(rgb, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
    seen = moved * np.exp(rng.normal(0, 0.15)) + rng.normal(0, 4, rgb.shape)
    return np.clip(seen, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 512), (512, 1), (3, 2), (512, 20), (64, 64), (384, 512)]
)
def test_any_size_has_a_descriptor(size: tuple[int, int]) -> None:
    rgb = scene(0, *size)
    assert len(describe(rgb)) == DESCRIPTOR_BYTES <= 512
    assert describe(rgb) == describe(rgb.copy())
    assert 0 <= exposure(rgb) <= 1


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4)], ids=["gray", "alpha"])
def test_other_arrays_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        describe(np.zeros(shape, np.uint8))


def test_a_photo_is_like_itself_and_unlike_others() -> None:
    rows = np.stack([np.frombuffer(describe(scene(n)), np.uint8) for n in range(20)])
    found = pairwise_similarities(rows, rows)
    assert found.dtype == np.float32
    assert found.diagonal() == pytest.approx(1, abs=1e-6)
    assert (found[~np.eye(20, dtype=bool)] < SIMILAR).mean() > 0.98
    assert found.min() >= 0
    assert found.max() <= 1


def test_comparison_does_not_depend_on_the_company() -> None:
    rows = np.stack([np.frombuffer(describe(scene(n)), np.uint8) for n in range(40)])
    rows = np.concatenate([rows, rows[::-1]])
    found = pairwise_similarities(rows, rows)
    assert np.array_equal(found, found.T)
    assert np.array_equal(found[3], similarities(rows[3].tobytes(), rows))
    assert np.array_equal(found[3:4, 5:9], pairwise_similarities(rows[3:4], rows[5:9]))


def test_no_others_give_no_similarities() -> None:
    none = np.zeros((0, DESCRIPTOR_BYTES), np.uint8)
    assert similarities(describe(scene(0)), none).shape == (0,)


@pytest.mark.parametrize(
    "change",
    [
        lambda rgb: cv2.resize(rgb, (200, 150), interpolation=cv2.INTER_AREA),
        lambda rgb: rgb[12:372, 20:500],
        lambda rgb: (rgb * 0.6).astype(np.uint8),
        lambda rgb: cv2.GaussianBlur(rgb, (0, 0), 2),
        lambda rgb: another_shot(rgb, 1),
    ],
    ids=["smaller", "cropped", "darker", "blurred", "another shot"],
)
def test_shots_of_one_scene_are_alike(change) -> None:
    for seed in range(5):
        assert alike(scene(seed), change(scene(seed))) > SIMILAR


def test_frames_without_detail_are_like_nothing() -> None:
    rng = np.random.default_rng(0)
    plain = np.full((384, 512, 3), 128, np.uint8)
    sky = np.repeat(np.linspace(180, 195, 384)[:, np.newaxis], 512, 1)
    frames = [
        plain,
        plain * 0,
        np.clip(plain + rng.normal(0, 6, plain.shape), 0, 255).astype(np.uint8),
        np.clip(rng.normal(2, 2, plain.shape), 0, 255).astype(np.uint8),
        np.repeat(sky[:, :, np.newaxis], 3, 2).astype(np.uint8),
        np.full((1, 1, 3), 77, np.uint8),
    ]
    rows = np.stack([np.frombuffer(describe(frame), np.uint8) for frame in frames])
    # Not even like themselves.
    assert not pairwise_similarities(rows, rows).any()
    assert not similarities(describe(scene(0)), rows).any()


def test_exposure_is_lower_where_light_or_shadow_is_lost() -> None:
    rgb = scene(0)
    too_light = np.clip(rgb * 3.0, 0, 255).astype(np.uint8)
    assert exposure((rgb * 0.3).astype(np.uint8)) < exposure(rgb)
    assert exposure(too_light) < exposure(rgb)
    assert exposure(rgb) == round(exposure(rgb), 4)
    assert exposure(rgb * 0) < 0.1
    assert exposure(rgb * 0 + 255) < 0.1


def test_real_photos_are_told_apart(shared_photos: Path) -> None:
    """Another shot is found, another photo of the same folder is not."""
    found, missed, mistaken, pairs = 0, 0, 0, 0
    for folder, pattern in [
        ("exif", "exifsample_*.jpg"),
        ("detect", "coco_00000000*.jpg"),
        ("bright", "inet_*.jpg"),
    ]:
        files = sorted((shared_photos / folder).glob(pattern))[:60]
        photos = [decode(file.read_bytes()).rgb for file in files]
        rows = np.stack([np.frombuffer(describe(rgb), np.uint8) for rgb in photos])
        again = np.stack(
            [
                np.frombuffer(describe(another_shot(rgb, seed)), np.uint8)
                for seed, rgb in enumerate(photos)
            ]
        )
        similar = pairwise_similarities(rows, again) >= SIMILAR
        found += int(similar.diagonal().sum())
        missed += int((~similar.diagonal()).sum())
        others = ~np.eye(len(photos), dtype=bool)
        mistaken += int(similar[others].sum())
        pairs += int(others.sum())
    # Measured: 0.997 of 961 shots, and 0.0003 of 461,280 pairs.
    assert found / (found + missed) >= 0.97
    assert mistaken / pairs <= 0.002


def test_a_walk_through_a_town_is_no_series(shared_photos: Path) -> None:
    files = sorted((shared_photos / "bursts").glob("arezzo_*"))
    photos = [decode(file.read_bytes()).rgb for file in files]
    assert all(alike(a, b) < SIMILAR for a, b in combinations(photos, 2))


@pytest.mark.parametrize("pair", ["canon", "iphone"])
def test_hdr_on_and_off_is_one_scene(shared_photos: Path, pair: str) -> None:
    plain, hdr = (
        decode((shared_photos / "bursts" / f"hdrpair_{pair}_hdr_{x}.jpg").read_bytes())
        for x in ("NO", "YES")
    )
    assert alike(plain.rgb, hdr.rgb) > SIMILAR + 0.2
