"""A roll of photos to try PICCL on: `python -m pipeline.sample_roll FOLDER`.

Made from the pictures that come with scikit-image, and variants of them. It
demonstrates; it is no test set, and no threshold was chosen on it.
"""

import datetime
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.ExifTags import GPS, IFD, Base

_SEED: Final = 7
_PARIS: Final = (48.8584, 2.2945)
_LISBON: Final = (38.7139, -9.1394)
_MORNING: Final = datetime.datetime(2024, 7, 14, 9, 30)
_EVENING: Final = datetime.datetime(2024, 7, 15, 21, 5)
_SECOND: Final = datetime.timedelta(seconds=1)

_Rgb = NDArray[np.uint8]


def make_sample_roll(folder: Path) -> int:
    """Write the roll; the same bytes and times each time.

    Args:
        folder: Made if it is not there; files of the same names are replaced.

    Returns:
        How many photos there are.
    """
    import skimage

    pictures = Path(skimage.__file__).parent / "data"
    folder.mkdir(parents=True, exist_ok=True)
    scenes = {
        name: np.asarray(Image.open(pictures / file).convert("RGB"))
        for name, file in [
            ("cat", "chelsea.png"),
            ("coffee", "coffee.png"),
            ("astronaut", "astronaut.png"),
            ("rocket", "rocket.jpg"),
            ("workshop", "motorcycle_left.png"),
            ("workshop-step-aside", "motorcycle_right.png"),
        ]
    }
    _write_burst(folder, "cat", scenes["cat"], _MORNING, _PARIS)
    _write_burst(folder, "coffee", scenes["coffee"], _MORNING + 600 * _SECOND, _PARIS)
    _save(folder / "workshop-1.jpg", scenes["workshop"], _EVENING, _LISBON)
    _save(
        folder / "workshop-2.jpg",
        scenes["workshop-step-aside"],
        _EVENING + 3 * _SECOND,
        _LISBON,
    )
    _save(folder / "astronaut.jpg", scenes["astronaut"], _MORNING + 3600 * _SECOND)
    _save(folder / "rocket.jpg", scenes["rocket"], _EVENING + 7200 * _SECOND)
    shutil.copy(folder / "rocket.jpg", folder / "rocket (1).jpg")
    _save(
        folder / "shaken-workshop.jpg",
        _shake(scenes["workshop"], length_px=25, angle_deg=20),
        _EVENING + 8000 * _SECOND,
    )
    _save(
        folder / "dark-astronaut.jpg",
        _underexpose(scenes["astronaut"]),
        _MORNING + 7200 * _SECOND,
    )
    screenshot = folder / "Screenshot_20240715-101500.png"
    _screenshot().save(screenshot)
    # It has no EXIF, so its day is that of the file.
    made_at_s = datetime.datetime(2024, 7, 15, 10, 15, tzinfo=datetime.UTC).timestamp()
    os.utime(screenshot, (made_at_s, made_at_s))
    return sum(1 for _ in folder.iterdir())


def _write_burst(
    folder: Path,
    name: str,
    rgb: _Rgb,
    taken_at: datetime.datetime,
    place: tuple[float, float],
) -> None:
    """Three shots of one scene within seconds: one as it is, one moved, one shaken."""
    for i, shot in enumerate(_shots(rgb)):
        moment = taken_at + i * 2 * _SECOND
        _save(folder / f"{name}-{i + 1}.jpg", shot, moment, place)


def _shots(rgb: _Rgb) -> Iterator[_Rgb]:
    height, width = rgb.shape[:2]
    yield rgb
    step = round(width * 0.02)
    moved = rgb[step:, step:]
    yield np.asarray(cv2.resize(moved, (width, height)), np.uint8)
    yield _shake(rgb, length_px=13, angle_deg=60)


def _shake(rgb: _Rgb, *, length_px: int, angle_deg: float) -> _Rgb:
    """Blur along a line, as a moving camera does."""
    kernel = np.zeros((length_px, length_px), np.float32)
    kernel[length_px // 2] = 1
    centre = (length_px - 1) / 2
    turn = cv2.getRotationMatrix2D((centre, centre), angle_deg, 1.0)
    line = cv2.warpAffine(kernel, turn, (length_px, length_px))
    return np.asarray(cv2.filter2D(rgb, -1, line / line.sum()), np.uint8)


def _underexpose(rgb: _Rgb) -> _Rgb:
    """Six stops less light, and the noise that comes with it."""
    light = (rgb / 255.0) ** 2.2 / 2**6
    noise = np.random.default_rng(_SEED).normal(0, 0.002, rgb.shape)
    levels = np.clip(light + noise, 0, 1) ** (1 / 2.2) * 255
    return levels.astype(np.uint8)


def _screenshot() -> Image.Image:
    """A phone's screen with a list of messages."""
    image = Image.new("RGB", (1080, 2340), "#fafafa")
    draw = ImageDraw.Draw(image)
    small, large = (ImageFont.load_default(size) for size in (34, 44))
    draw.rectangle((0, 0, 1080, 230), fill="#3f51b5")
    draw.text((40, 20), "10:15", font=small, fill="white")
    draw.text((930, 20), "87 %", font=small, fill="white")
    draw.text((60, 130), "Messages", font=large, fill="white")
    for row in range(10):
        top = 270 + row * 200
        draw.ellipse((50, top, 170, top + 120), fill="#9fa8da")
        draw.text((210, top + 5), f"Contact {row + 1}", font=large, fill="#212121")
        draw.text(
            (210, top + 70), "Are you coming tonight?", font=small, fill="#757575"
        )
        draw.line((210, top + 160, 1080, top + 160), fill="#e0e0e0", width=2)
    return image


def _save(
    path: Path,
    rgb: _Rgb,
    taken_at: datetime.datetime,
    place: tuple[float, float] | None = None,
) -> None:
    exif = Image.Exif()
    exif[Base.Make] = "PICCL"
    exif[Base.Model] = "sample roll"
    details = exif.get_ifd(IFD.Exif)
    details[Base.DateTimeOriginal] = taken_at.strftime("%Y:%m:%d %H:%M:%S")
    if place is not None:
        gps = exif.get_ifd(IFD.GPSInfo)
        latitude, longitude = place
        gps[GPS.GPSLatitudeRef] = "N" if latitude >= 0 else "S"
        gps[GPS.GPSLatitude] = _degrees(latitude)
        gps[GPS.GPSLongitudeRef] = "E" if longitude >= 0 else "W"
        gps[GPS.GPSLongitude] = _degrees(longitude)
    Image.fromarray(rgb).save(path, quality=92, exif=exif)


def _degrees(value: float) -> tuple[float, float, float]:
    whole, rest = divmod(abs(value), 1)
    minutes, rest = divmod(rest * 60, 1)
    return whole, minutes, round(rest * 60, 4)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    print(f"made a sample roll of {make_sample_roll(target)} photos")
