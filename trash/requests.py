"""What the store is asked to trash, and for which reason."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

from store.records import TRASH_FOLDER, TrashedFile, TrashRequest
from store.search import REASONS
from trash.entries import MoveRefusedError
from trash.pairs import Row, Unit
from trash.places import Places

# Of what the user wants, in place of a reason: said in an app before, or now.
DECIDED: Final = "decided"
BY_USER: Final = "user"


def reason_for(row: Row, reasons: Collection[str]) -> str | None:
    """The first of the reasons that holds for a photo; None if none does."""
    if DECIDED in reasons and row["decision"] == "trash":
        return DECIDED
    if not row["delete"] or row["decision"] is not None:
        return None
    return next((name for name in REASONS if name in reasons and row[name]), None)


def build_requests(
    places: Places, unit: Unit, run: str, reasons: Collection[str] | None
) -> list[TrashRequest]:
    """Ask for each photo of a unit; what is no photo goes with the first.

    Raises:
        MoveRefusedError: One is not there as it was judged.
    """
    trashed_at = datetime.now(UTC).isoformat(timespec="seconds")
    companions = [
        _file(
            run,
            entry.path,
            entry.generation,
            entry.bytes,
            places.of(entry.path).sha256(entry),
        )
        for entry in unit.companions
    ]
    requests = []
    for row in unit.photos:
        _check_unchanged(places, row)
        file = _file(run, row["path"], row["generation"], row["bytes"], row["sha256"])
        reason = None if reasons is None else reason_for(row, reasons)
        requests.append(
            TrashRequest(
                run=run,
                id=row["id"],
                unit=unit.photos[0]["id"],
                trashed_at=trashed_at,
                reason=reason or BY_USER,
                files=[file, *(companions if row is unit.photos[0] else ())],
                reasons=reasons,
            )
        )
    return requests


def _check_unchanged(places: Places, row: Row) -> None:
    entry = places.of(row["path"]).look(row["path"])
    if entry is None:
        raise MoveRefusedError(
            "it is not there any more; `piccl backfill --prune` forgets it"
        )
    if (entry.generation, entry.bytes) != (row["generation"], row["bytes"]):
        raise MoveRefusedError(
            "it changed since it was judged; `piccl backfill` looks at it again"
        )


def _file(
    run: str, path: str, generation: int, size_bytes: int, sha256: str
) -> TrashedFile:
    folder, _, name = path.rpartition("/")
    return TrashedFile(
        path, f"{folder}/{TRASH_FOLDER}/{run}/{name}", generation, size_bytes, sha256
    )
