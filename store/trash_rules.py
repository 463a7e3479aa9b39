"""What holds of a user's trash in every store, and how it is refused."""

import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from store.records import TrashRefusedError, TrashRequest
from store.search import REASONS

GONE: Final = "it is gone"
BEING_MOVED: Final = "it is being moved"
MOVED_BY_OTHERS: Final = "it is being moved by another run"
BEING_PURGED: Final = "it is being deleted for good"
NOT_GROUPED_YET: Final = "its day is still to be grouped"
LAST_OF_GROUP: Final = "it is the last of its group"

# Of a photo, as `photos` and `deletions` have them.
Row = Mapping[str, Any]


def check_asked(
    request: TrashRequest, photo: Row, deletions: Row, pending: Collection[str]
) -> None:
    """See that a photo is as the request has it.

    Args:
        request: To trash it.
        photo: Its row of `photos`.
        deletions: Its row of `deletions`.
        pending: The days that wait because of it.

    Raises:
        TrashRefusedError: It is not.
    """
    file = request.files[0]
    if (photo["generation"], photo["sha256"]) != (file.generation, file.sha256):
        raise TrashRefusedError("it has changed since")
    if request.reasons is not None:
        if photo["decision"] == "keep":
            raise TrashRefusedError("it is decided to be kept")
        if photo["decision"] == "trash":
            holds = "decided" in request.reasons
        else:
            asked = set(REASONS).intersection(request.reasons)
            holds = photo["delete"] and any(deletions[name] for name in asked)
        if not holds:
            raise TrashRefusedError("it is not recommended for that any more")
    if waits_for_group(photo["date"], deletions, pending):
        raise TrashRefusedError(NOT_GROUPED_YET)


def waits_for_group(date: str, outcome: Row, pending: Collection[str]) -> bool:
    """Whether a photo may be one of a group that it is not in yet.

    It was before it was analysed again, or came back.
    """
    is_new = outcome["similar_group"] is None and outcome["grouped_by"] is None
    return is_new and date in pending


def is_one_shot(photo: Row, deletions: Row, unit: Iterable[tuple[Row, Row]]) -> bool:
    """Whether the photos of a unit that are in one group may all leave with it.

    So it is with a RAW and its JPEG, which are alike and differ in the ending of their
    names; but only if they are all of the group, and no photo was trashed because one
    of them stays.

    Args:
        photo: Row of `photos` of one of them.
        deletions: Its row of `deletions`.
        unit: Both rows of each photo that goes with it, also of itself.
    """
    group = (photo["date"], deletions["similar_group"])
    alike = [
        one for one, other in unit if (one["date"], other["similar_group"]) == group
    ]
    names = {os.path.splitext(one["path"])[0] for one in alike}
    is_pair = len(alike) > 1 and len(names) == 1
    return is_pair and not any(one["kept_for"] for one in alike)


def is_gone_again(removed: int, moved_back: int, trashed: int) -> bool:
    """Whether what was moved back was removed before that was told.

    Args:
        removed: The generation that is known to be gone.
        moved_back: That of the photo that was moved back.
        trashed: That it had before. Where it still has it, its removal may be that of
            the trashed file.
    """
    return removed >= moved_back != trashed


def why_not_purged(kept: Row | None, kept_sha256: str | None) -> str | None:
    """Why a photo must not be deleted for good, in view of what was to stay for it.

    Args:
        kept: Row of `photos` of what was to stay; None if it is gone.
        kept_sha256: Of its bytes when it was chosen.
    """
    if kept is None or kept["sha256"] != kept_sha256:
        return "the photo that was to stay is not there any more"
    if kept["decision"] == "trash":
        return "the photo that was to stay is decided trash"
    return None
