"""A user's day in Firestore: reading it, and writing what was decided."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final, cast

from google.api_core.exceptions import FailedPrecondition
from google.cloud import firestore
from google.cloud.firestore import (
    DocumentReference,
    FieldFilter,
    Transaction,
)

from store.firestore_database import FirestoreDatabase, Snapshot
from store.records import TOMBSTONE_LIFE, DayOutcome, DayPhoto

# What `settled_decision` holds where `decision` is null: Firestore's `in`, which
# finds decisions that no grouping has seen, finds no nulls.
UNDECIDED: Final = "none"
_NOT_GROUPED: Final = DayOutcome()
# With their deletions 400 documents. Firestore takes 10 MiB in a transaction, index
# entries counted, of which a document changes a dozen.
_PHOTOS_A_COMMIT: Final = 200

# Those that a day is read for. The price is the same, the time is not.
_DAY_FIELDS: Final = (
    "id",
    "taken_at",
    "time_source",
    "latitude",
    "longitude",
    "generation",
    "sha256",
    "fingerprint",
    "damaged",
    "width",
    "height",
    "subject",
    "sharpness",
    "exposure",
    "descriptor",
    "features",
    "decision",
    "settled_decision",
    "delete",
    "judged",
    "outcome",
    "kept_for",
)

# A document, the fields that change.
_Update = tuple[DocumentReference, dict[str, Any]]


class _DayChangedError(Exception):
    """The day is no longer as it was read."""


def query_day(db: FirestoreDatabase, user_id: str, date: str) -> list[Snapshot]:
    """A user's photos of one day, ordered by id."""
    photos = db.user(user_id).collection("photos").select(_DAY_FIELDS)
    return db.query(photos.where(filter=FieldFilter("date", "==", date)))


def settle_day(
    db: FirestoreDatabase,
    user_id: str,
    date: str,
    group: Callable[[Sequence[DayPhoto]], Mapping[str, DayOutcome]],
) -> int:
    """Regroup a user's day and take it off the pending ones.

    Nothing is locked while the day is read and grouped. Whatever changes a photo
    leaves its day pending, and a grouping takes that back from all it saw. So if all
    that was pending before the day was read still is, and is unchanged, the day too
    is as it was read, but for photos that were added: they stay pending, and their
    turn comes. A photo that is written must be as it was read in any case.

    Returns:
        How many photos changed.
    """
    while True:
        waiting = _query_waiting(db, user_id, date)
        if not waiting:
            return 0
        snapshots = query_day(db, user_id, date)
        photos = [day_photo(snapshot) for snapshot in snapshots]
        updates, changed = _updates(db, user_id, snapshots, photos, group(photos))
        try:
            _write(db, user_id, date, waiting, snapshots, updates)
        except _DayChangedError:
            continue
        return changed


def read_pending_days(
    db: FirestoreDatabase, user_id: str | None
) -> list[tuple[str, str]]:
    """(user, date) of the days that wait to be regrouped, of one user or all.

    Users decide in their own documents, where the rules let them change nothing
    else; the days of such decisions are made pending here.
    """
    _mark_decisions(db, user_id)
    days = set()
    for name in ("photos", "tombstones"):
        some = FieldFilter("pending_dates", ">", [])
        query = _collection(db, user_id, name).where(filter=some)
        for found in db.query(query.select(["pending_dates"])):
            owner = _owner(found.reference)
            if owner is not None:
                days |= {(owner, date) for date in found.get("pending_dates")}
    return sorted(days)


def outcome_fields(outcome: DayOutcome) -> dict[str, Any]:
    """What a photo's documents hold of an outcome, apart from `delete`."""
    fields = dataclasses.asdict(outcome)
    del fields["delete"]
    return fields


def day_photo(snapshot: Snapshot) -> DayPhoto:
    fields = cast(dict[str, Any], snapshot.to_dict())
    judged = fields["judged"]
    return DayPhoto(
        id=fields["id"],
        taken_at=fields["taken_at"],
        time_source=fields["time_source"],
        latitude=fields["latitude"],
        longitude=fields["longitude"],
        generation=fields["generation"],
        sha256=fields["sha256"],
        damaged=fields["damaged"],
        pixels=fields["width"] * fields["height"],
        subject=fields["subject"],
        sharpness=fields["sharpness"],
        exposure=fields["exposure"],
        descriptor=fields["descriptor"] + (fields["features"] or b""),
        fingerprint=fields["fingerprint"],
        decision=fields["decision"],
        shaken=judged["shaken"],
        dark=judged["dark"],
        screenshot=judged["screenshot"],
        outcome=DayOutcome(delete=fields["delete"], **fields["outcome"]),
        # Older documents have none.
        kept_for=fields.get("kept_for", 0),
    )


def _collection(db: FirestoreDatabase, user_id: str | None, name: str) -> Any:
    """A user's collection, or that of all users."""
    if user_id is None:
        return db.client.collection_group(name)
    return db.user(user_id).collection(name)


def _owner(reference: DocumentReference) -> str | None:
    """Whose document it is; None if it is another program's."""
    top, _, path = reference.path.partition("/")
    parts = path.split("/")
    return parts[0] if top == "users" and len(parts) == 3 else None


def _mark_decisions(db: FirestoreDatabase, user_id: str | None) -> None:
    photos = _collection(db, user_id, "photos")
    for decision, others in (
        ("keep", [UNDECIDED, "trash"]),
        ("trash", [UNDECIDED, "keep"]),
        (None, ["keep", "trash"]),
    ):
        query = photos.where(filter=FieldFilter("decision", "==", decision)).where(
            filter=FieldFilter("settled_decision", "in", others)
        )
        for found in db.query(query.select(["date"])):
            if _owner(found.reference) is not None:
                pending = {"pending_dates": firestore.ArrayUnion([found.get("date")])}
                db.update(found.reference, pending)


