"""Screenshots: the contract, pictures made by code, and the labelled photos.

The labelled photos are development data: the weights were fitted on them, so
the bounds below guard against regressions and promise nothing for other photos.
"""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models import images
from models.screenshots import (
    DEFAULT_THRESHOLD,
    screen_features,
    screenshot_probability,
)

# Every n-th file keeps the test short; names sort by series, so that a stride
# sees every series.
PHOTO_STRIDE = 8
PHOTO_FOLDERS = ("blur", "borderline", "bright", "bursts", "dark", "detect", "exif")


def screen(*, dark: bool = False) -> NDArray[np.uint8]:
    """A list screen: coloured bar, rows of text, rules between. (512, 236, 3)."""
    paper, ink, rule = (24, 228, 60) if dark else (244, 32, 200)
    rgb = np.full((512, 236, 3), paper, np.uint8)
    rgb[:52] = (30, 90, 180)
    for top in range(72, 490, 40):
        rgb[top + 30, 12:-12] = rule
        cv2.putText(
            rgb, f"Item {top}", (14, top + 20), 0, 0.5, (ink,) * 3, 1, cv2.LINE_AA
        )
    return rgb


def photo(seed: int = 1) -> NDArray[np.uint8]:
    """Shaded noise with soft structure, as a camera gives it. (384, 512, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(20, 235, (12, 16, 3)).astype(np.float32)
    scene = cv2.resize(coarse, (512, 384), interpolation=cv2.INTER_CUBIC)
    return np.clip(scene + rng.normal(0, 4, scene.shape), 0, 255).astype(np.uint8)


def tiles() -> NDArray[np.uint8]:
    """Smooth tiles and straight joints, evenly shaded. (512, 512, 3)."""
    shade = np.linspace(60, 160, 512, dtype=np.float32)[np.newaxis] * np.ones((512, 1))
    shade[::40] = shade[1::40] = 210
    shade[:, ::64] = shade[:, 1::64] = 210
    return np.repeat(shade.astype(np.uint8)[:, :, np.newaxis], 3, axis=2)


def framed(rgb: NDArray[np.uint8], level: int) -> NDArray[np.uint8]:
    return cv2.copyMakeBorder(
        rgb, 60, 60, 60, 60, cv2.BORDER_CONSTANT, value=(level,) * 3
    )


def probability(
    rgb: NDArray[np.uint8],
    size: tuple[int, int] = (1080, 2340),
    image_format: str = "PNG",
    by_camera: bool = False,
) -> float:
    return screenshot_probability(
        rgb,
        width=size[0],
        height=size[1],
        image_format=image_format,
        by_camera=by_camera,
    )


def judge(data: bytes) -> float:
    picture = images.decode(data)
    return probability(
        picture.rgb,
        (picture.width, picture.height),
        picture.format,
        picture.capture.by_camera,
    )


def recompressed(path: Path, *, scale: float, crop: float, quality: int) -> bytes:
    """As a messenger hands a picture on: cut at the rim, shrunk, JPEG."""
    image = Image.open(path).convert("RGB")
    dx, dy = round(image.width * crop / 2), round(image.height * crop / 2)
    image = image.crop((dx, dy, image.width - dx, image.height - dy))
    image = image.resize((round(image.width * scale), round(image.height * scale)))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 4), (1, 64, 64, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        probability(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("side", [1, 2, 3, 23, 24, 25])
def test_tiny_images_are_not_judged(side: int) -> None:
    speckle = np.random.default_rng(0).integers(0, 2, (side, side, 3), np.uint8) * 255
    assert probability(speckle, (side, side)) == 0.0
    # A strip of a huge picture is tiny in the working image only.
    assert 0.0 <= probability(speckle, (9000, 9000)) <= 1.0


def test_a_thumbnail_of_a_screen_is_not_judged() -> None:
    assert probability(screen()[:150, :150], (150, 150)) == 0.0


@pytest.mark.parametrize("level", [0, 127, 255])
def test_an_empty_picture_is_not_judged(level: int) -> None:
    assert probability(np.full((512, 236, 3), level, np.uint8)) == 0.0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_screen_is_found_and_a_camera_clears_it(dark: bool) -> None:
    rgb = screen(dark=dark)
    before = rgb.copy()
    assert probability(rgb) >= DEFAULT_THRESHOLD
    assert probability(rgb) == probability(rgb)
    np.testing.assert_array_equal(rgb, before)
    assert probability(rgb, by_camera=True) < DEFAULT_THRESHOLD / 10
    assert probability(rgb, image_format="TIFF") < DEFAULT_THRESHOLD / 10


@pytest.mark.parametrize(
    "rgb",
    [
        photo(),
        framed(photo(), 255),
        framed(photo(), 0),
        np.clip(photo().astype(int) - 225, 0, 255).astype(np.uint8),
        np.clip(photo().astype(int) + 200, 0, 255).astype(np.uint8),
        cv2.GaussianBlur(photo(), (0, 0), 6),
        tiles(),
    ],
    ids=[
        "plain",
        "white frame",
        "black frame",
        "night",
        "over-exposed",
        "blurred",
        "tiles",
    ],
)
def test_a_photo_without_exif_is_no_screenshot(rgb: NDArray[np.uint8]) -> None:
    for image_format in images.FORMATS:
        assert probability(rgb, (4000, 3000), image_format) < DEFAULT_THRESHOLD


def test_each_share_is_higher_on_a_screen() -> None:
    for drawn, taken in zip(
        screen_features(screen()), screen_features(photo()), strict=True
    ):
        assert 0 <= taken < drawn <= 1


def test_labelled_screenshots_are_found(shared_photos: Path) -> None:
    files = sorted(
        p for p in (shared_photos / "screenshots").iterdir() if is_picture(p)
    )
    missed = [p.name for p in files if judge(p.read_bytes()) < DEFAULT_THRESHOLD]
    assert len(files) >= 60
    # Measured: 1 of 67, out of fold as well; slack for another decoder.
    assert len(missed) <= 3, missed


def test_labelled_photos_are_left_alone(shared_photos: Path) -> None:
    files = [
        path
        for folder in PHOTO_FOLDERS
        for path in sorted(filter(is_picture, (shared_photos / folder).iterdir()))
    ][::PHOTO_STRIDE]
    called = [p.name for p in files if judge(p.read_bytes()) >= DEFAULT_THRESHOLD]
    assert len(files) >= 150
    # Measured: none of all 1,410, out of fold as well; slack for one.
    assert len(called) <= 1, called


@pytest.mark.parametrize(
    ("scale", "crop", "quality", "found"),
    # Measured out of fold on all: 96, 90 and 85 %; slack, as a third is tested.
    [(1.0, 0.0, 60, 0.9), (0.6, 0.0, 70, 0.8), (0.6, 0.1, 70, 0.75)],
    ids=["jpeg", "resized jpeg", "cropped and resized jpeg"],
)
def test_passed_on_screenshots_are_found(
    shared_photos: Path, scale: float, crop: float, quality: int, found: float
) -> None:
    files = sorted(
        p for p in (shared_photos / "screenshots").iterdir() if is_picture(p)
    )
    scores = [
        judge(recompressed(p, scale=scale, crop=crop, quality=quality))
        for p in files[::3]
    ]
    assert np.mean(np.asarray(scores) >= DEFAULT_THRESHOLD) >= found


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in {".jpg", ".jpeg", ".png"}
