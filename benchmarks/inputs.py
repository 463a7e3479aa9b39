"""Photos to measure with: of 0.3, 2 and 12 megapixels, all different.

Those of 0.3 MP are real files where there are enough of that size. Larger ones are real
photos enlarged, with as much fine detail on top as makes the file as large as that of a
phone: enlarging alone makes smooth pictures, which decode faster than photos do.
"""

import hashlib
import io
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import IFD, Base
from rich.console import Console
from rich.progress import track

from benchmarks.machine import cores
from benchmarks.settings import ROOT, Settings

# Photos of phones: 3 to 4 MB of 12 MP.
BYTES_A_PIXEL: Final = 0.3
_QUALITY: Final = 90
_SIDES_PX: Final = {"12 MP": (4032, 3024), "2 MP": (1632, 1224), "0.3 MP": (640, 480)}
SIZES: Final = tuple(_SIDES_PX)
# What counts as a real photo of 0.3 MP, in pixels.
_SMALL: Final = range(150_000, 450_000)
_STEPS: Final = 7
_LEAST_FEW: Final = 3
_FIRST: Final = datetime(2021, 1, 1, 9)
_A_DAY: Final = 40
# Of those labelled photos, these are not what anybody's roll consists of.
_NOT_PHOTOS: Final = ("screenshots", "odd", "exif")
# So many of a size are made; more are these under other names.
_DIFFERENT: Final = {"12 MP": 240, "2 MP": 320, "0.3 MP": 1000}
_VERSION: Final = 1


@dataclass(frozen=True)
class Inputs:
    """A folder of photos of one size.

    Attributes:
        folder: Nothing else is in it.
        paths: All photos in it, in order.
        pixels: Of all photos together.
        size_bytes: The same.
        real: How many of them are files as they were found.
        different: How many of them differ.
    """

    folder: Path
    paths: Sequence[Path]
    pixels: int
    size_bytes: int
    real: int
    different: int

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def described(self) -> str:
        """For the notes of a report."""
        megapixels = self.pixels / len(self) / 1e6
        made = len(self) - self.real
        again = f"; {self.different:,} differ" if self.different < len(self) else ""
        return (
            f"{len(self):,} photos of {megapixels:.2g} MP on average, "
            f"{self.size_bytes / self.pixels:.2f} bytes a pixel; "
            f"{self.real:,} are real files, {made:,} are made of real photos"
            f"{again}"
        )


def make_inputs(size: str, number: int, settings: Settings) -> Inputs:
    """Photos of a size, made now or by an earlier run.

    Args:
        size: One of `SIZES`.
        number: How many.
        settings: Where they are kept, and what they are made of.
    """
    megapixels = size.split()[0]
    folder = settings.inputs / f"v{_VERSION}-{_origin(settings)}-{megapixels}-{number}"
    if not folder.is_dir():
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        different = min(number, _DIFFERENT[size])
        if number == different:
            _make(part, size, number, settings)
        else:
            _repeat(make_inputs(size, different, settings), part, number)
        part.rename(folder)
    paths = sorted(folder.iterdir())
    pixels = 0
    for path in paths:
        with Image.open(path) as image:
            pixels += image.width * image.height
        # Also what reads it into memory, so that no disk is measured.
        path.read_bytes()
    return Inputs(
        folder,
        paths,
        pixels,
        sum(path.stat().st_size for path in paths),
        sum("real" in path.name for path in paths),
        min(number, _DIFFERENT[size]),
    )


def first(inputs: Inputs, number: int, settings: Settings) -> Inputs:
    """A folder with the first of them, for those who would take all day for all."""
    if number >= len(inputs):
        return inputs
    folder = inputs.folder.with_name(f"{inputs.folder.name}-first-{number}")
    if not folder.is_dir():
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        for path in inputs.paths[:number]:
            os.link(path, part / path.name)
        part.rename(folder)
    paths = [folder / path.name for path in inputs.paths[:number]]
    # Those are alike: their means are those of all.
    share = number / len(inputs)
    return Inputs(
        folder,
        paths,
        round(inputs.pixels * share),
        sum(path.stat().st_size for path in paths),
        sum("real" in path.name for path in paths),
        len({path.stat().st_ino for path in paths}),
    )


