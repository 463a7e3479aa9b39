"""Photos that are on their way out of a user's library in Firestore, or back.

Each step is one transaction, which reads all that it depends on. So of two steps
that can not both be allowed, Firestore lets one start over, and it sees the other.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, Final, cast

from google.cloud.firestore import DocumentReference, FieldFilter, Transaction

from store.firestore_database import FirestoreDatabase, Snapshot
from store.firestore_days import UNDECIDED, outcome_fields
from store.firestore_photos import (
    Known,
    bury,
    document_of,
    look_up,
    read_known,
    take_back,
)
from store.records import (
    DayOutcome,
    Trashed,
    TrashedFile,
    TrashRefusedError,
    TrashState,
)
from store.trash_rules import (
    BEING_MOVED,
    BEING_PURGED,
    is_gone_again,
    why_not_purged,
)

_FIELDS: Final = tuple(field.name for field in dataclasses.fields(Trashed))
_NOT_GROUPED: Final = outcome_fields(DayOutcome())


def finish_trash(db: FirestoreDatabase, user_id: str, run: str, photo_id: str) -> bool:
    """See `interface.Store.finish_trash`."""

    def change(transaction: Transaction) -> bool:
        record = _read(db, user_id, run, photo_id, transaction)
        if record is None or record.state != "moving":
            return record is not None and record.state != "restoring"
        known, dependents = look_up(db, user_id, photo_id, transaction)
        trashed = record.files[0]
        if known is not None and known.sha256 == trashed.sha256:
            # The announcement of its end may have a generation of its own.
            is_it = known.removed or known.generation == trashed.generation
            # Others may have been trashed because the user kept it for a moment.
            if is_it and (known.decision != "trash" or known.kept_for):
                return False
            if is_it:
                take_back(transaction, dependents)
                bury(db, transaction, user_id, photo_id, known, decision=None)
            elif known.decision == "trash":
                newer = document_of(db, user_id, "photos", photo_id)
                pending = sorted(known.days)
                transaction.update(newer, {"decision": None, "pending_dates": pending})
        _enter(db, transaction, record, "trashed")
        return True

    return db.transact(change)[0]


def begin_restore(
    db: FirestoreDatabase, user_id: str, run: str, photo_id: str
) -> Trashed | None:
    """See `interface.Store.begin_restore`."""

    def change(transaction: Transaction) -> Trashed | None:
        record = _read(db, user_id, run, photo_id, transaction)
        if record is None:
            return None
        if record.state == "purging":
            raise TrashRefusedError(BEING_PURGED)
        return _enter(db, transaction, record, "restoring")

    return db.transact(change)[0]


def finish_restore(
    db: FirestoreDatabase, user_id: str, run: str, photo_id: str, generation: int
) -> None:
    """See `interface.Store.finish_restore`."""

    def change(transaction: Transaction) -> None:
        reference = record_of(db, user_id, run, photo_id)
        (found,) = db.get([reference], transaction)
        if not found.exists or found.get("state") != "restoring":
            return
        record = _trashed(found)
        known, dependents = look_up(db, user_id, photo_id, transaction)
        kept = _kept(db, record, transaction)
        rows, trashed = found.get("rows"), record.files[0]
        # Decided otherwise for a moment, it may have become what stays for itself.
        is_own = record.kept == photo_id
        same = known is not None and known.sha256 == trashed.sha256
        wanted = {
            rows["photos"]["decision"],
            known.decision if known and same else None,
        }
        changes: dict[str, Any] = {
            "decision": "keep" if "keep" in wanted else None,
            "delete": False,
            "pending_dates": sorted({record.date} | (known.days if known else set())),
        }
        comes_back = known is None or (
            known.removed
            and not is_gone_again(known.generation, generation, trashed.generation)
        )
        if comes_back:
            rows["photos"] |= changes | {
                "generation": generation,
                "kept_for": known.kept_for - is_own if known and same else 0,
                "settled_decision": UNDECIDED,
                # It may be of photos that are gone by now.
                "outcome": _NOT_GROUPED,
            }
            rows["deletions"] |= _NOT_GROUPED
            for name, fields in rows.items():
                transaction.set(document_of(db, user_id, name, photo_id), fields)
            transaction.delete(document_of(db, user_id, "tombstones", photo_id))
        elif known is not None and same and not known.removed:
            take_back(transaction, dependents)
            if known.generation == trashed.generation:
                changes["generation"] = generation
            transaction.update(document_of(db, user_id, "photos", photo_id), changes)
        if kept is not None and not (is_own and comes_back):
            _let_go(db, transaction, user_id, cast(str, record.kept), kept)
        transaction.delete(reference)

    db.transact(change)


def begin_purge(
    db: FirestoreDatabase, user_id: str, run: str, photo_id: str
) -> Trashed | None:
    """See `interface.Store.begin_purge`."""

    def change(transaction: Transaction) -> Trashed | str | None:
        record = _read(db, user_id, run, photo_id, transaction)
        if record is None:
            return None
        if record.state not in ("trashed", "purging"):
            raise TrashRefusedError(BEING_MOVED)
        if record.kept is not None:
            kept = read_known(db, user_id, record.kept, transaction)
            why = why_not_purged(kept.photo if kept else None, record.kept_sha256)
            if why is not None:
                # Whoever began it did not get to the end; it may be restored.
                _enter(db, transaction, record, "trashed")
                return why
        return _enter(db, transaction, record, "purging")

    begun = db.transact(change)[0]
    # What was written stays although it is refused.
    if isinstance(begun, str):
        raise TrashRefusedError(begun)
    return begun


def cancel_purge(db: FirestoreDatabase, user_id: str, run: str, photo_id: str) -> None:
    """See `interface.Store.cancel_purge`."""

    def change(transaction: Transaction) -> None:
        record = _read(db, user_id, run, photo_id, transaction)
        if record is not None and record.state == "purging":
            _enter(db, transaction, record, "trashed")

    db.transact(change)


def finish_purge(db: FirestoreDatabase, user_id: str, run: str, photo_id: str) -> None:
    """See `interface.Store.finish_purge`."""

    def change(transaction: Transaction) -> None:
        record = _read(db, user_id, run, photo_id, transaction)
        if record is not None and record.state == "purging":
            transaction.delete(record_of(db, user_id, run, photo_id))

    db.transact(change)


def find_trashed(
    db: FirestoreDatabase,
    user_id: str,
    run: str | None,
    state: TrashState | None,
    before: str | None,
) -> Iterator[Trashed]:
    """See `interface.Store.trashed`."""
    query = db.user(user_id).collection("trash").select(_FIELDS)
    # The rarest condition is the query's, so that none needs an index of its own.
    if run is not None:
        query = query.where(filter=FieldFilter("run", "==", run))
    elif before is not None:
        query = query.where(filter=FieldFilter("trashed_at", "<", before))
    elif state is not None:
        query = query.where(filter=FieldFilter("state", "==", state))
    found = [_trashed(record) for record in db.query(query)]
    found.sort(key=lambda record: (record.trashed_at, record.run, record.id))
    for record in found:
        if (state is None or record.state == state) and (
            before is None or record.trashed_at < before
        ):
            yield record


def record_of(
    db: FirestoreDatabase, user_id: str, run: str, photo_id: str
) -> DocumentReference:
    return document_of(db, user_id, "trash", f"{run}.{photo_id}")


def _read(
    db: FirestoreDatabase,
    user_id: str,
    run: str,
    photo_id: str,
    transaction: Transaction,
) -> Trashed | None:
    (found,) = db.get([record_of(db, user_id, run, photo_id)], transaction)
    return _trashed(found) if found.exists else None


def _trashed(found: Snapshot) -> Trashed:
    fields = cast(dict[str, Any], found.to_dict())
    files = tuple(TrashedFile(**file) for file in fields["files"])
    return Trashed(**{name: fields[name] for name in _FIELDS} | {"files": files})


def _enter(
    db: FirestoreDatabase, transaction: Transaction, record: Trashed, state: TrashState
) -> Trashed:
    reference = record_of(db, record.user_id, record.run, record.id)
    transaction.update(reference, {"state": state})
    return dataclasses.replace(record, state=state)


def _kept(
    db: FirestoreDatabase, record: Trashed, transaction: Transaction
) -> Known | None:
    """The photo that was to stay, or its tombstone; None if it has other bytes."""
    if record.kept is None:
        return None
    known = read_known(db, record.user_id, record.kept, transaction)
    return known if known and known.sha256 == record.kept_sha256 else None


def _let_go(
    db: FirestoreDatabase,
    transaction: Transaction,
    user_id: str,
    photo_id: str,
    kept: Known,
) -> None:
    """What stayed for a photo that is back stays for one less."""
    changes: dict[str, Any] = {"kept_for": max(0, kept.kept_for - 1)}
    where = "tombstones" if kept.photo is None else "photos"
    if kept.photo is not None:
        changes["pending_dates"] = sorted(kept.days)
        if kept.photo["outcome"]["similar_group"] is None:
            # As new: on its own it may be trashed, but not before the two that may
            # be a group again are grouped.
            changes["outcome"] = _NOT_GROUPED
            deletions = document_of(db, user_id, "deletions", photo_id)
            transaction.update(deletions, _NOT_GROUPED)
    transaction.update(document_of(db, user_id, where, photo_id), changes)
