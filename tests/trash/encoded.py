"""Photos and films that tell, or do not tell, when they were made."""

import io
import struct

from PIL import Image
from PIL.ExifTags import IFD, Base

# Seconds from 1904 to 1970.
MAC_EPOCH_S = 2_082_844_800


def encoded(taken_at: str | None, colour: int, kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    if taken_at is not None:
        exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = taken_at
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (colour, 0, 0)).save(out, kind, exif=exif)
    return out.getvalue()


def box(kind: bytes, content: bytes, *, large: bool = False) -> bytes:
    if large:
        return struct.pack(">I4sQ", 1, kind, len(content) + 16) + content
    return struct.pack(">I4s", len(content) + 8, kind) + content


def film(made_at_s: int, version: int = 0, *, large: bool = False) -> bytes:
    """As a phone writes it: what tells the time is behind all pictures."""
    made_at = struct.pack(">I" if version == 0 else ">Q", made_at_s)
    header = box(b"mvhd", bytes([version, 0, 0, 0]) + made_at + bytes(80))
    return (
        box(b"ftyp", b"qt  ")
        + box(b"wide", b"")
        + box(b"mdat", bytes(300_000), large=large)
        + box(b"moov", box(b"udta", b"") + header)
    )
