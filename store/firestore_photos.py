"""What changes of a photo look at in Firestore: itself, and what depends on it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

from google.cloud.firestore import DocumentReference, FieldFilter, Transaction

from store.firestore_database import FirestoreDatabase
from store.records import TOMBSTONE_LIFE, Decision


class Known(NamedTuple):
    """A photo that is there, or the tombstone of one that was.

    Attributes:
        sha256: None in tombstones of old.
        kept_for: As in `DayPhoto`.
        photo: Its document; None for a tombstone.
    """

    generation: int
    removed: bool
    decision: Decision | None
    sha256: str | None
    kept_for: int
    days: frozenset[str]
    pending: frozenset[str]
    photo: Mapping[str, Any] | None


def document_of(
    db: FirestoreDatabase, user_id: str, collection: str, photo_id: str
) -> DocumentReference:
    documents = db.user(user_id).collection(collection)
    return cast(DocumentReference, documents.document(photo_id))


def inherited(known: Known | None, sha256: str) -> dict[str, Any]:
    """What a photo with these bytes has from what is known of it."""
    same = known is not None and known.sha256 == sha256
    decision = known.decision if known else None
    return {
        "decision": decision if same or decision == "keep" else None,
        "kept_for": known.kept_for if known and same else 0,
    }


def read_known(
    db: FirestoreDatabase,
    user_id: str,
    photo_id: str,
    transaction: Transaction | None = None,
) -> Known | None:
    photo, tombstone = db.get(
        [
            document_of(db, user_id, "photos", photo_id),
            document_of(db, user_id, "tombstones", photo_id),
        ],
        transaction,
    )
    found = photo if photo.exists else tombstone
    if not found.exists:
        return None
    fields = cast(dict[str, Any], found.to_dict())
    pending = frozenset(fields["pending_dates"])
    return Known(
        generation=fields["generation"],
        removed=not photo.exists,
        decision=fields["decision"],
        sha256=fields.get("sha256"),
        kept_for=fields.get("kept_for", 0),
        days=pending | {fields["date"]} if photo.exists else pending,
        pending=pending,
        photo=fields if photo.exists else None,
    )


def look_up(
    db: FirestoreDatabase, user_id: str, photo_id: str, transaction: Transaction
) -> tuple[Known | None, list[DocumentReference]]:
    """What is known of a photo, and the photos that it is the keeper of."""
    known = read_known(db, user_id, photo_id, transaction)
    if known is None or known.photo is None:
        return known, []
    outcome = known.photo["outcome"]
    if outcome["keeper"] != photo_id:
        return known, []
    kept_because = db.query(
        db.user(user_id)
        .collection("deletions")
        .where(filter=FieldFilter("keeper", "==", photo_id)),
        transaction,
    )
    return known, [
        document_of(db, user_id, "photos", found.id)
        for found in kept_because
        if found.id != photo_id
        and found.get("similar_group") == outcome["similar_group"]
    ]


def take_back(
    transaction: Transaction, dependents: Sequence[DocumentReference]
) -> None:
    """Recommend no photo because of a keeper that changes.

    A group must not stand recommended without its keeper until its day is settled,
    however long that takes.
    """
    for reference in dependents:
        transaction.update(reference, {"delete": False})


def bury(
    db: FirestoreDatabase,
    transaction: Transaction,
    user_id: str,
    photo_id: str,
    known: Known | None,
    **fields: Any,
) -> frozenset[str]:
    """Leave a tombstone in place of a photo.

    Args:
        db: Where it is.
        transaction: That looked it up.
        user_id: Its owner.
        photo_id: Its id.
        known: What is known of it.
        **fields: Of the tombstone, where it is not as the photo was.

    Returns:
        The photo's days that wait to be regrouped.
    """
    if known is not None and not known.removed:
        for collection in ("photos", "tags", "deletions"):
            transaction.delete(document_of(db, user_id, collection, photo_id))
    pending = known.days if known is not None else frozenset()
    tombstone = {
        "id": photo_id,
        "user_id": user_id,
        "generation": known.generation if known else None,
        "decision": known.decision if known else None,
        "sha256": known.sha256 if known else None,
        "kept_for": known.kept_for if known else 0,
        "pending_dates": sorted(pending),
        # Not before its days are settled.
        "expires_at": None if pending else datetime.now(UTC) + TOMBSTONE_LIFE,
    }
    transaction.set(
        document_of(db, user_id, "tombstones", photo_id), tombstone | fields
    )
    return pending
