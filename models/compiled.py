"""Loops over pixels as machine code, where neither NumPy nor OpenCV has the loop."""

import functools
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")

_COMPILING = threading.Lock()


def compiled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a function at its first call, and keep that on the disk.

    It may use numbers, NumPy arrays and loops, but no other compiled function. Other
    threads run Python meanwhile. Nothing is reordered to be faster: each processor
    comes to the same bits.

    Args:
        function: What Numba can compile in its nopython mode.
    """
    ready: Callable[_P, _R] | None = None

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        nonlocal ready
        if ready is not None:
            return ready(*args, **kwargs)
        # One at a time, as threads begin with their first photos together.
        with _COMPILING:
            try:
                fresh = _dispatcher(function, keep=True)
                result = fresh(*args, **kwargs)
            except (RuntimeError, OSError):
                # There is no folder to keep it in, as in a read-only container, or
                # no room.
                fresh = _dispatcher(function, keep=False)
                result = fresh(*args, **kwargs)
            ready = fresh
        return result

    return call


def _dispatcher(function: Callable[_P, _R], *, keep: bool) -> Callable[_P, _R]:
    import numba  # a third of a second, which a command line need not spend

    return numba.njit(function, cache=keep, nogil=True, error_model="numpy")
