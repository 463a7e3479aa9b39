"""The rows of one photo, or the tombstone of one that was.

Whatever changes something here does it in a transaction of its caller.
"""

import functools
import json
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from store.records import TOMBSTONE_LIFE, Decision

# Columns of a row.
Row = Mapping[str, Any]


class Known(NamedTuple):
    """A photo that is there, or the tombstone of one that was."""

    generation: int
    removed: bool
    date: str | None
    decision: Decision | None
    sha256: str | None
    kept_for: int
    pending: frozenset[str]

    @property
    def days(self) -> frozenset[str]:
        return self.pending | {self.date} if self.date else self.pending


def read_known(db: sqlite3.Connection, user_id: str, photo_id: str) -> Known | None:
    row = db.execute(
        """SELECT generation, 0 AS removed, date, decision, sha256, kept_for,
                  pending_dates
           FROM photos WHERE user_id = :user AND id = :id
           UNION ALL
           SELECT generation, 1, NULL, decision, sha256, kept_for, pending_dates
           FROM tombstones WHERE user_id = :user AND id = :id""",
        {"user": user_id, "id": photo_id},
    ).fetchone()
    if row is None:
        return None
    return Known(
        generation=row["generation"],
        removed=bool(row["removed"]),
        date=row["date"],
        decision=row["decision"],
        sha256=row["sha256"],
        kept_for=row["kept_for"],
        pending=from_json(row["pending_dates"]),
    )


def unsettle(db: sqlite3.Connection, user_id: str, photo_id: str) -> None:
    """Take back what was recommended because of a photo that changes.

    A group must not stand recommended without its keeper until its day is
    settled, however long that takes.
    """
    db.execute(
        """UPDATE photos SET "delete" = 0
           WHERE user_id = :user AND id IN (
               SELECT :id UNION ALL
               SELECT id FROM deletions
               WHERE user_id = :user AND keeper = :id AND similar_group = (
                   SELECT similar_group FROM deletions
                   WHERE user_id = :user AND id = :id))""",
        {"user": user_id, "id": photo_id},
    )


def put_photo(db: sqlite3.Connection, photo: Row, *, tags: Row, deletions: Row) -> None:
    """Write a photo's three rows, in place of whatever is known of it."""
    db.execute(
        "DELETE FROM tombstones WHERE user_id = :user_id AND id = :id",
        {"user_id": photo["user_id"], "id": photo["id"]},
    )
    _upsert(db, "photos", photo)
    _upsert(db, "tags", tags)
    _upsert(db, "deletions", deletions)


def bury_photo(
    db: sqlite3.Connection,
    user_id: str,
    photo_id: str,
    *,
    generation: int,
    known: Known | None,
    decision: Decision | None,
) -> None:
    """Leave a tombstone in place of a photo's rows.

    Args:
        db: In a transaction.
        user_id: The photo's owner.
        photo_id: Its id.
        generation: The newest version that is known to be gone.
        known: What is known of the photo until now.
        decision: That a photo of the same bytes would inherit.
    """
    key = {"user_id": user_id, "id": photo_id}
    expires_at = datetime.now(UTC) + TOMBSTONE_LIFE
    db.execute("DELETE FROM photos WHERE user_id = :user_id AND id = :id", key)
    _upsert(
        db,
        "tombstones",
        key
        | {
            "generation": generation,
            "decision": decision,
            "sha256": known.sha256 if known is not None else None,
            "kept_for": known.kept_for if known is not None else 0,
            "pending_dates": to_json(known.days if known is not None else ()),
            "expires_at": expires_at.isoformat(timespec="seconds"),
        },
    )


def update_row(
    db: sqlite3.Connection, table: str, user_id: str, photo_id: str, changes: Row
) -> None:
    columns = ", ".join(f'"{name}" = :{name}' for name in changes)
    db.execute(
        f"UPDATE {table} SET {columns} WHERE user_id = :user_id AND id = :id",
        {**changes, "user_id": user_id, "id": photo_id},
    )


def _upsert(db: sqlite3.Connection, table: str, row: Row) -> None:
    db.execute(_upsert_of(table, tuple(row)), row)


@functools.cache
def _upsert_of(table: str, names: tuple[str, ...]) -> str:
    columns = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(f":{name}" for name in names)
    changes = ", ".join(f'"{name}" = excluded."{name}"' for name in names)
    return (
        f"INSERT INTO {table} ({columns}) VALUES ({values}) "
        f"ON CONFLICT (user_id, id) DO UPDATE SET {changes}"
    )


def to_json(dates: Iterable[str]) -> str:
    return json.dumps(sorted(dates), separators=(",", ":"))


def from_json(dates: str) -> frozenset[str]:
    return frozenset(json.loads(dates))
