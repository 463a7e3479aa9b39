"""Finding stored photos; each condition has its index in `schema.sql`."""

import math
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

from store.records import PhotoTags

REASONS: Final = ("similar", "shaken", "dark", "screenshot")
TAGS: Final = tuple(
    field.name
    for field in fields(PhotoTags)
    if field.name not in ("subject", "version")
)
# What is told of the photo that a group keeps, as `keeper_title` and so on.
OF_KEEPER: Final = ("title", "sha256", "fingerprint", "sharpness")
_KM_PER_DEGREE: Final = 111.195  # of a great circle, earth's mean radius 6371 km


@dataclass(frozen=True)
class PhotoQuery:
    """All that is given has to hold.

    Attributes:
        first_date, last_date: YYYY-MM-DD, both included.
        near: Latitude and longitude in degrees.
        within_km: Distance from `near`.
        reason: One of `REASONS`, or "any" for whatever is recommended.
        tag: One of `TAGS`.
    """

    user_id: str
    first_date: str | None = None
    last_date: str | None = None
    near: tuple[float, float] | None = None
    within_km: float = 1.0
    reason: str | None = None
    tag: str | None = None


def find_photos(db: sqlite3.Connection, query: PhotoQuery) -> Iterator[dict[str, Any]]:
    """Photos in the order they were taken, one dict of columns each."""
    where, values = _where(query)
    # A tag or a reason is rarer than a day's or a place's photos, so its index
    # comes first; CROSS JOIN keeps the order.
    tables = ["photos", "deletions", "tags"]
    if query.tag is not None:
        tables.sort(key=lambda name: name != "tags")
    elif query.reason in REASONS:
        tables.sort(key=lambda name: name != "deletions")
    first, *others = tables
    joined = " ".join(f"CROSS JOIN {name} USING (user_id, id)" for name in others)
    rows = db.execute(
        f"""SELECT photos.id, photos.title, photos.path,
                   photos.date, photos.taken_at, photos.latitude, photos.longitude,
                   photos."delete", photos.decision, similar, shaken, dark, screenshot,
                   similar_group, similar_kind, keeper, similarity,
                   {", ".join(f"kept.{name} AS keeper_{name}" for name in OF_KEEPER)},
                   similarity_threshold, grouped_by, photos.sha256, photos.fingerprint,
                   deletions.sharpness, sharpness_threshold, dark_probability,
                   dark_threshold, screenshot_probability, screenshot_threshold,
                   deletions.version, photos.subject, {", ".join(TAGS)}, objects
            FROM {first} {joined}
            LEFT JOIN photos AS kept
                ON kept.user_id = photos.user_id AND kept.id = keeper
            WHERE {where} ORDER BY photos.date, photos.taken_at, photos.id""",
        values,
    )
    for row in rows:
        found = dict(row)
        if query.near is None or (
            distance_km(query.near, (found["latitude"], found["longitude"]))
            <= query.within_km
        ):
            yield found


def _where(query: PhotoQuery) -> tuple[str, dict[str, Any]]:
    conditions = ["photos.user_id = :user"]
    values: dict[str, Any] = {"user": query.user_id}
    if query.first_date is not None:
        conditions.append("photos.date >= :first")
        values["first"] = query.first_date
    if query.last_date is not None:
        conditions.append("photos.date <= :last")
        values["last"] = query.last_date
    if query.reason == "any":
        conditions.append('photos."delete"')
    elif query.reason is not None:
        conditions.append(known_column(query.reason, REASONS))
    if query.tag is not None:
        conditions.append(known_column(query.tag, TAGS))
    if query.near is not None:
        conditions.append(_box(query.near, query.within_km, values))
    return " AND ".join(conditions), values


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
