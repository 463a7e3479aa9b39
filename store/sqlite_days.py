"""A user's day in the tables: reading it, and writing what was decided."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from store.records import DayOutcome, DayPhoto

_NOT_GROUPED: Final = DayOutcome()

# Told which index, because "ORDER BY id" lures the planner into walking all of the
# user's photos in the order of the primary key.
_DAY: Final = """
    SELECT id, taken_at, time_source, latitude, longitude, generation, sha256,
           photos.fingerprint, damaged,
           width * height AS pixels, subject, photos.sharpness AS sharpness,
           exposure, descriptor, features, decision, shaken, dark, screenshot, "delete",
           similar, similar_group, similar_kind, keeper, similarity,
           similarity_threshold, grouped_by, kept_for
    FROM photos INDEXED BY photos_by_date JOIN deletions USING (user_id, id)
    WHERE user_id = ? AND date = ? ORDER BY id"""

# Nearly every photo waits for one day, so that one is looked up whole; the few
# that moved between days wait for several and have an index of their own.
_WITHOUT_DATE: Final = """
    UPDATE {table} SET pending_dates = (
        SELECT json_group_array(value) FROM json_each(pending_dates)
        WHERE value <> :date
    )
    WHERE user_id = :user AND {table}.id IN (
        SELECT {table}.id FROM {table}
        WHERE user_id = :user AND pending_dates <> '[]'
          AND pending_dates = json_array(:date)
        UNION ALL
        SELECT {table}.id FROM {table}, json_each(pending_dates)
        WHERE user_id = :user AND instr(pending_dates, ',') AND value = :date
    )"""


def read_day(db: sqlite3.Connection, user_id: str, date: str) -> list[DayPhoto]:
    """A user's photos of one day, ordered by id."""
    return [_day_photo(row) for row in db.execute(_DAY, (user_id, date))]


def write_day(
    db: sqlite3.Connection,
    user_id: str,
    date: str,
    photos: Sequence[DayPhoto],
    outcomes: Mapping[str, DayOutcome],
) -> int:
    """Write what changed, and take the day off the pending ones.

    Args:
        db: In a transaction.
        user_id: The owner of the day.
        date: YYYY-MM-DD.
        photos: The day as it is.
        outcomes: What is decided, by photo; nothing about those that are missing.

    Returns:
        How many photos changed.
    """
    changed = [
        (photo.id, outcomes.get(photo.id, _NOT_GROUPED))
        for photo in photos
        if outcomes.get(photo.id, _NOT_GROUPED) != photo.outcome
    ]
    for photo_id, outcome in changed:
        _write_outcome(db, user_id, photo_id, outcome)
    for table in ("photos", "tombstones"):
        db.execute(_WITHOUT_DATE.format(table=table), {"user": user_id, "date": date})
    return len(changed)


def read_pending_days(
    db: sqlite3.Connection, user_id: str | None
) -> list[tuple[str, str]]:
    """(user, date) of the days that wait to be regrouped, of one user or all."""
    of_user = "AND user_id = :user" if user_id is not None else ""
    rows = db.execute(
        " UNION ".join(
            f"""SELECT user_id, value FROM {table}, json_each(pending_dates)
                WHERE pending_dates <> '[]' {of_user}"""
            for table in ("photos", "tombstones")
        ),
        {"user": user_id} if user_id is not None else {},
    )
    return [(user, date) for user, date in rows]


def _write_outcome(
    db: sqlite3.Connection, user_id: str, photo_id: str, outcome: DayOutcome
) -> None:
    row = vars(outcome) | {"user": user_id, "id": photo_id}
    db.execute(
        'UPDATE photos SET "delete" = :delete WHERE user_id = :user AND id = :id',
        row,
    )
    db.execute(
        """UPDATE deletions SET similar = :similar, keeper = :keeper,
               similar_group = :similar_group, similar_kind = :similar_kind,
               similarity = :similarity,
               similarity_threshold = :similarity_threshold,
               grouped_by = :grouped_by
           WHERE user_id = :user AND id = :id""",
        row,
    )


def _day_photo(row: sqlite3.Row) -> DayPhoto:
    return DayPhoto(
        id=row["id"],
        taken_at=row["taken_at"],
        time_source=row["time_source"],
        latitude=row["latitude"],
        longitude=row["longitude"],
        generation=row["generation"],
        sha256=row["sha256"],
        damaged=bool(row["damaged"]),
        pixels=row["pixels"],
        subject=row["subject"],
        sharpness=row["sharpness"],
        exposure=row["exposure"],
        descriptor=row["descriptor"] + (row["features"] or b""),
        fingerprint=row["fingerprint"],
        decision=row["decision"],
        shaken=bool(row["shaken"]),
        dark=bool(row["dark"]),
        screenshot=bool(row["screenshot"]),
        outcome=DayOutcome(
            delete=bool(row["delete"]),
            similar=bool(row["similar"]),
            similar_group=row["similar_group"],
            similar_kind=row["similar_kind"],
            keeper=row["keeper"],
            similarity=row["similarity"],
            similarity_threshold=row["similarity_threshold"],
            grouped_by=row["grouped_by"],
        ),
        kept_for=row["kept_for"],
    )
