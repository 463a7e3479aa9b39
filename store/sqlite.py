"""The four tables in SQLite, safe under several writers and processes."""

import dataclasses
import functools
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar

from store.records import (
    TOMBSTONE_LIFE,
    DayOutcome,
    DayPhoto,
    Decision,
    Detected,
    Judgement,
    PhotoMeta,
    PhotoState,
    StoredScores,
    StoreError,
)
from store.search import PhotoQuery, find_photos
from store.sqlite_days import read_day, read_pending_days, write_day
from store.sqlite_file import open_database, transaction

_NOT_GROUPED: Final = DayOutcome()
_PAGE: Final = 1000

_Args = ParamSpec("_Args")
_Result = TypeVar("_Result")


def _undisturbed(
    method: Callable[Concatenate["SqliteStore", _Args], _Result],
) -> Callable[Concatenate["SqliteStore", _Args], _Result]:
    """Keep the connection open until the method is done with it.

    A runner that gives up tears its steps down while their threads still work,
    and a connection that is closed in the middle of a statement crashes.
    """

    @functools.wraps(method)
    def run(
        self: "SqliteStore", /, *args: _Args.args, **kwargs: _Args.kwargs
    ) -> _Result:
        with self._in_use:
            return method(self, *args, **kwargs)

    return run


class _Known(NamedTuple):
    """A photo that is there, or the tombstone of one that was."""

    generation: int
    removed: bool
    date: str | None
    decision: Decision | None
    pending: frozenset[str]

    @property
    def days(self) -> frozenset[str]:
        return self.pending | {self.date} if self.date else self.pending


