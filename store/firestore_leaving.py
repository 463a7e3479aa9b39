"""Whether a photo may leave a user's library in Firestore, and how it begins to.

All is one transaction, which reads what it depends on. So of two steps that can not
both be allowed, Firestore lets one start over, and it sees the other.
"""

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, cast

from google.cloud.firestore import DocumentReference, FieldFilter, Transaction

from store.firestore_database import FirestoreDatabase, Snapshot
from store.firestore_photos import document_of, look_up, take_back
from store.firestore_trash import record_of
from store.records import Decision, Trashed, TrashRefusedError, TrashRequest
from store.trash_rules import (
    GONE,
    LAST_OF_GROUP,
    MOVED_BY_OTHERS,
    NOT_GROUPED_YET,
    check_asked,
    is_one_shot,
    waits_for_group,
)


class _Other(NamedTuple):
    """The photo of a group that stays."""

    reference: DocumentReference
    sha256: str
    kept_for: int


class _Leaving(NamedTuple):
    """A photo that may be trashed.

    Attributes:
        photo, tags, deletions: Its documents.
        days: That wait because of it.
        dependents: Of which it is the keeper.
        kept: Records of those that were trashed because it stays.
    """

    request: TrashRequest
    photo: Mapping[str, Any]
    tags: Mapping[str, Any]
    deletions: Mapping[str, Any]
    days: frozenset[str]
    dependents: Sequence[DocumentReference]
    kept: Sequence[Snapshot]


def trash_unit(
    db: FirestoreDatabase, user_id: str, unit: Sequence[TrashRequest]
) -> None:
    """See `interface.Store.trash`."""

    def change(transaction: Transaction) -> None:
        records = db.get(
            [record_of(db, user_id, request.run, request.id) for request in unit],
            transaction,
        )
        leaving = {
            record.reference: _leave(db, user_id, request, transaction)
            for request, record in zip(unit, records, strict=True)
            if not record.exists
        }
        others = {
            reference: _other_of_group(
                db, user_id, one, list(leaving.values()), transaction
            )
            for reference, one in leaving.items()
        }
        kept_for: Counter[DocumentReference] = Counter()
        for reference, one in leaving.items():
            other = others[reference]
            take_back(transaction, one.dependents)
            transaction.update(
                document_of(db, user_id, "photos", one.request.id),
                {
                    "decision": "trash",
                    "delete": False,
                    "kept_for": 0,
                    "pending_dates": sorted(one.days),
                },
            )
            record = _record(user_id, one, other)
            transaction.set(reference, record)
            if other is not None:
                kept_for[other.reference] += 1 + one.photo["kept_for"]
                kept = {name: record[name] for name in ("kept", "kept_sha256")}
                for found in one.kept:
                    transaction.update(found.reference, kept)
        for other in set(filter(None, others.values())):
            total = other.kept_for + kept_for[other.reference]
            transaction.update(other.reference, {"kept_for": total})

    db.transact(change)


def _leave(
    db: FirestoreDatabase,
    user_id: str,
    request: TrashRequest,
    transaction: Transaction,
) -> _Leaving:
    """Look at a photo that is as the request has it.

    Raises:
        TrashRefusedError: There is none, or another run moves it.
    """
    known, dependents = look_up(db, user_id, request.id, transaction)
    if known is None or known.photo is None:
        raise TrashRefusedError(GONE)
    tags, deletions = (
        cast(dict[str, Any], found.to_dict())
        for found in db.get(
            [
                document_of(db, user_id, name, request.id)
                for name in ("tags", "deletions")
            ],
            transaction,
        )
    )
    trash_ = db.user(user_id).collection("trash")
    for found in db.query(
        trash_.where(filter=FieldFilter("id", "==", request.id)).select(["state"]),
        transaction,
    ):
        if found.get("state") in ("moving", "restoring"):
            raise TrashRefusedError(MOVED_BY_OTHERS)
    check_asked(request, known.photo, deletions, known.pending)
    kept: Sequence[Snapshot] = ()
    if known.kept_for:
        records = db.query(
            trash_.where(filter=FieldFilter("kept", "==", request.id)).select(
                ["kept_sha256"]
            ),
            transaction,
        )
        kept = [one for one in records if one.get("kept_sha256") == known.sha256]
    # Older documents have none.
    photo = {**known.photo, "kept_for": known.kept_for}
    return _Leaving(request, photo, tags, deletions, known.days, dependents, kept)


