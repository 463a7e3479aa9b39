"""How many pixels a process may have decoded at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class PixelBudget:
    """Bounds the pixels decoded at once, first come first served.

    Parallel large photos queue instead of adding up their memory. A photo
    larger than the whole budget waits until it is alone.

    Attributes:
        capacity: Pixels that may be decoded at once.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._free = capacity
        self._turnstile = threading.Lock()
        self._changed = threading.Condition()

    @contextmanager
    def take(self, pixels: int) -> Iterator[None]:
        """Hold `pixels` of the budget, waiting until they are free."""
        wanted = min(pixels, self.capacity)
        # Whoever waits for many pixels keeps the turnstile, or a stream of
        # small photos would starve a large one.
        with self._turnstile, self._changed:
            self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()
