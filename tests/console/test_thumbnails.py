"""Thumbnails: small, upright, and silent about who took them where."""

import io

import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from console.thumbnails import thumbnail
from models.images import BadPhotoError


def _photo(width: int, height: int, orientation: int = 1) -> bytes:
    """Blue, and red in the left half as it is stored."""
    image = Image.new("RGB", (width, height), "blue")
    image.paste("red", (0, 0, width // 2, height))
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    exif[Base.Artist] = "somebody"
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] = (48.0, 51.0, 30.0)
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif, comment=b"a secret")
    return out.getvalue()


def _opened(photo: bytes, side_px: int = 200) -> Image.Image:
    return Image.open(io.BytesIO(thumbnail(photo, side_px)), formats=["WEBP"])


def test_it_is_small() -> None:
    assert _opened(_photo(1200, 800)).size == (200, 133)
    assert _opened(_photo(800, 1200), 90).size == (60, 90)


def test_a_small_photo_is_not_enlarged() -> None:
    assert _opened(_photo(40, 30)).size == (40, 30)


def test_it_is_upright() -> None:
    # 6: the left of what is stored is the top of the photo.
    image = _opened(_photo(400, 300, orientation=6)).convert("RGB")
    assert image.size == (150, 200)
    red, _, blue = image.getpixel((75, 20))  # type: ignore[misc]
    assert red > 200 > 50 > blue


def test_it_tells_nothing_but_what_is_seen() -> None:
    photo = _photo(400, 300)
    assert b"somebody" in photo
    assert b"a secret" in photo
    small = thumbnail(photo, 200)
    assert not Image.open(io.BytesIO(small)).getexif()
    assert b"somebody" not in small
    assert b"a secret" not in small


@pytest.mark.parametrize("photo", [b"", b"<svg onload=alert(1)>"])
def test_what_is_no_photo_has_none(photo: bytes) -> None:
    with pytest.raises(BadPhotoError):
        thumbnail(photo, 200)
