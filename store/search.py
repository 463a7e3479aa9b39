"""Finding stored photos; each condition has its index in `schema.sql`."""

import functools
import json
import math
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple

from store.records import PhotoTags

REASONS: Final = ("similar", "shaken", "dark", "screenshot")
TAGS: Final = tuple(
    field.name
    for field in fields(PhotoTags)
    if field.name not in ("subject", "version")
)
# What is told of the photo that a group keeps, as `keeper_title` and so on.
OF_KEEPER: Final = ("title", "path", "sha256", "fingerprint", "sharpness")
# So many are not looked up and sorted before the first of them is told.
_MANY: Final = 50_000
_KM_PER_DEGREE: Final = 111.195  # of a great circle, earth's mean radius 6371 km


@dataclass(frozen=True)
class PhotoQuery:
    """All that is given has to hold.

    Attributes:
        first_date, last_date: YYYY-MM-DD, both included.
        near: Latitude and longitude in degrees.
        within_km: Distance from `near`.
        reasons: Of `REASONS`, or "any" for whatever is recommended.
        tags: Of `TAGS`.
        subject: The tag that dominates; "" if none does.
        ids: Only these photos.
        decision: What the user decided, "keep" or "trash".
    """

    user_id: str
    first_date: str | None = None
    last_date: str | None = None
    near: tuple[float, float] | None = None
    within_km: float = 1.0
    reasons: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    subject: str | None = None
    ids: Collection[str] | None = None
    decision: str | None = None


class _Index(NamedTuple):
    """An index and what is looked up in it; `alias` is the table's in a statement."""

    name: str
    table: str
    alias: str
    condition: str

    def __str__(self) -> str:
        return f"{self.table} AS {self.alias} INDEXED BY {self.name}"


def find_photos(db: sqlite3.Connection, query: PhotoQuery) -> Iterator[dict[str, Any]]:
    """Photos in the order they were taken, one dict of columns each."""
    numbers, values = _numbers(db, query)
    # Only their numbers are sorted, and rows are read as they are asked for: SQLite
    # keeps the order for the sake of a limit, though this one limits nothing.
    rows = db.execute(
        f"""SELECT photos.id, photos.title, photos.path,
                   photos.date, photos.taken_at, photos.latitude, photos.longitude,
                   photos.bytes, photos.generation, photos.width, photos.height,
                   photos.damaged, photos.kept_for,
                   photos."delete", photos.decision, similar, shaken, dark, screenshot,
                   similar_group, similar_kind, keeper, similarity,
                   {", ".join(f"kept.{name} AS keeper_{name}" for name in OF_KEEPER)},
                   similarity_threshold, grouped_by, photos.sha256, photos.fingerprint,
                   deletions.sharpness, sharpness_threshold, dark_probability,
                   dark_threshold, screenshot_probability, screenshot_threshold,
                   deletions.version, photos.subject, {", ".join(TAGS)}, objects
            FROM ({numbers} LIMIT -1) AS found
            CROSS JOIN photos ON photos.rowid = found.number
            CROSS JOIN deletions USING (user_id, id)
            CROSS JOIN tags USING (user_id, id)
            LEFT JOIN photos AS kept
                ON kept.user_id = photos.user_id AND kept.id = keeper""",
        values,
    )
    for row in rows:
        found = dict(row)
        if query.near is None or (
            distance_km(query.near, (found["latitude"], found["longitude"]))
            <= query.within_km
        ):
            yield found


def count_photos(db: sqlite3.Connection, user_id: str) -> dict[str, int]:
    """How many photos a user has, and how many of each verdict.

    Each number is that of an index; no row is read, as a page asks for it often.
    """
    reasons = ", ".join(
        f"(SELECT count(*) FROM deletions WHERE user_id = :user AND {one}) AS {one}"
        for one in REASONS
    )
    row = db.execute(
        f"""SELECT (SELECT count(*) FROM photos WHERE user_id = :user) AS photos,
                   count(*) AS recommended,
                   coalesce(sum(bytes), 0) AS recommended_bytes, {reasons},
                   (SELECT count(*) FROM (
                       SELECT DISTINCT similar_group FROM deletions
                       WHERE user_id = :user AND similar_group IS NOT NULL)) AS groups,
                   (SELECT count(*) FROM tags
                    WHERE user_id = :user AND detector IS NOT NULL) AS with_tags
            FROM photos INDEXED BY photos_recommended
            WHERE "delete" AND user_id = :user""",
        {"user": user_id},
    ).fetchone()
    return dict(row)