def _query_waiting(
    db: FirestoreDatabase,
    user_id: str,
    date: str,
    transaction: Transaction | None = None,
) -> dict[str, Snapshot]:
    """Photos and tombstones that wait for a day to be regrouped, by path."""
    waits = FieldFilter("pending_dates", "array_contains", date)
    return {
        found.reference.path: found
        for name in ("photos", "tombstones")
        for found in db.query(
            db.user(user_id)
            .collection(name)
            .where(filter=waits)
            .select(["pending_dates"]),
            transaction,
        )
    }


def _updates(
    db: FirestoreDatabase,
    user_id: str,
    snapshots: Sequence[Snapshot],
    photos: Sequence[DayPhoto],
    outcomes: Mapping[str, DayOutcome],
) -> tuple[list[list[_Update]], int]:
    """The documents of each photo that change, and how many outcomes do.

    Keepers come before those that are recommended because of them.
    """
    deletions = db.user(user_id).collection("deletions")
    updates = []
    changed = 0
    for snapshot, before in zip(snapshots, photos, strict=True):
        after = outcomes.get(before.id, _NOT_GROUPED)
        settled = before.decision or UNDECIDED
        fields: dict[str, Any] = {}
        documents: list[_Update] = [(snapshot.reference, fields)]
        if after != before.outcome:
            changed += 1
            fields |= {"delete": after.delete, "outcome": outcome_fields(after)}
            if outcome_fields(after) != outcome_fields(before.outcome):
                documents.append((deletions.document(before.id), outcome_fields(after)))
        if snapshot.get("settled_decision") != settled:
            fields["settled_decision"] = settled
        if fields:
            updates.append(documents)
    updates.sort(key=lambda documents: documents[0][1].get("delete", False))
    return updates, changed


def _write(
    db: FirestoreDatabase,
    user_id: str,
    date: str,
    waiting: Mapping[str, Snapshot],
    snapshots: Sequence[Snapshot],
    updates: Sequence[Sequence[_Update]],
) -> None:
    """Write what changed, and take the day off the pending ones.

    All at once; a day that is too large for that stays pending until the last of
    its documents is written: by the newest that waits, which each part changes, so
    that whoever else regroups the day and knows of it starts over.

    Raises:
        _DayChangedError: Somebody else wrote meanwhile.
    """
    newest = max(waiting.values(), key=lambda found: found.update_time).reference
    clears = {path: _clear(found, date) for path, found in waiting.items()}
    last = clears.pop(newest.path)
    units = [
        [*documents, *filter(None, [clears.pop(documents[0][0].path, None)])]
        for documents in updates
    ]
    units += [[clear] for clear in clears.values()]
    if len(units) < _PHOTOS_A_COMMIT:
        parts = [_merged([*units, [last]])]
    else:
        parts = [
            _merged([[(newest, {"settling": datetime.now(UTC)})], *units[i:j]])
            for i, j in pairwise([*range(0, len(units), _PHOTOS_A_COMMIT), len(units)])
        ]
        parts.append([last])
    read = {snapshot.id: snapshot.update_time for snapshot in snapshots}
    versions = {found.reference.path: found.update_time for found in snapshots}
    versions |= {path: found.update_time for path, found in waiting.items()}
    left = set(waiting)
    for number, part in enumerate(parts):
        # In between it is enough that nobody changed what is written.
        is_end = number in (0, len(parts) - 1)

        def change(
            transaction: Transaction,
            writes: Sequence[_Update] = part,
            looks: bool = is_end,
        ) -> None:
            if looks:
                now = _query_waiting(db, user_id, date, transaction)
                for path in left:
                    if path not in now or now[path].update_time != versions[path]:
                        raise _DayChangedError
                for path in now.keys() - left:
                    # Added since, or read as it is; else changed since it was read.
                    found = now[path]
                    if read.get(found.id, found.update_time) != found.update_time:
                        raise _DayChangedError
            for reference, fields in writes:
                version = versions.get(reference.path)
                transaction.update(reference, fields, db.unchanged_since(version))

        try:
            _, results = db.transact(change)
        except FailedPrecondition as err:
            raise _DayChangedError from err
        for (reference, fields), result in zip(part, results, strict=True):
            versions[reference.path] = result.update_time
            if "pending_dates" in fields:
                left.remove(reference.path)


def _clear(found: Snapshot, date: str) -> _Update:
    """Take a day off those that a photo or tombstone waits for."""
    fields: dict[str, Any] = {
        "pending_dates": firestore.ArrayRemove([date]),
        "settling": firestore.DELETE_FIELD,
    }
    is_tombstone = found.reference.parent.id == "tombstones"
    if is_tombstone and found.get("pending_dates") == [date]:
        # Time to live may take it now: nothing is lost with it any more.
        fields["expires_at"] = datetime.now(UTC) + TOMBSTONE_LIFE
    return found.reference, fields


def _merged(part: Iterable[Sequence[_Update]]) -> list[_Update]:
    """One update a document, in the order of their first mention."""
    by_path: dict[str, _Update] = {}
    for documents in part:
        for reference, fields in documents:
            _, known = by_path.setdefault(reference.path, (reference, {}))
            known |= fields
    return list(by_path.values())
