"""A store whose changes fail from some point on, as if the job had died there."""

from collections.abc import Callable

import pytest


class CrashError(Exception):
    """The job ends here."""


def crashes(
    store: type, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int | None], None]:
    """Make the n-th change of any store of a class fail, and those after it.

    Returns:
        Sets how many changes are left; None heals it.
    """
    left: list[int | None] = [None]

    def fail_when_due(change: Callable) -> Callable:
        def changed(*args, **kwargs):
            if left[0] is not None:
                left[0] -= 1
                if left[0] < 0:
                    raise CrashError
            return change(*args, **kwargs)

        return changed

    for name in ("write", "rejudge", "settle", "remove"):
        monkeypatch.setattr(store, name, fail_when_due(getattr(store, name)))

    def arm(changes: int | None) -> None:
        left[0] = changes

    return arm