def _numbers(db: sqlite3.Connection, query: PhotoQuery) -> tuple[str, dict[str, Any]]:
    """A statement that selects the numbers of rows in order, and its values.

    It begins with what is rarest. Where all that is asked for is common, it follows
    the days, and the first photo need not wait until all are found and sorted.
    """
    values: dict[str, Any] = {"user": query.user_id}
    indexes = _indexes(query, values)
    if len(indexes) > 1:
        # Of equals the first, which is that of the days.
        indexes.sort(key=functools.partial(_how_many, db, values))
    first = indexes[0]
    tables = {index.alias: str(index) for index in indexes if index.alias != "photos"}
    if first.alias == "photos":
        tables = {"photos": str(first), **tables}
    else:
        # What an index alone can tell is asked before a photo is read.
        tables["photos"] = "photos"
    conditions = [f"{alias}.user_id = :user" for alias in tables]
    conditions += [f"{alias}.id = {first.alias}.id" for alias in [*tables][1:]]
    conditions += [index.condition for index in indexes if index.condition]
    if query.subject is not None:
        conditions.append("photos.subject = :subject")
        values["subject"] = query.subject
    statement = f"""SELECT photos.rowid AS number
        FROM {" CROSS JOIN ".join(tables.values())}
        WHERE {" AND ".join(conditions)}
        ORDER BY photos.date, photos.taken_at, photos.id"""
    return statement, values


def _how_many(db: sqlite3.Connection, values: dict[str, Any], index: _Index) -> int:
    """How many an index finds, if they are few."""
    condition = f" AND {index.condition}" if index.condition else ""
    found = db.execute(
        f"""SELECT count(*) FROM (
            SELECT 1 FROM {index} WHERE {index.alias}.user_id = :user {condition}
            LIMIT {_MANY})""",
        values,
    )
    return int(found.fetchone()[0])


def _indexes(query: PhotoQuery, values: dict[str, Any]) -> list[_Index]:
    """One for each condition, the days' first; adds the values of their conditions."""
    days = []
    if "any" in query.reasons:
        days.append('photos."delete"')
    if query.first_date is not None:
        days.append("photos.date >= :first")
        values["first"] = query.first_date
    if query.last_date is not None:
        days.append("photos.date <= :last")
        values["last"] = query.last_date
    in_order = "photos_recommended" if "any" in query.reasons else "photos_by_date"
    indexes = [_of_photos(in_order, " AND ".join(days))]
    if query.near is not None:
        box = _box(query.near, query.within_km, values)
        indexes.append(_of_photos("photos_by_place", box))
    if query.ids is not None:
        values["ids"] = json.dumps(list(query.ids))
        wanted = "photos.id IN (SELECT value FROM json_each(:ids))"
        indexes.append(_of_photos("sqlite_autoindex_photos_1", wanted))
    if query.decision is not None:
        values["decision"] = query.decision
        indexes.append(_of_photos("photos_decided", "photos.decision = :decision"))
    # What dominates a photo is one of its tags.
    tags = [*query.tags, query.subject] if query.subject else query.tags
    for table, names, known in (
        ("tags", tags, TAGS),
        ("deletions", query.reasons, (*REASONS, "any")),
    ):
        for name in dict.fromkeys(names):
            index = f"{table}_{known_column(name, known)}"
            if name != "any":
                indexes.append(_Index(index, table, index, f"{index}.{name}"))
    return indexes


def _of_photos(name: str, condition: str) -> _Index:
    return _Index(name, "photos", "photos", condition)


def known_column(name: str, known: tuple[str, ...]) -> str:
    """A column that a query may name.

    Raises:
        ValueError: There is no such column.
    """
    if name not in known:
        raise ValueError(f"{name!r} is none of {', '.join(known)}")
    return name


def _box(near: tuple[float, float], km: float, values: dict[str, Any]) -> str:
    """The square around the circle, which the index can find."""
    latitude, longitude = near
    south, north = latitudes(near, km)
    degrees = north - latitude
    values |= {"south": south, "north": north}
    box = "photos.latitude BETWEEN :south AND :north"
    # A circle's widest parallel lies towards the pole; beyond it, all around.
    shrink = math.cos(math.radians(min(90.0, abs(latitude) + degrees)))
    wide = degrees / shrink if shrink > 0.001 else 180.0
    if wide >= 180:
        return box
    west, east = longitude - wide, longitude + wide
    values |= {"west": west, "east": east}
    if west < -180 or east > 180:
        values |= {"west": (west + 180) % 360 - 180, "east": (east + 180) % 360 - 180}
        return f"{box} AND (photos.longitude >= :west OR photos.longitude <= :east)"
    return f"{box} AND photos.longitude BETWEEN :west AND :east"


def latitudes(near: tuple[float, float], km: float) -> tuple[float, float]:
    """The southernmost and the northernmost latitude of a circle."""
    degrees = km / _KM_PER_DEGREE
    return near[0] - degrees, near[0] + degrees


def distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Great circle, by the haversine formula."""
    (lat1, lon1), (lat2, lon2) = (
        (math.radians(lat), math.radians(lon)) for lat, lon in (one, other)
    )
    a = (
        math.sin((lat2 - lat1) / 2) ** 2
        + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    )
    return math.radians(1) ** -1 * _KM_PER_DEGREE * 2 * math.asin(min(1.0, a**0.5))
