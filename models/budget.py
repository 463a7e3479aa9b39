"""How much a process may have in memory at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """Bounds what is taken at once, in any unit, first come first served.

    Parallel large photos queue instead of adding up their memory. One larger
    than the whole budget waits until it is alone.

    Attributes:
        capacity: How much may be taken at once.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._free = capacity
        self._turnstile = threading.Lock()
        self._changed = threading.Condition()

    @contextmanager
    def take(self, amount: int) -> Iterator[None]:
        """Hold `amount` of the budget, waiting until they are free."""
        wanted = min(amount, self.capacity)
        # Whoever waits for much keeps the turnstile, or a stream of
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
