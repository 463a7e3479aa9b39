"""Each command does the same whatever keeps the rows."""

import io
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from google.cloud import firestore
from PIL import Image
from PIL.ExifTags import IFD, Base

from pipeline.__main__ import main
from store.search import REASONS, TAGS
from store.urls import open_store
from tests.pipeline.uploads import Cloud
from tests.store.tables import FirestoreTables, SqliteTables, Tables

_CLOCK = ("seconds", "photos_per_s", "peak_memory_mib")
Run = Callable[..., str]


def _at(photo: bytes, latitude: float) -> bytes:
    """The photo, taken on the meridian."""
    image = Image.open(io.BytesIO(photo))
    exif = image.getexif()
    exif[Base.Model] = "test"
    place = exif.get_ifd(IFD.GPSInfo)
    # Latitude, then longitude.
    place |= {1: "N", 2: (latitude, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)}
    out = io.BytesIO()
    image.save(out, "JPEG", quality="keep", exif=exif)
    return out.getvalue()


@pytest.fixture
def photos(tmp_path: Path, jpeg: Callable[..., bytes]) -> Path:
    """Similar shots and copies, a dark one, several days, one with a place."""
    folder = tmp_path / "roll"
    (folder / "trip").mkdir(parents=True)
    shots = {
        "a.jpg": jpeg(1, 0, "2024:05:01 12:00:00"),
        "b.jpg": jpeg(1, 1, "2024:05:01 12:00:01"),
        "c.jpg": jpeg(2, 0, "2024:05:01 12:00:02"),
        "copy of c.jpg": jpeg(2, 0, "2024:05:01 12:00:02"),
        "dark.jpg": jpeg(3, 0, "2024:05:02 12:00:00", light=0.05),
        "trip/ä [1].jpg": _at(jpeg(4, 0, "2024:05:03 12:00:00"), 48.0),
    }
    for name, data in shots.items():
        (folder / name).write_bytes(data)
    (folder / "broken.jpg").write_bytes(shots["a.jpg"][:100])
    return folder


@pytest.fixture
def urls(tmp_path: Path, firestore_project: str) -> Sequence[str]:
    return (f"sqlite:///{tmp_path}/piccl.db", f"firestore://{firestore_project}")


@pytest.fixture
def tables(tmp_path: Path, firestore_project: str) -> Sequence[Tables]:
    return (
        SqliteTables(tmp_path / "piccl.db"),
        FirestoreTables(firestore.Client(firestore_project)),
    )


