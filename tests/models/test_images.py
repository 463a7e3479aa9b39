import csv
import io
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageSequence
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from models.exif import Capture
from models.images import (
    WORKING_SIDE_PX,
    BadPhotoError,
    DecodedPhoto,
    check_format,
    decode,
    read_header,
)

# Broken files are what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

Transpose = Image.Transpose

# From an upright picture to what a turned camera stores (CIPA DC-008, 4.6.4).
_STORED = {
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}

_NO_PHOTO = "not a photo: its content is none of JPEG, PNG, WEBP, HEIF, GIF, TIFF, BMP"
_NO_PICTURE = "damaged header: no picture can be found in it"


def _scene(width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    """Smooth, coloured, and different in each of the eight orientations."""
    x = np.linspace(0, 1, width)[np.newaxis, :]
    y = np.linspace(0, 1, height)[:, np.newaxis]
    rgb = np.dstack([230 * x + 0 * y, 230 * y + 0 * x, 200 * (1 - x) * (1 - y)])
    return rgb.astype(np.uint8)


def _noise(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def _encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other).mean())


def _png(width: int, height: int, depth: int, colour: int, data: bytes) -> bytes:
    """A PNG from its parts, which no encoder has to hold in memory."""
    header = width.to_bytes(4) + height.to_bytes(4) + bytes((depth, colour, 0, 0, 0))
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4) + name + body + zlib.crc32(name + body).to_bytes(4)
        for name, body in chunks
    )


def _gray16(byte_order: str) -> Image.Image:
    return Image.fromarray(
        (_scene()[:, :, 0].astype(np.uint16) * 257).astype(byte_order)
    )


# name: kind, what Pillow saves, options, mean error in levels, grey.
_FORMATS: dict[str, tuple[str, Callable[[Image.Image], Any], dict[str, Any], float]] = {
    "jpeg": ("JPEG", Image.Image.copy, {"quality": 95}, 2),
    "progressive": ("JPEG", Image.Image.copy, {"progressive": True}, 2),
    "cmyk": ("JPEG", lambda im: im.convert("CMYK"), {"quality": 95}, 2),
    "png": ("PNG", Image.Image.copy, {}, 0),
    "palette": ("PNG", lambda im: im.quantize(256), {}, 4),
    "webp": ("WEBP", Image.Image.copy, {"quality": 95}, 2),
    "webp-lossless": ("WEBP", Image.Image.copy, {"lossless": True}, 0),
    "heic": ("HEIF", Image.Image.copy, {"quality": 95}, 2),
    "gif": ("GIF", Image.Image.copy, {}, 8),
    "tiff": ("TIFF", Image.Image.copy, {}, 0),
    "tiff-lzw": ("TIFF", Image.Image.copy, {"compression": "tiff_lzw"}, 0),
    "tiff-jpeg": ("TIFF", Image.Image.copy, {"compression": "jpeg"}, 3),
    "bmp": ("BMP", Image.Image.copy, {}, 0),
}
_GRAY_FORMATS: dict[str, tuple[str, Callable[[Image.Image], Any], float]] = {
    "jpeg": ("JPEG", lambda im: im.getchannel(0), 2),
    "png": ("PNG", lambda im: im.getchannel(0), 0),
    "png-16-bit": ("PNG", lambda _: _gray16("<u2"), 0),
    "tiff-16-bit": ("TIFF", lambda _: _gray16("<u2"), 0),
    "tiff-16-bit-big-endian": ("TIFF", lambda _: _gray16(">u2"), 0),
    "tiff-float": ("TIFF", lambda im: _measured_light(im.getchannel(0)), 0),
}


def _measured_light(gray: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(gray, np.float32) / 255)


