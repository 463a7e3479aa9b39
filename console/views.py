"""What the pages show: photos by reason, by subject and by day.

Pure: a page puts what is here into words and pictures, and adds nothing to it.
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from console.cards import SUBJECTS, Card
from console.wording import day

_MONTHS: Final = 18
# A section's id and title, and what it holds.
REASONS: Final = {
    "similar": (
        "Similar shots",
        "Several shots of one thing: one stays. What frees most comes first.",
    ),
    "copies": (
        "Exact copies",
        "The same bytes under several names: one stays. What frees most comes first.",
    ),
    "shaken": ("Shaken", "Too little in them is sharp. The surest come first."),
    "dark": ("Too dark", "Too little can be seen in them. The surest come first."),
    "screenshot": ("Screenshots", "Pictures of a screen. The surest come first."),
    "decided": ("Marked by you", "You decided that these may go."),
}


@dataclass(frozen=True)
class Group:
    """Photos of one thing, and the one of them that stays.

    Attributes:
        keeper: None if it is not among the photos that are shown.
        why: Why it stays, for a person; "" without a keeper.
        others: The rest of the group as far as it is of the section's kind.
    """

    id: str
    keeper: Card | None
    why: str
    others: tuple[Card, ...]

    @property
    def removable(self) -> tuple[Card, ...]:
        return tuple(card for card in self.others if card.may_go)

    @property
    def bytes(self) -> int:
        return freed(self.others)


@dataclass(frozen=True)
class ReasonSection:
    """What may go for one reason.

    Attributes:
        key: "similar" (shots), "copies", "shaken", "dark", "screenshot", "decided".
        reason: The same as `piccl cleanup --reason` has it.
        groups: Of "similar" and "copies".
        cards: Of the others.
    """

    key: str
    title: str
    lead: str
    groups: tuple[Group, ...] = ()
    cards: tuple[Card, ...] = ()

    @property
    def reason(self) -> str:
        return "similar" if self.key == "copies" else self.key

    @property
    def removable(self) -> tuple[Card, ...]:
        return self.cards or tuple(
            card for group in self.groups for card in group.removable
        )

    @property
    def bytes(self) -> int:
        return freed(self.removable)


@dataclass(frozen=True)
class Section:
    """Photos of one subject or of one day, in the order they were taken."""

    key: str
    title: str
    cards: tuple[Card, ...]

    @property
    def may_go(self) -> int:
        return sum(card.may_go for card in self.cards)


def reason_sections(cards: Iterable[Card]) -> list[ReasonSection]:
    """What may go, by reason; a photo with two reasons is in both sections.

    Reasons for which nothing may go have no section.
    """
    cards = list(cards)
    groups = _groups(cards)
    sections = [
        ReasonSection(key, *REASONS[key], groups=_of_kind(groups, copy))
        for key, copy in (("similar", False), ("copies", True))
    ]
    for reason in ("shaken", "dark", "screenshot"):
        found = [one for one in cards if one.may_go and reason in one.reasons]
        found.sort(key=lambda one: (-one.sureness[reason], one.taken_at, one.id))
        sections.append(ReasonSection(reason, *REASONS[reason], cards=tuple(found)))
    decided = tuple(one for one in cards if one.decision == "trash")
    sections.append(ReasonSection("decided", *REASONS["decided"], cards=decided))
    return [section for section in sections if section.removable]


def subject_sections(cards: Iterable[Card]) -> list[Section]:
    """Photos by what they show: each once, under what dominates it."""
    subjects: dict[str, list[Card]] = {}
    for one in cards:
        subjects.setdefault(one.subject, []).append(one)
    return [
        Section(key, title, tuple(subjects[key]))
        for key, title in SUBJECTS.items()
        if key in subjects
    ]


def day_sections(cards: Iterable[Card]) -> list[Section]:
    """Photos by the day they were taken, the latest day first."""
    days: dict[str, list[Card]] = {}
    for one in cards:
        days.setdefault(one.date, []).append(one)
    return [
        Section(date, day(date), tuple(days[date]))
        for date in sorted(days, reverse=True)
    ]


def periods(days: Iterable[Section]) -> list[Section]:
    """Of each month its first section of a day, titled by the month.

    Of each year, if there are more months than fit on a phone.
    """
    by_month: dict[str, Section] = {}
    by_year: dict[str, Section] = {}
    for one in days:
        date = datetime.date.fromisoformat(one.key)
        by_month.setdefault(f"{date:%B} {date.year}", one)
        by_year.setdefault(f"{date.year}", one)
    found = by_month if len(by_month) <= _MONTHS else by_year
    return [replace(one, title=title) for title, one in found.items()]


def freed(cards: Iterable[Card]) -> int:
    """Bytes of the photos that may go, each counted once."""
    return sum({one.id: one.bytes for one in cards if one.may_go}.values())


def why_kept(keeper: Card, others: Sequence[Card]) -> str:
    """Why that one of a group stays, for a person.

    It follows `models.keeper.choose_keeper`, and says no more than what is stored
    bears out: sharpness of two methods or versions is on two scales.
    """
    if keeper.decision == "keep":
        return "you decided to keep it"
    rivals = [one for one in others if one.decision != "trash"]
    if not rivals:
        return "you did not decide that it may go"
    if all(one.sha256 == keeper.sha256 for one in rivals):
        return f"one of {len(others) + 1} files with the same bytes"
    if all(one.damaged for one in rivals) and not keeper.damaged:
        return "the only one whose file is whole"
    if all(one.faulty for one in rivals) and not keeper.faulty:
        return "the only one without a fault"
    # A copy of the keeper is as good as it is.
    rivals = [one for one in rivals if one.sha256 != keeper.sha256]
    if any(one.fingerprint != keeper.fingerprint for one in rivals):
        if all(one.pixels < keeper.pixels for one in rivals):
            return "the one with most pixels"
        return "chosen among shots that were not scored alike"
    scores = [one.sharpness for one in rivals if one.sharpness is not None]
    if keeper.sharpness is not None and len(scores) == len(rivals):
        best = int(max(scores))
        if keeper.sharpness > max(scores) and int(keeper.sharpness) > best:
            at_most = "at most " if len(scores) > 1 else ""
            return f"the sharpest ({int(keeper.sharpness)}, the rest {at_most}{best})"
    return "the best of sharpness, light and size together"


def _groups(cards: Iterable[Card]) -> dict[str, list[Card]]:
    groups: dict[str, list[Card]] = {}
    for one in cards:
        if one.group is not None:
            groups.setdefault(one.group, []).append(one)
    return groups


def _of_kind(groups: Mapping[str, Sequence[Card]], copy: bool) -> tuple[Group, ...]:
    """The groups in which shots, or copies, may go, the most space first."""
    found = []
    for id_, members in groups.items():
        keeper = next((one for one in members if one.is_keeper), None)
        others = [one for one in members if one is not keeper]
        why = why_kept(keeper, others) if keeper else ""
        shown = tuple(one for one in others if one.copy == copy)
        group = Group(id_, keeper, why, shown)
        if group.removable:
            found.append(group)
    return tuple(sorted(found, key=lambda group: (-group.bytes, group.id)))
