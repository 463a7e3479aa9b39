"""Copies of photos as they get about, and hard cases of sharpness."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from models.blur import DEFAULT_THRESHOLD, sharpness
from models.blur_cases import CASES
from models.images import decode
from pipeline.evaluation.labels import LabelledPhoto
from pipeline.evaluation.made_copies import (
    different_photos,
    write_blur_cases,
    write_copies,
)
from pipeline.evaluation.making import score_made_copies
from pipeline.evaluation.scoring import Scored


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
        ("large.jpg", "as messengers send it"): (720, 540),
        ("turned.jpg", "at most 1024 pixels"): (768, 1024),
        ("turned.jpg", "as messengers send it"): (540, 720),
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


@pytest.fixture
def shelf(tmp_path: Path) -> Callable[[str], str]:
    """Writes a detailed photo, 640 x 480; each name is another."""

    def write(name: str) -> str:
        rng = np.random.default_rng(list(name.encode()))
        scene = np.full((480, 640, 3), 128, np.uint8)
        for _ in range(500):
            box = rng.uniform(0, 640, 2), rng.uniform(10, 80, 2), rng.uniform(0, 180)
            corners = cv2.boxPoints(box).astype(np.int32)
            colour = (rng.integers(0, 2, 3) * 255).tolist()
            cv2.fillConvexPoly(scene, corners, colour, cv2.LINE_AA)
        Image.fromarray(scene).save(tmp_path / name, quality=92)
        return str(tmp_path / name)

    return write


def test_blur_cases_of_detailed_and_of_plain_photos(photo, shelf, tmp_path) -> None:
    plain, detailed = photo("plain.jpg", 1, 500), shelf("shelf.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 nothing more")
    files = {}
    for folder in (tmp_path / "once", tmp_path / "again"):
        folder.mkdir()
        photos = [plain, str(tmp_path / "broken.jpg"), detailed]
        cases = list(write_blur_cases(photos, folder))
        files[folder.name] = [Path(case.path).read_bytes() for case in cases]
    assert files["once"] == files["again"]
    kinds = [(case.kind, case.shaken) for case in cases if case.original == detailed]
    assert kinds == [(kind, case.shaken) for kind, case in CASES.items()]
    kinds = [(case.kind, case.shaken) for case in cases if case.original == plain]
    assert kinds == [(k, False) for k, case in CASES.items() if not case.detailed]


class _Scorer:
    """Judges sharpness alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def score(
        self, addresses: Sequence[str], user_id: str
    ) -> tuple[dict[str, Scored], list[Any]]:
        files = sorted(Path(addresses[0]).iterdir())
        return {str(path.resolve()): _scored(path) for path in files}, []


def _scored(path: Path) -> Scored:
    score = sharpness(decode(path.read_bytes()).rgb)
    shaken = score is not None and score < DEFAULT_THRESHOLD
    row = {"shaken": shaken, "dark": False, "screenshot": False}
    return Scored(row, path.name, 640 * 480)


def test_what_is_made_shaken_should_be_found(shelf, tmp_path) -> None:
    kinds: dict[str, dict[str, Any]] = {
        "1.jpg": {"presumed_sharp": True},
        "2.jpg": {"shaken": False},
        # Nothing is made of these: shaken, dark, called shaken, of unknown sharpness.
        "3.jpg": {"shaken": True},
        "4.jpg": {"presumed_sharp": True, "dark": True},
        "5.jpg": {"presumed_sharp": True},
        "6.jpg": {"dark": False},
    }
    labels = {
        (path := shelf(name)): LabelledPhoto(path=path, kind="photo", **told)
        for name, told in kinds.items()
    }
    with Image.open(tmp_path / "5.jpg") as image:
        soft = cv2.GaussianBlur(np.asarray(image), (0, 0), 6)
    Image.fromarray(soft).save(tmp_path / "5.jpg")
    scored = {path: _scored(Path(path)) for path in labels}
    folder = tmp_path / "made"
    folder.mkdir()
    figures = score_made_copies(labels, scored, _Scorer(folder), 30)  # type: ignore[arg-type]
    of_kind = {one.kind: one for one in figures if one.kind in CASES}
    assert of_kind.keys() == CASES.keys()
    for kind, one in of_kind.items():
        assert one.verdict == "shaken"
        made = one.found if CASES[kind].shaken else one.false_alarms
        assert (made.hits, made.n) == ((2, 2) if CASES[kind].shaken else (0, 2))
        assert one.found.n + one.false_alarms.n == 2
        assert one.same.hits == 2
        assert not one.changed
