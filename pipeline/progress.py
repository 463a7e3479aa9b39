"""How far a job is: a bar on a terminal, a line now and then in a log."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from transforms.counters import counted_here, reset_counted_here

_LOG_EVERY_S = 5.0
_REFRESH_S = 0.2
# Each file ends under one of these; the days come after the last photo.
_DONE = (
    "photos_analysed",
    "photos_tagged",
    "photos_skipped",
    "photos_gone",
    "photos_superseded",
)

# How many photos there are, how many are done, and what is being done.
State: TypeAlias = Callable[[], tuple[int, int, str]]


def stderr_console() -> Console:
    """Where people are told what is done, beside what a command prints."""
    # Named, because a running job has stderr to itself.
    return Console(file=sys.stderr)


def say(console: Console, text: str) -> None:
    """Tell what comes next."""
    console.print(text, highlight=False, soft_wrap=True)


@contextmanager
def show_progress(console: Console, state: State | None = None) -> Iterator[None]:
    """Show how far it is until the block ends.

    Args:
        console: Where to; a bar if it is a terminal, else lines.
        state: Asked now and then; by default what this process counts.
    """
    reset_counted_here()
    done = threading.Event()
    show = _show_bar if console.is_terminal else _log_lines
    thread = threading.Thread(
        target=show, args=(console, done, state or _state), daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _show_bar(console: Console, done: threading.Event, state: State) -> None:
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        # The job redirects them too, and the two would not undo it in order.
        redirect_stdout=False,
        redirect_stderr=False,
    ) as progress:
        task = progress.add_task("Listing photos", total=None, speed="")
        started_s = time.monotonic()
        while not done.wait(_REFRESH_S):
            total, finished, phase = state()
            if not finished:
                started_s = time.monotonic()
            speed = finished / max(time.monotonic() - started_s, 0.1)
            progress.update(
                task,
                description=phase,
                total=total or None,
                completed=finished,
                speed=f"{speed:,.1f} photos/s" if finished else "",
            )


def _log_lines(console: Console, done: threading.Event, state: State) -> None:
    started_s = time.monotonic()
    while not done.wait(_LOG_EVERY_S):
        total, finished, phase = state()
        speed = finished / (time.monotonic() - started_s)
        left = f", {(total - finished) / speed:,.0f} s left" if speed else ""
        console.print(
            f"{phase}: {finished:,} of {total:,}, {speed:,.1f} photos/s{left}",
            soft_wrap=True,
        )


def _state() -> tuple[int, int, str]:
    counts = counted_here()
    # Whatever was listed twice is read once: a little more than there will be.
    total = counts["photos_listed"]
    dead = sum(n for name, n in counts.items() if name.startswith("dead_letters/"))
    finished = sum(counts[name] for name in _DONE) + dead
    if not finished:
        # The first photos wait for them.
        is_loading = counts["photos_decoded"] > 0
        return total, 0, "Loading the models" if is_loading else "Listing photos"
    if counts["days_grouped"]:
        return total, finished, f"Grouping days ({counts['days_grouped']:,})"
    return total, finished, "Analysing photos"
