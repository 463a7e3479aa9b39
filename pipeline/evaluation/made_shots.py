"""Series of shots made out of single photos: it is known which belong together.

Re-shots and edited copies of one photo are alike, and degraded copies are no better
than it. The files carry EXIF, so that the pipeline knows when and where they were
"taken": different photos share their minute and their place.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageOps
from PIL.ExifTags import GPS, IFD, Base

from models.images import DECODER_ERRORS
from pipeline.evaluation.made_changes import ALIKE, DEGRADED, Rgb, plainest_part

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
    for kind, make in ALIKE.items():
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
    for kind, make in DEGRADED.items():
        quality = 20 if kind == "quality 20" else _FINE
        yield _shot(kind, make(rgb, rng), rng, minute, quality)


def write_series(
    photos: Iterable[Path],
    folder: Path,
    *,
    degraded: bool,
    plain: bool = False,
    seed: int = 0,
) -> Iterator[MadeFile]:
    """Write a series of each photo, `PHOTOS_A_MINUTE` of them in one minute.

    Args:
        photos: Photos of different things; one that can not be read has none.
        folder: Where to; it is there.
        degraded: Degraded copies instead of shots that are alike.
        plain: Of the plainest part of each photo.
        seed: Of how much of everything is done, and of the seconds.

    Yields:
        The files, as they are written. Photos of different days are never compared,
        so each minute has a day of its own.
    """
    make = degraded_copies if degraded else alike_shots
    for n, photo in enumerate(photos):
        minute = _FIRST_DAY + timedelta(days=n // PHOTOS_A_MINUTE)
        try:
            rgb = read_rgb(photo.read_bytes())
        except DECODER_ERRORS:
            continue
        if plain:
            rgb = plainest_part(rgb)
        for number, made in enumerate(make(rgb, seed + n, minute)):
            name = f"{n:05}-{number:02}.jpg"
            (folder / name).write_bytes(made.encoded)
            yield MadeFile(name, f"{n:05}", made.kind, degraded)


def _shot(
    kind: str,
    rgb: Rgb,
    rng: np.random.Generator,
    minute: datetime,
    quality: int = _FINE,
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
