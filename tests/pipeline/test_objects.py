"""Tags, with a real network: added, added later, kept and judged again."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

PHOTOS = ("darknet_dog.jpg", "darknet_kite.jpg", "darknet_person.jpg")


@pytest.fixture
def folder(shared_photos: Path, tmp_path: Path) -> Path:
    """Photos of known things, and one of nothing."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in PHOTOS:
        shutil.copy(shared_photos / "detect" / name, folder)
    Image.new("RGB", (300, 200), (90, 140, 220)).save(folder / "sky.jpg")
    return folder


@pytest.fixture
def weights(shared_models: Path) -> str:
    return f"--weights={shared_models / 'yolo-fastest-1.1-xl.weights'}"


def _tags(tables: dict[str, list[dict[str, Any]]]) -> dict[str, set[str] | None]:
    """Title to what is seen."""
    known = {"person", "animal", "vehicle", "furniture", "sports"}
    return {
        row["title"]: None
        if row["detector"] is None
        else {name for name in known if row[name]}
        for row in tables["tags"]
    }


def test_photos_are_tagged(backfill, rows, folder, weights, tmp_path) -> None:
    db = tmp_path / "piccl.db"
    assert backfill(folder, db=db, flags=(weights,)) == 0
    tables = rows(db)
    tags = _tags(tables)
    assert tags["darknet_dog.jpg"] >= {"animal", "vehicle"}
    assert tags["darknet_person.jpg"] >= {"animal", "person"}
    assert "person" in tags["darknet_kite.jpg"]
    assert tags["sky.jpg"] == set()
    subjects = {row["title"]: row["subject"] for row in tables["photos"]}
    assert subjects["sky.jpg"] == ""
    assert all(subjects[name] in tags[name] for name in PHOTOS)
    for photo, tag in zip(tables["photos"], tables["tags"], strict=True):
        assert tag["subject"] == photo["subject"]
        assert len(photo["descriptor"]) <= 512
        for _, confidence, left, top, right, bottom in json.loads(tag["objects"]):
            assert 0 < confidence <= 1
            assert 0 <= left < right <= photo["width"]
            assert 0 <= top < bottom <= photo["height"]


def test_boxes_are_those_of_the_upright_photo(
    backfill, rows, folder, weights, tmp_path
) -> None:
    """However it is stored: turned by EXIF, and at twice the size."""
    for name in (*PHOTOS[1:], "sky.jpg"):
        (folder / name).unlink()
    dog = Image.open(folder / PHOTOS[0])
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = dog.transpose(Image.Transpose.ROTATE_90)
    turned.save(folder / "turned.png", exif=exif)
    dog.resize((dog.width * 2, dog.height * 2)).save(folder / "twice.png")
    db = tmp_path / "piccl.db"
    assert backfill(folder, db=db, flags=(weights,)) == 0
    boxes = {
        row["title"]: {
            seen: box for seen, _, *box in reversed(json.loads(row["objects"]))
        }
        for row in rows(db)["tags"]
    }
    for name, scale in [("turned.png", 1), ("twice.png", 2)]:
        for seen in ("dog", "bicycle"):
            expected = np.array(boxes[PHOTOS[0]][seen]) * scale
            tolerance = 0.02 * dog.width * scale
            assert boxes[name][seen] == pytest.approx(expected, abs=tolerance)


def test_tags_are_filled_in_without_redoing_the_rest(
    backfill: Callable[..., int], rows, folder, weights, tmp_path
) -> None:
    clean, db = tmp_path / "clean.db", tmp_path / "piccl.db"
    assert backfill(folder, db=clean, flags=(weights,)) == 0
    assert backfill(folder, db=db, flags=("--weights=none",)) == 0
    assert set(_tags(rows(db)).values()) == {None}
    analysed = _analysed_at(db)

    assert backfill(folder, db=db, flags=(weights,)) == 0
    assert rows(db) == rows(clean)
    assert _analysed_at(db) == analysed


