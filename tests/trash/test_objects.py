"""Objects in the trash: in an emulator of Cloud Storage, with either store."""

import hashlib
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.cloud import storage

from store.interface import Store
from store.records import photo_id
from store.search import PhotoQuery
from store.urls import open_store
from tests.store.samples import MAY_1, SCORES, make_judge, make_meta, make_verdicts
from tests.store.tables import FirestoreTables, SqliteTables, Tables
from tests.trash.encoded import MAC_EPOCH_S, encoded, film
from tests.trash.library import REASONS, RUN, USER, group
from trash.bin import TrashBin
from trash.entries import MoveRefusedError
from trash.objects import Objects
from trash.outcome import Outcome
from trash.places import Places

_FILE_TIME = "goog-reserved-file-mtime"


class Backup:
    """A bucket with a user's photos, and their rows."""

    def __init__(self, client: storage.Client, store: Store) -> None:
        self.client = client
        self.bucket = client.create_bucket(f"b-{uuid.uuid4().hex[:8]}")
        self.store = store
        self.bin = TrashBin(store, USER, Places(lambda: client))

    def put(self, name: str, data: bytes = b"", **metadata: str) -> storage.Blob:
        blob = self.bucket.blob(f"users/{USER}/photos/{name}")
        blob.metadata = metadata or None
        blob.upload_from_string(data or name.encode(), "image/jpeg")
        return blob

    def photo(
        self,
        name: str,
        scene: float,
        *,
        sharpness: float = 1.0,
        shaken: bool = False,
        data: bytes = b"",
    ) -> None:
        data = data or name.encode()
        blob = self.put(name, data)
        meta = make_meta(
            photo_id(self.bucket.name, blob.name),
            MAY_1,
            title=name,
            path=f"gs://{self.bucket.name}/{blob.name}",
            generation=int(blob.generation),
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            exposure=scene,
            sharpness=sharpness,
        )
        self.store.write(meta, SCORES, make_judge(make_verdicts(shaken=shaken)))

    def settle(self) -> None:
        for user, date in self.store.pending_days(USER):
            self.store.settle(user, date, group)

    def rows(self) -> list[dict[str, Any]]:
        return list(self.store.search(PhotoQuery(USER)))

    def clean_up(self, run: str = RUN) -> Outcome:
        self.settle()
        units = self.bin.units([row for row in self.rows() if row["delete"]])
        outcome = self.bin.trash(units, run=run, reasons=REASONS)
        self.settle()
        return outcome

    def restore(self) -> Outcome:
        outcome = self.bin.restore(self.store.trashed(USER))
        self.settle()
        return outcome

    def objects(self) -> dict[str, tuple[bytes, str]]:
        """What is in the bucket, by the name below the user's photos."""
        prefix = f"users/{USER}/photos/"
        return {
            blob.name.removeprefix(prefix): (
                blob.download_as_bytes(),
                blob.content_type,
            )
            for blob in self.client.list_blobs(self.bucket)
        }

    def of(self, name: str) -> storage.Blob:
        blob = self.bucket.get_blob(f"users/{USER}/photos/{name}")
        assert blob is not None
        return blob


