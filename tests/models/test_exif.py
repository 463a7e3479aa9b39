import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational

from models.exif import Capture, read_capture
from models.images import decode

_HOUR = timedelta(hours=1)
_TIME = "2021:07:08 09:10:11"
_LOCAL = datetime(2021, 7, 8, 9, 10, 11)


def _capture(
    main: Mapping[int, Any] | None = None,
    details: Mapping[int, Any] | None = None,
    gps: Mapping[int, Any] | None = None,
) -> Capture:
    """What is read back of tags that Pillow wrote into a photo."""
    exif = Image.Exif()
    exif.update(main or {})
    exif.get_ifd(IFD.Exif).update(details or {})
    exif.get_ifd(IFD.GPSInfo).update(gps or {})
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif)
    with Image.open(file) as image:
        return read_capture(image.getexif())


def _place(
    latitude: Any, north: Any, longitude: Any, east: Any
) -> tuple[float | None, float | None]:
    tags = {
        GPS.GPSLatitude: latitude,
        GPS.GPSLatitudeRef: north,
        GPS.GPSLongitude: longitude,
        GPS.GPSLongitudeRef: east,
    }
    capture = _capture(gps={tag: value for tag, value in tags.items() if value})
    return capture.latitude, capture.longitude


def test_nothing_is_known_without_tags() -> None:
    assert _capture() == Capture(None, None, None, by_camera=False)


class TestTime:
    @pytest.mark.parametrize(
        ("offset", "zone"),
        [
            ("+02:00", timezone(2 * _HOUR)),
            ("-03:30", timezone(-3.5 * _HOUR)),
            ("+05:45", timezone(5.75 * _HOUR)),
            ("+14:00", timezone(14 * _HOUR)),
            ("Z", UTC),
            ("+00:00", UTC),
            ("+15:00", None),
            ("+99:99", None),
            ("   :  ", None),
            ("summer", None),
            ("", None),
        ],
        ids=repr,
    )
    def test_offset(self, offset: str, zone: timezone | None) -> None:
        taken_at = _capture(
            details={Base.DateTimeOriginal: _TIME, Base.OffsetTimeOriginal: offset}
        ).taken_at
        assert taken_at is not None
        assert taken_at.replace(tzinfo=None) == _LOCAL
        assert taken_at.tzinfo == zone

    @pytest.mark.parametrize(
        ("subsec", "microsecond"),
        [
            ("5", 500_000),
            ("05", 50_000),
            ("123", 123_000),
            ("123456789", 123_456),
            ("42  ", 420_000),
            ("", 0),
            ("-1", 0),
            ("x1", 0),
        ],
        ids=repr,
    )
    def test_sub_seconds_are_a_fraction(self, subsec: str, microsecond: int) -> None:
        taken_at = _capture(
            details={Base.DateTimeOriginal: _TIME, Base.SubsecTimeOriginal: subsec}
        ).taken_at
        assert taken_at == _LOCAL.replace(microsecond=microsecond)

    def test_exposure_counts_before_the_last_change(self) -> None:
        main: dict[int, Any] = {
            Base.DateTime: "2023:01:01 00:00:00",
            Base.OffsetTime: "+01:00",
        }
        scan: dict[int, Any] = {Base.DateTimeDigitized: "2022:01:01 00:00:00"}
        exposure: dict[int, Any] = {Base.DateTimeOriginal: _TIME}
        assert _capture(main, scan | exposure).taken_at == _LOCAL
        assert _capture(main, scan).taken_at == datetime(2022, 1, 1)
        zone = timezone(_HOUR)
        assert _capture(main).taken_at == datetime(2023, 1, 1, tzinfo=zone)

    def test_offset_and_sub_seconds_belong_to_their_own_time(self) -> None:
        taken_at = _capture(
            details={
                Base.DateTimeOriginal: _TIME,
                Base.OffsetTimeDigitized: "+02:00",
                Base.SubsecTimeDigitized: "5",
            }
        ).taken_at
        assert taken_at is not None
        assert (taken_at.tzinfo, taken_at.microsecond) == (None, 0)

    @pytest.mark.parametrize(
        "broken",
        [
            "0000:00:00 00:00:00",
            "    :  :     :  :  ",
            "2021:13:08 09:10:11",
            "2021:02:30 09:10:11",
            "2021:07:08 24:00:00",
            "2021:07:08",
            "2021-07-08T09:10:11",
            "yesterday",
            "",
            b"\xff\xfe\x00\x80garbage\x01\x02",
            b"\0" * 20,
            20210708,
            IFDRational(1, 0),
        ],
        ids=repr,
    )
    def test_broken_time_counts_as_missing(self, broken: Any) -> None:
        assert _capture(details={Base.DateTimeOriginal: broken}).taken_at is None
        fallen_back = _capture({Base.DateTime: _TIME}, {Base.DateTimeOriginal: broken})
        assert fallen_back.taken_at == _LOCAL

    def test_padding_is_ignored(self) -> None:
        padded = f" {_TIME}\0\0 ".encode()
        assert _capture(details={Base.DateTimeOriginal: padded}).taken_at == _LOCAL


