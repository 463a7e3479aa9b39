"""When, where and with what a photo was taken, from its EXIF.

Source: CIPA DC-008 (Exif 2.32), tables 6 to 15 for the tags used here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from PIL.ExifTags import GPS, IFD, Base
from PIL.Image import Exif

# (time, offset, sub-seconds), the moment of exposure first. `DateTime` is the
# last change of the file, yet still nearer to the exposure than a download.
_TIME_TAGS: Final = (
    (Base.DateTimeOriginal, Base.OffsetTimeOriginal, Base.SubsecTimeOriginal),
    (Base.DateTimeDigitized, Base.OffsetTimeDigitized, Base.SubsecTimeDigitized),
    (Base.DateTime, Base.OffsetTime, Base.SubsecTime),
)
_CAMERA_TAGS: Final = (Base.Make, Base.Model, Base.ExposureTime, Base.FNumber)


@dataclass(frozen=True)
class Capture:
    """What the camera wrote down about a photo.

    Attributes:
        taken_at: Local time the camera showed; with its offset from UTC where
            the camera wrote it. None without a usable time.
        latitude, longitude: Signed degrees, north and east positive, both or
            neither.
        by_camera: A camera made it: maker, model or exposure are there.
    """

    taken_at: datetime | None = None
    latitude: float | None = None
    longitude: float | None = None
    by_camera: bool = False


def read_capture(exif: Exif) -> Capture:
    """Read the tags of one photo; broken ones count as missing.

    Args:
        exif: As Pillow reads it; its values may have any type.
    """
    if not exif:
        return Capture()
    details = exif.get_ifd(IFD.Exif)
    # Time tags stand in either directory, whichever the writer preferred.
    tags: dict[int, Any] = {**exif, **details}
    place = _place(exif.get_ifd(IFD.GPSInfo))
    return Capture(
        taken_at=_taken_at(tags),
        latitude=place[0] if place else None,
        longitude=place[1] if place else None,
        by_camera=any(_text(tags.get(tag)) for tag in _CAMERA_TAGS),
    )


def _taken_at(tags: Mapping[int, Any]) -> datetime | None:
    for time_tag, offset_tag, subsec_tag in _TIME_TAGS:
        try:
            local = datetime.strptime(_text(tags.get(time_tag)), "%Y:%m:%d %H:%M:%S")
        except ValueError:
            continue
        subsec = _text(tags.get(subsec_tag))
        if subsec.isdecimal() and subsec.isascii():
            local = local.replace(microsecond=int(subsec[:6].ljust(6, "0")))
        return local.replace(tzinfo=_offset(_text(tags.get(offset_tag))))
    return None


def _offset(text: str) -> timezone | None:
    try:
        zone = datetime.strptime(text, "%z").tzinfo
    except ValueError:
        return None
    offset = zone.utcoffset(None) if zone else None
    # Clocks on earth run from UTC-12 to UTC+14; anything else is a broken tag.
    if offset is None or abs(offset) > timedelta(hours=14):
        return None
    return timezone(offset)


def _place(gps: Mapping[int, Any]) -> tuple[float, float] | None:
    latitude = _degrees(gps.get(GPS.GPSLatitude), gps.get(GPS.GPSLatitudeRef), "NS")
    longitude = _degrees(gps.get(GPS.GPSLongitude), gps.get(GPS.GPSLongitudeRef), "EW")
    if latitude is None or longitude is None:
        return None
    if abs(latitude) > 90 or abs(longitude) > 180:
        return None
    # Receivers without a fix write zeros.
    if latitude == 0 and longitude == 0:
        return None
    return round(latitude, 7), round(longitude, 7)


def _degrees(value: Any, reference: Any, signs: str) -> float | None:
    sign = _text(reference)[:1].upper()
    if sign not in tuple(signs):
        return None
    try:
        degrees, minutes, seconds = (float(part) for part in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    total = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(total):
        return None
    return total if sign == signs[0] else -total


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = value.decode("ascii", errors="replace")
    return str(value).strip("\0 \t\r\n")