@pytest.fixture
def run(urls: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on both stores; returns what both print."""

    def run(command: str, *words: object, code: int = 0) -> str:
        said = []
        for url in urls:
            argv = [command, *map(str, words), f"--store={url}"]
            if command == "backfill":
                argv.append(f"--dead-letters={tmp_path / 'dead.jsonl'}")
            assert main(argv) == code
            said.append(capsys.readouterr().out)
        here, there = said
        if "--json" in words:
            assert _values(command, here) == _values(command, there)
        else:
            assert here == there
        return here

    return run


def _values(command: str, out: str) -> Any:
    """What a program reads; 1 and true are equal to Python."""
    if command == "search":
        return [json.loads(line) for line in out.splitlines()]
    return {k: v for k, v in json.loads(out).items() if k not in _CLOCK}


def _backfill(run: Run, photos: Path, *flags: str) -> dict[str, Any]:
    out = run("backfill", photos, "--user=me", "--json", *flags)
    return _values("backfill", out)


def _check_tables(tables: Sequence[Tables]) -> None:
    here, there = (one.documents("me") for one in tables)
    assert here == there
    assert here["photos"]
    for one in tables:
        assert all(photo["pending_dates"] == [] for photo in one.rows("photos"))


def test_backfill(
    run: Run, photos: Path, tables: Sequence[Tables], tiny_weights: str
) -> None:
    first = _backfill(run, photos, "--weights=none")
    assert (first["analysed"], first["with_tags"]) == (6, 0)
    assert first["similar"] == 2
    assert first["dark"] == 1
    assert first["recommended"] > 0
    assert sum(first["dead_letters"].values()) == 1
    _check_tables(tables)
    tagged = _backfill(run, photos, tiny_weights)
    assert (tagged["tagged"], tagged["with_tags"]) == (6, 6)
    _check_tables(tables)
    again = _backfill(run, photos, tiny_weights)
    assert (again["skipped"], again["days_grouped"]) == (6, 0)
    other = _backfill(run, photos, tiny_weights, "--dark-threshold=1")
    assert (other["rejudged"], other["dark"]) == (6, 0)
    _check_tables(tables)


def test_prune(run: Run, photos: Path, tables: Sequence[Tables]) -> None:
    _backfill(run, photos, "--weights=none")
    (photos / "a.jpg").unlink()
    (photos / "trip" / "ä [1].jpg").unlink()
    assert _backfill(run, photos, "--weights=none")["removed"] == 0
    pruned = _backfill(run, photos, "--weights=none", "--prune")
    # A folder without photos may be one that is not plugged in.
    assert (pruned["removed"], pruned["kept"], pruned["photos"]) == (1, 1, 5)
    pruned = _backfill(run, photos, "--weights=none", "--prune-folders")
    assert (pruned["removed"], pruned["photos"]) == (1, 4)
    _check_tables(tables)


def test_search(run: Run, photos: Path, tiny_weights: str) -> None:
    _backfill(run, photos, tiny_weights)
    found = {}
    for words in [
        [],
        *([f"--reason={reason}"] for reason in (*REASONS, "any")),
        *([f"--tag={tag}"] for tag in TAGS),
        *([f"--subject={subject}"] for subject in (*TAGS, "none")),
        ["--reason=any", "--reason=similar"],
        ["--reason=similar", "--reason=dark"],
        ["--tag=person", "--tag=animal", "--date=2024-05-01"],
        ["--date=2024-05-01"],
        ["--date=2024-05-02.."],
        ["--date=..2024-05-01", "--reason=similar"],
        ["--near=48,0"],
        ["--near=48.1,0", "--within=20", "--date=2024-05-03"],
        ["--near=47,0", "--within=20"],
        ["--similar-to", photos / "a.jpg"],
        ["--similar-to", photos / "c.jpg", "--reason=any"],
        ["--similar-to", photos / "a.jpg", "--date=2024-05-02"],
        ["--similar-to", photos / "a.jpg", "--near=48,0"],
        ["--limit=2"],
    ]:
        key = " ".join(map(str, words)).replace(str(photos), "")
        found[key] = run("search", "--user=me", *words, "--paths").splitlines()
        run("search", "--user=me", *words, "--json")
        run("search", "--user=me", *words)
    names = [Path(path).name for path in found[""]]
    # Of the same moment, so by their ids, which depend on where the folder is.
    names[2:4] = sorted(names[2:4])
    assert names == [
        "a.jpg",
        "b.jpg",
        "c.jpg",
        "copy of c.jpg",
        "dark.jpg",
        "ä [1].jpg",
    ]
    assert found["--near=48,0"] == [str(photos / "trip" / "ä [1].jpg")]
    assert found["--similar-to /a.jpg"] == [str(photos / "b.jpg")]
    assert found["--similar-to /a.jpg --date=2024-05-02"] == []
    assert len(found["--reason=similar"]) == 2
    assert found["--reason=any --reason=similar"] == found["--reason=similar"]
    assert found["--limit=2"] == found[""][:2]
    # Else nothing was compared.
    assert any(found[f"--tag={tag}"] for tag in TAGS)
    assert run("search", "--user=other") == ""


@pytest.mark.parametrize("method", ["default", "paper"])
def test_every_recommendation_is_explained(
    run: Run, photos: Path, method: str, tables: Sequence[Tables]
) -> None:
    similar = "pixels" if method == "default" else method
    flags = [f"--blur-method={method}", f"--similar-method={similar}"]
    _backfill(run, photos, "--weights=none", "--blur-threshold=1e9", *flags)
    out = run("search", "--user=me", "--reason=any", "--json").splitlines()
    rows = {row["title"]: row for row in map(json.loads, out)}
    told = {
        (name, one["reason"]): one
        for name, row in rows.items()
        for one in row["explanation"]
    }
    assert all(row["explanation"] for row in rows.values())
    decided = {row["id"]: row for row in tables[0].rows("deletions")}
    for (name, reason), one in told.items():
        row = decided[rows[name]["id"]]
        version = "grouped_by" if reason == "similar" else "version"
        assert one["version"]
        assert one["version"] == row[version]
        score = {"similar": "similarity", "shaken": "sharpness"}.get(
            reason, f"{reason}_probability"
        )
        assert one["score"] == row[score]
    by_day = [one for (_, reason), one in told.items() if reason == "similar"]
    (copy,) = (one for one in by_day if one["sentence"].startswith("copy: "))
    assert "same bytes as" in copy["sentence"]
    shot = next(one for one in by_day if one["sentence"].startswith("similar: "))
    assert (shot["threshold"] is None) == (method == "paper")
    assert ("not compared by look" in shot["sentence"]) == (method == "paper")
    assert told["dark.jpg", "dark"]["score"] >= told["dark.jpg", "dark"]["threshold"]


def test_settle(
    run: Run, photos: Path, urls: Sequence[str], tables: Sequence[Tables]
) -> None:
    _backfill(run, photos, "--weights=none")
    (similar,) = run(
        "search", "--user=me", "--similar-to", photos / "a.jpg", "--json"
    ).splitlines()
    assert run("settle").startswith("0 days regrouped, 0 photos")
    for url in urls:
        with closing(open_store(url)) as store:
            known = store.find_path("me", str(photos / "a.jpg"))
            assert known is not None
            store.decide("me", json.loads(similar)["id"], "trash")
            store.decide("me", known[0], "trash")
    assert run("settle", "--user=other").startswith("0 days")
    assert run("settle", "--user=me").startswith("1 days regrouped")
    _check_tables(tables)


def test_upload_registers(
    photos: Path, urls: Sequence[str], tables: Sequence[Tables], cloud: Cloud
) -> None:
    for number, url in enumerate(urls):
        bucket = f"photos-{number}"
        cloud.client.create_bucket(bucket)
        flags = ["--user=me", f"--bucket={bucket}", "--email=me@example.com"]
        assert main(["upload", str(photos), *flags, f"--store={url}"]) == 0
    here, there = (one.rows("users") for one in tables)
    assert here == there == [{"id": "me", "email": "me@example.com"}]
