"""Whether a photo may leave a user's library in the tables, and how it begins to.

Whatever changes something here does it in a transaction of its caller.
"""

import json
import sqlite3
from collections.abc import Sequence
from typing import Final

from store.records import TrashRefusedError, TrashRequest
from store.sqlite_rows import Row, from_json, to_json, unsettle, update_row
from store.sqlite_trash_records import Other, Rows, add_record, read_record
from store.trash_rules import (
    GONE,
    LAST_OF_GROUP,
    MOVED_BY_OTHERS,
    NOT_GROUPED_YET,
    check_asked,
    is_one_shot,
    waits_for_group,
)

_TABLES: Final = ("photos", "tags", "deletions")


def trash_unit(
    db: sqlite3.Connection, user_id: str, unit: Sequence[TrashRequest]
) -> None:
    """Decide to trash photos that go as one, and remember how to undo it.

    Raises:
        TrashRefusedError: One of them must not be trashed; the transaction is to be
            undone.
    """
    # All of them first: what is done to one changes what is recommended of others.
    leaving = [
        (request, _checked(db, user_id, request))
        for request in unit
        if read_record(db, user_id, request.run, request.id) is None
    ]
    others = [
        _other_of_group(db, user_id, rows, [rows for _, rows in leaving])
        for _, rows in leaving
    ]
    for (request, rows), other in zip(leaving, others, strict=True):
        if other is not None:
            _let_stay(db, user_id, rows["photos"], other)
        add_record(db, user_id, request, rows, other)
        unsettle(db, user_id, request.id)
        pending = from_json(rows["photos"]["pending_dates"]) | {rows["photos"]["date"]}
        changes = {"decision": "trash", "kept_for": 0}
        changes["pending_dates"] = to_json(pending)
        update_row(db, "photos", user_id, request.id, changes)


def _checked(db: sqlite3.Connection, user_id: str, request: TrashRequest) -> Rows:
    """The rows of a photo that is as the request has it.

    Raises:
        TrashRefusedError: There is none, or another run moves it.
    """
    rows: Rows = {}
    for table in _TABLES:
        row = db.execute(
            f"SELECT * FROM {table} WHERE user_id = ? AND id = ?",
            (user_id, request.id),
        ).fetchone()
        if row is None:
            raise TrashRefusedError(GONE)
        rows[table] = dict(row)
    on_its_way = db.execute(
        """SELECT 1 FROM trash
           WHERE user_id = ? AND id = ? AND state IN ('moving', 'restoring')""",
        (user_id, request.id),
    ).fetchone()
    if on_its_way is not None:
        raise TrashRefusedError(MOVED_BY_OTHERS)
    pending = from_json(rows["photos"]["pending_dates"])
    check_asked(request, rows["photos"], rows["deletions"], pending)
    return rows


def _other_of_group(
    db: sqlite3.Connection, user_id: str, rows: Rows, unit: Sequence[Rows]
) -> Other | None:
    """The photo that stays of a group; None for a photo, or shot, that is in none.

    Raises:
        TrashRefusedError: No other would be left.
    """
    photo, deletion = rows["photos"], rows["deletions"]
    if deletion["similar_group"] is None:
        if photo["kept_for"]:
            raise TrashRefusedError(LAST_OF_GROUP)
        return None
    # Of that day: until it is settled, a photo that was the first of its group may
    # give its name to another on the day that it went to.
    found = db.execute(
        """SELECT photos.id, sha256, decision
           FROM deletions INDEXED BY deletions_by_group
               CROSS JOIN photos USING (user_id, id)
           WHERE user_id = :user AND similar_group = :group AND date = :date
             AND photos.id NOT IN (SELECT value FROM json_each(:unit))
           ORDER BY decision IS 'trash', photos.id <> :keeper, photos.id LIMIT 1""",
        {
            "user": user_id,
            "group": deletion["similar_group"],
            "date": photo["date"],
            "unit": json.dumps([one["photos"]["id"] for one in unit]),
            "keeper": deletion["keeper"],
        },
    ).fetchone()
    if found is not None and found["decision"] != "trash":
        return Other(found["id"], found["sha256"])
    goes_as_one = [(one["photos"], one["deletions"]) for one in unit]
    if found is not None or not is_one_shot(photo, deletion, goes_as_one):
        raise TrashRefusedError(LAST_OF_GROUP)
    if _waits_for_group(db, user_id, photo["date"]):
        raise TrashRefusedError(NOT_GROUPED_YET)
    return None


def _waits_for_group(db: sqlite3.Connection, user_id: str, date: str) -> bool:
    """Whether any photo of a day may be one of a group that it is not in yet."""
    rows = db.execute(
        """SELECT similar_group, grouped_by, pending_dates
           FROM photos CROSS JOIN deletions USING (user_id, id)
           WHERE user_id = ? AND date = ? AND pending_dates <> '[]'""",
        (user_id, date),
    )
    return any(
        waits_for_group(date, dict(row), from_json(row["pending_dates"]))
        for row in rows
    )


def _let_stay(db: sqlite3.Connection, user_id: str, photo: Row, other: Other) -> None:
    """Let another stay for a photo, and for those that the photo stayed for."""
    db.execute(
        "UPDATE photos SET kept_for = kept_for + ? WHERE user_id = ? AND id = ?",
        (1 + photo["kept_for"], user_id, other.id),
    )
    db.execute(
        """UPDATE trash SET kept = ?, kept_sha256 = ?
           WHERE user_id = ? AND kept = ? AND kept_sha256 = ?""",
        (other.id, other.sha256, user_id, photo["id"], photo["sha256"]),
    )
