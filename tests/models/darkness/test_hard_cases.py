"""Hard cases are what their names say, and copies keep what they show."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.darkness import hard_cases

MADE = hard_cases.TOO_DARK | hard_cases.MEANT


@pytest.fixture
def photo() -> NDArray[np.uint8]:
    """Soft and bright: noise would not survive JPEG."""
    y, x = np.mgrid[:300, :400]
    waves = 150 + 60 * np.sin(x / 40) * np.cos(y / 50)
    return np.stack([waves, waves - 20, 255 - waves], axis=2).astype(np.uint8)


def _make(kind: str, photo: NDArray[np.uint8], seed: int = 0) -> NDArray[np.uint8]:
    return (MADE | hard_cases.COPIES)[kind](photo, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", [*MADE, *hard_cases.COPIES])
def test_cases_are_photos_and_repeat(kind: str, photo: NDArray[np.uint8]) -> None:
    before = photo.copy()
    made = _make(kind, photo)
    assert made.dtype == np.uint8
    assert made.shape[2] == 3
    np.testing.assert_array_equal(made, _make(kind, photo))
    np.testing.assert_array_equal(photo, before)


def test_stops_halve_the_light(photo: NDArray[np.uint8]) -> None:
    def light(rgb: NDArray[np.uint8]) -> float:
        stored = rgb / 255
        dark, bright = stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4
        return float(np.where(stored <= 0.04045, dark, bright).mean())

    small = hard_cases.shrink(photo)
    rng = np.random.default_rng(0)
    three = light(hard_cases.under_exposed(3)(small, rng))
    assert three / light(small) == pytest.approx(1 / 8, rel=0.02)


@pytest.mark.parametrize("kind", hard_cases.TOO_DARK)
@pytest.mark.parametrize("seed", range(4))
def test_what_is_too_dark_is_black_or_gray_but_for_a_lamp(
    kind: str, seed: int, photo: NDArray[np.uint8]
) -> None:
    made = _make(kind, photo, seed)
    assert np.percentile(made, 90) < 64
    assert (made.max() > 200) == (kind == "one lamp")


@pytest.mark.parametrize("kind", hard_cases.MEANT)
@pytest.mark.parametrize("seed", range(4))
def test_what_is_meant_has_light_and_black(
    kind: str, seed: int, photo: NDArray[np.uint8]
) -> None:
    made = _make(kind, photo, seed)
    assert made.max() > 80
    assert np.percentile(made, 10) < 32


def test_copies_differ_a_little(photo: NDArray[np.uint8]) -> None:
    small = _make("at 256 px", photo)
    assert small.shape == (192, 256, 3)
    assert abs(small.mean() - photo.mean()) < 1
    assert _make("cropped to 80 %", photo).shape == (240, 320, 3)
    worse = _make("as JPEG of quality 50", photo).astype(int)
    assert 0 < np.abs(worse - photo).mean() < 4
    assert hard_cases.shrink(small) is small