class TestPlace:
    @pytest.mark.parametrize(
        ("north", "east", "signs"),
        [
            ("N", "E", (1, 1)),
            ("S", "E", (-1, 1)),
            ("N", "W", (1, -1)),
            ("S", "W", (-1, -1)),
            ("s", "w", (-1, -1)),
            ("South", "West", (-1, -1)),
        ],
    )
    def test_signed_degrees(
        self, north: str, east: str, signs: tuple[int, int]
    ) -> None:
        latitude, longitude = _place((33, 30, 36), north, (151, 15, 0), east)
        assert latitude == pytest.approx(signs[0] * 33.51)
        assert longitude == pytest.approx(signs[1] * 151.25)

    def test_decimal_minutes(self) -> None:
        place = _place((43.0, 28.046, 0.0), "N", (11.0, 53.106, 0.0), "E")
        assert place == pytest.approx((43.4674333, 11.8851))

    @pytest.mark.parametrize(
        ("latitude", "longitude"),
        [
            ((0, 0, 0), (0, 0, 0)),
            ((91, 0, 0), (10, 0, 0)),
            ((10, 0, 0), (180, 0, 1)),
            ((IFDRational(0, 0),) * 3, (10, 0, 0)),
            ((IFDRational(1, 0), 0, 0), (10, 0, 0)),
            ((10, 0), (10, 0, 0)),
            ((10, 0, 0, 0), (10, 0, 0)),
            (10, (10, 0, 0)),
        ],
        ids=[
            "no-fix",
            "beyond-the-pole",
            "beyond-the-date-line",
            "nan",
            "infinite",
            "two-parts",
            "four-parts",
            "one-number",
        ],
    )
    def test_impossible_place_is_absent(self, latitude: Any, longitude: Any) -> None:
        assert _place(latitude, "N", longitude, "E") == (None, None)

    @pytest.mark.parametrize("longitude", [0, 10])
    def test_the_equator_is_a_place(self, longitude: int) -> None:
        place = _place((0, 0, 1), "S", (longitude, 0, 0), "E")
        assert place == pytest.approx((-1 / 3600, longitude), abs=1e-7)

    @pytest.mark.parametrize(
        "broken",
        [
            {"latitude": None},
            {"north": None},
            {"longitude": None},
            {"east": None},
            {"north": "E"},
            {"east": "X"},
        ],
        ids=str,
    )
    def test_half_a_place_is_none(self, broken: dict[str, Any]) -> None:
        place: dict[str, Any] = {
            "latitude": (10, 0, 0),
            "north": "N",
            "longitude": (20, 0, 0),
            "east": "E",
        }
        assert _place(**place) == (10, 20)
        assert _place(**(place | broken)) == (None, None)


class TestByCamera:
    @pytest.mark.parametrize(
        ("main", "details"),
        [
            ({Base.Make: "Maker"}, {}),
            ({Base.Model: "Model"}, {}),
            ({}, {Base.ExposureTime: IFDRational(1, 60)}),
            ({}, {Base.FNumber: IFDRational(28, 10)}),
        ],
        ids=["maker", "model", "exposure", "aperture"],
    )
    def test_maker_model_or_exposure_tell(
        self, main: dict[int, Any], details: dict[int, Any]
    ) -> None:
        assert _capture(main, details).by_camera

    def test_editor_or_screenshot_does_not(self) -> None:
        main: dict[int, Any] = {
            Base.Software: "Editor 3",
            Base.Make: "  ",
            Base.DateTime: _TIME,
        }
        assert not _capture(main, {Base.UserComment: b"Screenshot"}).by_camera


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "bursts/arezzo_DSCN0010.jpg",
            Capture(datetime(2008, 10, 22, 16, 28, 39), 43.4674483, 11.8851267, True),
        ),
        (
            "bursts/hdrpair_iphone_hdr_NO.jpg",
            Capture(
                datetime(2015, 4, 10, 20, 12, 23, 16_000), 40.4469722, -3.7247528, True
            ),
        ),
        (
            "exif/exifsample_Kodak_CX7530.jpg",
            Capture(datetime(2005, 8, 13, 9, 47, 23), -0.3713, 36.0564167, True),
        ),
        (
            "odd/IMG_5195.HEIC",
            Capture(
                datetime(2021, 4, 11, 15, 47, 53, 54_000, tzinfo=timezone(-5 * _HOUR)),
                39.0513444,
                -94.2887722,
                True,
            ),
        ),
        (
            "exif/exifsample_Canon_40D.jpg",
            Capture(datetime(2008, 5, 30, 15, 56, 1), None, None, True),
        ),
        ("exif/orient_Landscape_3.jpg", Capture()),
        ("odd/hopper_bad_exif.jpg", Capture()),
        ("odd/exif_gps_typeerror.jpg", Capture(datetime(2010, 8, 15, 13, 58, 9))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_real_photos(shared_photos: Path, name: str, expected: Capture) -> None:
    capture = decode((shared_photos / name).read_bytes()).capture
    assert capture == expected
    assert (capture.taken_at is None) or (
        expected.taken_at is not None
        and capture.taken_at.utcoffset() == expected.taken_at.utcoffset()
    )
