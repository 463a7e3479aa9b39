"""Finding and counting stored photos in Firestore.

One condition is the query's, the rarest first; the others are looked at here, in
the documents it finds, so that no combination needs an index of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

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
            if (query.tag is None or row[query.tag]) and (
                query.reason in (None, "any") or row[query.reason]
            ):
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
    photos = user.collection("photos").select(_PHOTO_COLUMNS)
    if query.tag is not None:
        column = known_column(query.tag, TAGS)
        yield from _named_by(db, query.user_id, user.collection("tags"), column)
    elif query.reason is not None and query.reason != "any":
        column = known_column(query.reason, REASONS)
        yield from _named_by(db, query.user_id, user.collection("deletions"), column)
    elif query.reason == "any":
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
    photos = db.user(user_id).collection("photos")
    for page in _pages(named):
        yield from db.get([photos.document(found.id) for found in page])


def _matches(photo: Snapshot, query: PhotoQuery) -> bool:
    date = photo.get("date")
    if query.first_date is not None and date < query.first_date:
        return False
    if query.last_date is not None and date > query.last_date:
        return False
    if query.reason == "any" and not photo.get("delete"):
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


def _pages(
    snapshots: Sequence[Snapshot],
) -> Iterator[Sequence[Snapshot]]:
    for start in range(0, len(snapshots), _PAGE):
        yield snapshots[start : start + _PAGE]
