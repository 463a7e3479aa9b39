"""The records of a user's trash: how the table holds them."""

import base64
import dataclasses
import json
import sqlite3
from typing import Any, Final, NamedTuple

from store.records import Trashed, TrashedFile, TrashRequest, TrashState

_BLOBS: Final = ("descriptor", "features")
_COLUMNS: Final = [field.name for field in dataclasses.fields(Trashed)]

# A photo's row in each of `photos`, `tags` and `deletions`.
Rows = dict[str, dict[str, Any]]


class Other(NamedTuple):
    """The photo of a group that stays."""

    id: str
    sha256: str


def read_trash(
    db: sqlite3.Connection,
    user_id: str,
    *,
    run: str | None,
    state: TrashState | None,
    before: str | None,
    after: tuple[str, str, str],
    limit: int,
) -> list[Trashed]:
    """What follows in a user's trash, by `trashed_at`, run and id."""
    conditions = ["user_id = :user", "(trashed_at, run, id) > (:time, :after, :id)"]
    if run is not None:
        conditions.append("run = :run")
    if state is not None:
        conditions.append("state = :state")
    if before is not None:
        conditions.append("trashed_at < :before")
    rows = db.execute(
        f"""SELECT {", ".join(_COLUMNS)} FROM trash
            WHERE {" AND ".join(conditions)}
            ORDER BY trashed_at, run, id LIMIT :limit""",
        {
            "user": user_id,
            "run": run,
            "state": state,
            "before": before,
            "limit": limit,
            **dict(zip(("time", "after", "id"), after, strict=True)),
        },
    )
    return [to_trashed(row) for row in rows]


def add_record(
    db: sqlite3.Connection,
    user_id: str,
    request: TrashRequest,
    rows: Rows,
    other: Other | None,
) -> None:
    photo = rows["photos"]
    files = [dataclasses.asdict(file) for file in request.files]
    db.execute(
        """INSERT INTO trash (user_id, run, id, unit, state, trashed_at, reason,
               title, date, files, kept, kept_sha256, rows)
           VALUES (?, ?, ?, ?, 'moving', ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            user_id,
            request.run,
            request.id,
            request.unit,
            request.trashed_at,
            request.reason,
            photo["title"],
            photo["date"],
            json.dumps(files),
            other.id if other is not None else None,
            other.sha256 if other is not None else None,
            _dump_rows(rows),
        ),
    )


def read_record(
    db: sqlite3.Connection, user_id: str, run: str, photo_id: str
) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM trash WHERE user_id = ? AND run = ? AND id = ?",
        (user_id, run, photo_id),
    ).fetchone()
    return row


def set_state(
    db: sqlite3.Connection, user_id: str, run: str, photo_id: str, state: TrashState
) -> None:
    db.execute(
        "UPDATE trash SET state = ? WHERE user_id = ? AND run = ? AND id = ?",
        (state, user_id, run, photo_id),
    )


def delete_record(
    db: sqlite3.Connection, user_id: str, run: str, photo_id: str
) -> None:
    db.execute(
        "DELETE FROM trash WHERE user_id = ? AND run = ? AND id = ?",
        (user_id, run, photo_id),
    )


def to_trashed(row: sqlite3.Row) -> Trashed:
    values = {name: row[name] for name in _COLUMNS}
    files = tuple(TrashedFile(**file) for file in json.loads(row["files"]))
    return Trashed(**values | {"files": files})


def _dump_rows(rows: Rows) -> str:
    photo = rows["photos"]
    blobs = {
        name: base64.b64encode(photo[name]).decode()
        for name in _BLOBS
        if photo[name] is not None
    }
    return json.dumps(rows | {"photos": photo | blobs})


def load_rows(record: sqlite3.Row) -> Rows:
    rows: Rows = json.loads(record["rows"])
    photo = rows["photos"]
    for name in _BLOBS:
        if photo[name] is not None:
            photo[name] = base64.b64decode(photo[name])
    return rows
