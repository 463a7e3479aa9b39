"""What the server of the review is handed, and how a request gets at it."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from flask import Flask, current_app, g

from console.auth import Access
from console.finding import Listed
from console.history import History
from console.picture_cache import PictureCache
from store.interface import Store
from store.records import TrashedFile
from trash.bin import TrashBin

_KEY: Final = "piccl"
# A program beside the review may add to it.
_LISTED_S: Final = 60.0


@dataclass(frozen=True)
class Backing:
    """All that the pages need and do not know how to make.

    Attributes:
        access: Who may look.
        open_store: A store is one thread's at a time, so each request opens its own.
        open_bin: The trash of a user.
        read: The bytes of a photo, by its address.
        regroup: Settles a user's days; tells how many photos changed.
        hosts: Names that the server goes by; under any other one it is not reached.
        cookie: Name of the session's cookie; a browser does not tell ports apart.
        counts_every_s: How often a page asks for the counts.
    """

    access: Access
    open_store: Callable[[], Store]
    open_bin: Callable[[Store, str], TrashBin]
    read: Callable[[str], bytes]
    regroup: Callable[[Store, str], int]
    hosts: Sequence[str]
    cookie: str = "piccl-review"
    counts_every_s: int = 10


class Lists:
    """What was listed by reason, for as long as it may be believed."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Listed]] = {}

    def get(self, key: str) -> Listed | None:
        until, listed = self._kept.get(key, (0.0, None))
        return listed if time.monotonic() < until else None

    def put(self, key: str, listed: Listed) -> None:
        """Keep it; a list that is kept gets no older by what is gone of it."""
        until, _ = self._kept.get(key, (0.0, None))
        now = time.monotonic()
        self._kept[key] = (until if now < until else now + _LISTED_S, listed)

    def clear(self) -> None:
        self._kept.clear()


@dataclass
class Desk:
    """What is remembered of a user while the server runs.

    Attributes:
        lock: One action of a user at a time.
        recovered: Whether what a crash left in the trash was made whole.
        listed: What may go by reason, as the last page of it had it.
        runs: Files in the trash by run and photo, as the last action left them.
    """

    lock: threading.RLock = field(default_factory=threading.RLock)
    history: History = field(default_factory=History)
    recovered: bool = False
    listed: Lists = field(default_factory=Lists)
    runs: dict[str, Mapping[str, TrashedFile]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Office:
    backing: Backing
    pictures: PictureCache = field(default_factory=PictureCache)
    desks: dict[str, Desk] = field(default_factory=lambda: defaultdict(Desk))
    lock: threading.Lock = field(default_factory=threading.Lock)


def provide(app: Flask, given: Backing) -> None:
    app.extensions[_KEY] = _Office(given)
    app.teardown_appcontext(_close)


def backing() -> Backing:
    return _office().backing


def picture_cache() -> PictureCache:
    """Of all users, as the same bytes are the same picture."""
    return _office().pictures


def store() -> Store:
    """The request's own store."""
    if "store" not in g:
        g.store = backing().open_store()
    return cast(Store, g.store)


def trash_bin() -> TrashBin:
    """The trash of the user, made whole before it is used for the first time."""
    found = backing().open_bin(store(), g.user)
    here = desk()
    with here.lock:
        if not here.recovered:
            found.recover()
            backing().regroup(store(), g.user)
            here.recovered = True
    return found


def desk() -> Desk:
    """The user's."""
    office = _office()
    with office.lock:
        return office.desks[g.user]


def _office() -> _Office:
    return cast(_Office, current_app.extensions[_KEY])


def _close(_: BaseException | None) -> None:
    opened = g.pop("store", None)
    if opened is not None:
        opened.close()
