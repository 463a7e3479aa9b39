"""Counting: into Beam's metrics, and beside them for a progress display.

A local runner shows its metrics only when it is done.
"""

import collections
import threading

from apache_beam.metrics import Metrics

NAMESPACE = "piccl"

_lock = threading.Lock()
_so_far: collections.Counter[str] = collections.Counter()


def count(name: str, by: int = 1) -> None:
    """Add to the counter `name`, from within a DoFn."""
    Metrics.counter(NAMESPACE, name).inc(by)
    with _lock:
        _so_far[name] += by


def counted_here() -> collections.Counter[str]:
    """What this process has counted since it started, or since the reset."""
    with _lock:
        return _so_far.copy()


def reset_counted_here() -> None:
    """Start over; a process may run several jobs."""
    with _lock:
        _so_far.clear()
