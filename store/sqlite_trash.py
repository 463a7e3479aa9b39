"""A user's trash in the tables: what leaves the library and may come back.

Whatever changes something here does it in a transaction of its caller. The steps
and their rules are told in `interface.Store`.
"""

import dataclasses
import sqlite3
from typing import Any, Final

from store.records import (
    DayOutcome,
    Decision,
    Trashed,
    TrashRefusedError,
)
from store.sqlite_rows import (
    bury_photo,
    put_photo,
    read_known,
    to_json,
    unsettle,
    update_row,
)
from store.sqlite_trash_records import (
    delete_record,
    load_rows,
    read_record,
    set_state,
    to_trashed,
)
from store.trash_rules import (
    BEING_MOVED,
    BEING_PURGED,
    is_gone_again,
    why_not_purged,
)

_NOT_GROUPED: Final = DayOutcome()


def take_out(db: sqlite3.Connection, user_id: str, run: str, photo_id: str) -> bool:
    """Take the rows of a photo that was moved out of the tables; False if not."""
    record = read_record(db, user_id, run, photo_id)
    if record is None or record["state"] != "moving":
        return record is not None and record["state"] != "restoring"
    was = load_rows(record)["photos"]
    known = read_known(db, user_id, photo_id)
    if known is not None and known.sha256 == was["sha256"]:
        is_it = known.generation == was["generation"]
        # Others may have been trashed because the user kept it for a moment.
        if is_it and (known.decision != "trash" or known.kept_for):
            return False
        if is_it and not known.removed:
            unsettle(db, user_id, photo_id)
            bury_photo(
                db,
                user_id,
                photo_id,
                generation=known.generation,
                known=known,
                decision=None,
            )
        elif known.decision == "trash":
            table = "tombstones" if known.removed else "photos"
            changes = {"decision": None, "pending_dates": to_json(known.days)}
            update_row(db, table, user_id, photo_id, changes)
    set_state(db, user_id, run, photo_id, "trashed")
    return True


def announce_restore(
    db: sqlite3.Connection, user_id: str, run: str, photo_id: str
) -> Trashed | None:
    """Announce that the files are about to be moved back.

    Raises:
        TrashRefusedError: They are being deleted.
    """
    record = read_record(db, user_id, run, photo_id)
    if record is None:
        return None
    if record["state"] == "purging":
        raise TrashRefusedError(BEING_PURGED)
    set_state(db, user_id, run, photo_id, "restoring")
    return dataclasses.replace(to_trashed(record), state="restoring")


def put_back(
    db: sqlite3.Connection, user_id: str, run: str, photo_id: str, generation: int
) -> None:
    """Put the rows of a photo back whose files are, and drop its record."""
    record = read_record(db, user_id, run, photo_id)
    if record is None or record["state"] != "restoring":
        return
    rows = load_rows(record)
    photo = rows["photos"]
    known = read_known(db, user_id, photo_id)
    same = known is not None and known.sha256 == photo["sha256"]
    decision: Decision | None = photo["decision"]
    if known is not None and known.decision == "keep":
        decision = "keep"
    elif decision == "trash":
        decision = None
    if known is None or (
        known.removed
        and not is_gone_again(known.generation, generation, photo["generation"])
    ):
        pending = known.pending if known is not None else frozenset()
        photo |= {
            "delete": False,
            "decision": decision,
            "generation": generation,
            "kept_for": known.kept_for if known is not None and same else 0,
            "pending_dates": to_json(pending | {photo["date"]}),
        }
        # Those that it was grouped with may be gone by now.
        outcome = dataclasses.asdict(_NOT_GROUPED)
        del outcome["delete"]
        put_photo(db, photo, tags=rows["tags"], deletions=rows["deletions"] | outcome)
    elif same and not known.removed:
        changes: dict[str, Any] = {
            "decision": decision,
            "pending_dates": to_json(known.days),
        }
        if known.generation == photo["generation"]:
            changes["generation"] = generation
        unsettle(db, user_id, photo_id)
        update_row(db, "photos", user_id, photo_id, changes)
    if record["kept"] is not None:
        _let_go(db, user_id, record["kept"], record["kept_sha256"])
    delete_record(db, user_id, run, photo_id)


def announce_purge(
    db: sqlite3.Connection, user_id: str, run: str, photo_id: str
) -> Trashed | str | None:
    """Announce that the files are about to be deleted.

    Returns:
        Why they must not be, in place of the record: what was to stay does not.

    Raises:
        TrashRefusedError: They are being moved.
    """
    record = read_record(db, user_id, run, photo_id)
    if record is None:
        return None
    if record["state"] not in ("trashed", "purging"):
        raise TrashRefusedError(BEING_MOVED)
    if record["kept"] is not None:
        kept = db.execute(
            "SELECT sha256, decision FROM photos WHERE user_id = ? AND id = ?",
            (user_id, record["kept"]),
        ).fetchone()
        why = why_not_purged(dict(kept) if kept else None, record["kept_sha256"])
        if why is not None:
            # Whoever began it did not get to the end; it may be restored.
            set_state(db, user_id, run, photo_id, "trashed")
            return why
    set_state(db, user_id, run, photo_id, "purging")
    return dataclasses.replace(to_trashed(record), state="purging")


def back_in_trash(
    db: sqlite3.Connection, user_id: str, run: str, photo_id: str
) -> None:
    """What was about to be deleted may be restored again."""
    record = read_record(db, user_id, run, photo_id)
    if record is not None and record["state"] == "purging":
        set_state(db, user_id, run, photo_id, "trashed")


def drop_record(db: sqlite3.Connection, user_id: str, run: str, photo_id: str) -> None:
    """Forget a photo whose files are deleted."""
    record = read_record(db, user_id, run, photo_id)
    if record is not None and record["state"] == "purging":
        delete_record(db, user_id, run, photo_id)


def _let_go(db: sqlite3.Connection, user_id: str, kept: str, sha256: str) -> None:
    """What stayed for a photo that is back stays for one less."""
    known = read_known(db, user_id, kept)
    if known is None or known.sha256 != sha256 or not known.kept_for:
        return
    changes: dict[str, Any] = {"kept_for": known.kept_for - 1}
    if known.removed:
        update_row(db, "tombstones", user_id, kept, changes)
    else:
        # It may be recommended again.
        changes["pending_dates"] = to_json(known.days)
        update_row(db, "photos", user_id, kept, changes)
        # As new: on its own it may be trashed, but not before the two that may be a
        # group again are grouped.
        db.execute(
            """UPDATE deletions SET grouped_by = NULL
               WHERE user_id = ? AND id = ? AND similar_group IS NULL""",
            (user_id, kept),
        )
