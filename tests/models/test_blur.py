import csv
import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from models import blur, blur_cases, blur_threshold, held_out
from models.accuracy import auc
from models.blur import DEFAULT_THRESHOLD, laplacian_variance, sharpness
from models.images import decode

SIDE_PX = 256


def is_shaken(rgb: NDArray[np.uint8]) -> bool:
    score = sharpness(rgb)
    return score is not None and score < DEFAULT_THRESHOLD


@pytest.fixture(scope="module")
def shelf() -> NDArray[np.uint8]:
    """A detailed scene: overlapping boxes of many sizes, angles and colours."""
    rng = np.random.default_rng(7)
    scene = np.full((SIDE_PX, SIDE_PX, 3), 128, np.uint8)
    for _ in range(500):
        centre = rng.uniform(0, SIDE_PX, 2)
        size = rng.uniform(6, 40, 2)
        corners = cv2.boxPoints((centre, size, rng.uniform(0, 180)))
        colour = rng.integers(0, 256, 3).tolist()
        cv2.fillConvexPoly(scene, corners.astype(np.int32), colour, cv2.LINE_AA)
    return scene


def gaussian(rgb: NDArray[np.uint8], sigma_px: float) -> NDArray[np.uint8]:
    return cv2.GaussianBlur(rgb, (0, 0), sigma_px) if sigma_px else rgb


def defocus(rgb: NDArray[np.uint8], radius_px: float) -> NDArray[np.uint8]:
    return blur_cases.defocused(rgb, 2 * radius_px / max(rgb.shape))


def motion(
    rgb: NDArray[np.uint8], length_px: float, angle_deg: float
) -> NDArray[np.uint8]:
    return blur_cases.shaken(rgb, length_px / max(rgb.shape), angle_deg)


def with_noise(rgb: NDArray[np.uint8], deviation: float) -> NDArray[np.uint8]:
    return blur_cases.grainy(rgb, deviation, np.random.default_rng(1))


as_jpeg = blur_cases.compressed


def scores_of(images: list[NDArray[np.uint8]]) -> list[float]:
    scores = [sharpness(image) for image in images]
    assert None not in scores
    return [score for score in scores if score is not None]


def test_laplacian_variance_of_one_bright_pixel() -> None:
    gray = np.zeros((5, 5), np.uint8)
    gray[2, 2] = 10
    # -40 and four times 10 among 25: mean 0, mean square 2000 / 25.
    assert laplacian_variance(gray) == pytest.approx(80.0)


def test_laplacian_variance_is_the_paper_s() -> None:
    gray = np.random.default_rng(2).integers(0, 256, (61, 47), np.uint8)
    expected = cv2.Laplacian(gray, cv2.CV_64F).var()
    assert laplacian_variance(gray) == pytest.approx(expected, rel=1e-12)


