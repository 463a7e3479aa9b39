"""Requests to trash photos of `samples`."""

from collections.abc import Collection

from store.records import TRASH_FOLDER, TrashedFile, TrashRequest


def request_of(
    id_: str = "a",
    run: str = "run",
    *,
    generation: int = 10,
    sha256: str = "00ff",
    unit: str | None = None,
    reasons: Collection[str] | None = None,
) -> TrashRequest:
    file = TrashedFile(
        path=f"/photos/{id_}.jpg",
        trash_path=f"/photos/{TRASH_FOLDER}/{run}/{id_}.jpg",
        generation=generation,
        bytes=1000,
        sha256=sha256,
    )
    return TrashRequest(
        run=run,
        id=id_,
        unit=unit or id_,
        trashed_at="2026-11-23T03:15:00+00:00",
        reason="user" if reasons is None else "similar",
        files=(file,),
        reasons=reasons,
    )
