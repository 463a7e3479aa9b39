"""What is decoded by another decoder than Pillow is as if Pillow had decoded it."""

import io
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models import images
from models.images import BadPhotoError, DecodedPhoto, decode
from models.jpeg import shrink_jpeg


def _picture(width: int, height: int) -> Image.Image:
    """Noise of two sizes, in colour: no pixel is like its neighbour."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 160, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    large = coarse.repeat(16, axis=0).repeat(16, axis=1)[:height, :width]
    fine = rng.integers(0, 96, (height, width, 3), np.uint8)
    return Image.fromarray(large + fine)


def _jpeg(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def _by_pillow(
    data: bytes, reduced: tuple[int, int], wanted: tuple[int, int]
) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        by = round(image.width / reduced[0])
        image.draft(None, (image.width // by, image.height // by))
        assert image.size == reduced
        small = image.resize(wanted, Image.Resampling.BOX)
        return np.asarray(small.convert("RGB"))


# Height, width and what they are reduced and averaged to.
_SIZES = {
    "kept": ((300, 200), (300, 200), (300, 200)),
    "averaged": ((640, 480), (640, 480), (512, 384)),
    "halved": ((1000, 600), (1000, 600), (500, 300)),
    "one-side-averaged": ((512, 101), (512, 101), (512, 100)),
    "reduced": ((1024, 768), (512, 384), (512, 384)),
    "reduced-by-4-and-averaged": ((4000, 3000), (1000, 750), (512, 384)),
    "reduced-by-8-and-averaged": ((4035, 3025), (505, 379), (400, 300)),
    # Pixels whose centre is on the border of two: 1 of 427 rows is, in the middle.
    "centre-on-a-border": ((640, 427), (640, 427), (512, 342)),
    "averaged-by-3-and-4": ((1632, 1224), (1632, 1224), (512, 384)),
    "averaged-by-9": ((1153, 461), (1153, 461), (128, 51)),
    "averaged-across": ((900, 20), (900, 20), (128, 20)),
    "averaged-down": ((20, 900), (20, 900), (20, 128)),
    "one-pixel": ((1, 1), (1, 1), (1, 1)),
}
_KINDS: dict[str, Callable[[Image.Image], bytes]] = {
    "usual": _jpeg,
    "full-colour": lambda image: _jpeg(image, subsampling=0, quality=95),
    "half-colour": lambda image: _jpeg(image, subsampling=1),
    "progressive": lambda image: _jpeg(image, progressive=True),
    "gray": lambda image: _jpeg(image.convert("L")),
}


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize("kind", _KINDS)
def test_pixels_are_pillows(kind: str, size: str) -> None:
    full, reduced, wanted = _SIZES[size]
    data = _KINDS[kind](_picture(*full))
    rgb = shrink_jpeg(data, reduced, wanted)
    assert rgb is not None
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    np.testing.assert_array_equal(rgb, _by_pillow(data, reduced, wanted))


def test_every_width_is_averaged_as_pillow_does() -> None:
    # Its arithmetic is of floating point and decides where borders meet centres.
    for pixels, wanted in itertools.product((341, 427, 600, 683), (341, 342, 384, 400)):
        if wanted <= pixels <= 2 * wanted:
            data = _jpeg(_picture(pixels, pixels))
            sizes = (pixels, pixels), (wanted, wanted)
            rgb = shrink_jpeg(data, *sizes)
            np.testing.assert_array_equal(rgb, _by_pillow(data, *sizes))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no photo",
        _jpeg(_picture(64, 64))[:-200],
        _jpeg(_picture(64, 64))[:300],
        _jpeg(_picture(64, 64), progressive=True)[:-200],
        _jpeg(_picture(64, 64).convert("CMYK")),
        _jpeg(_picture(64, 64), keep_rgb=True),
        _jpeg(_picture(70, 64)),
    ],
    ids=[
        "empty",
        "text",
        "cut",
        "header",
        "cut-progressive",
        "cmyk",
        "stored-as-rgb",
        "other-size",
    ],
)
def test_what_is_not_sure_is_left_to_pillow(data: bytes) -> None:
    assert shrink_jpeg(data, (64, 64), (64, 64)) is None


def _outcome(data: bytes) -> tuple[object, ...]:
    try:
        photo: DecodedPhoto = decode(data, max_pixels=20_000_000)
    except BadPhotoError as err:
        return (str(err),)
    facts = photo.width, photo.height, photo.format, photo.capture, photo.damaged
    return (*facts, photo.rgb.shape, photo.rgb.tobytes())


def test_photos_are_what_they_would_be_by_pillow_alone(
    shared_photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrunk = []

    def counted(*args: object) -> NDArray[np.uint8] | None:
        rgb = shrink_jpeg(*args)
        shrunk.append(rgb is not None)
        return rgb

    files = {
        path.name: data
        for path in sorted(shared_photos.rglob("*"))
        if path.is_file() and (data := path.read_bytes()).startswith(b"\xff\xd8")
    }
    monkeypatch.setattr(images, "shrink_jpeg", counted)
    as_is = {name: _outcome(data) for name, data in files.items()}
    assert sum(shrunk) > 1200
    assert sum(shrunk) < len(shrunk)
    monkeypatch.setattr(images, "shrink_jpeg", lambda *_: None)
    different = [name for name in files if _outcome(files[name]) != as_is[name]]
    assert different == []


@pytest.mark.parametrize("kind", _KINDS)
def test_broken_files_are_what_they_would_be_by_pillow_alone(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = _KINDS[kind](_picture(160, 120))
    rng = np.random.default_rng(len(seed))
    files = []
    for turn in range(120):
        data = bytearray(seed)
        end = len(data) if turn % 2 else 700
        for place in rng.integers(end, size=rng.integers(1, 4)):
            data[place] = rng.integers(256)
        if turn % 5 == 0:
            del data[rng.integers(len(data)) :]
        files.append(bytes(data))
    as_is = [_outcome(data) for data in files]
    monkeypatch.setattr(images, "shrink_jpeg", lambda *_: None)
    assert as_is == [_outcome(data) for data in files]
    assert len({outcome[0] for outcome in as_is}) > 1


def test_threads_may_decode_together() -> None:
    data = [_jpeg(_picture(600 + 8 * i, 400)) for i in range(8)]
    alone = [_outcome(each) for each in data]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(_outcome, data * 4)) == alone * 4


def test_a_sampling_without_a_name_is_no_damage() -> None:
    data = _jpeg(_picture(64, 64), subsampling=2)
    # The same blocks as 4:2:0 has, one above the other: 4:4:1.
    start_of_frame = data.index(b"\xff\xc0")
    sampling = start_of_frame + 11
    assert data[sampling] == 0x22
    tall = data[:sampling] + b"\x14" + data[sampling + 1 :]
    assert shrink_jpeg(tall, (64, 64), (64, 64)) is None
    photo = decode(tall)
    assert not photo.damaged
    assert photo.rgb.shape == (64, 64, 3)
