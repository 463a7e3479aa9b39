"""Counting: into Beam's metrics, and beside them for a progress display.

A local runner shows its metrics only when it is done.
"""

import collections
import functools
import threading
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Final, TypeVar

from apache_beam.metrics import Metrics
from apache_beam.metrics.metric import Counter, Distribution

from transforms.step_times import StepTimes

NAMESPACE = "piccl"

_lock = threading.Lock()
_so_far: collections.Counter[str] = collections.Counter()
_step_times: StepTimes | None = None

_T = TypeVar("_T")
_END: Final = object()


def count(name: str, by: int = 1) -> None:
    """Add to the counter `name`, from within a DoFn."""
    _counter(name).inc(by)
    with _lock:
        _so_far[name] += by


def observe(name: str, value: float) -> None:
    """Add a value to the distribution `name`, from within a DoFn.

    Args:
        name: With its unit, as `us/LoadPhotos`.
        value: Rounded to a whole number, as Beam's distributions are.
    """
    _distribution(name).update(round(value))


# To make one takes longer than to add to it.
@functools.cache
def _counter(name: str) -> Counter:
    return Metrics.counter(NAMESPACE, name)


@functools.cache
def _distribution(name: str) -> Distribution:
    return Metrics.distribution(NAMESPACE, name)


class timed:  # noqa: N801 - reads as the function that it could be
    """Measure a step's work on one element, as the distribution `us/STEP`.

    A step within another is named `OTHER/PART`.
    """

    # A generator would take three times as long.
    __slots__ = ("_cpu_ns", "_started_ns", "_step")

    def __init__(self, step: str) -> None:
        self._step = step

    def __enter__(self) -> None:
        self._cpu_ns = time.thread_time_ns() if _step_times is not None else 0
        self._started_ns = time.perf_counter_ns()

    def __exit__(
        self,
        error: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        elapsed_ns = time.perf_counter_ns() - self._started_ns
        observe(f"us/{self._step}", elapsed_ns / 1000)
        if _step_times is not None and self._cpu_ns:
            cpu_ns = time.thread_time_ns() - self._cpu_ns
            _step_times.add(self._step, elapsed_ns, cpu_ns)


def timed_each(step: str, elements: Iterable[_T]) -> Iterator[_T]:
    """The same elements; measures how long each takes to come, as `timed` does."""
    iterator = iter(elements)
    while True:
        with timed(step):
            element = next(iterator, _END)
        if element is _END:
            return
        yield element  # type: ignore[misc]


def profile_here(step_times: StepTimes | None) -> None:
    """From now on, tell `step_times` too what `timed` measures; None ends it."""
    global _step_times
    _step_times = step_times


def counted_here() -> collections.Counter[str]:
    """What this process has counted since it started, or since the reset."""
    with _lock:
        return _so_far.copy()


def reset_counted_here() -> None:
    """Start over; a process may run several jobs."""
    with _lock:
        _so_far.clear()