def test_laplacian_variance_wants_one_channel() -> None:
    with pytest.raises(ValueError, match=r"expected \(H, W\)"):
        laplacian_variance(np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize("shape", [(120, 120), (120, 120, 4)], ids=["gray", "rgba"])
def test_sharpness_wants_rgb(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(H, W, 3\)"):
        sharpness(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(1, 1), (1, 199), (120, 160)])
def test_tiny_photos_are_not_judged(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (*shape, 3), np.uint8)
    assert sharpness(noise) is None


@pytest.mark.parametrize("shape", [(1, 512), (512, 3), (200, 1)])
def test_strips_are_no_error(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (*shape, 3), np.uint8)
    sharpness(noise)


@pytest.mark.parametrize("shape", [(1, 512), (200, 1), (2, 201), (203, 2), (57, 301)])
def test_loops_are_what_opencv_and_numpy_give(shape: tuple[int, int]) -> None:
    gray = np.random.default_rng(4).integers(0, 256, shape, np.uint8)
    pixels = np.asarray(cv2.copyMakeBorder(gray, 4, 4, 4, 4, cv2.BORDER_REFLECT_101))
    smooth = np.asarray(cv2.GaussianBlur(gray, (0, 0), 1), np.uint8)
    smoothed = blur._smoothed(pixels)
    np.testing.assert_array_equal(smoothed[1:-1, 1:-1], smooth)
    square = np.ones((7, 7), np.uint8)
    around = np.asarray(cv2.morphologyEx(gray, cv2.MORPH_GRADIENT, square))
    np.testing.assert_array_equal(blur._around(pixels), around[::2])
    for image, same, margin_px in ((gray, pixels, 4), (smooth, smoothed, 1)):
        x, y = (part[::2].astype(float) for part in cv2.spatialGradient(image))
        squares, directions = blur._gradient(same, margin_px)
        np.testing.assert_array_equal(squares, (x**2 + y**2) / 64)
        eighths = np.round(np.arctan2(y, x) * 8 / np.pi) % 8
        np.testing.assert_array_equal(directions, eighths)


def test_score_is_the_same_in_any_layout_and_thread(shelf: NDArray[np.uint8]) -> None:
    odd = [np.ascontiguousarray(shelf[n:-3, : 251 - n]) for n in range(8)]
    alone = [sharpness(rgb) for rgb in odd]
    assert len(set(alone)) > 1
    assert [sharpness(np.asfortranarray(rgb)) for rgb in odd] == alone
    assert [sharpness(shelf[n:-3, : 251 - n]) for n in range(8)] == alone
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(sharpness, odd * 8)) == alone * 8


def test_score_is_rounded_and_leaves_the_photo_alone(shelf: NDArray[np.uint8]) -> None:
    before = shelf.copy()
    score = sharpness(shelf)
    assert score is not None
    assert score == round(score, 2) == sharpness(shelf)
    np.testing.assert_array_equal(shelf, before)


def test_sharp_detail_is_not_shaken(shelf: NDArray[np.uint8]) -> None:
    assert scores_of([shelf])[0] > 1.1 * DEFAULT_THRESHOLD


# Rung 0 of every ladder is the sharp image itself.


def falls(scores: list[float]) -> bool:
    return all(worse < better for better, worse in pairwise(scores))


def greatest_rise(scores: list[float]) -> float:
    """Of any rung above the lowest before it, as a share of that."""
    lowest = np.minimum.accumulate(scores)
    return float((np.array(scores[1:]) / lowest[:-1]).max() - 1)


def test_gaussian_ladder(shelf: NDArray[np.uint8]) -> None:
    sigmas_px = (0, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.25, 1.5, 2, 2.5, 3, 4)
    scores = scores_of([gaussian(shelf, sigma) for sigma in sigmas_px])
    assert falls(scores)
    assert scores[sigmas_px.index(1)] < DEFAULT_THRESHOLD


def test_defocus_ladder(shelf: NDArray[np.uint8]) -> None:
    # A disc of one pixel, radius 0.5, is no blur.
    radii_px = (0, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6)
    scores = scores_of([defocus(shelf, radius) for radius in radii_px])
    assert falls(scores)
    assert scores[radii_px.index(1.5)] < DEFAULT_THRESHOLD


@pytest.mark.parametrize("angle_deg", range(0, 180, 15))
def test_motion_ladder(shelf: NDArray[np.uint8], angle_deg: float) -> None:
    lengths_px = (0, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12)
    scores = scores_of([motion(shelf, length, angle_deg) for length in lengths_px])
    assert falls(scores)
    # Told by edges across it; those along it stay sharp.
    assert scores[-1] < DEFAULT_THRESHOLD / 2


def test_motion_counts_the_same_in_every_direction(shelf: NDArray[np.uint8]) -> None:
    scores = scores_of([motion(shelf, 5, angle_deg) for angle_deg in range(0, 180, 15)])
    assert max(scores) < 1.3 * min(scores)