@pytest.fixture(params=["sqlite", "firestore"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/photos.db"
    return f"firestore://{request.getfixturevalue('firestore_project')}"


@pytest.fixture
def tables(url: str) -> Tables:
    if url.startswith("sqlite"):
        return SqliteTables(Path(url.removeprefix("sqlite:///")))
    from google.cloud import firestore

    return FirestoreTables(firestore.Client(url.removeprefix("firestore://")))


@pytest.fixture
def backup(url: str, cloud_storage: storage.Client) -> Iterator[Backup]:
    """A group of two shots, of which `a.jpg` stays, and a shaken photo with a RAW."""
    with closing(open_store(url)) as store:
        backup = Backup(cloud_storage, store)
        backup.photo("a.jpg", 0.5, sharpness=2.0)
        backup.photo("b.jpg", 0.5)
        backup.photo("below/c.jpg", 0.7, shaken=True)
        backup.put("below/c.dng", b"raw")
        backup.settle()
        yield backup


def _without_generation(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {
        table: [{k: v for k, v in row.items() if k != "generation"} for row in found]
        for table, found in rows.items()
    }


def test_objects_move_and_come_back(backup: Backup, tables: Tables) -> None:
    objects, rows = backup.objects(), tables.documents(USER)
    outcome = backup.clean_up()
    assert {one.title for one in outcome.photos} == {"b.jpg", "below/c.jpg"}
    trash = f"below/.piccl-trash/{RUN}"
    now = backup.objects()
    assert now[f"{trash}/c.jpg"] == objects["below/c.jpg"]
    assert now[f"{trash}/c.dng"] == objects["below/c.dng"]
    assert {name for name in now if ".piccl-trash" not in name} == {"a.jpg"}

    assert backup.restore().refused == []
    assert backup.objects() == objects
    assert _without_generation(tables.documents(USER)) == _without_generation(rows)
    generations = {row["title"]: row["generation"] for row in backup.rows()}
    assert generations["b.jpg"] == backup.of("b.jpg").generation


@pytest.mark.parametrize("days", [0, 2])
def test_film_tells_its_time_behind_its_pictures(days, backup: Backup) -> None:
    """Both objects were made just now, which is no proof."""
    made_at = datetime(2024, 5, 1 + days, 8, tzinfo=UTC).timestamp()
    backup.photo("d.jpg", 0.9, data=encoded("2024:05:01 08:00:00", 1))
    backup.put("d.mov", film(int(made_at) + MAC_EPOCH_S))
    (unit,) = backup.bin.units(row for row in backup.rows() if row["title"] == "d.jpg")
    assert len(unit.companions) == (1 if days == 0 else 0)


def test_purge_deletes_what_is_in_the_trash(backup: Backup) -> None:
    backup.clean_up()
    assert len(backup.bin.purge(backup.store.trashed(USER)).photos) == 2
    assert list(backup.objects()) == ["a.jpg"]
    assert list(backup.store.trashed(USER)) == []


def test_time_that_a_photo_is_dated_by_comes_along(backup: Backup) -> None:
    made_at = backup.of("b.jpg").time_created.timestamp()
    backup.clean_up()
    backup.restore()
    metadata = backup.of("b.jpg").metadata
    assert float(metadata[_FILE_TIME]) == pytest.approx(made_at, abs=1e-5)


def test_what_an_uploader_wrote_stays(backup: Backup) -> None:
    written = {_FILE_TIME: f"{backup.of('below/c.jpg').time_created.timestamp()}"}
    written["by"] = "ann"
    backup.put("below/c.dng", b"raw", **written)
    backup.clean_up()
    assert backup.of(f"below/.piccl-trash/{RUN}/c.dng").metadata == written
    backup.restore()
    assert backup.of("below/c.dng").metadata == written


def test_overwritten_object_stays(backup: Backup) -> None:
    rows = backup.rows()
    backup.put("b.jpg", b"other")
    outcome = backup.clean_up()
    (refused,) = outcome.refused
    assert "changed" in refused.why
    assert backup.objects()["b.jpg"][0] == b"other"
    backup.restore()
    assert [row["title"] for row in backup.rows()] == [row["title"] for row in rows]


def test_taken_name_is_not_overwritten(backup: Backup) -> None:
    backup.clean_up()
    backup.put("b.jpg", b"other")
    (refused,) = backup.restore().refused
    assert "another object has its name now" in refused.why
    assert backup.objects()["b.jpg"][0] == b"other"
    assert backup.objects()[f".piccl-trash/{RUN}/b.jpg"][0] == b"b.jpg"


def test_keeper_that_was_deleted_is_told_of(backup: Backup) -> None:
    backup.of("a.jpg").delete()
    (refused,) = backup.clean_up().refused
    assert "piccl backfill --prune" in refused.why
    assert "b.jpg" in backup.objects()


# Every step once, some with Firestore, which takes longer.
@pytest.mark.parametrize(
    ("url", "steps"),
    [*(("sqlite", steps) for steps in range(9)), ("firestore", 2), ("firestore", 3)],
    indirect=["url"],
)
@pytest.mark.parametrize("command", ["clean_up", "restore"])
def test_interrupted_move_is_finished(
    command: str, steps: int, backup: Backup, tables: Tables, monkeypatch
) -> None:
    """Before every request that changes something in the bucket."""
    objects, rows = backup.objects(), tables.documents(USER)
    if command == "restore":
        backup.clean_up()
    with monkeypatch.context() as patch:
        _die_before(steps, patch)
        try:
            getattr(backup, command)()
        except _DiedError:
            pass
        else:
            assert steps > 3
    everything = {data for data, _ in backup.objects().values()}
    assert everything >= {data for data, _ in objects.values()}
    backup.bin.recover()
    if command == "clean_up":
        backup.clean_up("20240602-120000-second")
        assert {row["title"] for row in backup.rows()} == {"a.jpg"}
    backup.restore()
    assert backup.objects() == objects
    assert _without_generation(tables.documents(USER)) == _without_generation(rows)


class _DiedError(BaseException):
    """Not one that anybody would catch."""


def _die_before(steps: int, patch: pytest.MonkeyPatch) -> None:
    left = steps

    def armed(step: Any) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise _DiedError
            return step(*args, **kwargs)

        return run

    for name in ("rewrite", "delete", "patch", "upload_from_string"):
        patch.setattr(storage.Blob, name, armed(getattr(storage.Blob, name)))


def test_bucket_that_does_not_answer_refuses(monkeypatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    client = storage.Client()
    monkeypatch.setattr(
        storage.Bucket,
        "get_blob",
        lambda self, name: self.blob(name).reload(retry=None),
    )
    with pytest.raises(MoveRefusedError, match="Cloud Storage"):
        Objects(lambda: client).look("gs://bucket/users/ada/photos/a.jpg")
