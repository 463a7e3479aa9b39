"""A user's photos in the tables, one at a time: what analysing them changes.

Whatever changes something here does it in a transaction of its caller.
"""

import dataclasses
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from store.records import (
    DayOutcome,
    Decision,
    Detected,
    Judgement,
    PhotoMeta,
    PhotoState,
    StoredScores,
)
from store.sqlite_rows import (
    Known,
    bury_photo,
    from_json,
    put_photo,
    read_known,
    to_json,
    unsettle,
    update_row,
)

# Columns of `deletions` until the day is grouped.
_NOT_GROUPED: Final = {
    name: value for name, value in vars(DayOutcome()).items() if name != "delete"
}


def read_state(
    db: sqlite3.Connection, user_id: str, photo_id: str
) -> PhotoState | None:
    """What is known of a photo; None if it was never there."""
    row = db.execute(
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
        pending_dates=from_json(row["pending_dates"]),
    )


def write_photo(
    db: sqlite3.Connection,
    meta: PhotoMeta,
    scores: StoredScores,
    judge: Callable[[StoredScores], Judgement],
    detected: Detected | None,
    replaces: int | None,
) -> frozenset[str]:
    """Write an analysed photo, unless a newer version of it is known."""
    named = {"user_id": meta.user_id, "id": meta.id, "title": meta.title}
    known = read_known(db, meta.user_id, meta.id)
    if known is not None and known.generation != replaces:
        # A removed generation stays removed.
        oldest = known.generation + 1 if known.removed else known.generation
        if meta.generation < oldest:
            return known.pending
    pending = {meta.date} if known is None else {meta.date} | known.days
    if known is not None:
        detected = detected or _detected_before(db, meta)
        unsettle(db, meta.user_id, meta.id)
    if detected is not None:
        scores = dataclasses.replace(scores, objects=detected.objects)
    judged = judge(scores)
    assert judged.verdicts is not None
    assert judged.tags is not None
    db.execute(
        "INSERT INTO users (id) VALUES (?) ON CONFLICT DO NOTHING", (meta.user_id,)
    )
    put_photo(
        db,
        # All values are plain, which `asdict` would copy one by one.
        vars(meta)
        | {
            "subject": judged.tags.subject,
            "features": detected.features if detected else None,
            "delete": False,
            "pending_dates": to_json(pending),
            "analysed_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        | _inherited(known, meta),
        tags=vars(judged.tags)
        | named
        | {
            "objects": detected.objects if detected else None,
            "detector": detected.detector if detected else None,
        },
        deletions=vars(judged.verdicts)
        | named
        | _NOT_GROUPED
        | {"sharpness": meta.sharpness},
    )
    return frozenset(pending)


def remove_photo(
    db: sqlite3.Connection,
    user_id: str,
    photo_id: str,
    generation: int,
    replaces: int | None,
) -> frozenset[str]:
    """Remove a photo that is gone, unless a newer version of it is known."""
    known = read_known(db, user_id, photo_id)
    if known is not None:
        newer = known.generation > generation and known.generation != replaces
        if newer or (known.removed and known.generation == generation):
            return known.pending
    unsettle(db, user_id, photo_id)
    decision = known.decision if known is not None else None
    bury_photo(
        db, user_id, photo_id, generation=generation, known=known, decision=decision
    )
    return known.days if known is not None else frozenset()


def rejudge_photo(
    db: sqlite3.Connection,
    user_id: str,
    photo_id: str,
    generation: int,
    judge: Callable[[StoredScores], Judgement],
    detected: Detected | None,
) -> frozenset[str]:
    """Judge the stored scores of a photo again, without redoing them."""
    known = read_known(db, user_id, photo_id)
    if known is None:
        return frozenset()
    if known.removed or known.generation != generation:
        return known.pending
    unsettle(db, user_id, photo_id)
    photo = {"pending_dates": to_json(known.days)}
    if detected is not None:
        found = dataclasses.asdict(detected)
        photo["features"] = found.pop("features")
        update_row(db, "tags", user_id, photo_id, found)
    scores = db.execute(
        """SELECT deletions.sharpness, dark_probability, screenshot_probability,
                  objects
           FROM deletions JOIN tags USING (user_id, id)
           WHERE user_id = ? AND id = ?""",
        (user_id, photo_id),
    ).fetchone()
    judged = judge(StoredScores(*scores))
    if judged.verdicts is not None:
        verdicts = dataclasses.asdict(judged.verdicts)
        update_row(db, "deletions", user_id, photo_id, verdicts)
    if judged.tags is not None:
        tags = dataclasses.asdict(judged.tags)
        update_row(db, "tags", user_id, photo_id, tags)
        photo["subject"] = tags["subject"]
    update_row(db, "photos", user_id, photo_id, photo)
    return known.days


def write_decision(
    db: sqlite3.Connection, user_id: str, photo_id: str, decision: Decision | None
) -> None:
    """Write what the user wants; their day waits to be regrouped.

    Raises:
        KeyError: There is no such photo.
    """
    known = read_known(db, user_id, photo_id)
    if known is None or known.removed:
        raise KeyError(photo_id)
    unsettle(db, user_id, photo_id)
    changes = {"decision": decision, "pending_dates": to_json(known.days)}
    update_row(db, "photos", user_id, photo_id, changes)


def _inherited(known: Known | None, meta: PhotoMeta) -> dict[str, Any]:
    """What a photo has of the version before.

    Also out of a tombstone: overwriting may announce the removal of the old version
    before the new one.
    """
    decision = known.decision if known is not None else None
    same = known is not None and known.sha256 == meta.sha256
    return {
        # Whoever said `trash` has not seen these bytes.
        "decision": decision if same or decision == "keep" else None,
        "kept_for": known.kept_for if known is not None and same else 0,
    }


def _detected_before(db: sqlite3.Connection, meta: PhotoMeta) -> Detected | None:
    """What a detector found in these very bytes."""
    row = db.execute(
        """SELECT objects, detector, features
           FROM photos JOIN tags USING (user_id, id)
           WHERE user_id = ? AND id = ? AND sha256 = ? AND detector IS NOT NULL""",
        (meta.user_id, meta.id, meta.sha256),
    ).fetchone()
    return Detected(*row) if row is not None else None
