"""What a stream has done so far: one live line, or a line now and then in a log."""

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console

from transforms.counters import counted_here, reset_counted_here

_LOG_EVERY_S: Final = 5.0
_REFRESH_S: Final = 0.5
# What the speed is measured over.
_LATELY_S: Final = 10.0


@contextmanager
def show_stream(console: Console) -> Iterator[None]:
    """Show what this process counts until the block ends.

    Args:
        console: Where to; a log gets a line only if there is something new.
    """
    reset_counted_here()
    done = threading.Event()
    show = _show_live if console.is_terminal else _log_lines
    thread = threading.Thread(target=show, args=(console, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        console.print(describe(counted_here()), soft_wrap=True)


def describe(counts: Counter[str]) -> str:
    """One line for a person."""
    skipped = ("photos_skipped", "photos_superseded", "photos_gone")
    return (
        f"received {_total(counts, 'events/'):,}, "
        f"analysed {counts['photos_analysed'] + counts['photos_tagged']:,}, "
        f"skipped {sum(counts[name] for name in skipped):,}, "
        f"removed {counts['photos_removed']:,}, "
        f"dead letters {_total(counts, 'dead_letters/'):,}, "
        f"days regrouped {counts['days_grouped']:,}"
    )


def _total(counts: Counter[str], prefix: str) -> int:
    return sum(n for name, n in counts.items() if name.startswith(prefix))


def _show_live(console: Console, done: threading.Event) -> None:
    speed = _Speed()
    with console.status("Waiting for photos") as status:
        while not done.wait(_REFRESH_S):
            counts = counted_here()
            status.update(f"{describe(counts)}, {speed.of(counts):,.1f} photos/s")


def _log_lines(console: Console, done: threading.Event) -> None:
    speed = _Speed()
    last = ""
    while not done.wait(_LOG_EVERY_S):
        counts = counted_here()
        line, photos_per_s = describe(counts), speed.of(counts)
        if line != last:
            console.print(f"{line}, {photos_per_s:,.1f} photos/s", soft_wrap=True)
        last = line


class _Speed:
    """Photos a second, lately."""

    def __init__(self) -> None:
        self._seen = deque([(time.monotonic(), 0)])

    def of(self, counts: Counter[str]) -> float:
        now_s, photos = time.monotonic(), counts["photos_analysed"]
        while len(self._seen) > 1 and now_s - self._seen[1][0] >= _LATELY_S:
            self._seen.popleft()
        then_s, before = self._seen[0]
        self._seen.append((now_s, photos))
        return (photos - before) / max(now_s - then_s, _REFRESH_S)
