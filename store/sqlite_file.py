"""The SQLite file itself: opening it, its tables, its transactions."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Final

from store.records import StoreError

_APPLICATION_ID: Final = 0x5049434C  # "PICL", in the header of every file of ours
_SCHEMA_VERSION: Final = 3
# From each older version of the tables to the next.
_UPGRADES: Final = {
    1: (
        "ALTER TABLE photos ADD features BLOB",
        "ALTER TABLE tags ADD objects TEXT",
        "ALTER TABLE tags ADD detector TEXT",
        "ALTER TABLE tags ADD version TEXT",
    ),
    2: (
        "ALTER TABLE photos ADD kept_for INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE tombstones ADD sha256 TEXT",
        "ALTER TABLE tombstones ADD kept_for INTEGER NOT NULL DEFAULT 0",
        """CREATE TABLE trash (
            user_id TEXT NOT NULL,
            run TEXT NOT NULL,
            id TEXT NOT NULL,
            unit TEXT NOT NULL,
            state TEXT NOT NULL
                CHECK (state IN ('moving', 'trashed', 'restoring', 'purging')),
            trashed_at TEXT NOT NULL,
            reason TEXT NOT NULL,
            title TEXT NOT NULL,
            date TEXT NOT NULL,
            files TEXT NOT NULL,
            kept TEXT,
            kept_sha256 TEXT,
            rows TEXT NOT NULL,
            PRIMARY KEY (user_id, run, id)
        ) STRICT""",
        "CREATE INDEX trash_by_time ON trash (user_id, trashed_at, run, id)",
        "CREATE INDEX trash_by_state ON trash (user_id, state, trashed_at, run, id)",
        "CREATE INDEX trash_by_run ON trash (user_id, run, trashed_at, id)",
        "CREATE INDEX trash_by_id ON trash (user_id, id)",
        """CREATE INDEX trash_by_kept ON trash (user_id, kept)
            WHERE kept IS NOT NULL""",
        "DROP INDEX photos_by_date",
        "CREATE INDEX photos_by_date ON photos (user_id, date, taken_at, id)",
        "DROP INDEX photos_recommended",
        """CREATE INDEX photos_recommended ON photos
            (user_id, date, taken_at, id, bytes) WHERE "delete" """,
        """CREATE INDEX photos_decided ON photos
            (user_id, decision, date, taken_at, id) WHERE decision IS NOT NULL""",
        "CREATE INDEX tags_detected ON tags (user_id) WHERE detector IS NOT NULL",
    ),
}
# Long enough for another process to regroup its largest day.
_BUSY_TIMEOUT_S: Final = 120.0


def open_database(path: Path, *, must_exist: bool = False) -> sqlite3.Connection:
    """Open the file, and make it and its tables where there are none.

    Args:
        path: The database file.
        must_exist: Fail rather than make a new file.

    Raises:
        StoreError: It can not be opened or written, or is not ours.
    """
    if must_exist and not path.exists():
        raise StoreError(f"no database at {path}; `piccl backfill` makes one")
    if not path.parent.is_dir():
        raise StoreError(f"can not make {path}: its folder does not exist")
    try:
        db = sqlite3.connect(
            path.absolute(),  # ":memory:" too is a file, not a store soon forgotten
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,  # transactions begin where we say so
            check_same_thread=False,
        )
    except sqlite3.Error as err:
        raise StoreError(f"can not open the database {path}: {err}") from err
    try:
        _prepare(db, path)
    except sqlite3.Error as err:
        db.close()
        raise StoreError(f"can not use {path} as a database: {err}") from err
    except StoreError:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Write all of it or nothing, after whoever writes now."""
    # IMMEDIATE: a deferred transaction that turns into a writer fails at once
    # when another wrote in between, whatever the busy timeout.
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # A full disk may have rolled it back already.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.row_factory = sqlite3.Row
    # A killed process loses nothing; a power cut may lose the last commits,
    # which the next run makes again.
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA foreign_keys = ON")
    # Before anything is changed in what may be somebody else's file.
    if _check_owner(db, path):
        _upgrade(db)
        return
    _use_write_ahead_log(db)
    with transaction(db):
        # Again, now under the lock: another process may have just made it.
        if _check_owner(db, path):
            return
        schema = resources.files("store").joinpath("schema.sql").read_text("utf-8")
        for statement in schema.split(";\n"):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


def _use_write_ahead_log(db: sqlite3.Connection) -> None:
    """With it, readers and the writer do not wait for each other."""
    # No busy timeout holds here: of two that make a file at once, one fails at once.
    give_up_at_s = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as err:
            busy = err.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > give_up_at_s:
                raise
        time.sleep(0.01)


def _check_owner(db: sqlite3.Connection, path: Path) -> bool:
    """Whether our tables are there.

    Raises:
        StoreError: The file belongs to another program or version.
    """
    if not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return False
    if db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
        raise StoreError(
            f"{path} is a database of another program; name another with --store"
        )
    version = _version(db)
    if version != _SCHEMA_VERSION and version not in _UPGRADES:
        raise StoreError(
            f"{path} has tables of version {version}, this piccl uses "
            f"{_SCHEMA_VERSION}; name another database with --store"
        )
    return True


def _upgrade(db: sqlite3.Connection) -> None:
    """Bring the tables of an older version up to this one; all of it or nothing."""
    if _version(db) == _SCHEMA_VERSION:
        return
    with transaction(db):
        # Again, now under the lock: another process may just have done it.
        for version in range(_version(db), _SCHEMA_VERSION):
            for statement in _UPGRADES[version]:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])
