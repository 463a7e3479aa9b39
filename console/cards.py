"""One photo as the pages show it: a row of `Store.search`, put into words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from console.wording import breakable, legible, number, size
from store.explanations import explain
from store.search import TAGS

_NO_TAG: Final = "nothing"
_NOT_SEARCHED: Final = "unsearched"
SUBJECTS: Final = {
    "person": "People",
    "animal": "Animals",
    "vehicle": "Vehicles",
    "furniture": "Furniture",
    "book": "Books",
    "bag": "Bags",
    "sports": "Sports",
    "food": "Food",
    "device": "Devices",
    _NO_TAG: "Nothing recognised",
    _NOT_SEARCHED: "Not searched for objects",
}


@dataclass(frozen=True)
class Card:
    """One photo.

    Attributes:
        title: File name, legible whatever is in it; still text, not markup.
        path: Where it is, as it is stored.
        taken_at: ISO 8601, local time.
        width, height: Upright, in pixels.
        may_go: It is recommended for deletion, or the user decided `trash`.
        decision: "keep", "trash" or None.
        reasons: Those of `store.search.REASONS` that hold, whether it may go or not.
        copy: It is similar by having the same bytes.
        sentences: Why, one for each reason.
        tags: What it shows, what dominates first.
        subject: Key of the subject it is shown under.
        sureness: By reason; higher is surer, and only compared within a reason.
        group, keeper: Ids of its group and of the photo that stays; None outside.
        kept_for: How many photos are in the trash or gone because this one stays.
    """

    id: str
    title: str
    path: str
    date: str
    taken_at: str
    bytes: int
    width: int
    height: int
    sha256: str
    fingerprint: str
    sharpness: float | None
    damaged: bool
    may_go: bool
    decision: str | None
    reasons: tuple[str, ...]
    copy: bool
    sentences: tuple[str, ...]
    tags: tuple[str, ...]
    subject: str
    sureness: Mapping[str, float]
    group: str | None
    keeper: str | None
    kept_for: int

    @property
    def is_keeper(self) -> bool:
        return self.keeper == self.id

    @property
    def faulty(self) -> bool:
        return any(reason != "similar" for reason in self.reasons)

    @property
    def pixels(self) -> int:
        return self.width * self.height


def card(row: Mapping[str, Any]) -> Card:
    """A photo as a page shows it.

    Args:
        row: Of `Store.search`.
    """
    explained = explain(row)
    tags = sorted(
        (tag for tag in TAGS if row[tag]), key=lambda tag: tag != row["subject"]
    )
    return Card(
        id=row["id"],
        title=legible(row["title"]),
        path=row["path"],
        date=row["date"],
        taken_at=row["taken_at"],
        bytes=row["bytes"],
        width=row["width"],
        height=row["height"],
        sha256=row["sha256"],
        fingerprint=row["fingerprint"],
        sharpness=row["sharpness"],
        damaged=bool(row["damaged"]),
        may_go=bool(row["delete"]) or row["decision"] == "trash",
        decision=row["decision"],
        reasons=tuple(one.reason for one in explained),
        copy=bool(row["similar"]) and row["similar_kind"] == "copy",
        sentences=tuple(legible(one.sentence) for one in explained),
        tags=tuple(tags),
        subject=_subject(row, tags),
        sureness={
            one.reason: _sureness(one.reason, one.score, one.threshold)
            for one in explained
        },
        group=row["similar_group"],
        keeper=row["keeper"],
        kept_for=row["kept_for"] or 0,
    )


def moment(card: Card) -> str:
    """When a photo was taken, to the minute."""
    return card.taken_at[:16].replace("T", " ")


def in_brief(card: Card) -> str:
    """Why a photo may go, in a word or two."""
    if card.decision == "trash":
        return "marked"
    return ", ".join(
        "copy" if reason == "similar" and card.copy else reason
        for reason in card.reasons
    )


# For the templates of both pages.
FILTERS: Final = {
    "breakable": breakable,
    "brief": in_brief,
    "moment": moment,
    "number": number,
    "size": size,
}


def _subject(row: Mapping[str, Any], tags: Sequence[str]) -> str:
    if all(row[tag] is None for tag in TAGS):
        return _NOT_SEARCHED
    return row["subject"] or next(iter(tags), _NO_TAG)


def _sureness(reason: str, score: float | None, threshold: float | None) -> float:
    if score is None or threshold is None:
        return 0.0
    # Low is shaken, and thresholds of two versions are on two scales.
    return -score / threshold if reason == "shaken" and threshold else score
