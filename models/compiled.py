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

    @functools.cache
    def jit() -> Callable[_P, _R]:
        import numba  # a third of a second, which a command line need not spend

        try:
            return numba.njit(function, cache=True, nogil=True, error_model="numpy")
        except RuntimeError:
            # There is no folder to keep it in, as in a read-only container.
            return numba.njit(function, nogil=True, error_model="numpy")

    is_ready = False

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        nonlocal is_ready
        if is_ready:
            return jit()(*args, **kwargs)
        # One at a time, as threads begin with their first photos together.
        with _COMPILING:
            result = jit()(*args, **kwargs)
            is_ready = True
        return result

    return call
