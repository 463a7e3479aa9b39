"""Counting: into Beam's metrics, and beside them for a progress display.

A local runner shows its metrics only when it is done.
"""

import collections
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from apache_beam.metrics import Metrics

NAMESPACE = "piccl"

_lock = threading.Lock()
_so_far: collections.Counter[str] = collections.Counter()


def count(name: str, by: int = 1) -> None:
    """Add to the counter `name`, from within a DoFn."""
    Metrics.counter(NAMESPACE, name).inc(by)
    with _lock:
        _so_far[name] += by


def observe(name: str, value: float) -> None:
    """Add a value to the distribution `name`, from within a DoFn.

    Args:
        name: With its unit, as `ms/LoadPhotos`.
        value: Rounded to a whole number, as Beam's distributions are.
    """
    Metrics.distribution(NAMESPACE, name).update(round(value))


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Measure a step's work on one element, as the distribution `ms/STEP`."""
    started_s = time.monotonic()
    try:
        yield
    finally:
        observe(f"ms/{step}", (time.monotonic() - started_s) * 1000)


def counted_here() -> collections.Counter[str]:
    """What this process has counted since it started, or since the reset."""
    with _lock:
        return _so_far.copy()


def reset_counted_here() -> None:
    """Start over; a process may run several jobs."""
    with _lock:
        _so_far.clear()