def test_filling_in_judges_no_scores_of_another_analysis(
    backfill, rows, folder, weights, tmp_path
) -> None:
    db = tmp_path / "piccl.db"
    assert backfill(folder, db=db) == 0
    before = rows(db)["deletions"]
    flags = (weights, "--blur-method=paper", "--dark-threshold=0.01")
    assert backfill(folder, db=db, flags=flags) == 0
    assert None not in _tags(rows(db)).values()
    assert rows(db)["deletions"] == before


def test_run_without_weights_erases_no_tags(
    backfill, rows, folder, weights, tmp_path
) -> None:
    db = tmp_path / "piccl.db"
    assert backfill(folder, db=db, flags=(weights,)) == 0
    before = rows(db)
    for reanalyse in ("nothing", "outdated", "all"):
        flags = ("--weights=none", f"--reanalyse={reanalyse}")
        assert backfill(folder, db=db, flags=flags) == 0
        assert rows(db) == before


def test_another_threshold_judges_stored_objects_again(
    backfill, rows, folder, weights, tmp_path, capsys
) -> None:
    db, clean = tmp_path / "piccl.db", tmp_path / "clean.db"
    assert backfill(folder, db=db, flags=(weights,)) == 0
    capsys.readouterr()
    # It needs no weights for that.
    flags = ("--tag-threshold=0.5,person=1", "--weights=none", "--json")
    assert backfill(folder, db=db, flags=flags) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["rejudged"], summary["analysed"], summary["tagged"]) == (4, 0, 0)
    assert backfill(folder, db=clean, flags=(weights, *flags[:1])) == 0
    assert rows(db) == rows(clean)
    assert not any("person" in tags for tags in _tags(rows(db)).values())


def test_another_precision_is_another_detector(
    backfill, folder, weights, tmp_path, capsys
) -> None:
    db = tmp_path / "piccl.db"
    assert backfill(folder, db=db, flags=(weights,)) == 0
    for reanalyse, expected in [
        ("nothing", (4, 4, 0)),
        ("outdated", (0, 0, 4)),
        ("outdated", (4, 0, 0)),
    ]:
        capsys.readouterr()
        flags = (weights, "--detect-precision=bf16", f"--reanalyse={reanalyse}")
        assert backfill(folder, db=db, flags=(*flags, "--json")) == 0
        summary = json.loads(capsys.readouterr().out)
        numbers = summary["skipped"], summary["outdated"], summary["tagged"]
        assert numbers == expected


def test_photo_is_seen_alone_as_among_others(
    backfill, rows, folder, weights, tmp_path
) -> None:
    together = tmp_path / "together.db"
    assert backfill(folder, db=together, flags=(weights,)) == 0
    objects = {row["title"]: row["objects"] for row in rows(together)["tags"]}
    for name in PHOTOS:
        db = tmp_path / f"{name}.db"
        assert backfill(folder / name, db=db, flags=(weights,)) == 0
        (row,) = rows(db)["tags"]
        assert row["objects"] == objects[name]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--weights=nowhere.weights",), "no such file: nowhere.weights"),
        (("--weights=yolov3",), "`piccl weights yolov3`"),
        (("--weights=",), "no such file"),
        (("--weights=.",), "no such file: ."),
        (("--cfg=some.cfg",), "--weights"),
        (("--tag-threshold=2",), "--tag-threshold"),
        (("--tag-threshold=0.3,cat=0.5",), "cat"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_detector_is_explained(
    backfill, folder, tmp_path, capsys, flags, message
) -> None:
    assert backfill(folder, db=tmp_path / "piccl.db", flags=flags) == 2
    assert message in capsys.readouterr().err


def test_weights_of_another_network_are_explained(
    backfill, folder, shared_models, tmp_path, capsys
) -> None:
    flags = (
        f"--cfg={shared_models / 'yolo-fastest-1.1.cfg'}",
        f"--weights={shared_models / 'yolo-fastest-1.1-xl.weights'}",
    )
    assert backfill(folder, db=tmp_path / "piccl.db", flags=flags) == 2
    assert "bytes" in capsys.readouterr().err


def _analysed_at(db: Path) -> list[str]:
    with closing(sqlite3.connect(db)) as reader:
        query = "SELECT id, analysed_at FROM photos ORDER BY id"
        return reader.execute(query).fetchall()
