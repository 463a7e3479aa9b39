"""Photos in groups that their names tell, and what it takes to trash them."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from store.interface import Store
from store.records import DayOutcome, DayPhoto, TrashedFile, TrashRequest
from tests.store.samples import (
    CAT,
    MAY_1,
    SCORES,
    make_judge,
    make_meta,
    make_verdicts,
)

TRASHED_AT: Final = "2026-11-23T03:15:00Z"


def put(
    store: Store,
    *ids: str,
    date: str = MAY_1,
    reason: str | None = None,
    **columns: Any,
) -> None:
    """Photos of bytes of their own, in which a detector saw a cat.

    Those whose ids begin alike are named alike, as a RAW and its JPEG are.
    """
    for id_ in ids:
        own = {"sha256": f"sha of {id_}", "path": f"/photos/{id_[:1]}.{id_[1:]}"}
        meta = make_meta(id_, date, **own | columns)
        verdicts = make_verdicts(**{reason: True} if reason else {})
        store.write(meta, SCORES, make_judge(verdicts), detected=CAT)


def by_letter(photos: Sequence[DayPhoto]) -> dict[str, DayOutcome]:
    """Photos whose ids begin alike are a group, which keeps the first that it may."""
    groups: dict[str, list[DayPhoto]] = {}
    for photo in photos:
        groups.setdefault(photo.id[0], []).append(photo)
    outcomes = {}
    for name, group in groups.items():
        able = [photo for photo in group if photo.decision != "trash"] or group
        keeper = min(able, key=lambda photo: (photo.decision != "keep", photo.id))
        for photo in group:
            kept = photo.decision == "keep"
            if len(group) == 1:
                fault = photo.shaken or photo.dark or photo.screenshot
                delete = fault and not kept and not photo.kept_for
                outcomes[photo.id] = DayOutcome(delete=delete, grouped_by="g1")
            else:
                outcomes[photo.id] = DayOutcome(
                    delete=photo is not keeper and not kept,
                    similar=photo is not keeper,
                    similar_group=name,
                    similar_kind="shot",
                    keeper=keeper.id,
                    similarity=0.875,
                    similarity_threshold=0.5,
                    grouped_by="g1",
                )
    return outcomes


def settle(store: Store, user_id: str = "ada") -> None:
    for _, date in store.pending_days(user_id):
        store.settle(user_id, date, by_letter)


def request(
    id_: str,
    run: str = "r1",
    *,
    unit: str | None = None,
    reasons: Collection[str] | None = None,
    generation: int = 10,
    sha256: str | None = None,
    trashed_at: str = TRASHED_AT,
) -> TrashRequest:
    """To trash a photo as `put` writes it, with its film beside it."""
    folder = f"/photos/.piccl-trash/{run}"
    photo = TrashedFile(
        f"/photos/{id_}.jpg",
        f"{folder}/{id_}.jpg",
        generation,
        1000,
        sha256 or f"sha of {id_}",
    )
    film = TrashedFile(f"/photos/{id_}.mov", f"{folder}/{id_}.mov", 7, 5000, "ff")
    return TrashRequest(
        run=run,
        id=id_,
        unit=unit or id_,
        trashed_at=trashed_at,
        reason="user" if reasons is None else min(reasons, default="none"),
        files=[photo, film],
        reasons=reasons,
    )


def trash(store: Store, *ids: str, run: str = "r1", user_id: str = "ada") -> None:
    """All three steps, each photo by itself."""
    for id_ in ids:
        store.trash(user_id, [request(id_, run)])
        assert store.finish_trash(user_id, run, id_)


def restore(store: Store, id_: str, run: str = "r1", generation: int = 10) -> None:
    """All three steps."""
    assert store.begin_restore("ada", run, id_) is not None
    store.finish_restore("ada", run, id_, generation)
