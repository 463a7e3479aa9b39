"""Rows as `Store.search` gives them, of photos that may be anything."""

from typing import Any

from store.search import TAGS

GOOD: dict[str, Any] = {
    "id": "a",
    "title": "a.jpg",
    "path": "/photos/a.jpg",
    "date": "2024-07-14",
    "taken_at": "2024-07-14T09:30:00",
    "latitude": None,
    "longitude": None,
    "bytes": 1_000_000,
    "generation": 1,
    "width": 400,
    "height": 300,
    "damaged": 0,
    "kept_for": 0,
    "delete": 0,
    "decision": None,
    "similar": 0,
    "shaken": 0,
    "dark": 0,
    "screenshot": 0,
    "similar_group": None,
    "similar_kind": None,
    "keeper": None,
    "similarity": None,
    "similarity_threshold": None,
    "grouped_by": "g",
    "keeper_title": None,
    "keeper_path": None,
    "keeper_sha256": None,
    "keeper_fingerprint": None,
    "keeper_sharpness": None,
    "sha256": "00ff",
    "fingerprint": "f",
    "sharpness": 200.0,
    "sharpness_threshold": 73.0,
    "dark_probability": 0.1,
    "dark_threshold": 0.94,
    "screenshot_probability": 0.1,
    "screenshot_threshold": 0.7,
    "version": "v",
    "subject": "",
    "objects": "[]",
    **dict.fromkeys(TAGS, 0),
}


def row(id_: str, **columns: Any) -> dict[str, Any]:
    """A good photo, but for what is said of it."""
    own = {
        "id": id_,
        "title": f"{id_}.jpg",
        "path": f"/photos/{id_}.jpg",
        "sha256": id_,
    }
    assert columns.keys() <= GOOD.keys()
    return GOOD | own | columns


def shots(
    keeper: str, *others: str, kind: str = "shot", **columns: Any
) -> list[dict[str, Any]]:
    """A group of which the first stays; `columns` are of the others."""
    kept = row(keeper, similar_group=keeper, similar_kind=kind, keeper=keeper)
    same = {"sha256": keeper} if kind == "copy" else {"sharpness": 100.0}
    of_keeper = {
        f"keeper_{name}": kept[name]
        for name in ("title", "path", "sha256", "fingerprint", "sharpness")
    }
    return [
        kept,
        *(
            row(
                other,
                **same
                | of_keeper
                | {
                    "similar": 1,
                    "delete": 1,
                    "similar_group": keeper,
                    "similar_kind": kind,
                    "keeper": keeper,
                    "similarity": 0.9,
                    "similarity_threshold": 0.4,
                }
                | columns,
            )
            for other in others
        ),
    ]
