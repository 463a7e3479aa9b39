"""When a film was made, as its container tells.

Source: ISO/IEC 14496-12, 4.2 and 8.2.2; QuickTime films have the same boxes.
"""

import os
import struct
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Final

FILMS: Final = (".mov", ".mp4")

_EPOCH: Final = datetime(1904, 1, 1, tzinfo=UTC)
# Of a broken file, rather than to walk it all.
_MOST_BOXES: Final = 1000


def filmed_at(file: BinaryIO) -> datetime | None:
    """The time in the `mvhd` box, in UTC as far as the camera knew it.

    Returns:
        None where there is none: what many cameras do not know, they leave zero.

    Raises:
        OverflowError: It is beyond all calendars.
    """
    if not (_enter(file, b"moov") and _enter(file, b"mvhd")):
        return None
    version_and_flags = file.read(4)
    form = ">Q" if version_and_flags[:1] == b"\1" else ">I"
    created = file.read(struct.calcsize(form))
    if len(created) < struct.calcsize(form):
        return None
    (seconds,) = struct.unpack(form, created)
    return _EPOCH + timedelta(seconds=seconds) if seconds else None


def _enter(file: BinaryIO, name: bytes) -> bool:
    """Go to the content of the next box of a name; False if none follows."""
    for _ in range(_MOST_BOXES):
        head = file.read(8)
        if len(head) < 8:
            return False
        size, kind = struct.unpack(">I4s", head)
        if kind == name:
            return True
        left = size - 8
        if size == 1:  # of a film of more than 4 GB
            large = file.read(8)
            if len(large) < 8:
                return False
            left = struct.unpack(">Q", large)[0] - 16
        if left < 0:  # also 0, a box up to the end
            return False
        file.seek(left, os.SEEK_CUR)
    return False
