"""Encoded photos to small upright RGB arrays.

A photo is decoded once, shrunk and dropped: whatever a detector looks at is
derived from one working image of at most `WORKING_SIDE_PX`.
"""

import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.ExifTags import Base

from models.budget import Budget
from models.exif import Capture, read_capture
from models.jpeg import shrink_jpeg

pillow_heif.register_heif_opener()

# Our own limit, which is an error and no warning, replaces Pillow's.
Image.MAX_IMAGE_PIXELS = None
# What Pillow warns of on broken files ends in the photo's record.
warnings.filterwarnings("ignore", category=UserWarning, module="PIL")

# Of how a photo becomes a working image.
VERSION: Final = 2
WORKING_SIDE_PX: Final = 512
DEFAULT_MAX_PIXELS: Final = 200_000_000
FORMATS: Final = ("JPEG", "PNG", "WEBP", "HEIF", "GIF", "TIFF", "BMP")

# By which a JPEG can be decoded reduced, at much less cost.
_REDUCTIONS: Final = (8, 4, 2, 1)
# That averages blocks of pixels in its own way. Leaving about a factor of two to the
# exact averaging keeps the result close to that of a full decode; a little less, so
# that 4,000 pixels, the width of 12 MP, are reduced by four.
_LEFT_TO_AVERAGE: Final = 1.9
# EXIF orientation to what sets the photo upright (CIPA DC-008, 4.6.4).
_UPRIGHT: Final[Mapping[int, Callable[[Any], Any]]] = {
    2: lambda stored: cv2.flip(stored, 1),
    3: lambda stored: cv2.rotate(stored, cv2.ROTATE_180),
    4: lambda stored: cv2.flip(stored, 0),
    5: cv2.transpose,
    6: lambda stored: cv2.rotate(stored, cv2.ROTATE_90_CLOCKWISE),
    7: lambda stored: cv2.rotate(cv2.transpose(stored), cv2.ROTATE_180),
    8: lambda stored: cv2.rotate(stored, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
# From here on, width and height change places.
_LYING: Final = 5
_BAND_PX: Final = 256
# Pillow's WebP decoder holds four frames at once, 16 bytes a pixel: 200 MP took
# 3.1 GB, and this limit 1.6 GB.
_MAX_PIXELS_OF: Final = {"WEBP": 100_000_000}
# Decoding took up to 10 bytes a pixel in the other formats: about 1 GB at once.
# A photo at the default limit is decoded alone, and took up to 2 GB.
_BUDGET: Final = Budget(100_000_000)

# What Pillow's plugins raise on broken data; the list is from fuzzed files.
DECODER_ERRORS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    RuntimeError,
)


class BadPhotoError(ValueError):
    """The bytes are not a photo that can be analysed; the text says why."""


@dataclass(frozen=True)
class Header:
    """What a photo says of itself before a pixel is decoded.

    Attributes:
        format: One of `FORMATS`.
        width, height: Stored size in pixels, before orientation.
    """

    format: str
    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height


@dataclass(frozen=True)
class DecodedPhoto:
    """A photo after its only decode.

    Attributes:
        rgb: uint8, (H, W, 3), RGB, upright, the longer side at most
            `WORKING_SIDE_PX`, or what was asked for; smaller photos are not enlarged.
        full_gray: uint8, (height, width), at full size, in stored orientation;
            only if it was asked for.
        width, height: Size of the upright photo at full size, in pixels.
        format: One of `FORMATS`.
        capture: Time, place and camera from the EXIF.
        damaged: The data is broken or ends early and the decoder filled in the
            rest, as a viewer does.
    """

    rgb: NDArray[np.uint8]
    full_gray: NDArray[np.uint8] | None
    width: int
    height: int
    format: str
    capture: Capture
    damaged: bool


def check_format(beginning: bytes) -> str:
    """Refuse what is no photo from its first bytes, before the rest is read.

    Args:
        beginning: At least the first 64 bytes, or the whole of a shorter file.

    Returns:
        One of `FORMATS`.

    Raises:
        BadPhotoError: Empty, or not one of `FORMATS`.
    """
    if not beginning:
        raise BadPhotoError("empty file")
    Image.init()
    for name in FORMATS:
        if Image.OPEN[name][1](beginning):  # type: ignore[misc]
            return name
    raise BadPhotoError(f"not a photo: its content is none of {', '.join(FORMATS)}")


def read_header(data: bytes) -> Header:
    """Identify a photo by its content, whatever its name says.

    Args:
        data: The encoded photo, or at least its beginning.

    Raises:
        BadPhotoError: Empty, or not one of `FORMATS`.
    """
    with _opened(data) as image:
        return _header(image)


def decode(
    data: bytes,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    with_full_gray: bool = False,
    side_px: int = WORKING_SIDE_PX,
) -> DecodedPhoto:
    """Decode a photo once and keep what the detectors need of it.

    Args:
        data: The encoded photo: JPEG, PNG, WebP, HEIC, BMP, GIF or TIFF (their
            first frame), in any colour mode and depth.
        max_pixels: Larger photos are refused before they are decoded.
        with_full_gray: Also keep the grey photo at full size, as the paper's
            test for shaken photos wants it (Fig. 3).
        side_px: How large it is wanted; what looks for anything in it takes the
            default.

    Raises:
        BadPhotoError: Not a photo, too large, or nothing of it can be decoded.
    """
    # Held for the header too: one that is read leniently may be another one.
    with _BUDGET.take(1), _opened(data) as image:
        header = _header(image)
        # Of other formats it is there only when they are decoded.
        tags = _read_exif(image) if header.format == "JPEG" else None
    max_pixels = min(max_pixels, _MAX_PIXELS_OF.get(header.format, max_pixels))
    if header.pixels > max_pixels:
        raise BadPhotoError(
            f"too large: {header.width} x {header.height} is "
            f"{header.pixels / 1e6:,.0f} MP, the limit is {max_pixels / 1e6:,.0f} MP"
        )
    # What fails in it is no fault of the data, which it leaves to Pillow.
    if tags and not with_full_gray:
        reduction = _reduction(header, side_px)
        reduced = -(-header.width // reduction), -(-header.height // reduction)
        with _BUDGET.take(header.pixels):
            rgb = shrink_jpeg(data, reduced, _working_size(header, side_px))
        if rgb is not None:
            return _decoded(rgb, header, tags)
    try:
        with _BUDGET.take(header.pixels):
            return _decode(data, header, with_full_gray, side_px, damaged=False)
    except DECODER_ERRORS:
        pass
    # Pillow's leniency is a switch for the whole process: nobody else decodes
    # while the whole budget is taken, so nobody else is lenient by chance.
    with _BUDGET.take(_BUDGET.capacity):
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            return _decode(data, header, with_full_gray, side_px, damaged=True)
        except BadPhotoError:
            raise
        except DECODER_ERRORS as err:
            raise BadPhotoError(f"damaged: {_one_line(err)}") from err
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    check_format(data)
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as err:
        raise BadPhotoError("damaged header: no picture can be found in it") from err
    except DECODER_ERRORS as err:
        raise BadPhotoError(f"damaged header: {_one_line(err)}") from err
    with image:
        yield image


def _header(image: Image.Image) -> Header:
    # MPO is a JPEG with further pictures behind the first, which it shows.
    kind = "JPEG" if image.format == "MPO" else str(image.format)
    return Header(kind, *image.size)


def _working_size(header: Header, side_px: int) -> tuple[int, int]:
    scale = min(1.0, side_px / max(header.width, header.height))
    width, height = round(header.width * scale), round(header.height * scale)
    return max(1, width), max(1, height)


def _reduction(header: Header, side_px: int) -> int:
    longest, shortest = sorted((header.width, header.height), reverse=True)
    most = min(longest / (_LEFT_TO_AVERAGE * side_px), shortest)
    return next((by for by in _REDUCTIONS if by <= most), 1)


def _decode(
    data: bytes, header: Header, with_full_gray: bool, side_px: int, *, damaged: bool
) -> DecodedPhoto:
    with _opened(data) as image:
        if not with_full_gray:
            # Only JPEG can; Pillow picks the smallest size that still covers.
            reduction = _reduction(header, side_px)
            image.draft(None, (header.width // reduction, header.height // reduction))
        image.load()
        # After loading: TIFFs are set upright by it and lose the tag, and a PNG
        # would be loaded for its EXIF, its errors taken for errors of the EXIF.
        tags = _read_exif(image)
        # Palettes and bitmaps can not be averaged.
        if image.mode in ("P", "PA"):
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        elif image.mode == "1":
            image = image.convert("L")
        full_gray = _full_gray(image) if with_full_gray else None
        small = image.resize(_working_size(header, side_px), Image.Resampling.BOX)
        rgb = _to_rgb(small)
    if damaged and rgb.min() == rgb.max():
        raise BadPhotoError("damaged: nothing of it can be decoded")
    return _decoded(rgb, header, tags, full_gray, damaged=damaged)


def _decoded(
    rgb: NDArray[np.uint8],
    header: Header,
    tags: tuple[int, Capture],
    full_gray: NDArray[np.uint8] | None = None,
    *,
    damaged: bool = False,
) -> DecodedPhoto:
    """Set the working image upright, which costs less than to turn the full frame."""
    orientation, capture = tags
    width, height = header.width, header.height
    if orientation in _UPRIGHT:
        rgb = _UPRIGHT[orientation](rgb)
        if orientation >= _LYING:
            width, height = height, width
    return DecodedPhoto(
        rgb=rgb,
        full_gray=full_gray,
        width=width,
        height=height,
        format=header.format,
        capture=capture,
        damaged=damaged,
    )


def _full_gray(image: Image.Image) -> NDArray[np.uint8]:
    """The grey photo, in bands, so that no second colour frame is held."""
    gray = np.empty((image.height, image.width), np.uint8)
    for top in range(0, image.height, _BAND_PX):
        bottom = min(top + _BAND_PX, image.height)
        band = _to_rgb(image.crop((0, top, image.width, bottom)))
        gray[top:bottom] = cv2.cvtColor(band, cv2.COLOR_RGB2GRAY)
    return gray


def _read_exif(image: Image.Image) -> tuple[int, Capture]:
    try:
        exif = image.getexif()
        return exif.get(Base.Orientation, 1), read_capture(exif)
    except DECODER_ERRORS:
        # A photo with a broken EXIF is still a photo.
        return 1, Capture()


def _one_line(err: Exception) -> str:
    return " ".join(str(err).split())


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Any colour mode but a palette to uint8, (H, W, 3), RGB."""
    if image.mode.startswith("I") or image.mode == "F":
        levels = np.asarray(image, np.float32)
        # 16 bits come as I;16 or I; floating point may have any of these ranges.
        white = 65535.0
        if image.mode == "F" and levels.max() <= 255:
            white = 1.0 if levels.max() <= 1 else 255.0
        gray = np.clip(levels * (255 / white), 0, 255).round().astype(np.uint8)
        return np.repeat(gray[:, :, np.newaxis], 3, axis=2)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.ascontiguousarray(image.convert("RGB"), dtype=np.uint8)
