"""One HTML page of what was found, which needs no server.

The page holds all that it shows and asks for nothing from anywhere. What comes from
outside, names of files above all, is text in it and never markup: Jinja2 escapes it,
and a content security policy stands behind that. Each thumbnail is in it once, in a
table at its end, from which a script takes those that come into sight.
"""

import base64
import hashlib
import json
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from console import views, wording
from console.cards import FILTERS, Card, card
from console.thumbnails import thumbnail
from models.images import BadPhotoError

# Of 5,000 real photos, together less than 30 MB.
SIDE_PX: Final = 200
_GONE: Final = "no longer there"
_HERE: Final = Path(__file__).parent


@dataclass(frozen=True)
class Thumbnail:
    """What is shown of a photo.

    Attributes:
        webp: Empty if there is nothing to show.
        missing: Why there is nothing, for a person.
    """

    webp: bytes = b""
    missing: str = ""


def write_report(
    photos: Iterable[Mapping[str, Any]],
    out: Path,
    *,
    user: str,
    store: str,
    most: int,
    written: str,
    read: Callable[[str], bytes],
    started: Callable[[int], None] = lambda _: None,
    made: Callable[[], None] = lambda: None,
) -> int:
    """Write the page, whole or not at all.

    Args:
        photos: Rows of `Store.search`.
        out: Where to, in a folder that is there; what is there is replaced.
        user: Whose photos they are.
        store: Address of the store, for the commands that come next.
        most: Show at most so many photos.
        written: When the photos were as the page has them, for a person.
        read: Gives the bytes of a photo by its path; `OSError` if it can not.
        started: Told how many thumbnails there will be.
        made: Called after each thumbnail.

    Returns:
        How many photos it shows.

    Raises:
        OSError: It can not be written.
    """
    cards = [card(row) for row in photos]
    shown = choose(cards, most)
    started(len(shown))
    thumbnails = _thumbnails(shown, read, made)
    text = render(cards, shown, thumbnails, user=user, store=store, written=written)
    part = out.with_name(f"{out.name}.part")
    try:
        part.unlink(missing_ok=True)
        # Its owner's alone, as photos are; whoever shares it says so.
        opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(opened, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)
    return len(shown)


def choose(cards: Sequence[Card], most: int) -> list[Card]:
    """The photos to show, in their order: what may go first, then the latest.

    A group is shown whole or not at all, so that nobody sees what may go without
    what stays.
    """
    groups: dict[str, list[Card]] = {}
    for one in cards:
        groups.setdefault(one.group or one.id, []).append(one)
    # Sorting keeps the order where there is nothing to choose: the latest first.
    by_use = list(reversed(groups.values()))
    by_use.sort(key=lambda group: not any(one.may_go for one in group))
    chosen: set[str] = set()
    for group in by_use:
        if len(chosen) + len(group) <= most:
            chosen.update(card.id for card in group)
    return [card for card in cards if card.id in chosen]


def render(
    cards: Sequence[Card],
    shown: Sequence[Card],
    thumbnails: Sequence[Thumbnail],
    *,
    user: str,
    store: str,
    written: str,
) -> str:
    """The page as HTML.

    Args:
        cards: All photos, which the figures count.
        shown: Those to show.
        thumbnails: One for each of these.
        user: See `write_report`, as for the rest.
        store: For commands.
        written: When.
    """
    style = (_HERE / "style.css").read_text("utf-8")
    script = (_HERE / "report.js").read_text("utf-8")
    days = views.day_sections(shown)
    places = {card.id: place for place, card in enumerate(shown)}

    def missing(card: Card) -> str:
        return thumbnails[places[card.id]].missing

    return (
        _environment()
        .get_template("report.html")
        .render(
            user=wording.legible(user),
            written=written,
            options=f"--user {shlex.quote(user)} --store {shlex.quote(store)}",
            photos=len(cards),
            may_go=sum(card.may_go for card in cards),
            bytes=views.freed(cards),
            figures=views.reason_sections(cards),
            shown=len(shown),
            reasons=views.reason_sections(shown),
            subjects=views.subject_sections(shown),
            days=days,
            periods=views.periods(days),
            place=lambda card: places[card.id],
            missing=missing,
            original=lambda card: "" if missing(card) == _GONE else _original(card),
            # Our own files, and letters and digits; a hash allows each of the first.
            style=Markup(style),
            script=Markup(script),
            style_hash=_hash(style),
            script_hash=_hash(script),
            table=Markup(json.dumps([_base64(one.webp) for one in thumbnails])),
        )
    )


def _thumbnails(
    shown: Sequence[Card], read: Callable[[str], bytes], made: Callable[[], None]
) -> list[Thumbnail]:
    def make(card: Card) -> Thumbnail:
        try:
            return _thumbnail(card, read)
        finally:
            made()

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(make, shown))


def _thumbnail(card: Card, read: Callable[[str], bytes]) -> Thumbnail:
    try:
        encoded = read(card.path)
        # What is said of it was said of other bytes.
        if hashlib.sha256(encoded).hexdigest() != card.sha256:
            return Thumbnail(missing="changed since it was analysed")
        return Thumbnail(thumbnail(encoded, SIDE_PX))
    except FileNotFoundError:
        return Thumbnail(missing=_GONE)
    except (OSError, BadPhotoError):
        return Thumbnail(missing="can not be read")


def _original(card: Card) -> str:
    """Where a browser opens it; "" if it is not on this machine."""
    return "" if card.path.startswith("gs://") else Path(card.path).as_uri()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _hash(text: str) -> str:
    """How a content security policy names what stands between two tags."""
    return f"sha256-{_base64(hashlib.sha256(text.encode()).digest())}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    return environment
