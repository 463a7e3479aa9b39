"""Small pictures of photos, which tell nothing but what is seen."""

import io
from typing import Final

from PIL import Image

from models.images import decode

# 200 px of an ordinary photo are about 4 kB, and nobody sees the difference to 90.
_QUALITY: Final = 62


def thumbnail(encoded: bytes, side_px: int) -> bytes:
    """A photo as a small WebP: upright, and without its metadata.

    Args:
        encoded: The photo as it is stored.
        side_px: Its longer side will have at most so many pixels; a photo is not
            enlarged, and more than `models.images.WORKING_SIDE_PX` there never are.

    Raises:
        BadPhotoError: It can not be decoded.
    """
    image = Image.fromarray(decode(encoded).rgb)
    image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "WEBP", quality=_QUALITY, method=4)
    return out.getvalue()
