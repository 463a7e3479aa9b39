"""Series of shots made out of single photos: it is known which belong together.

Re-shots and edited copies of one photo are alike, and degraded copies are no better
than it. The files carry EXIF, so that the pipeline knows when and where they were
"taken": different photos share their minute and their place.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.ExifTags import GPS, IFD, Base

Rgb = NDArray[np.uint8]
_Floats = NDArray[np.float64]
_Rng = np.random.Generator

# Larger than the working image, so that size and compression matter as they do in
# photos of full size.
LONGEST_SIDE_PX: Final = 1280

# So many different photos are of one minute.
PHOTOS_A_MINUTE: Final = 12
_FIRST_DAY: Final = datetime(2024, 5, 4, 12)
# Degrees north and east.
_PLACE: Final = (37.58, 127.01)
_FINE: Final = 92


@dataclass(frozen=True)
class MadeShot:
    """A photo of a series.

    Attributes:
        kind: "original", or what was done to it.
        encoded: JPEG with `DateTimeOriginal` and a place.
    """

    kind: str
    encoded: bytes


@dataclass(frozen=True)
class MadeFile:
    """A photo of a series in a folder.

    Attributes:
        name: Of the file.
        series: Name of its series; all of a series show one thing.
        kind: Of `MadeShot`.
        degraded: Of a series whose best photo is the original.
    """

    name: str
    series: str
    kind: str
    degraded: bool


def read_rgb(encoded: bytes) -> Rgb:
    """The upright photo, its longer side at most `LONGEST_SIDE_PX`."""
    with Image.open(io.BytesIO(encoded)) as image:
        image.draft("RGB", (LONGEST_SIDE_PX, LONGEST_SIDE_PX))
        upright = ImageOps.exif_transpose(image).convert("RGB")
    upright.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX), Image.Resampling.BOX)
    return np.asarray(upright, np.uint8)


def alike_shots(rgb: Rgb, seed: int, minute: datetime) -> Iterator[MadeShot]:
    """The original, and what nobody would keep beside it.

    Args:
        rgb: uint8, (H, W, 3), RGB.
        seed: Of how much of everything is done.
        minute: When: each shot has its second of it.
    """
    rng = np.random.default_rng([seed, 0])
    yield _shot("original", rgb, rng, minute)
    for kind, make in _ALIKE.items():
        quality = int(rng.integers(70, 93))
        if kind == "recompressed":
            quality = int(rng.integers(30, 61))
        yield _shot(kind, make(rgb, rng), rng, minute, quality)


def degraded_copies(rgb: Rgb, seed: int, minute: datetime) -> Iterator[MadeShot]:
    """The original, and copies that each lack something that it has.

    Args:
        rgb: uint8, (H, W, 3), RGB.
        seed: Of how much of everything is done.
        minute: When: each copy has its second of it.
    """
    rng = np.random.default_rng([seed, 1])
    yield _shot("original", rgb, rng, minute)
    for kind, make in _DEGRADED.items():
        quality = 20 if kind == "quality 20" else _FINE
        yield _shot(kind, make(rgb, rng), rng, minute, quality)


def write_series(
    photos: Iterable[Path], folder: Path, *, degraded: bool, seed: int = 0
) -> Iterator[MadeFile]:
    """Write a series of each photo, `PHOTOS_A_MINUTE` of them in one minute.

    Args:
        photos: Photos of different things.
        folder: Where to; it is there.
        degraded: Degraded copies instead of shots that are alike.
        seed: Of how much of everything is done, and of the seconds.

    Yields:
        The files, as they are written. Photos of different days are never compared,
        so each minute has a day of its own.
    """
    make = degraded_copies if degraded else alike_shots
    for n, photo in enumerate(photos):
        minute = _FIRST_DAY + timedelta(days=n // PHOTOS_A_MINUTE)
        rgb = read_rgb(photo.read_bytes())
        for number, made in enumerate(make(rgb, seed + n, minute)):
            name = f"{n:05}-{number:02}.jpg"
            (folder / name).write_bytes(made.encoded)
            yield MadeFile(name, f"{n:05}", made.kind, degraded)


def _shot(
    kind: str, rgb: Rgb, rng: _Rng, minute: datetime, quality: int = _FINE
) -> MadeShot:
    exif = Image.Exif()
    exif[Base.Make] = "made"
    details = exif.get_ifd(IFD.Exif)
    taken_at = minute + timedelta(seconds=int(rng.integers(60)))
    details[Base.DateTimeOriginal] = taken_at.strftime("%Y:%m:%d %H:%M:%S")
    gps = exif.get_ifd(IFD.GPSInfo)
    gps[GPS.GPSLatitudeRef], gps[GPS.GPSLongitudeRef] = "N", "E"
    gps[GPS.GPSLatitude], gps[GPS.GPSLongitude] = ((d, 0.0, 0.0) for d in _PLACE)
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality, exif=exif)
    return MadeShot(kind, buffer.getvalue())


def _unchanged(rgb: Rgb, rng: _Rng) -> Rgb:
    return rgb


def _scaled(rgb: Rgb, scale: float) -> Rgb:
    # Nothing shrinks to nothing.
    size = [max(8, round(side * scale)) for side in rgb.shape[1::-1]]
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _resized(rgb: Rgb, rng: _Rng) -> Rgb:
    return _scaled(rgb, rng.uniform(0.4, 0.8))


def _cropped(rgb: Rgb, rng: _Rng) -> Rgb:
    """Up to 8 % less at each side."""
    height, width = rgb.shape[:2]
    top, bottom = (rng.uniform(0, 0.08, 2) * height).astype(int)
    left, right = (rng.uniform(0, 0.08, 2) * width).astype(int)
    return rgb[top : height - bottom, left : width - right]


def _turned(rgb: Rgb, angle_deg: float, scale: float, move: _Floats, edge: int) -> Rgb:
    height, width = rgb.shape[:2]
    middle = width / 2, height / 2
    turn = np.asarray(cv2.getRotationMatrix2D(middle, angle_deg, scale), np.float64)
    turn[:, 2] += move * (width, height)
    size = (width, height)
    turned = cv2.warpAffine(rgb, turn, size, flags=cv2.INTER_CUBIC, borderMode=edge)
    return np.asarray(turned, np.uint8)


def _angle(rng: _Rng) -> float:
    return float(rng.uniform(1, 5) * rng.choice([-1, 1]))


def _rotated(rgb: Rgb, rng: _Rng) -> Rgb:
    """Straightened: turned, and enlarged until no corner is empty."""
    angle = _angle(rng)
    height, width = rgb.shape[:2]
    sine, cosine = np.sin(np.radians(abs(angle))), np.cos(np.radians(angle))
    scale = cosine + sine * max(width / height, height / width)
    return _turned(rgb, angle, float(scale), np.zeros(2), cv2.BORDER_REFLECT)


def _rotated_black(rgb: Rgb, rng: _Rng) -> Rgb:
    return _turned(rgb, _angle(rng), 1.0, np.zeros(2), cv2.BORDER_CONSTANT)


def _lit(rgb: Rgb, factor: float) -> Rgb:
    return np.clip(rgb * factor, 0, 255).astype(np.uint8)


def _brighter(rgb: Rgb, rng: _Rng) -> Rgb:
    return _lit(rgb, rng.uniform(1.15, 1.5))


def _darker(rgb: Rgb, rng: _Rng) -> Rgb:
    return _lit(rgb, rng.uniform(0.5, 0.85))


def _reshot(rgb: Rgb, rng: _Rng) -> Rgb:
    """As a hand takes it a moment later: turned, nearer, aside, lighter, noisier."""
    move = rng.normal(0, 0.03, 2)
    scale = float(1.08 * np.exp(rng.normal(0, 0.04)))
    again = _turned(rgb, float(rng.normal(0, 2)), scale, move, cv2.BORDER_REFLECT)
    noise = rng.normal(0, 4, rgb.shape)
    return np.clip(again * np.exp(rng.normal(0, 0.15)) + noise, 0, 255).astype(np.uint8)


def _blurred(rgb: Rgb, rng: _Rng) -> Rgb:
    sigma_px = rng.uniform(0.003, 0.008) * max(rgb.shape)
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma_px), np.uint8)


def _shaken(rgb: Rgb, rng: _Rng) -> Rgb:
    """A straight smear of 1 to 4 % of the longer side."""
    length_px = max(3, round(rng.uniform(0.01, 0.04) * max(rgb.shape)))
    kernel = np.zeros((length_px, length_px), np.float32)
    kernel[length_px // 2] = 1
    centre = (length_px - 1) / 2
    turn = cv2.getRotationMatrix2D((centre, centre), rng.uniform(0, 180), 1.0)
    line = cv2.warpAffine(kernel, turn, (length_px, length_px))
    return np.asarray(cv2.filter2D(rgb, -1, line / line.sum()), np.uint8)


def _exposed(rgb: Rgb, stops: float) -> Rgb:
    """With that much more light; what is stored is about its 2.2nd root."""
    return _lit(rgb, 2 ** (stops / 2.2))


def _under_exposed(rgb: Rgb, rng: _Rng) -> Rgb:
    return _exposed(rgb, -rng.uniform(1.5, 3.5))


def _over_exposed(rgb: Rgb, rng: _Rng) -> Rgb:
    return _exposed(rgb, rng.uniform(1, 2.5))


def _noisy(rgb: Rgb, rng: _Rng) -> Rgb:
    noise = rng.normal(0, rng.uniform(12, 30), rgb.shape)
    return np.clip(rgb + noise, 0, 255).astype(np.uint8)


def _half_size(rgb: Rgb, rng: _Rng) -> Rgb:
    return _scaled(rgb, 0.5)


_Make = Callable[[Rgb, _Rng], Rgb]

_ALIKE: Final[dict[str, _Make]] = {
    "recompressed": _unchanged,
    "resized": _resized,
    "cropped": _cropped,
    "rotated": _rotated,
    "rotated, black corners": _rotated_black,
    "brighter": _brighter,
    "darker": _darker,
    "reshot": _reshot,
}
_DEGRADED: Final[dict[str, _Make]] = {
    "blurred": _blurred,
    "shaken": _shaken,
    "under-exposed": _under_exposed,
    "over-exposed": _over_exposed,
    "noisy": _noisy,
    "quality 20": _unchanged,
    "half size": _half_size,
}
