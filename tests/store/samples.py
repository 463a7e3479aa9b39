"""Photos to store, and groupings of a day that can be told by looking at them."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from store.interface import Store
from store.records import (
    DayOutcome,
    DayPhoto,
    Detected,
    Judgement,
    PhotoMeta,
    PhotoTags,
    StoredScores,
    Verdicts,
)

MAY_1: Final = "2024-05-01"
MAY_2: Final = "2024-05-02"
MAY_3: Final = "2024-05-03"
SCORES: Final = StoredScores(7.5, 0.25, 0.125)
FOOD: Final = PhotoTags(food=True, person=False, subject="food")
CAT: Final = Detected('[["cat",0.9,1,2,3,4]]', "d1", b"cat")


def make_meta(id_: str = "a", date: str = MAY_1, **columns: Any) -> PhotoMeta:
    values: dict[str, Any] = {
        "user_id": "ada",
        "id": id_,
        "title": f"{id_}.jpg",
        "path": f"/photos/{id_}.jpg",
        "date": date,
        "latitude": 48.5,
        "longitude": -2.25,
        "taken_at": f"{date}T12:00:00+02:00",
        "time_source": "exif",
        "generation": 10,
        "width": 40,
        "height": 30,
        "bytes": 1000,
        "sha256": "00ff",
        "damaged": False,
        "sharpness": 7.5,
        "exposure": 0.75,
        "descriptor": b"\x00\x01\xff",
        "fingerprint": "f1",
    }
    return PhotoMeta(**values | columns)


def make_verdicts(**columns: Any) -> Verdicts:
    values: dict[str, Any] = {
        "shaken": False,
        "dark": False,
        "screenshot": False,
        "sharpness_threshold": 5.0,
        "dark_probability": 0.25,
        "dark_threshold": 0.5,
        "screenshot_probability": 0.125,
        "screenshot_threshold": 0.75,
        "version": "v1",
    }
    return Verdicts(**values | columns)


def make_judge(
    verdicts: Verdicts | None = None, tags: PhotoTags = FOOD
) -> Callable[[StoredScores], Judgement]:
    """A judge who says the same whatever the scores are."""
    return lambda _: Judgement(verdicts or make_verdicts(), tags)


def write(
    store: Store,
    id_: str = "a",
    date: str = MAY_1,
    *,
    replaces: int | None = None,
    detected: Detected | None = None,
    **columns: Any,
) -> frozenset[str]:
    return store.write(
        make_meta(id_, date, **columns),
        SCORES,
        make_judge(),
        detected=detected,
        replaces=replaces,
    )


def all_similar(photos: Sequence[DayPhoto]) -> dict[str, DayOutcome]:
    """A group of all the day's photos; it tells which photos it saw."""
    group = " ".join(photo.id for photo in photos)
    keeper = photos[0].id if photos else None
    return {
        photo.id: DayOutcome(
            delete=photo.id != keeper,
            similar=photo.id != keeper,
            similar_group=group,
            similar_kind="shot",
            keeper=keeper,
            similarity=0.875,
        )
        for photo in photos
    }


def nothing(_: Sequence[DayPhoto]) -> dict[str, DayOutcome]:
    return {}


def settle_all(store: Store, user_id: str) -> None:
    for _, date in store.pending_days(user_id):
        store.settle(user_id, date, all_similar)


def pending(store: Store, id_: str = "a", user_id: str = "ada") -> set[str]:
    """The days that wait because of a photo."""
    state = store.state(user_id, id_)
    assert state is not None
    return set(state.pending_dates)
