"""What a user did in the review, to undo it."""

import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from store.records import Decision

# More than anybody goes back; the trash keeps all that went there anyway.
_REMEMBERED: Final = 20


@dataclass(frozen=True)
class Done:
    """One action.

    Attributes:
        text: What was done, for a person.
        run: That photos were trashed by; None if none were.
        decided: What was decided before, by photo, of those that are kept now.
    """

    text: str
    run: str | None = None
    decided: Mapping[str, Decision | None] = field(default_factory=dict)
    id: str = field(default_factory=lambda: secrets.token_hex(8))


class History:
    """The last actions, the latest first."""

    def __init__(self) -> None:
        self._done: deque[Done] = deque(maxlen=_REMEMBERED)

    def add(self, done: Done) -> None:
        self._done.appendleft(done)

    def find(self, id_: str) -> Done | None:
        return next((done for done in self._done if done.id == id_), None)

    def forget(self, done: Done) -> None:
        if done in self._done:
            self._done.remove(done)

    def forget_run(self, run: str) -> None:
        """All of it is back: there is nothing left to undo."""
        for done in [one for one in self._done if one.run == run]:
            self._done.remove(done)

    def latest(self) -> list[Done]:
        return list(self._done)