def beginning(photos: Inputs, settings: Settings) -> Inputs:
    """So few that the rest tells a speed; all, if there are too few for that."""
    few = max(_LEAST_FEW, len(photos) // 8)
    return first(photos, few, settings) if len(photos) > 2 * few else photos


def sources(settings: Settings) -> list[Path]:
    """Real photos, the JPEG files among them, in an order of no meaning."""
    labelled = ROOT.parent / "shared" / "data" / "photos"
    if settings.photos is not None:
        found = _jpegs(settings.photos)
    elif labelled.is_dir():
        found = [
            path
            for path in _jpegs(labelled)
            if path.relative_to(labelled).parts[0] not in _NOT_PHOTOS
        ]
    else:
        import skimage

        folder = Path(skimage.__file__).parent / "data"
        names = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png")
        found = [folder / name for name in (*names, "rocket.jpg")]
    if not found:
        raise FileNotFoundError(f"no JPEG file is in {settings.photos}")
    order = np.random.default_rng(0).permutation(len(found))
    return [found[place] for place in order]


def _origin(settings: Settings) -> str:
    """Other photos to make them of, other inputs; by names and sizes of their files."""
    listed = sorted(f"{path.name} {path.stat().st_size}" for path in sources(settings))
    return hashlib.sha256("\n".join(listed).encode()).hexdigest()[:8]


def _jpegs(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in (".jpg", ".jpeg") and path.is_file()
    )


def _make(folder: Path, size: str, number: int, settings: Settings) -> None:
    paths = sources(settings)
    real = 0
    if size == "0.3 MP":
        for path in _small(paths, number):
            file = folder / _name(real, "real")
            shutil.copyfile(path, file)
            _date(file, real)
            real += 1
    if real == number:
        return
    width, height = _SIDES_PX[size]
    detail = _detail(width, height)
    cv2_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)

    def make(place: int) -> None:
        data = _photo(paths[place % len(paths)], place, width, height, detail)
        file = folder / _name(place, "made")
        file.write_bytes(data)
        _date(file, place)

    console = Console(stderr=True)
    with ThreadPoolExecutor(cores()) as pool:
        made = pool.map(make, range(real, number))
        title = f"Making {number - real:,} photos of {size}"
        for _ in track(made, title, number - real, console=console, transient=True):
            pass
    cv2.setNumThreads(cv2_threads)


def _repeat(different: Inputs, folder: Path, number: int) -> None:
    for place in range(number):
        path = different.paths[place % len(different)]
        kind = "real" if "real" in path.name else "made"
        os.link(path, folder / _name(place, kind))


def _small(paths: Sequence[Path], number: int) -> Iterator[Path]:
    """Those of 0.3 MP, each content once."""
    seen: set[bytes] = set()
    for path in paths:
        if len(seen) == number:
            return
        with Image.open(path) as image:
            is_small = image.format == "JPEG" and image.width * image.height in _SMALL
        if is_small and (data := path.read_bytes()) not in seen:
            seen.add(data)
            yield path


def _name(place: int, kind: str) -> str:
    """Such that the first few in order are a sample of all."""
    return f"{place * 2654435761 % 2**32:08x}-{kind}-{place:05}.jpg"


def _date(file: Path, place: int) -> None:
    """A photo without EXIF is dated by its file: a day gets `_A_DAY` of them."""
    taken_s = _taken_at(place).timestamp()
    os.utime(file, (taken_s, taken_s))


def _taken_at(place: int) -> datetime:
    day, nth = divmod(place, _A_DAY)
    return _FIRST + timedelta(days=day, minutes=10 * nth)


def _detail(width: int, height: int) -> NDArray[np.uint8]:
    """Noise around 128 in several widths, as fine texture has; RGB, twice the size."""
    noise = np.random.default_rng(1)
    detail = np.zeros((2 * height, 2 * width), np.float32)
    for coarser in (1, 2, 4):
        shape = (2 * height // coarser, 2 * width // coarser)
        layer = noise.standard_normal(shape, np.float32)
        detail += cv2.resize(layer, (2 * width, 2 * height))
    gray = np.clip(128 + 24 * detail, 0, 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


def _photo(
    path: Path, place: int, width: int, height: int, detail: NDArray[np.uint8]
) -> bytes:
    """Encode a real photo at a size, unlike any other `place`."""
    chance = np.random.default_rng(place)
    with Image.open(path) as image:
        rgb = np.asarray(image.convert("RGB"))
    # Another frame of it: a photo that serves several times is never the same.
    rows, columns = (round(side * chance.uniform(0, 0.1)) for side in rgb.shape[:2])
    rgb = rgb[rows:, columns:]
    if chance.random() < 0.5:
        rgb = rgb[:, ::-1]
    if rgb.shape[0] > rgb.shape[1]:
        rgb = rgb.transpose(1, 0, 2)
    large = np.asarray(
        cv2.resize(rgb, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8
    )
    top, left = chance.integers(0, height), chance.integers(0, width)
    texture = detail[top : top + height, left : left + width]
    sample, its_texture = _sampled(large), _sampled(texture)
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        amplitude = (low + high) / 2
        data = _encode(_with(sample, its_texture, amplitude), None)
        if len(data) * 3 / sample.size < BYTES_A_PIXEL:
            low = amplitude
        else:
            high = amplitude
    exif = Image.Exif()
    exif[Base.Make], exif[Base.Model] = "PICCL", "benchmark"
    taken_at = _taken_at(place).strftime("%Y:%m:%d %H:%M:%S")
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = taken_at
    return _encode(_with(large, texture, low), exif)


def _sampled(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An eighth of a picture, in bands as high as the blocks of a JPEG."""
    height, width, _ = rgb.shape
    bands = rgb[: height // 16 * 16].reshape(-1, 16, width, 3)
    return bands[::8].reshape(-1, width, 3)


def _with(
    rgb: NDArray[np.uint8], texture: NDArray[np.uint8], amplitude: float
) -> NDArray[np.uint8]:
    added = cv2.addWeighted(rgb, 1.0, texture, amplitude, -128 * amplitude)
    return np.asarray(added, np.uint8)


def _encode(rgb: NDArray[np.uint8], exif: Image.Exif | None) -> bytes:
    out = io.BytesIO()
    more = {} if exif is None else {"exif": exif}
    Image.fromarray(rgb).save(out, "JPEG", quality=_QUALITY, **more)
    return out.getvalue()