# Noise and JPEG are no blur: they hide detail, which lowers the score, and add some
# of their own, which raises it. So their ladders fall only within a tolerance.
NOISE = (0, 1, 2, 3, 4, 6, 8, 10, 12, 14, 17, 20)
QUALITIES = (100, 95, 90, 85, 80, 75, 70, 60, 50, 40, 35, 30)


@pytest.mark.parametrize("deviation", NOISE)
def test_noise_changes_no_verdict(shelf: NDArray[np.uint8], deviation: float) -> None:
    assert not is_shaken(with_noise(shelf, deviation))
    assert is_shaken(with_noise(gaussian(shelf, 2), deviation))


def test_noise_ladder(shelf: NDArray[np.uint8]) -> None:
    """What noise covers counts as not there, so that a noisy shot loses to a clean.

    Within 3 %: the first grey level or two of noise raise the score by up to 2.
    """
    scores = scores_of([with_noise(shelf, deviation) for deviation in NOISE])
    assert greatest_rise(scores) < 0.03
    assert scores[-1] < 0.9 * scores[0]


def test_noise_is_taken_off(shelf: NDArray[np.uint8]) -> None:
    """Without that, noise of deviation 14 scores as sharp as what it covers."""
    soft = gaussian(shelf, 2)
    plain, noisy = scores_of([soft, with_noise(soft, 14)])
    assert noisy == pytest.approx(plain, rel=0.2)


def test_jpeg_ladder(shelf: NDArray[np.uint8]) -> None:
    """Within 8 %: the edges of blocks are narrow, and come and go with the quality."""
    scores = scores_of([shelf, *(as_jpeg(shelf, quality) for quality in QUALITIES)])
    assert greatest_rise(scores) < 0.08
    assert scores[-1] < 0.9 * scores[0]


@pytest.mark.parametrize("quality", QUALITIES)
def test_jpeg_changes_no_verdict(shelf: NDArray[np.uint8], quality: int) -> None:
    assert not is_shaken(as_jpeg(shelf, quality))
    assert is_shaken(as_jpeg(gaussian(shelf, 2), quality))


def test_ladders_of_real_photos(shared_photos: Path) -> None:
    """Blur lowers the score at every rung; JPEG and noise do so within a tolerance.

    Motion is not asked for here: of one of 49 a rung was 9 % above one before it.
    Of 49 photos of `detect`, JPEG of falling quality raised the score of 65 % by over
    5 %, of 33 % by over 8 %, of one by 20 %; noise that of 16 % by over 5 %, of one by
    10 %. At quality 30 one of them was called shaken, at noise 20 none.
    """
    rises: dict[str, list[float]] = {"jpeg": [], "noise": []}
    called = 0
    for path in sorted((shared_photos / "detect").glob("*.jpg"))[3::42]:
        rgb = decode(path.read_bytes()).rgb
        if is_shaken(rgb):
            continue
        assert falls(scores_of([gaussian(rgb, sigma) for sigma in (0, 0.5, 1, 2, 3)]))
        assert falls(scores_of([defocus(rgb, radius) for radius in (0, 1, 2, 3, 5)]))
        jpeg = [rgb, *(as_jpeg(rgb, quality) for quality in (95, 75, 50, 40, 30))]
        noisy = [with_noise(rgb, deviation) for deviation in (0, 2, 4, 8, 14, 20)]
        rises["jpeg"].append(greatest_rise(scores_of(jpeg)))
        rises["noise"].append(greatest_rise(scores_of(noisy)))
        called += any(map(is_shaken, (*jpeg, *noisy)))
    assert len(rises["jpeg"]) >= 15
    assert max(rises["jpeg"]) < 0.25
    assert np.median(rises["jpeg"]) < 0.1
    assert max(rises["noise"]) < 0.15
    assert np.median(rises["noise"]) < 0.05
    assert called <= 1


