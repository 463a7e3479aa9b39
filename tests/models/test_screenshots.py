"""Screenshots: the contract, pictures made by code, and the labelled photos.

The weights were fitted on the labelled photos, so the bounds of what is scored here
guard against regressions and promise nothing for other photos. The held-out scores
do: those are of weights that saw nothing of a photo's source.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models import held_out, images, screenshot_copies
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
    cv2.putText(rgb, "Items", (14, 34), 0, 0.6, (255,) * 3, 1, cv2.LINE_AA)
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


def test_each_share_tells_a_screen_from_a_photo() -> None:
    drawn, taken = screen_features(screen()), screen_features(photo())
    assert drawn is not None
    assert taken is not None
    assert all(0 <= share <= 1 for share in (*drawn, *taken))
    *more_drawn, textured_drawn = drawn
    *more_taken, textured_taken = taken
    assert all(a > b for a, b in zip(more_drawn, more_taken, strict=True))
    assert textured_drawn < textured_taken


@pytest.mark.parametrize("level", [0, 244])
def test_a_margin_tells_nothing(level: int) -> None:
    inside = photo()
    around = framed(inside, level)
    assert screen_features(around) == screen_features(inside)
    assert screen_features(around.transpose(1, 0, 2)) == screen_features(
        inside.transpose(1, 0, 2)
    )


@pytest.mark.parametrize("seed", range(6))
def test_lines_and_tiles_are_those_of_opencv(seed: int) -> None:
    """What goes on beyond the rim is half a line there."""
    rgb = photo(seed)[: 300 + 7 * seed, : 200 + 31 * seed]
    rng = np.random.default_rng(seed)
    # Steps of no line, and many, or the share of lines would be more than enough.
    left = rgb[:, :150]
    left[:] = rng.integers(0, 180, left.shape)
    for length in rng.integers(4, 60, 8):
        x, y = rng.integers(0, rgb.shape[1]), rng.integers(0, rgb.shape[0])
        rgb[y : y + length, x] = rgb[y, x : x + length] = 255
        rgb[-length:, rng.integers(1, rgb.shape[1] - 1)] = 0
        rgb[: length // 2, rng.integers(1, rgb.shape[1] - 1)] = 0
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    steps = [
        (cv2.absdiff(gray[:, 1:], gray[:, :-1]) > 12).view(np.uint8),
        (cv2.absdiff(gray[1:], gray[:-1]) > 12).view(np.uint8),
    ]
    lines = [
        cv2.morphologyEx(steps[0], cv2.MORPH_OPEN, np.ones((16, 1), np.uint8)),
        cv2.morphologyEx(steps[1], cv2.MORPH_OPEN, np.ones((1, 16), np.uint8)),
    ]
    square = np.ones((3, 3), np.uint8)
    textured = cv2.morphologyEx(rgb, cv2.MORPH_GRADIENT, square).max(axis=2) >= 4
    size = (rgb.shape[1] // 32, rgb.shape[0] // 32)
    tiles = cv2.resize(textured.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    features = screen_features(rgb)
    assert features is not None
    share = sum(map(np.sum, lines)) / sum(map(np.sum, steps))
    assert 0 < share < 0.2
    assert features[3] == pytest.approx(share / 0.2)
    assert features[4] == np.mean(tiles > 0.8)


def test_commonest_colours_are_counted_above_the_next_shades() -> None:
    rgb = photo()[:320, :400].copy()
    red, page, night = (200, 30, 40), (255, 255, 255), (0, 0, 0)
    for left, colour in ((0, red), (96, page), (192, night), (240, (201, 31, 41))):
        rgb[64:128, 40 + left : 72 + left] = colour
    rgb[192:256, 40:200] = (20, 160, 90)
    features = screen_features(rgb)
    assert features is not None
    # Every second row and column, without the rim of an area; the next shade of
    # red takes all of red, and of black counts what is not more than twice the tints.
    area, large = 31 * 15, 31 * 79
    pixels = 160 * 200
    assert features[0] == pytest.approx((large + 2 * area) / pixels, abs=0.002)
    assert features[1] == pytest.approx(min(1, large / pixels / 0.1), abs=0.02)
    assert features[2] == pytest.approx(0, abs=0.02)


def test_held_out_figures(shared_photos: Path) -> None:
    scores = held_out.load(held_out.PATHS["screenshot"])
    called: dict[bool, list[bool]] = {True: [], False: []}
    for folder in (*PHOTO_FOLDERS, "screenshots"):
        for path in filter(is_picture, (shared_photos / folder).iterdir()):
            known = scores[hashlib.sha256(path.read_bytes()).hexdigest()]
            is_called = known.score >= known.threshold
            called[folder == "screenshots"].append(is_called)
    assert sum(called[True]) >= 0.95 * len(called[True])
    assert sum(called[False]) <= 0.005 * len(called[False])


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


@pytest.mark.parametrize("kind", screenshot_copies.SCREENSHOTS)
def test_passed_on_screenshots_are_found(shared_photos: Path, kind: str) -> None:
    scores = altered(
        shared_photos / "screenshots", 3, screenshot_copies.SCREENSHOTS[kind]
    )
    assert np.mean(np.asarray(scores) >= DEFAULT_THRESHOLD) >= 0.8


HARD_PHOTOS = screenshot_copies.PHOTOS | screenshot_copies.PAGES
# What weights that saw nothing of a photo's source called, as `piccl
# train-screenshots` prints it; of every other kind at most this.
OUT_OF_FOLD = {"recompressed": 0.045, "over-exposed": 0.034}
OTHERS_OUT_OF_FOLD = 0.015


@pytest.mark.parametrize("kind", HARD_PHOTOS)
def test_altered_photos_and_pages_are_left_alone(
    shared_photos: Path, kind: str
) -> None:
    is_page = kind in screenshot_copies.PAGES
    scores = [
        score
        for folder, stride in (("bright", 15), ("detect", 30))
        # A page takes ten times as long to make, and has little of the photo.
        for score in altered(
            shared_photos / folder, stride * (9 if is_page else 1), HARD_PHOTOS[kind]
        )
    ]
    assert len(scores) >= (6 if is_page else 42)
    most = OUT_OF_FOLD.get(kind, OTHERS_OUT_OF_FOLD)
    # The shipped weights know these photos, so they may not do worse.
    assert np.mean(np.asarray(scores) >= DEFAULT_THRESHOLD) <= most


def test_photos_of_screens_are_photos(shared_photos: Path) -> None:
    for copy in screenshot_copies.PHOTOS_OF_SCREENS.values():
        scores = altered(shared_photos / "screenshots", 9, copy)
        assert max(scores) < DEFAULT_THRESHOLD


def altered(
    folder: Path, stride: int, copy: Callable[[Image.Image, np.random.Generator], bytes]
) -> list[float]:
    files = sorted(filter(is_picture, folder.iterdir()))[::stride]
    rng = np.random.default_rng(5)
    return [
        judge(copy(screenshot_copies.flattened(Image.open(path)), rng))
        for path in files
    ]


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in {".jpg", ".jpeg", ".png"}