def _other_of_group(
    db: FirestoreDatabase,
    user_id: str,
    leaving: _Leaving,
    unit: Sequence[_Leaving],
    transaction: Transaction,
) -> _Other | None:
    """The photo that stays of a group: its keeper if it can be.

    Returns:
        None for a photo, or shot, that is in no group.

    Raises:
        TrashRefusedError: No other would be left.
    """
    photo, deletions = leaving.photo, leaving.deletions
    if deletions["similar_group"] is None:
        if photo["kept_for"]:
            raise TrashRefusedError(LAST_OF_GROUP)
        return None
    # Until it is settled, a photo that was the first of its group may give its name
    # to another, on the day that it went to.
    group = (photo["date"], deletions["similar_group"])
    ids = {one.request.id for one in unit}

    def outside(found: Collection[str]) -> Sequence[tuple[_Other, Decision | None]]:
        """Those of the group that are not of the unit."""
        photos = [document_of(db, user_id, "photos", id_) for id_ in sorted(found)]
        snapshots = db.get(photos, transaction) if photos else ()
        return [
            (
                _Other(one.reference, fields["sha256"], fields.get("kept_for", 0)),
                fields["decision"],
            )
            for one in snapshots
            if one.exists
            and (fields := cast(dict[str, Any], one.to_dict()))
            and (fields["date"], fields["outcome"]["similar_group"]) == group
        ]

    for other, decision in outside({deletions["keeper"]} - ids - {None}):
        if decision != "trash":
            return other
    same_group = FieldFilter("similar_group", "==", deletions["similar_group"])
    found = db.query(
        db.user(user_id).collection("deletions").where(filter=same_group).select([]),
        transaction,
    )
    others = outside({one.id for one in found} - ids)
    for other, decision in others:
        if decision != "trash":
            return other
    goes_as_one = [(one.photo, one.deletions) for one in unit]
    if others or not is_one_shot(photo, deletions, goes_as_one):
        raise TrashRefusedError(LAST_OF_GROUP)
    if _waits_for_group(db, user_id, photo["date"], transaction):
        raise TrashRefusedError(NOT_GROUPED_YET)
    return None


def _waits_for_group(
    db: FirestoreDatabase, user_id: str, date: str, transaction: Transaction
) -> bool:
    """Whether any photo of a day may be one of a group that it is not in yet."""
    photos = db.user(user_id).collection("photos")
    waiting = db.query(
        photos.where(
            filter=FieldFilter("pending_dates", "array_contains", date)
        ).select(["date", "outcome"]),
        transaction,
    )
    return any(
        found.get("date") == date
        and waits_for_group(date, found.get("outcome"), [date])
        for found in waiting
    )


def _record(user_id: str, leaving: _Leaving, other: _Other | None) -> dict[str, Any]:
    request, photo = leaving.request, leaving.photo
    trashed = Trashed(
        user_id=user_id,
        run=request.run,
        id=request.id,
        unit=request.unit,
        state="moving",
        trashed_at=request.trashed_at,
        reason=request.reason,
        title=photo["title"],
        date=photo["date"],
        files=list(request.files),
        kept=other.reference.id if other else None,
        kept_sha256=other.sha256 if other else None,
    )
    rows = {
        # Those that it stayed for got another.
        "photos": {**photo, "kept_for": 0},
        "tags": leaving.tags,
        "deletions": leaving.deletions,
    }
    return dataclasses.asdict(trashed) | {"rows": rows}
