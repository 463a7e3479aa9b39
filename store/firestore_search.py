"""Finding and counting stored photos in Firestore.

One condition is the query's, the rarest first; the others are looked at here, in
the documents it finds, so that no combination needs an index of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from google.cloud.firestore import FieldFilter, Query

from store.firestore_database import FirestoreDatabase, Snapshot
from store.search import (
    OF_KEEPER,
    REASONS,
    TAGS,
    PhotoQuery,
    distance_km,
    known_column,
    latitudes,
)

_PAGE: Final = 300
_PHOTO_COLUMNS: Final = (
    "id",
    "title",
    "path",
    "date",
    "taken_at",
    "latitude",
    "longitude",
    "delete",
    "decision",
    "sha256",
    "fingerprint",
    "subject",
    "bytes",
    "generation",
    "width",
    "height",
    "damaged",
)
_DELETION_COLUMNS: Final = (
    *REASONS,
    "similar_group",
    "similar_kind",
    "keeper",
    "similarity",
    "similarity_threshold",
    "grouped_by",
    "version",
    "sharpness",
    "sharpness_threshold",
    "dark_probability",
    "dark_threshold",
    "screenshot_probability",
    "screenshot_threshold",
)


_Item = TypeVar("_Item")


def find_photos(db: FirestoreDatabase, query: PhotoQuery) -> Iterator[dict[str, Any]]:
    """Photos in the order they were taken, one dict of columns each."""
    photos = [
        photo
        for photo in _candidates(db, query)
        if photo.exists and _matches(photo, query)
    ]
    photos.sort(key=lambda photo: tuple(map(photo.get, ("date", "taken_at", "id"))))
    for page in _pages(photos):
        for row in _rows(db, query.user_id, page):
            # What is judged stands in other documents than the photo's.
            if all(row[name] for name in (*query.tags, *_named(query.reasons))):
                yield row


def photos_under(
    db: FirestoreDatabase, user_id: str, prefix: str
) -> Iterator[tuple[str, int]]:
    """(path, generation) of a user's photos whose path starts so, by path."""
    photos = db.user(user_id).collection("photos")
    after = prefix
    while True:
        query = (
            photos.where(filter=FieldFilter("path", ">", after))
            .where(filter=FieldFilter("path", "<", prefix + "\U0010ffff"))
            .order_by("path")
            .limit(_PAGE)
        )
        page = db.query(query.select(["path", "generation"]))
        for photo in page:
            yield photo.get("path"), photo.get("generation")
        if len(page) < _PAGE:
            return
        after = page[-1].get("path")


def count_photos(db: FirestoreDatabase, user_id: str) -> dict[str, int]:
    """How many photos a user has, and how many of each verdict."""
    photos = db.user(user_id).collection("photos")
    deletions = db.user(user_id).collection("deletions")
    recommended = photos.where(filter=FieldFilter("delete", "==", True))
    number, size = db.aggregate(recommended, total="bytes")
    # Each group has one photo that it keeps.
    keepers = deletions.where(filter=FieldFilter("similar", "==", False)).where(
        filter=FieldFilter("similar_group", ">", "")
    )
    with_tags = photos.where(filter=FieldFilter("detector", ">", ""))
    return {
        "photos": db.aggregate(photos)[0],
        "recommended": number,
        "recommended_bytes": size,
        **{
            reason: db.aggregate(
                deletions.where(filter=FieldFilter(reason, "==", True))
            )[0]
            for reason in REASONS
        },
        "groups": db.aggregate(keepers)[0],
        "with_tags": db.aggregate(with_tags)[0],
    }


