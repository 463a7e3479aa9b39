"""Exposure: what makes it lower, and what does not."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.areas import area_sums
from models.exposure import _flat, _flattest, _halved, _tile_sums, exposure


def scene(height: int = 384, width: int = 512) -> NDArray[np.uint8]:
    """Soft coloured patches: some flat parts, no noise."""
    patches = np.random.default_rng(0).integers(0, 230, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(patches, (width, height)), np.uint8)


def stored(pixels: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.clip(pixels, 0, 255).astype(np.uint8)


def noisy(deviation: float) -> NDArray[np.uint8]:
    noise = np.random.default_rng(1).normal(0, deviation, scene().shape)
    return stored(scene() + noise)


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 512), (512, 1), (3, 2), (17, 17), (18, 18), (384, 512)]
)
def test_any_size_has_an_exposure(size: tuple[int, int]) -> None:
    found = exposure(scene(*size))
    assert 0 <= found <= 1
    assert found == round(found, 4)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 2), (57, 83)])
def test_flat_is_where_opencv_finds_no_range(size: tuple[int, int]) -> None:
    gray = (np.random.default_rng(6).random(size) > 0.9).astype(np.uint8)
    gray[3:9, 5:11] = 7
    ranges = cv2.morphologyEx(gray, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    assert _flat(gray) == pytest.approx(np.mean(np.asarray(ranges) == 0))


def test_noise_is_immerkaer_s() -> None:
    """His mask, at each pixel of the one tile there is."""
    rng = np.random.default_rng(5)
    gray = rng.integers(100, 110, (18, 18), np.uint8)
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float64)
    response = np.abs(cv2.filter2D(gray.astype(np.float64), -1, mask))[1:-1, 1:-1]
    sums = _tile_sums(gray)
    np.testing.assert_array_equal(sums, [[response.sum()], [gray[1:-1, 1:-1].sum()]])


def test_the_flattest_tenth_is_numpy_s_of_tiles_neither_black_nor_white() -> None:
    responses, levels = np.random.default_rng(7).integers(0, 256, (2, 40)) * 256
    told = responses[(levels > 16 * 256) & (levels < 240 * 256)] / 256
    assert _flattest(np.stack([responses, levels])) == pytest.approx(
        np.percentile(told, 10)
    )
    # With nothing but black and white, there is no choice.
    assert _flattest(np.stack([responses, levels * 0])) == pytest.approx(
        np.percentile(responses / 256, 10)
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(2, 3), (3, 2), (3, 3), (40, 57), (41, 56), (41, 57)])
def test_half_of_an_odd_size_is_the_average_of_areas(
    size: tuple[int, int], channels: int
) -> None:
    pixels = np.random.default_rng(8).integers(0, 256, (*size, channels), np.uint8)
    means = area_sums(pixels, size[0] // 2, size[1] // 2) / (size[0] * size[1])
    assert np.array_equal(_halved(pixels), np.rint(means))
    assert np.array_equal(_halved(pixels[:, :, 0].copy()), np.rint(means)[:, :, 0])


def test_exposure_is_the_same_in_any_layout_and_thread() -> None:
    rgb = noisy(8)
    odd = [np.ascontiguousarray(rgb[n:-3, : 251 - 9 * n]) for n in range(8)]
    alone = [exposure(one) for one in odd]
    assert len(set(alone)) > 1
    assert [exposure(np.asfortranarray(one)) for one in odd] == alone
    assert [exposure(rgb[n:-3, : 251 - 9 * n]) for n in range(8)] == alone
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(exposure, odd * 8)) == alone * 8


def test_lost_light_and_lost_shadow_count() -> None:
    rgb = scene()
    assert exposure(stored(rgb * 0.3)) < exposure(rgb)
    assert exposure(stored(rgb * 2.0)) < exposure(rgb) - 0.1
    assert exposure(rgb * 0) < 0.1
    assert exposure(rgb * 0 + 255) < 0.1


def test_darkening_brings_no_lost_light_back() -> None:
    gray = scene()[:, :, :1].repeat(3, axis=2)
    lost = stored(gray * 2.0)
    assert exposure(lost) < exposure(gray) - 0.2
    # What is lost is not of one level any more.
    noise = np.random.default_rng(1).normal(0, 1.5, gray.shape)
    darker = stored(lost * 0.4 + noise)
    assert exposure(darker) < exposure(lost) + 0.1


def test_noise_counts_from_what_is_usual_on() -> None:
    clean, usual, much = exposure(scene()), exposure(noisy(2)), exposure(noisy(20))
    # A little, as noise hides the brightest parts.
    assert abs(usual - clean) < 0.05
    assert much < 0.7 * clean


def test_texture_is_no_noise() -> None:
    """Gravel in the half of a photo: the rest tells that there is no noise."""
    rgb = scene()
    rgb[:192] = np.random.default_rng(2).integers(0, 255, rgb[:192].shape)
    assert exposure(rgb) >= exposure(scene()) - 0.05


def test_a_little_more_clipping_counts() -> None:
    rgb = scene()
    assert exposure(stored(rgb * 1.4)) < 0.9 * exposure(rgb)


def test_light_that_was_there_but_not_used_counts() -> None:
    rgb = scene()
    assert exposure(stored(rgb * 0.6)) < 0.8 * exposure(rgb)
    # Beyond enough, more light is not better.
    assert exposure(stored(rgb * 0.9)) == pytest.approx(exposure(rgb), abs=0.03)


def test_what_compression_flattens_counts() -> None:
    rgb = scene()
    rgb[192:] = 120
    flattened = exposure(rgb)
    rgb[192::2, ::2] += 1
    assert flattened < exposure(rgb) - 0.1


def test_leaves_all_over_are_no_noise() -> None:
    """Texture spans several pixels, so halving the photo leaves it."""
    pixels = np.random.default_rng(3).normal(0, 100, (384, 512))
    leaves = np.asarray(cv2.GaussianBlur(pixels, (0, 0), 0.6), np.float64)
    noise = np.random.default_rng(4).normal(0, leaves.std(), leaves.shape)
    of_leaves, of_noise = (
        exposure(stored(120 + part[..., None].repeat(3, axis=2)))
        for part in (leaves, noise)
    )
    assert of_leaves > 1.4 * of_noise
