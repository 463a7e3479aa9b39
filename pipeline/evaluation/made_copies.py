"""Copies of photos: as they get about, and hard cases for what judges sharpness.

Stored smaller, sent by a messenger, cropped; shaken, or sharp and looking shaken.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from models.blur_cases import CASES, is_detailed
from models.images import DECODER_ERRORS, BadPhotoError, decode
from models.screenshot_copies import messenger

CROPPED: Final = "cropped and as messengers send it"
_SIZES_PX: Final = (2048, 1024)
# A copy a little smaller than its original tells nothing.
_SMALLER: Final = 0.9
_FINE: Final = 92
# Enough for every detector, and what is made of it takes no time.
_CASE_PX: Final = 1024
# What a hand crops off a screenshot at top and bottom: its bars.
_BARS_SHARE: Final = 0.08
# A larger one takes too much memory at its full size.
_MAX_PIXELS: Final = 64_000_000
_HASH_SIDE: Final = 8
# Of 64; two shots of one thing differ in fewer bits, two photos of two in 32.
_SAME_BITS: Final = 12


@dataclass(frozen=True)
class MadeCopy:
    """A copy in a folder.

    Attributes:
        path: Of the copy.
        original: Path of what it was made of.
        kind: What was done.
        shaken: Whether it was made so; None where nothing was made of sharpness.
    """

    path: str
    original: str
    kind: str
    shaken: bool | None = None


def write_copies(
    photos: Iterable[tuple[str, bool]], folder: Path
) -> Iterator[MadeCopy]:
    """Write copies of photos; a photo that can not be copied has none.

    Args:
        photos: Paths, and whether it is a screenshot, which is cropped as well.
        folder: Where to; it is there.
    """
    for n, (path, screenshot) in enumerate(photos):
        if (opened := _opened(path)) is None:
            continue
        made = _copies(*opened, screenshot, np.random.default_rng(n))
        for number, (kind, encoded) in enumerate(made):
            copy = folder / f"{n:05}-{number}.jpg"
            copy.write_bytes(encoded)
            yield MadeCopy(str(copy.resolve()), path, kind)


def write_blur_cases(photos: Iterable[str], folder: Path) -> Iterator[MadeCopy]:
    """Write the hard cases of `models.blur_cases` of photos that are sharp.

    Args:
        photos: Paths; one that can not be copied has none.
        folder: Where to; it is there.
    """
    for n, path in enumerate(photos):
        if (opened := _opened(path)) is None:
            continue
        rgb = np.asarray(_fit(opened[0], _CASE_PX))
        detailed, rng = is_detailed(rgb), np.random.default_rng(n)
        for number, (kind, case) in enumerate(CASES.items()):
            if case.detailed and not detailed:
                continue
            copy = folder / f"case-{n:05}-{number}.jpg"
            copy.write_bytes(_jpeg(Image.fromarray(case.make(rgb, rng)), _FINE))
            yield MadeCopy(str(copy.resolve()), path, kind, case.shaken)


def _opened(path: str) -> tuple[Image.Image, bytes] | None:
    """A photo upright, in RGB, and its EXIF; None where it can not be read."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > _MAX_PIXELS:
                return None
            upright = ImageOps.exif_transpose(image)
            return upright.convert("RGB"), upright.info.get("exif") or b""
    except DECODER_ERRORS:
        return None


def _copies(
    upright: Image.Image, exif: bytes, screenshot: bool, rng: np.random.Generator
) -> Iterator[tuple[str, bytes]]:
    longest = max(upright.size)
    for side in _SIZES_PX:
        if side < longest * _SMALLER:
            yield f"at most {side} pixels", _jpeg(_fit(upright, side), _FINE, exif)
    yield "as messengers send it", messenger(upright, rng)
    if screenshot:
        bar = round(upright.height * _BARS_SHARE)
        inside = upright.crop((0, bar, upright.width, upright.height - bar))
        yield CROPPED, messenger(inside, rng)


def _fit(image: Image.Image, side: int) -> Image.Image:
    fitted = image.copy()
    fitted.thumbnail((side, side), Image.Resampling.LANCZOS)
    return fitted


def _jpeg(image: Image.Image, quality: int, exif: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, exif=exif)
    return buffer.getvalue()


def different_photos(
    paths: Iterable[str], most: int, min_side_px: int = 200
) -> list[str]:
    """The first photos of which no two look the same, whatever their size and light.

    They can not be told by what groups similar photos, which is to be judged.

    Args:
        paths: Of photos.
        most: How many are wanted.
        min_side_px: Smaller ones are left out.

    Source: the difference hash of Krawetz, "Kind of Like That", 2013.
    """
    found: list[str] = []
    hashes: list[NDArray[np.bool_]] = []
    for path in paths:
        if len(found) == most:
            break
        try:
            decoded = decode(Path(path).read_bytes())
        except (OSError, BadPhotoError):
            continue
        rgb = decoded.rgb
        if decoded.damaged or min(rgb.shape[:2]) < min_side_px:
            continue
        looks = _looks(rgb)
        if all(int((looks != other).sum()) > _SAME_BITS for other in hashes):
            found.append(path)
            hashes.append(looks)
    return found


def _looks(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    size = (_HASH_SIDE + 1, _HASH_SIDE)
    small = cv2.resize(gray, size, interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.asarray(small[:, 1:] > small[:, :-1])
