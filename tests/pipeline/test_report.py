"""The command: which photos, where to, and what it says."""

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.cloud import storage
from PIL import Image
from PIL.ExifTags import IFD, Base

from pipeline.__main__ import main
from pipeline.photo_bytes import read_bytes
from store.sqlite import SqliteStore
from tests.store.samples import MAY_1, MAY_2, write

Report = Callable[..., str]


@pytest.fixture
def report(tmp_path: Path, jpeg: Callable[..., bytes], monkeypatch) -> Report:
    """Runs `piccl report` on two photos of ada; returns the page."""
    monkeypatch.chdir(tmp_path)
    store = SqliteStore(tmp_path / "piccl.db")
    for scene, (id_, date) in enumerate([("a", MAY_1), ("b", MAY_2)]):
        path = tmp_path / f"{id_}.jpg"
        path.write_bytes(jpeg(scene))
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        write(store, id_, date, path=str(path), sha256=sha256)
    store.close()

    def run(*flags: str) -> str:
        assert main(["report", "--user=ada", *flags]) == 0
        return (tmp_path / "piccl-report.html").read_text("utf-8")

    return run


def _thumbnails(page: str) -> list[str]:
    (table,) = re.findall(r'id="thumbnails">(.*?)</script>', page)
    found: list[str] = json.loads(table)
    return found


def test_it_says_where_the_page_is(report: Report, tmp_path: Path, capsys) -> None:
    page = report()
    told = capsys.readouterr().out
    assert (
        told
        == f"The page, with 2 photos: {(tmp_path / 'piccl-report.html').as_uri()}\n"
    )
    assert "a.jpg" in page
    assert all(_thumbnails(page))
    assert len(_thumbnails(page)) == 2


def test_what_strangers_wrote_into_a_photo_is_no_markup(
    tmp_path: Path, backfill: Callable[..., int], monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    evil = "<img src=x onerror=alert(1)>"
    exif = Image.Exif()
    for tag in (Base.Make, Base.Model, Base.Artist, Base.ImageDescription):
        exif[tag] = evil
    exif.get_ifd(IFD.Exif)[Base.UserComment] = evil.encode()
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "</script><script>:05"
    folder = tmp_path / "roll"
    folder.mkdir()
    Image.new("RGB", (64, 48)).save(folder / f"{evil}.jpg", exif=exif)
    assert backfill(folder, db=tmp_path / "piccl.db") == 0
    assert main(["report", "--user=me"]) == 0
    page = (tmp_path / "piccl-report.html").read_text("utf-8")
    assert "&lt;img src=x onerror=alert(1)&gt;.jpg" in page
    assert evil not in page
    assert len(_thumbnails(page)) == 1
    assert evil.encode() not in base64.b64decode(_thumbnails(page)[0])


def test_days_and_number_choose(report: Report) -> None:
    assert len(_thumbnails(report("--date", MAY_2))) == 1
    assert "b.jpg" in report("--date", f"{MAY_2}..")
    assert "a.jpg" not in report("--date", f"{MAY_2}..")
    assert "Shown are 1 of 2 photos" in report("--most=1")


def test_photos_are_of_the_user(report: Report, tmp_path: Path) -> None:
    assert main(["report", "--user=bob"]) == 0
    page = (tmp_path / "piccl-report.html").read_text("utf-8")
    assert "No photos yet" in page
    assert "a.jpg" not in page


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--out=page.png"], "--out must end in .html"),
        (["--out=nowhere/page.html"], "no such folder: nowhere"),
        (["--most=0"], "0 is not a whole number from 1 on"),
        (["--date=2024-13-01"], "2024-13-01 is not YYYY-MM-DD"),
        (["--date=2024-02-02..2024-02-01"], "contains no day"),
        (["--store=sqlite:///none.db"], "none.db"),
        (["--colour=red"], "unknown option: --colour=red"),
    ],
)
def test_a_mistake_ends_in_a_line(
    flags: list[str], text: str, report: Report, tmp_path: Path, capsys
) -> None:
    assert main(["report", "--user=ada", *flags]) == 2
    told = capsys.readouterr().err
    assert text in told
    assert told.count("\n") == 1
    assert not list(tmp_path.glob("*.html*"))


def test_what_is_there_stays_if_it_fails(
    report: Report, tmp_path: Path, monkeypatch
) -> None:
    out = tmp_path / "piccl-report.html"
    out.write_text("an older page")

    def fail(_: str) -> bytes:
        raise MemoryError

    monkeypatch.setattr("pipeline.photo_bytes.read_bytes", fail)
    assert main(["report", "--user=ada"]) == 1
    assert out.read_text() == "an older page"
    assert [path.name for path in tmp_path.glob("*.html*")] == [out.name]


def test_objects_are_read_from_their_bucket(cloud_storage: storage.Client) -> None:
    bucket = cloud_storage.create_bucket("report")
    bucket.blob("users/ada/photo 1.jpg").upload_from_string(b"photo")
    assert read_bytes("gs://report/users/ada/photo 1.jpg") == b"photo"
    with pytest.raises(FileNotFoundError):
        read_bytes("gs://report/users/ada/none.jpg")


def test_files_are_read_from_the_disk(tmp_path: Path) -> None:
    (tmp_path / "ä #1?.jpg").write_bytes(b"photo")
    assert read_bytes(str(tmp_path / "ä #1?.jpg")) == b"photo"
    with pytest.raises(FileNotFoundError):
        read_bytes(str(tmp_path / "none.jpg"))


def test_what_no_photo_can_be_is_not_read(
    tmp_path: Path, cloud_storage: storage.Client, monkeypatch
) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(OSError, match="no regular file"):
        read_bytes(str(tmp_path / "pipe.jpg"))
    with (tmp_path / "huge.jpg").open("wb") as huge:
        huge.truncate(2**40)
    with pytest.raises(OSError, match="larger than 512 MiB"):
        read_bytes(str(tmp_path / "huge.jpg"))
    monkeypatch.setattr("pipeline.photo_bytes._MOST_BYTES", 4)
    bucket = cloud_storage.create_bucket("report-huge")
    bucket.blob("a.jpg").upload_from_string(b"photo")
    with pytest.raises(OSError, match="larger"):
        read_bytes("gs://report-huge/a.jpg")


def test_page_is_its_owners_alone(report: Report, tmp_path: Path) -> None:
    out = tmp_path / "piccl-report.html"
    out.touch(0o644)
    report()
    assert out.stat().st_mode & 0o777 == 0o600


def test_help_teaches(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["report", "--help"])
    told: Any = capsys.readouterr().out
    for word in ("piccl report --user me", "--date", "--most", "piccl review"):
        assert word in told
