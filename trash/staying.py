"""Looking that the photos which stay for trashed ones are there, also on the disk."""

from collections.abc import Iterable

from store.interface import Store
from store.records import Trashed
from store.search import PhotoQuery
from trash.entries import MoveRefusedError
from trash.places import Places


def check_kept(
    store: Store, user_id: str, places: Places, records: Iterable[Trashed]
) -> None:
    """Look at what stays of the groups of these photos.

    Raises:
        MoveRefusedError: One is gone or changed, though the store may not know it.
    """
    kept = {record.kept: record for record in records if record.kept is not None}
    if not kept:
        return
    rows = {row["id"]: row for row in store.search(PhotoQuery(user_id, ids=list(kept)))}
    for id_, record in kept.items():
        row = rows.get(id_)
        if row is None or row["sha256"] != record.kept_sha256:
            raise MoveRefusedError(
                "the photo that was to stay of its group is gone or was changed"
            )
        if row["decision"] == "trash":
            raise MoveRefusedError(
                f"{row['path']} was to stay of its group, and is to be trashed now"
            )
        entry = places.of(row["path"]).look(row["path"])
        there = None if entry is None else (entry.generation, entry.bytes)
        if there != (row["generation"], row["bytes"]):
            raise MoveRefusedError(
                f"{row['path']} is to stay of its group, and is "
                f"{'gone' if entry is None else 'changed'}; run `piccl backfill "
                "--prune` on its folder"
            )
