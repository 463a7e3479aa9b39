"""The photos of one page, read with the store's indexes rather than all of them."""

import datetime
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

from console.cards import Card, card
from console.views import (
    Group,
    ReasonSection,
    Section,
    day_sections,
    reason_sections,
)
from store.interface import Store
from store.search import TAGS, PhotoQuery

PAGE: Final = 200
# How far back one looks for the days of a page at first; then further and further
# until it is full, and from so far on to the beginning of the calendar.
_LOOK_DAYS: Final = 8
_FAR_DAYS: Final = 10_000
_FURTHER: Final = 4
# With more photos than so many, one looks less far.
_MOST_READ: Final = 2000
# As `store.records.photo_id` makes them. Firestore takes some other names for paths,
# and fails at others.
_ID: Final = re.compile("[0-9a-f]{32}")

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Page(Generic[_Item]):
    """What one page shows, and where the next one begins."""

    items: Sequence[_Item]
    number: int = 1
    more: bool = False


def rows_named(store: Store, user_id: str, ids: Iterable[str]) -> list[dict[str, Any]]:
    """The user's photos of these ids, whatever a request says they are."""
    known = [id_ for id_ in ids if _ID.fullmatch(id_)]
    return list(store.search(PhotoQuery(user_id, ids=known))) if known else []


@dataclass(frozen=True)
class Listed:
    """What may go for a reason, as it was a moment ago, without the rows.

    Attributes:
        pages: Ids of the photos that a page needs.
        removable: Bytes of each photo that may go, by its id.
    """

    pages: Sequence[Sequence[str]]
    removable: Mapping[str, int]

    @property
    def bytes(self) -> int:
        return sum(self.removable.values())


def overview(store: Store, user_id: str) -> list[ReasonSection]:
    """What may go, by reason; of groups, the one that stays is left out."""
    return reason_sections(_cards(store, PhotoQuery(user_id, reasons=("any",))))


def list_reason(store: Store, user_id: str, key: str) -> Listed:
    """All that may go for a reason, which means to read all of its rows."""
    if key in ("similar", "copies"):
        cards = _cards(store, PhotoQuery(user_id, reasons=("similar",)))
        keepers = {one.keeper for one in cards if one.keeper} - {x.id for x in cards}
        cards += _cards(store, PhotoQuery(user_id, ids=keepers))
    elif key == "decided":
        cards = _cards(store, PhotoQuery(user_id, decision="trash"))
    else:
        cards = _cards(store, PhotoQuery(user_id, reasons=("any", key)))
    section = _section(cards, key)
    if section is None:
        return Listed((), {})
    # With a group come also those of it that are not shown: the keeper is explained
    # by them.
    members: dict[str, list[str]] = {}
    for one in cards:
        members.setdefault(one.group or one.id, []).append(one.id)
    pages = [
        [
            id_
            for item in page
            for id_ in (members[item.id] if isinstance(item, Group) else [item.id])
        ]
        for page in _filled(section.groups or section.cards)
    ]
    return Listed(pages, {one.id: one.bytes for one in section.removable})


def reason_page(
    store: Store, user_id: str, key: str, number: int, listed: Listed
) -> tuple[ReasonSection | None, Page[Card | Group], Listed]:
    """A page of what may go for a reason, as it is now; it reads its own rows alone.

    Returns:
        What is on the page, None if nothing of it may go any more; the page; and
        what was listed, without what is gone.
    """
    if not listed.pages:
        return None, Page(()), listed
    number = min(number, len(listed.pages))
    ids = listed.pages[number - 1]
    cards = _cards(store, PhotoQuery(user_id, ids=ids))
    section = _section(cards, key)
    now = {one.id for one in section.removable} if section else set()
    gone = {*ids} - now
    left = {id_: size for id_, size in listed.removable.items() if id_ not in gone}
    listed = replace(listed, removable=left)
    items = (section.groups or section.cards) if section else ()
    return section, Page(items, number, number < len(listed.pages)), listed


def subject_page(store: Store, user_id: str, key: str, number: int) -> Page[Card]:
    """The photos that are shown under a subject, in the order they were taken."""
    # What dominates a photo is one of its tags.
    tags = (key,) if key in TAGS else ()
    found = (
        one
        for one in _each(store, PhotoQuery(user_id, tags=tags))
        if one.subject == key
    )
    start = (number - 1) * PAGE
    cards = list(itertools.islice(found, start, start + PAGE + 1))
    return Page(cards[:PAGE], number, len(cards) > PAGE)


def day_page(
    store: Store, user_id: str, last: datetime.date
) -> tuple[list[Section], bool]:
    """The latest whole days until a page is full, and whether there are earlier ones.

    Args:
        store: Where the photos are.
        user_id: Whose.
        last: No day after it.
    """
    cards: list[Card] = []
    # What is dated in the future is found in one look.
    tomorrow = datetime.date.today() + datetime.timedelta(1)
    look_days = max((last - tomorrow).days, _LOOK_DAYS)
    while True:
        far = look_days >= min(last.toordinal(), _FAR_DAYS) and last <= tomorrow
        first = None if far else last - datetime.timedelta(look_days - 1)
        query = PhotoQuery(
            user_id,
            first_date=first.isoformat() if first else None,
            last_date=last.isoformat(),
        )
        # A day is read whole.
        most = _MOST_READ + 1 if look_days > 1 else None
        found = list(itertools.islice(_each(store, query), most))
        if most is not None and len(found) == most:
            look_days = min(look_days, _FAR_DAYS * _FURTHER - 1) // _FURTHER
            continue
        cards += found
        if first is None or len(cards) >= PAGE:
            break
        last = first - datetime.timedelta(1)
        ahead = (last - tomorrow).days
        look_days *= _FURTHER
        if first > tomorrow:
            look_days = min(look_days, ahead) or _LOOK_DAYS
    days = day_sections(cards)
    photos = itertools.accumulate(len(section.cards) for section in days)
    shown = sum(count < PAGE for count in photos) + 1
    # What lies before the days that were read, the next page will tell.
    return days[:shown], shown < len(days) or first is not None


def _section(cards: Iterable[Card], key: str) -> ReasonSection | None:
    return next((one for one in reason_sections(cards) if one.key == key), None)


def _cards(store: Store, query: PhotoQuery) -> list[Card]:
    return list(_each(store, query))


def _each(store: Store, query: PhotoQuery) -> Iterator[Card]:
    return map(card, store.search(query))


def _filled(items: Sequence[Card | Group]) -> Iterator[list[Card | Group]]:
    """Pages of about as many photos each; a group is on one page."""
    page: list[Card | Group] = []
    photos = 0
    for item in items:
        size = 1 + len(item.others) if isinstance(item, Group) else 1
        if page and photos + size > PAGE:
            yield page
            page, photos = [], 0
        page.append(item)
        photos += size
    yield page