class TestFormats:
    @pytest.mark.parametrize("name", _FORMATS)
    def test_colours_survive(self, name: str) -> None:
        kind, convert, options, tolerance = _FORMATS[name]
        data = _encode(convert(Image.fromarray(_scene())), kind, **options)
        photo = decode(data)
        assert photo.format == kind
        assert (photo.width, photo.height) == (96, 64)
        assert photo.rgb.dtype == np.uint8
        assert not photo.damaged
        assert _difference(photo.rgb, _scene()) <= tolerance

    @pytest.mark.parametrize("name", _GRAY_FORMATS)
    def test_gray_becomes_three_equal_channels(self, name: str) -> None:
        kind, convert, tolerance = _GRAY_FORMATS[name]
        data = _encode(convert(Image.fromarray(_scene())), kind)
        expected = np.repeat(_scene()[:, :, :1], 3, axis=2)
        assert _difference(decode(data).rgb, expected) <= tolerance

    def test_16_bit_colour_keeps_its_high_byte(self) -> None:
        wide = _scene()[:, :, ::-1].astype(np.uint16) * 257
        for extension in (".png", ".tiff"):
            data = cv2.imencode(extension, wide)[1].tobytes()
            assert _difference(decode(data).rgb, _scene()) <= 1

    def test_bitmap_is_averaged_when_it_shrinks(self) -> None:
        checks = np.indices((1024, 2048)).sum(axis=0) % 2 == 0
        photo = decode(_encode(Image.fromarray(checks), "PNG"))
        assert photo.rgb.shape == (256, 512, 3)
        assert np.abs(photo.rgb.astype(int) - 127.5).max() <= 1

    def test_palette_is_averaged_in_colour(self) -> None:
        stripes = np.indices((1024, 1024))[1] % 2
        image = Image.fromarray(stripes.astype(np.uint8), "P")
        image.putpalette([255, 0, 0, 0, 0, 255])
        photo = decode(_encode(image, "PNG"))
        assert np.abs(photo.rgb.astype(int) - (127.5, 0, 127.5)).max() <= 1

    @pytest.mark.parametrize("side", [64, 1024], ids=["kept", "shrunk"])
    def test_transparency_is_laid_on_white(self, side: int) -> None:
        # Nobody sees the colour of what is transparent: here it is black.
        rgba = np.zeros((side, side, 4), np.uint8)
        rgba[: side // 2] = (200, 0, 0, 255)
        rgb = decode(_encode(Image.fromarray(rgba), "PNG")).rgb
        half = len(rgb) // 2
        assert (rgb[:half] == (200, 0, 0)).all()
        assert (rgb[half:] == 255).all()

    def test_half_transparent_mixes_with_white(self) -> None:
        rgba = np.full((8, 8, 4), (0, 0, 0, 128), np.uint8)
        rgb = decode(_encode(Image.fromarray(rgba), "PNG")).rgb
        assert np.abs(rgb.astype(int) - 127).max() <= 1

    def test_transparent_palette_entry_is_white(self) -> None:
        image = Image.fromarray(np.repeat([[0, 1]], 8, axis=0).astype(np.uint8), "P")
        image.putpalette([0, 0, 0, 0, 0, 255])
        rgb = decode(_encode(image, "PNG", transparency=0)).rgb
        assert (rgb[:, 0] == 255).all()
        assert (rgb[:, 1] == (0, 0, 255)).all()

    @pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
    def test_first_frame_of_several(self, kind: str) -> None:
        frames = [Image.new("RGB", (32, 24), name) for name in ("red", "lime", "blue")]
        data = _encode(frames[0], kind, save_all=True, append_images=frames[1:])
        with Image.open(io.BytesIO(data)) as image:
            assert len(list(ImageSequence.Iterator(image))) == 3
        assert _difference(decode(data).rgb, np.asarray(frames[0])) <= 3

    def test_multi_picture_jpeg_shows_its_first(self) -> None:
        first, second = Image.fromarray(_scene()), Image.new("RGB", (96, 64), "blue")
        data = _encode(first, "MPO", save_all=True, append_images=[second])
        assert read_header(data).format == "JPEG"
        photo = decode(data)
        assert photo.format == "JPEG"
        assert _difference(photo.rgb, _scene()) <= 3

    def test_name_does_not_matter(self, shared_photos: Path) -> None:
        data = (shared_photos / "odd" / "really_a_jpeg.png").read_bytes()
        photo = decode(data)
        assert photo.format == "JPEG"
        assert (photo.width, photo.height) == (773, 512)
        assert not photo.damaged


class TestHeader:
    @pytest.mark.parametrize("name", _FORMATS)
    def test_accepts_the_beginning_of_a_photo(self, name: str) -> None:
        kind, convert, options, _ = _FORMATS[name]
        data = _encode(convert(Image.fromarray(_scene())), kind, **options)
        check_format(data[:64])
        header = read_header(data)
        assert (header.format, header.width, header.height) == (kind, 96, 64)

    @pytest.mark.parametrize(
        ("beginning", "reason"),
        [
            (b"", "empty file"),
            (b"Dear diary, today I took no photo at all." * 9, _NO_PHOTO),
            (
                b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41" + b"\0" * 99,
                _NO_PHOTO,
            ),
            (b"%PDF-1.7\n" + b"\0" * 99, _NO_PHOTO),
            (b"\0" * 512, _NO_PHOTO),
            (b"\xff", _NO_PHOTO),
        ],
        ids=["empty", "text", "video", "pdf", "zeros", "one-byte"],
    )
    def test_refuses_what_is_no_photo(self, beginning: bytes, reason: str) -> None:
        with pytest.raises(BadPhotoError, match=f"^{reason}$"):
            check_format(beginning)
        for refuse in (read_header, decode):
            with pytest.raises(BadPhotoError, match=f"^{reason}"):
                refuse(beginning)

    def test_size_is_known_from_the_beginning(self) -> None:
        data = _encode(Image.fromarray(_noise(700, 500)), "JPEG")
        assert read_header(data[:1024]).pixels == 350_000


class TestOrientation:
    @pytest.mark.parametrize("orientation", _STORED)
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
    @pytest.mark.parametrize("width", [96, 1200], ids=["kept", "shrunk"])
    def test_turned_camera_gives_the_upright_picture(
        self, kind: str, orientation: int, width: int
    ) -> None:
        upright = _scene(width, width // 3)
        exif = Image.Exif()
        exif[Base.Orientation] = orientation
        image, turn = Image.fromarray(upright), _STORED[orientation]
        stored = image if turn is None else image.transpose(turn)
        photo = decode(_encode(stored, kind, exif=exif))
        assert (photo.width, photo.height) == (width, width // 3)
        expected = image.resize(photo.rgb.shape[1::-1], Image.Resampling.BOX)
        assert _difference(photo.rgb, np.asarray(expected)) <= 3

    @pytest.mark.parametrize("orientation", _STORED)
    def test_real_photos(self, shared_photos: Path, orientation: int) -> None:
        def landscape(number: int) -> DecodedPhoto:
            path = shared_photos / "exif" / f"orient_Landscape_{number}.jpg"
            return decode(path.read_bytes())

        photo = landscape(orientation)
        assert (photo.width, photo.height) == (1800, 1200)
        assert _difference(photo.rgb, landscape(1).rgb) < 2

    def test_heic_is_turned_once(self, shared_photos: Path) -> None:
        # Its container says how to turn it, and its EXIF says so again.
        photo = decode((shared_photos / "odd" / "mde_IMG_2927.HEIC").read_bytes())
        assert (photo.width, photo.height) == (3024, 4032)
        assert photo.rgb.shape == (512, 384, 3)

    @pytest.mark.parametrize("value", [0, 9, 65535], ids=str)
    def test_nonsense_is_ignored(self, value: int) -> None:
        exif = Image.Exif()
        exif[Base.Orientation] = value
        photo = decode(_encode(Image.fromarray(_scene()), "JPEG", exif=exif))
        assert (photo.width, photo.height) == (96, 64)


class TestWorkingSize:
    @pytest.mark.parametrize(
        ("size", "expected"),
        [
            ((2000, 1500), (512, 384)),
            ((1500, 2000), (384, 512)),
            ((513, 100), (512, 100)),
            ((512, 512), (512, 512)),
            ((300, 40), (300, 40)),
            ((1, 1), (1, 1)),
            ((9000, 4), (512, 1)),
            ((4, 9000), (1, 512)),
        ],
        ids=lambda size: f"{size[0]}x{size[1]}",
    )
    @pytest.mark.parametrize("kind", ["JPEG", "PNG"])
    def test_longer_side_is_at_most_512(
        self, kind: str, size: tuple[int, int], expected: tuple[int, int]
    ) -> None:
        photo = decode(_encode(Image.new("RGB", size, (10, 200, 30)), kind))
        assert photo.rgb.shape == (expected[1], expected[0], 3)
        assert (photo.width, photo.height) == size
        assert not photo.damaged
        assert np.abs(photo.rgb.astype(int) - (10, 200, 30)).max() <= 3

    def test_same_photo_at_any_size_looks_the_same(self, shared_photos: Path) -> None:
        source = shared_photos / "exif" / "orient_Landscape_1.jpg"
        with Image.open(source) as opened:
            image = opened.convert("RGB")
        full = decode(source.read_bytes()).rgb
        for width in (1700, 1500, 1024, 900, 700):
            size = (width, width * image.height // image.width)
            smaller = image.resize(size, Image.Resampling.LANCZOS)
            # A shift by one pixel would make a difference of 7 levels.
            rgb = decode(_encode(smaller, "JPEG", quality=92)).rgb
            assert _difference(rgb, full) < 4, width
        assert max(full.shape) == WORKING_SIDE_PX

    @pytest.mark.parametrize("width", [1100, 2048, 2100])
    def test_reduced_decode_is_close_to_a_full_one(self, width: int) -> None:
        # Noise is what differs most between two ways to shrink.
        height = width * 3 // 4
        rgb = _noise(width, height) // 4 + _scene(width, height) // 2
        data = _encode(Image.fromarray(rgb), "JPEG", quality=95, subsampling=0)
        full = decode(data, with_full_gray=True).rgb
        assert _difference(decode(data).rgb, full) < 3


class TestSizeLimit:
    def test_limit_itself_is_allowed(self) -> None:
        data = _encode(Image.fromarray(_scene()), "PNG")
        assert decode(data, max_pixels=96 * 64).width == 96
        with pytest.raises(BadPhotoError, match=r"^too large: 96 x 64 is"):
            decode(data, max_pixels=96 * 64 - 1)

    def test_huge_photo_is_refused_before_it_is_decoded(self, tmp_path: Path) -> None:
        row = zlib.compressobj(1)
        data = b"".join(row.compress(bytes(1 + 30_000 // 8)) for _ in range(30_000))
        bomb = tmp_path / "bomb.png"
        bomb.write_bytes(_png(30_000, 30_000, 1, 0, data + row.flush()))
        script = """
import resource, sys
from models.images import BadPhotoError, decode
data = open(sys.argv[1], "rb").read()
before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decode(data)
except BadPhotoError as err:
    print(err)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib)
"""
        ran = subprocess.run(
            [sys.executable, "-c", script, str(bomb)],
            capture_output=True,
            check=True,
            cwd=Path(__file__).parents[2],
            text=True,
        )
        reason, grown_kib = ran.stdout.splitlines()
        assert reason == ("too large: 30000 x 30000 is 900 MP, the limit is 200 MP")
        assert int(grown_kib) < 50_000


def _truncated_jpeg(width: int = 640, height: int = 480) -> bytes:
    image = Image.fromarray(_noise(width, height) // 4 + _scene(width, height) // 2)
    data = _encode(image, "JPEG", quality=90)
    return data[: len(data) * 6 // 10]


def _png_with_damaged_data() -> bytes:
    data = bytearray(_encode(Image.fromarray(_noise(64, 64)), "PNG"))
    data[data.index(b"IDAT") + 8000] ^= 0xFF
    return bytes(data)


class TestDamage:
    def test_upper_part_of_a_truncated_jpeg_is_intact(self) -> None:
        image = Image.fromarray(_noise(640, 480) // 4 + _scene(640, 480) // 2)
        whole = _encode(image, "JPEG", quality=90)
        expected = decode(whole)
        photo = decode(whole[: len(whole) * 6 // 10])
        assert photo.damaged
        assert not expected.damaged
        assert (photo.width, photo.height) == (640, 480)
        assert _difference(photo.rgb[:200], expected.rgb[:200]) == 0
        assert _difference(photo.rgb[300:], expected.rgb[300:]) > 10

    def test_real_truncated_photo(self, shared_photos: Path) -> None:
        photo = decode((shared_photos / "odd" / "cut_in_half.jpg").read_bytes())
        whole = decode((shared_photos / "detect" / "darknet_dog.jpg").read_bytes())
        assert photo.damaged
        assert not whole.damaged
        assert _difference(photo.rgb[:100], whole.rgb[:100]) == 0
        assert photo.capture == whole.capture

    @pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "BMP"])
    def test_truncated_file_is_damaged(self, kind: str) -> None:
        data = _encode(Image.fromarray(_noise(200, 200)), kind)
        photo = decode(data[: len(data) * 6 // 10])
        assert photo.damaged
        assert (photo.width, photo.height) == (200, 200)

    @pytest.mark.parametrize("kind", ["WEBP", "HEIF"])
    def test_truncated_file_that_no_viewer_shows(self, kind: str) -> None:
        data = _encode(Image.fromarray(_noise(200, 200)), kind)
        with pytest.raises(BadPhotoError, match="damaged"):
            decode(data[: len(data) * 6 // 10])

    def test_damaged_png_without_exif_is_damaged(self) -> None:
        assert decode(_png_with_damaged_data()).damaged

    def test_nothing_but_a_header(self) -> None:
        data = _encode(Image.fromarray(_noise(64, 64)), "PNG")
        with pytest.raises(BadPhotoError, match="nothing of it can be decoded"):
            decode(data[: data.index(b"IDAT") + 6])

    def test_reason_is_one_line(self) -> None:
        # libheif ends its message on this one with a line break.
        data = bytearray(_encode(Image.fromarray(_scene(64, 48)), "HEIF"))
        data[data.index(b"ispe") + 12] = 0xE7
        with pytest.raises(BadPhotoError, match=r"^damaged.*limit[^\n]*\Z"):
            decode(bytes(data))

    @pytest.mark.parametrize(
        "data", [_truncated_jpeg(), b"\xff\xd8\xff\xe0 no photo", b""], ids=len
    )
    def test_leniency_ends_with_the_photo(self, data: bytes) -> None:
        try:
            assert decode(data).damaged
        except BadPhotoError:
            assert len(data) < 100
        assert not ImageFile.LOAD_TRUNCATED_IMAGES

    def test_leniency_does_not_leak_into_other_threads(self) -> None:
        whole = _encode(Image.fromarray(_scene(640, 480)), "JPEG")
        # A wrong checksum before the pixels is an error, but not to the lenient.
        bad_header = bytearray(_encode(Image.fromarray(_scene()), "PNG", dpi=(72, 72)))
        bad_header[bad_header.index(b"pHYs") + 4] ^= 0xFF
        files = {
            "truncated": _truncated_jpeg(),
            "damaged": _png_with_damaged_data(),
            "whole": whole,
            "bad header": bytes(bad_header),
        }
        seen: dict[str, set[str]] = {name: set() for name in files}

        def decode_all(seed: int) -> None:
            order = np.random.default_rng(seed).permuted(list(files) * 15)
            for name in order:
                try:
                    seen[name].add(f"damaged={decode(files[name]).damaged}")
                except BadPhotoError as err:
                    seen[name].add(str(err))

        threads = [threading.Thread(target=decode_all, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == {
            "truncated": {"damaged=True"},
            "damaged": {"damaged=True"},
            "whole": {"damaged=False"},
            "bad header": {_NO_PICTURE},
        }


def _opencv_gray(path: Path) -> NDArray[np.uint8]:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    bgr = cv2.imread(str(path), flags)
    assert bgr is not None
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)


class TestFullGray:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG"])
    def test_equals_opencv(self, kind: str, tmp_path: Path) -> None:
        path = tmp_path / "photo"
        path.write_bytes(_encode(Image.fromarray(_scene(1400, 900)), kind))
        photo = decode(path.read_bytes(), with_full_gray=True)
        assert photo.full_gray is not None
        expected = _opencv_gray(path)
        assert photo.full_gray.shape == (900, 1400)
        assert np.abs(photo.full_gray.astype(int) - expected).max() <= 2

    @pytest.mark.parametrize(
        "name",
        [
            "exif/exifsample_jolla.jpg",
            "odd/progressive.jpg",
            "exif/orient_Landscape_6.jpg",
        ],
    )
    def test_equals_opencv_on_real_photos(self, shared_photos: Path, name: str) -> None:
        path = shared_photos / name
        photo = decode(path.read_bytes(), with_full_gray=True)
        assert photo.full_gray is not None
        expected = _opencv_gray(path)
        assert photo.full_gray.shape == expected.shape
        assert np.abs(photo.full_gray.astype(int) - expected).max() <= 2

    def test_only_if_asked_for(self) -> None:
        assert decode(_encode(Image.fromarray(_scene()), "PNG")).full_gray is None


class TestCapture:
    DETAILS: ClassVar[dict[int, Any]] = {Base.DateTimeOriginal: "2021:07:08 09:10:11"}
    PLACE: ClassVar[dict[int, Any]] = {
        GPS.GPSLatitudeRef: "S",
        GPS.GPSLatitude: (33.0, 30.0, 0.0),
        GPS.GPSLongitudeRef: "E",
        GPS.GPSLongitude: (151.0, 15.0, 0.0),
    }
    CAPTURE = Capture(datetime(2021, 7, 8, 9, 10, 11), -33.5, 151.25, by_camera=True)

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
    def test_is_read_from_every_format_that_carries_it(self, kind: str) -> None:
        exif = Image.Exif()
        exif[Base.Make] = "Maker"
        exif.get_ifd(IFD.Exif).update(self.DETAILS)
        exif.get_ifd(IFD.GPSInfo).update(self.PLACE)
        data = _encode(Image.fromarray(_scene()), kind, exif=exif)
        assert decode(data).capture == self.CAPTURE

    @pytest.mark.parametrize("frames", [1, 2])
    def test_is_read_from_tiff(self, frames: int) -> None:
        tags = ImageFileDirectory_v2()
        tags[Base.Make] = "Maker"
        tags[Base.Orientation] = 6
        tags[IFD.Exif] = self.DETAILS
        tags[IFD.GPSInfo] = self.PLACE
        images = [Image.fromarray(_scene())] * frames
        data = _encode(
            images[0], "TIFF", tiffinfo=tags, save_all=True, append_images=images[1:]
        )
        photo = decode(data)
        assert photo.capture == self.CAPTURE
        assert (photo.width, photo.height) == (64, 96)


# What a good viewer does not open either.
_UNREADABLE = {
    "broken.png": _NO_PICTURE,
    "crash-0e16d3bfb83be87356d026d66919deaefca44dac.tif": "damaged: ",
    "decompression_bomb.gif": "too large: 65535 x 66601 is 4,365 MP",
    "text_named.jpg": _NO_PHOTO,
    "ukbench09268_corrupt.jpg": _NO_PHOTO,
    "zero_bytes.jpg": "empty file",
    "zero_width.gif": _NO_PICTURE,
}
_REASONS = ("empty file", "not a photo", "too large: ", "damaged: ", "damaged header: ")


class TestOddFiles:
    def test_each_is_decoded_or_refused_with_a_reason(
        self, shared_photos: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        surprises = []
        with (shared_photos / "odd" / "manifest.csv").open() as manifest:
            rows = list(csv.DictReader(manifest))
        for row in rows:
            name, label = row["file"], row["label"]
            try:
                photo = decode((shared_photos / "odd" / name).read_bytes())
            except BadPhotoError as err:
                expected = _UNREADABLE.get(name, "")
                readable = not label.startswith("fuzzed") and name not in _UNREADABLE
                if readable or not str(err).startswith(expected or _REASONS):
                    surprises.append((name, label, str(err)))
                if "\n" in str(err) or len(str(err)) > 150:
                    surprises.append((name, label, str(err)))
            else:
                damaged = label in ("truncated", "corrupt")
                # Only its index of further pictures is bad.
                damaged &= name != "sugarshack_bad_mpo_header.jpg"
                damaged |= label.startswith("fuzzed") and photo.damaged
                if name in _UNREADABLE or photo.damaged != damaged:
                    surprises.append((name, label, f"damaged={photo.damaged}"))
        assert len(rows) > 60
        assert surprises == []


def _with_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[Base.Orientation] = 6
    exif[Base.Make] = "Maker"
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "2021:07:08 09:10:11"
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] = (1.0, 2.0, 3.0)
    return exif


class TestMutatedBytes:
    @pytest.mark.timeout(60)
    @pytest.mark.parametrize("name", _FORMATS)
    def test_any_bytes_give_a_photo_or_a_reason(self, name: str) -> None:
        kind, convert, options, _ = _FORMATS[name]
        exif = {} if kind in ("GIF", "BMP") else {"exif": _with_exif()}
        seed = _encode(convert(Image.fromarray(_scene())), kind, **options, **exif)
        rng = np.random.default_rng(len(seed))
        reasons = []
        for turn in range(150):
            data = bytearray(seed)
            # Headers are where decoders stumble.
            end = min(len(data), 600) if turn % 2 else len(data)
            for place in rng.integers(end, size=rng.integers(1, 8)):
                data[place] = rng.integers(256)
            if turn % 5 == 0:
                del data[rng.integers(len(data)) :]
            try:
                photo = decode(bytes(data), max_pixels=1_000_000)
            except BadPhotoError as err:
                reasons.append(str(err))
            else:
                assert photo.rgb.ndim == 3
                assert photo.rgb.shape[2] == 3
                assert max(photo.rgb.shape) <= WORKING_SIDE_PX
        assert 0 < len(reasons) < 150
        for reason in reasons:
            assert reason.startswith(_REASONS)
            assert "\n" not in reason