class SqliteStore:
    """One connection to one file; see `interface.Store`.

    The tables are described in `schema.sql`.
    """

    def __init__(self, path: Path, *, must_exist: bool = False) -> None:
        """Open the file; see `open_database`."""
        self._db = open_database(path, must_exist=must_exist)
        self._in_use = threading.RLock()
        whole = str(path.resolve())
        self.files: Sequence[str] = [
            whole,
            *(f"{whole}-{part}" for part in ("wal", "shm", "journal")),
        ]

    @_undisturbed
    def close(self) -> None:
        self._db.close()

    @_undisturbed
    def prepare(self) -> None:
        """Drop the tombstones that no event can need any more.

        Raises:
            StoreError: The file can be read but not be written.
        """
        try:
            with transaction(self._db):
                self._db.execute(
                    """DELETE FROM tombstones
                       WHERE expires_at < ? AND pending_dates = '[]'""",
                    (datetime.now(UTC).isoformat(timespec="seconds"),),
                )
        except sqlite3.OperationalError as err:
            raise StoreError(f"can not write the database: {err}") from err

    @_undisturbed
    def register(self, user_id: str, email: str | None) -> None:
        """Remember a user; None leaves the address that is known."""
        with transaction(self._db):
            self._db.execute(
                """INSERT INTO users (id, email) VALUES (?, ?)
                   ON CONFLICT (id) DO UPDATE
                   SET email = coalesce(excluded.email, email)""",
                (user_id, email),
            )

    @_undisturbed
    def state(self, user_id: str, photo_id: str) -> PhotoState | None:
        """What is known of a photo; None if it was never there."""
        row = self._db.execute(
            """SELECT generation, 0 AS removed, bytes, fingerprint,
                      deletions.version AS version, detector,
                      tags.version AS tags_version, grouped_by, pending_dates
               FROM photos JOIN deletions USING (user_id, id)
                           JOIN tags USING (user_id, id)
               WHERE user_id = :user AND id = :id
               UNION ALL
               SELECT generation, 1, NULL, NULL, NULL, NULL, NULL, NULL,
                      pending_dates
               FROM tombstones WHERE user_id = :user AND id = :id""",
            {"user": user_id, "id": photo_id},
        ).fetchone()
        if row is None:
            return None
        return PhotoState(
            generation=row["generation"],
            removed=bool(row["removed"]),
            bytes=row["bytes"],
            fingerprint=row["fingerprint"],
            version=row["version"],
            detector=row["detector"],
            tags_version=row["tags_version"],
            grouped_by=row["grouped_by"],
            pending_dates=_from_json(row["pending_dates"]),
        )

    @_undisturbed
    def write(
        self,
        meta: PhotoMeta,
        scores: StoredScores,
        judge: Callable[[StoredScores], Judgement],
        *,
        detected: Detected | None = None,
        replaces: int | None = None,
    ) -> frozenset[str]:
        """Write an analysed photo, unless a newer version of it is known."""
        key = {"user_id": meta.user_id, "id": meta.id}
        named = key | {"title": meta.title}
        with transaction(self._db):
            known = self._known(meta.user_id, meta.id)
            if known is not None and known.generation != replaces:
                # A removed generation stays removed.
                oldest = known.generation + 1 if known.removed else known.generation
                if meta.generation < oldest:
                    return known.pending
            pending = {meta.date} if known is None else {meta.date} | known.days
            if detected is None:
                detected = self._detected_before(meta)
            if detected is not None:
                scores = dataclasses.replace(scores, objects=detected.objects)
            judged = judge(scores)
            assert judged.verdicts is not None
            assert judged.tags is not None
            self._unsettle(meta.user_id, meta.id)
            self._db.execute(
                "INSERT INTO users (id) VALUES (?) ON CONFLICT DO NOTHING",
                (meta.user_id,),
            )
            self._db.execute(
                "DELETE FROM tombstones WHERE user_id = :user_id AND id = :id", key
            )
            photo = dataclasses.asdict(meta)
            photo["subject"] = judged.tags.subject
            photo["features"] = detected.features if detected else None
            photo["delete"] = False
            # Also out of a tombstone: overwriting may announce the removal of the
            # old version before the new one.
            photo["decision"] = known.decision if known is not None else None
            photo["pending_dates"] = _to_json(pending)
            photo["analysed_at"] = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._upsert("photos", photo)
            self._upsert(
                "tags",
                dataclasses.asdict(judged.tags)
                | named
                | {
                    "objects": detected.objects if detected else None,
                    "detector": detected.detector if detected else None,
                },
            )
            outcome = dataclasses.asdict(_NOT_GROUPED)
            del outcome["delete"]
            self._upsert(
                "deletions",
                dataclasses.asdict(judged.verdicts)
                | named
                | outcome
                | {"sharpness": meta.sharpness},
            )
        return frozenset(pending)

    @_undisturbed
    def remove(
        self,
        user_id: str,
        photo_id: str,
        generation: int,
        *,
        replaces: int | None = None,
    ) -> frozenset[str]:
        """Remove a photo that is gone, unless a newer version of it is known."""
        key = {"user_id": user_id, "id": photo_id}
        expires_at = datetime.now(UTC) + TOMBSTONE_LIFE
        with transaction(self._db):
            known = self._known(user_id, photo_id)
            if known is not None:
                newer = known.generation > generation and known.generation != replaces
                if newer or (known.removed and known.generation == generation):
                    return known.pending
            pending = known.days if known is not None else frozenset()
            self._unsettle(user_id, photo_id)
            self._db.execute(
                "DELETE FROM photos WHERE user_id = :user_id AND id = :id", key
            )
            self._upsert(
                "tombstones",
                key
                | {
                    "generation": generation,
                    "decision": known.decision if known is not None else None,
                    "pending_dates": _to_json(pending),
                    "expires_at": expires_at.isoformat(timespec="seconds"),
                },
            )
        return pending

    @_undisturbed
    def rejudge(
        self,
        user_id: str,
        photo_id: str,
        generation: int,
        judge: Callable[[StoredScores], Judgement],
        detected: Detected | None = None,
    ) -> frozenset[str]:
        """Judge the stored scores of a photo again, without redoing them."""
        key = {"user_id": user_id, "id": photo_id}
        with transaction(self._db):
            known = self._known(user_id, photo_id)
            if known is None:
                return frozenset()
            if known.removed or known.generation != generation:
                return known.pending
            self._unsettle(user_id, photo_id)
            if detected is not None:
                found = dataclasses.asdict(detected)
                self._update("photos", key, {"features": found.pop("features")})
                self._update("tags", key, found)
            scores = self._db.execute(
                """SELECT deletions.sharpness, dark_probability,
                          screenshot_probability, objects
                   FROM photos JOIN deletions USING (user_id, id)
                               JOIN tags USING (user_id, id)
                   WHERE user_id = :user_id AND id = :id""",
                key,
            ).fetchone()
            judged = judge(StoredScores(*scores))
            if judged.verdicts is not None:
                self._update("deletions", key, dataclasses.asdict(judged.verdicts))
            if judged.tags is not None:
                self._update("tags", key, dataclasses.asdict(judged.tags))
                self._update("photos", key, {"subject": judged.tags.subject})
            self._set_pending(user_id, photo_id, known.days)
        return known.days

    @_undisturbed
    def decide(self, user_id: str, photo_id: str, decision: Decision | None) -> None:
        """Write what the user wants; their day waits to be regrouped."""
        with transaction(self._db):
            known = self._known(user_id, photo_id)
            if known is None or known.removed:
                raise KeyError(photo_id)
            self._unsettle(user_id, photo_id)
            self._db.execute(
                "UPDATE photos SET decision = ? WHERE user_id = ? AND id = ?",
                (decision, user_id, photo_id),
            )
            self._set_pending(user_id, photo_id, known.days)

    @_undisturbed
    def day(self, user_id: str, date: str) -> list[DayPhoto]:
        """A user's photos of one day, ordered by id."""
        return read_day(self._db, user_id, date)

    @_undisturbed
    def settle(
        self,
        user_id: str,
        date: str,
        group: Callable[[Sequence[DayPhoto]], Mapping[str, DayOutcome]],
    ) -> int:
        """Regroup a user's day and take it off the pending ones."""
        while True:
            photos = self.day(user_id, date)
            outcomes = group(photos)
            with transaction(self._db):
                if self.day(user_id, date) != photos:
                    continue
                return write_day(self._db, user_id, date, photos, outcomes)

    @_undisturbed
    def pending_days(self, user_id: str | None = None) -> list[tuple[str, str]]:
        """(user, date) of the days that wait to be regrouped, of one user or all."""
        return read_pending_days(self._db, user_id)

    def photos_under(self, user_id: str, prefix: str) -> Iterator[tuple[str, int]]:
        """(path, generation) of a user's photos whose path starts so, by path."""
        after = prefix
        while True:
            page = self._page_under(user_id, prefix, after)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    @_undisturbed
    def _page_under(
        self, user_id: str, prefix: str, after: str
    ) -> list[tuple[str, int]]:
        rows = self._db.execute(
            """SELECT path, generation FROM photos
               WHERE user_id = ? AND path > ? AND path < ?
               ORDER BY path LIMIT ?""",
            (user_id, after, prefix + "\U0010ffff", _PAGE),
        )
        return [(path, generation) for path, generation in rows]

    @_undisturbed
    def find_path(self, user_id: str, path: str) -> tuple[str, str] | None:
        """(id, date) of the photo that was read from an address."""
        row = self._db.execute(
            "SELECT id, date FROM photos WHERE user_id = ? AND path = ?",
            (user_id, path),
        ).fetchone()
        return (row["id"], row["date"]) if row is not None else None

    def search(self, query: PhotoQuery) -> Iterator[dict[str, Any]]:
        """See `find_photos`."""
        return find_photos(self._db, query)

    @_undisturbed
    def counts(self, user_id: str) -> dict[str, int]:
        """How many photos a user has, and how many of each verdict."""
        row = self._db.execute(
            """SELECT count(*) AS photos,
                      coalesce(sum("delete"), 0) AS recommended,
                      coalesce(sum(CASE WHEN "delete" THEN bytes END), 0)
                          AS recommended_bytes,
                      coalesce(sum(shaken), 0) AS shaken,
                      coalesce(sum(dark), 0) AS dark,
                      coalesce(sum(screenshot), 0) AS screenshot,
                      coalesce(sum(similar), 0) AS similar,
                      count(DISTINCT similar_group) AS groups,
                      count(detector) AS with_tags
               FROM photos JOIN deletions USING (user_id, id)
                           JOIN tags USING (user_id, id)
               WHERE user_id = ?""",
            (user_id,),
        ).fetchone()
        return dict(row)

    def _known(self, user_id: str, photo_id: str) -> _Known | None:
        row = self._db.execute(
            """SELECT generation, 0 AS removed, date, decision, pending_dates
               FROM photos WHERE user_id = :user AND id = :id
               UNION ALL
               SELECT generation, 1, NULL, decision, pending_dates
               FROM tombstones WHERE user_id = :user AND id = :id""",
            {"user": user_id, "id": photo_id},
        ).fetchone()
        if row is None:
            return None
        generation, removed, date, decision, pending = row
        return _Known(generation, bool(removed), date, decision, _from_json(pending))

    def _unsettle(self, user_id: str, photo_id: str) -> None:
        """Take back what was recommended because of a photo that changes.

        A group must not stand recommended without its keeper until its day is
        settled, however long that takes.
        """
        self._db.execute(
            """UPDATE photos SET "delete" = 0
               WHERE user_id = :user AND (id = :id OR id IN (
                   SELECT id FROM deletions
                   WHERE user_id = :user AND keeper = :id AND similar_group = (
                       SELECT similar_group FROM deletions
                       WHERE user_id = :user AND id = :id)))""",
            {"user": user_id, "id": photo_id},
        )

    def _detected_before(self, meta: PhotoMeta) -> Detected | None:
        """What a detector found in these very bytes."""
        row = self._db.execute(
            """SELECT objects, detector, features
               FROM photos JOIN tags USING (user_id, id)
               WHERE user_id = ? AND id = ? AND sha256 = ? AND detector IS NOT NULL""",
            (meta.user_id, meta.id, meta.sha256),
        ).fetchone()
        return Detected(*row) if row is not None else None

    def _set_pending(self, user_id: str, photo_id: str, dates: Iterable[str]) -> None:
        self._db.execute(
            "UPDATE photos SET pending_dates = ? WHERE user_id = ? AND id = ?",
            (_to_json(dates), user_id, photo_id),
        )

    def _update(
        self, table: str, key: Mapping[str, str], changes: Mapping[str, Any]
    ) -> None:
        columns = ", ".join(f'"{name}" = :{name}' for name in changes)
        self._db.execute(
            f"UPDATE {table} SET {columns} WHERE user_id = :user_id AND id = :id",
            {**changes, **key},
        )

    def _upsert(self, table: str, row: Mapping[str, Any]) -> None:
        columns = ", ".join(f'"{name}"' for name in row)
        values = ", ".join(f":{name}" for name in row)
        changes = ", ".join(f'"{name}" = excluded."{name}"' for name in row)
        self._db.execute(
            f"INSERT INTO {table} ({columns}) VALUES ({values}) "
            f"ON CONFLICT (user_id, id) DO UPDATE SET {changes}",
            row,
        )


def _to_json(dates: Iterable[str]) -> str:
    return json.dumps(sorted(dates), separators=(",", ":"))


def _from_json(dates: str) -> frozenset[str]:
    return frozenset(json.loads(dates))