def _candidates(db: FirestoreDatabase, query: PhotoQuery) -> Iterator[Snapshot]:
    """The photos that one of the conditions finds."""
    user = db.user(query.user_id)
    photos = user.collection("photos").select([*_PHOTO_COLUMNS, "kept_for"])
    tags = [known_column(tag, TAGS) for tag in query.tags]
    reasons = [known_column(reason, REASONS) for reason in _named(query.reasons)]
    if query.ids is not None:
        yield from _photos(db, query.user_id, sorted(set(query.ids)))
    elif query.subject is not None:
        subject = query.subject and known_column(query.subject, TAGS)
        yield from db.query(photos.where(filter=FieldFilter("subject", "==", subject)))
    elif tags:
        yield from _named_by(db, query.user_id, user.collection("tags"), tags[0])
    elif reasons:
        yield from _named_by(
            db, query.user_id, user.collection("deletions"), reasons[0]
        )
    elif query.decision is not None:
        yield from db.query(
            photos.where(filter=FieldFilter("decision", "==", query.decision))
        )
    elif "any" in query.reasons:
        yield from db.query(photos.where(filter=FieldFilter("delete", "==", True)))
    elif query.near is not None:
        south, north = latitudes(query.near, query.within_km)
        yield from db.query(
            photos.where(filter=FieldFilter("latitude", ">=", south)).where(
                filter=FieldFilter("latitude", "<=", north)
            )
        )
    else:
        if query.first_date is not None:
            photos = photos.where(filter=FieldFilter("date", ">=", query.first_date))
        if query.last_date is not None:
            photos = photos.where(filter=FieldFilter("date", "<=", query.last_date))
        yield from db.query(photos)


def _named_by(
    db: FirestoreDatabase, user_id: str, collection: Query, column: str
) -> Iterator[Snapshot]:
    """The photos whose tags or deletions say so."""
    named = db.query(
        collection.where(filter=FieldFilter(column, "==", True)).select([])
    )
    yield from _photos(db, user_id, [found.id for found in named])


def _photos(
    db: FirestoreDatabase, user_id: str, ids: Sequence[str]
) -> Iterator[Snapshot]:
    photos = db.user(user_id).collection("photos")
    for page in _pages(ids):
        yield from db.get([photos.document(id_) for id_ in page])


def _matches(photo: Snapshot, query: PhotoQuery) -> bool:
    date = photo.get("date")
    if query.first_date is not None and date < query.first_date:
        return False
    if query.last_date is not None and date > query.last_date:
        return False
    if "any" in query.reasons and not photo.get("delete"):
        return False
    if query.decision is not None and photo.get("decision") != query.decision:
        return False
    if query.subject is not None and photo.get("subject") != query.subject:
        return False
    if query.near is None:
        return True
    place = (photo.get("latitude"), photo.get("longitude"))
    return None not in place and distance_km(query.near, place) <= query.within_km


def _rows(
    db: FirestoreDatabase, user_id: str, photos: Sequence[Snapshot]
) -> Iterator[dict[str, Any]]:
    """Photos joined with their tags and deletions, and what is told of their keeper."""
    user = db.user(user_id)
    deletions = _fields(db, user.collection("deletions"), [p.id for p in photos])
    tags = _fields(db, user.collection("tags"), [p.id for p in photos])
    keepers = sorted({row["keeper"] for row in deletions.values() if row["keeper"]})
    kept = _fields(db, user.collection("photos"), keepers)
    for photo in photos:
        # It may have been removed meanwhile.
        if photo.id in deletions and photo.id in tags:
            judged, tagged = deletions[photo.id], tags[photo.id]
            keeper = kept.get(judged["keeper"], {})
            yield {
                **{name: photo.get(name) for name in _PHOTO_COLUMNS},
                # Documents that were written before there was a trash lack it.
                "kept_for": (photo.to_dict() or {}).get("kept_for", 0),
                **{name: judged[name] for name in _DELETION_COLUMNS},
                **{f"keeper_{name}": keeper.get(name) for name in OF_KEEPER},
                **{name: tagged[name] for name in (*TAGS, "objects")},
            }


def _fields(
    db: FirestoreDatabase, collection: Any, ids: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    """Those of a collection's documents that exist, by id."""
    if not ids:
        return {}
    found = db.get([collection.document(id_) for id_ in ids])
    return {snapshot.id: snapshot.to_dict() for snapshot in found if snapshot.exists}


def _pages(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), _PAGE):
        yield items[start : start + _PAGE]


def _named(reasons: Sequence[str]) -> list[str]:
    return [reason for reason in reasons if reason != "any"]
