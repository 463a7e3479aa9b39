"""Copies of photos as they get about."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pipeline.evaluation.made_copies import different_photos, write_copies


@pytest.fixture
def photo(jpeg: Callable[..., bytes], tmp_path: Path) -> Callable[..., str]:
    """Writes a photo of a scene, of any size."""

    def write(name: str, scene: int, width: int = 320, **details: object) -> str:
        with Image.open(io.BytesIO(jpeg(scene))) as image:
            large = image.resize((width, width * 3 // 4))
        large.save(tmp_path / name, **details)
        return str(tmp_path / name)

    return write


def test_sizes_messengers_and_crops(photo, tmp_path) -> None:
    large = photo("large.jpg", 1, 2600)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    turned = photo("turned.jpg", 2, 1200, exif=exif)
    screen = photo("screen.png", 3, 400)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 nothing more")
    folder = tmp_path / "copies"
    folder.mkdir()
    photos = [(large, False), (str(tmp_path / "broken.jpg"), False)]
    photos += [(turned, False), (screen, True)]
    copies = list(write_copies(photos, folder))
    sizes = {}
    for copy in copies:
        with Image.open(copy.path) as image:
            assert image.format == "JPEG"
            assert not image.getexif().get(0x0112)
            sizes[Path(copy.original).name, copy.kind] = image.size
    assert sizes == {
        ("large.jpg", "at most 2048 pixels"): (2048, 1536),
        ("large.jpg", "at most 1024 pixels"): (1024, 768),
        ("large.jpg", "as messengers send it"): (1600, 1200),
        ("turned.jpg", "at most 1024 pixels"): (768, 1024),
        ("turned.jpg", "as messengers send it"): (900, 1200),
        ("screen.png", "as messengers send it"): (400, 300),
        ("screen.png", "cropped and as messengers send it"): (400, 252),
    }


def test_different_photos_are_of_different_things(photo, tmp_path) -> None:
    paths = [photo(f"{scene}.jpg", scene) for scene in range(4)]
    # The same again: smaller, compressed, darker.
    again = [photo("again.jpg", 0, 280, quality=30)]
    with Image.open(paths[1]) as image:
        image.point(lambda level: level // 2).save(tmp_path / "darker.jpg")
    again += [str(tmp_path / "darker.jpg"), photo("tiny.jpg", 9, 100)]
    assert different_photos([*paths, *again], 10) == paths
    assert different_photos([*paths, *again], 2) == paths[:2]
