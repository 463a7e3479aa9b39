"""The four tables in SQLite, safe under several writers and processes."""

import functools
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from store.records import (
    DayOutcome,
    DayPhoto,
    Decision,
    Detected,
    Judgement,
    PhotoMeta,
    PhotoState,
    StoredScores,
    StoreError,
    Trashed,
    TrashRefusedError,
    TrashRequest,
    TrashState,
)
from store.search import PhotoQuery, count_photos, find_photos
from store.sqlite_days import read_day, read_pending_days, write_day
from store.sqlite_file import open_database, transaction
from store.sqlite_leaving import trash_unit
from store.sqlite_photos import (
    read_state,
    rejudge_photo,
    remove_photo,
    write_decision,
    write_photo,
)
from store.sqlite_trash import (
    announce_purge,
    announce_restore,
    back_in_trash,
    drop_record,
    put_back,
    take_out,
)
from store.sqlite_trash_records import read_trash

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
        return read_state(self._db, user_id, photo_id)

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
        with transaction(self._db):
            return write_photo(self._db, meta, scores, judge, detected, replaces)

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
        with transaction(self._db):
            return remove_photo(self._db, user_id, photo_id, generation, replaces)

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
        with transaction(self._db):
            return rejudge_photo(
                self._db, user_id, photo_id, generation, judge, detected
            )

    @_undisturbed
    def decide(self, user_id: str, photo_id: str, decision: Decision | None) -> None:
        """Write what the user wants; their day waits to be regrouped."""
        with transaction(self._db):
            write_decision(self._db, user_id, photo_id, decision)

    @_undisturbed
    def trash(self, user_id: str, unit: Sequence[TrashRequest]) -> None:
        """Decide to trash photos that go as one, and remember how to undo it."""
        with transaction(self._db):
            trash_unit(self._db, user_id, unit)

    @_undisturbed
    def finish_trash(self, user_id: str, run: str, photo_id: str) -> bool:
        """The files are in the trash: take the photo's rows out of the tables."""
        with transaction(self._db):
            return take_out(self._db, user_id, run, photo_id)

    @_undisturbed
    def begin_restore(self, user_id: str, run: str, photo_id: str) -> Trashed | None:
        """Announce that the files are about to be moved back."""
        with transaction(self._db):
            return announce_restore(self._db, user_id, run, photo_id)

    @_undisturbed
    def finish_restore(
        self, user_id: str, run: str, photo_id: str, generation: int
    ) -> None:
        """The files are back: put the rows back, and forget that it was trashed."""
        with transaction(self._db):
            put_back(self._db, user_id, run, photo_id, generation)

    @_undisturbed
    def begin_purge(self, user_id: str, run: str, photo_id: str) -> Trashed | None:
        """Announce that the files are about to be deleted."""
        with transaction(self._db):
            begun = announce_purge(self._db, user_id, run, photo_id)
        # What was written stays although it is refused.
        if isinstance(begun, str):
            raise TrashRefusedError(begun)
        return begun

    @_undisturbed
    def cancel_purge(self, user_id: str, run: str, photo_id: str) -> None:
        """No more files are going to be deleted: it may be restored again."""
        with transaction(self._db):
            back_in_trash(self._db, user_id, run, photo_id)

    @_undisturbed
    def finish_purge(self, user_id: str, run: str, photo_id: str) -> None:
        """The files are deleted: forget the photo."""
        with transaction(self._db):
            drop_record(self._db, user_id, run, photo_id)

    def trashed(
        self,
        user_id: str,
        *,
        run: str | None = None,
        state: TrashState | None = None,
        before: str | None = None,
    ) -> Iterator[Trashed]:
        """What is in a user's trash, by `trashed_at`, run and id."""
        after = ("", "", "")
        while True:
            page = self._page_of_trash(user_id, run, state, before, after)
            yield from page
            if len(page) < _PAGE:
                return
            after = (page[-1].trashed_at, page[-1].run, page[-1].id)

    @_undisturbed
    def _page_of_trash(
        self,
        user_id: str,
        run: str | None,
        state: TrashState | None,
        before: str | None,
        after: tuple[str, str, str],
    ) -> list[Trashed]:
        return read_trash(
            self._db,
            user_id,
            run=run,
            state=state,
            before=before,
            after=after,
            limit=_PAGE,
        )

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
        return count_photos(self._db, user_id)