def test_contrast_is_no_sharpness(shelf: NDArray[np.uint8]) -> None:
    """The paper's measure falls to a quarter here; a ratio hardly moves."""
    pale = (64 + shelf / 2).astype(np.uint8)
    full, half = scores_of([shelf, pale])
    assert half == pytest.approx(full, rel=0.05)


def test_shaken_detail_is_less_sharp_than_plain_things(
    shelf: NDArray[np.uint8],
) -> None:
    """Where the paper's measure has it the other way round."""
    shaken, plain = motion(shelf, 6, 30), np.repeat(_boxes()[:, :, np.newaxis], 3, 2)
    blurred, sharp = (
        laplacian_variance(np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)))
        for image in (shaken, plain)
    )
    assert blurred > sharp
    assert is_shaken(shaken)
    assert not is_shaken(plain)


def test_half_the_size_is_no_shake(shelf: NDArray[np.uint8]) -> None:
    large = cv2.resize(shelf, (512, 512), interpolation=cv2.INTER_CUBIC)
    half = cv2.resize(large, (256, 256), interpolation=cv2.INTER_AREA)
    assert not is_shaken(as_jpeg(np.asarray(half, np.uint8), 60))


def test_sharp_middle_saves_a_portrait(shelf: NDArray[np.uint8]) -> None:
    portrait = defocus(shelf, 5)
    assert is_shaken(portrait)
    # An eighth of the frame.
    middle = slice(SIDE_PX // 3, 2 * SIDE_PX // 3 + 8)
    portrait[middle, middle] = shelf[middle, middle]
    assert not is_shaken(portrait)
    assert is_shaken(motion(portrait, 8, 20))


def _boxes() -> NDArray[np.uint8]:
    """Few things before a wall, all sharp."""
    wall = np.full((SIDE_PX, SIDE_PX), 130, np.uint8)
    for angle_deg in range(0, 180, 20):
        centre = (24 + 52 * (angle_deg // 20 % 5), 80 + 90 * (angle_deg // 100))
        corners = cv2.boxPoints((centre, (26, 40), angle_deg))
        cv2.fillConvexPoly(wall, corners.astype(np.int32), 165, cv2.LINE_AA)
    return wall


def _light() -> NDArray[np.float64]:
    """Falls off to one side and to the corners, as of a window through a lens."""
    y, x = np.mgrid[-1:1:384j, -1:1:512j]
    return np.asarray((1 - 0.12 * (x**2 + y**2)) * (1 + 0.15 * x), np.float64)


def _soft(sigma_px: float, seed: int) -> NDArray[np.float64]:
    """Smooth ups and downs of deviation 1."""
    ups = np.random.default_rng(seed).normal(0, 1, (384, 512))
    smooth = np.asarray(cv2.GaussianBlur(ups, (0, 0), sigma_px), np.float64)
    return smooth / smooth.std()


def _wall() -> NDArray[np.float64]:
    """Plaster, nail holes, a crack."""
    wall = 165 + 2 * _soft(1, 3) + 2 * _soft(8, 4)
    rng = np.random.default_rng(8)
    for x, y in rng.integers((0, 0), (512, 384), (6, 2)).tolist():
        cv2.circle(wall, (x, y), 2, 110.0, -1, cv2.LINE_AA)
    crack = 60 + np.cumsum(rng.integers((2, -3), (9, 6), (40, 2)), axis=0)
    cv2.polylines(wall, [crack.astype(np.int32)], False, 140.0, 1)
    return wall * _light()


def _snow() -> NDArray[np.float64]:
    """Drifts, and a few twigs that stick out."""
    snow = 225 + 8 * _soft(30, 5) + 1.5 * _soft(1, 6)
    for x, y in np.random.default_rng(9).integers((0, 200), (512, 384), (5, 2)):
        cv2.line(snow, (int(x), int(y)), (int(x) + 6, int(y) - 25), 90.0, 1)
    return snow * _light()


def _sky() -> NDArray[np.float64]:
    return np.linspace(120, 220, 384)[:, np.newaxis] * np.ones((384, 512))


def _clouds() -> NDArray[np.float64]:
    """Light of clouds before the sky, whose power falls as frequency^(-8/3).

    Many smoother ones, whose power falls as frequency^(-3) or faster, are taken for
    shaken where nothing else is in the picture: no edge of theirs is narrow.

    Source: the 5/3 law of turbulence, in two dimensions.
    """
    noise = np.fft.rfft2(np.random.default_rng(10).normal(0, 1, (384, 512)))
    frequency = np.hypot(np.fft.fftfreq(384)[:, np.newaxis], np.fft.rfftfreq(512))
    frequency[0, 0] = np.inf
    clouds = np.fft.irfft2(noise * frequency ** (-4 / 3), (384, 512))
    heaps = np.clip(2 * clouds / clouds.std(), 0, 2.5)
    return np.asarray(0.8 * _sky() + 25 * heaps, np.float64)


def _page() -> NDArray[np.float64]:
    page = np.full((384, 512), 240.0)
    for row in range(40, 340, 24):
        cv2.putText(page, "the quick brown fox", (40, row), 0, 0.5, 20, 1, cv2.LINE_AA)
    return page * _light()


def _whiteboard() -> NDArray[np.float64]:
    board = np.full((384, 512), 215.0)
    for row, line in enumerate(("Monday: milk", "call Ann", "x = 3 y + 2")):
        cv2.putText(board, line, (90, 120 + 60 * row), 0, 0.8, 70, 2, cv2.LINE_AA)
    return board * _light()


def _night_sky() -> NDArray[np.float64]:
    """Stars of every brightness, each as wide as a lens makes it."""
    stars = np.zeros((384, 512))
    rng = np.random.default_rng(5)
    at = rng.integers(0, 384, 300), rng.integers(0, 512, 300)
    stars[at] = 1000 * rng.power(0.4, 300)
    return 12 + np.asarray(cv2.GaussianBlur(stars, (0, 0), 0.7), np.float64)


def _horizon() -> NDArray[np.float64]:
    sea = _sky()
    sea[200:] = 70 + 3 * _soft(1.5, 13)[200:]
    return sea


@pytest.mark.parametrize(
    "scene",
    [
        *(_wall(), _snow(), _sky(), _clouds(), _page(), _whiteboard()),
        *(_night_sky(), _horizon()),
    ],
    ids=[
        *("wall", "snow", "sky", "clouds", "page", "whiteboard"),
        *("night sky", "horizon"),
    ],
)
@pytest.mark.parametrize("noise", [0, 2, 5, 10])
@pytest.mark.parametrize("quality", [92, 60])
def test_flat_scenes_are_not_shaken(
    scene: NDArray[np.float64], noise: float, quality: int
) -> None:
    levels = np.clip(scene, 0, 255).astype(np.uint8)
    rgb = np.repeat(levels[:, :, np.newaxis], 3, axis=2)
    assert not is_shaken(as_jpeg(with_noise(rgb, noise), quality))


def read_labels(folder: Path) -> dict[str, str]:
    with (folder / "manifest.csv").open(newline="") as manifest:
        return {row["file"]: row["label"] for row in csv.DictReader(manifest)}


def test_held_out_scores_are_what_the_detector_gives(shared_photos: Path) -> None:
    """Else `piccl calibrate-blur DATA` has to be run again."""
    known = held_out.load(held_out.PATHS["shaken"])
    photos = [
        shared_photos / folder / name
        for folder in ("bright", "detect", "bursts")
        for name in sorted(read_labels(shared_photos / folder))[::25]
    ]
    for photo in photos:
        data = photo.read_bytes()
        score = sharpness(decode(data).rgb)
        assert score == known[hashlib.sha256(data).hexdigest()].score, photo


def test_threshold_is_a_hundredth_of_ordinary_photos() -> None:
    scores = [one.score for one in held_out.load(held_out.PATHS["shaken"]).values()]
    assert blur_threshold.choose_threshold(scores) == DEFAULT_THRESHOLD


def test_few_ordinary_photos_are_called_shaken(shared_photos: Path) -> None:
    """A hundredth of all, as the threshold was chosen; not of every folder.

    As it ships 9 of 988 (0.9 %), but 4 of the 271 of `bright` (1.5 %). Held out, by
    a threshold chosen without the photo's data set, 11 (1.1 %), and 7 (2.6 %).
    """
    known = held_out.load(held_out.PATHS["shaken"])
    shipped, blind, photos = dict[str, int](), dict[str, int](), dict[str, int]()
    for folder in ("bright", "detect", "bursts"):
        scores = [
            known[
                hashlib.sha256((shared_photos / folder / name).read_bytes()).hexdigest()
            ]
            for name in read_labels(shared_photos / folder)
        ]
        photos[folder] = len(scores)
        shipped[folder] = sum(one.score < DEFAULT_THRESHOLD for one in scores)
        blind[folder] = sum(one.score < one.threshold for one in scores)
    assert photos == {"bright": 271, "detect": 679, "bursts": 38}
    assert sum(shipped.values()) <= 0.01 * sum(photos.values())
    assert sum(blind.values()) <= 0.0112 * sum(photos.values())
    most = {"bright": 0.015, "detect": 0.006, "bursts": 0.027}
    assert all(shipped[folder] <= most[folder] * n for folder, n in photos.items())
    most = {"bright": 0.026, "detect": 0.005, "bursts": 0.027}
    assert all(blind[folder] <= most[folder] * n for folder, n in photos.items())


# No photo of `blur` has a part in what was learned; constants were compared on
# some of them.


def test_labelled_photos_rank_by_sharpness(shared_photos: Path) -> None:
    folder = shared_photos / "blur"
    scores: dict[str, list[float]] = {"blur": [], "sharp": []}
    for name, label in read_labels(folder).items():
        score = sharpness(decode((folder / name).read_bytes()).rgb)
        scores[label].append(np.inf if score is None else score)
    blurred, sharp = np.array(scores["blur"]), np.array(scores["sharp"])
    assert auc(-blurred, -sharp) >= 0.98
    assert (blurred < DEFAULT_THRESHOLD).sum() >= 17
    assert (sharp < 1.4 * DEFAULT_THRESHOLD).sum() == 0


@pytest.mark.parametrize(
    ("folder", "label", "share"),
    [
        ("dark", "dark on purpose", 0.03),
        ("borderline", None, 0.0),
        ("screenshots", None, 0.0),
    ],
)
def test_photos_of_other_kinds_are_rarely_called_shaken(
    shared_photos: Path, folder: str, label: str | None, share: float
) -> None:
    shaken = [
        is_shaken(decode((shared_photos / folder / name).read_bytes()).rgb)
        for name, labelled in read_labels(shared_photos / folder).items()
        if label in (None, labelled)
    ]
    assert np.mean(shaken) <= share


def test_verdict_holds_at_other_sizes(shared_photos: Path) -> None:
    same = list[bool]()
    for name in read_labels(shared_photos / "blur"):
        data = (shared_photos / "blur" / name).read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            if max(image.size) < 1024:
                continue
            full = ImageOps.exif_transpose(image).convert("RGB")
        verdicts = {is_shaken(decode(data).rgb)}
        for side_px in (2048, 1024):
            copy = full.copy()
            copy.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
            small = io.BytesIO()
            copy.save(small, "JPEG", quality=90)
            verdicts.add(is_shaken(decode(small.getvalue()).rgb))
        same.append(len(verdicts) == 1)
    assert len(same) >= 20
    assert np.mean(same) >= 0.98
