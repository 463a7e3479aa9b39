"""Pictures that were made last, so that looking again costs nothing."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

_CACHED_BYTES: Final = 64 * 2**20


class PictureCache:
    """Those that were made last, by what is in the file; for several threads."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str], make: Callable[[], bytes]) -> bytes:
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
        made = make()
        with self._lock:
            self._bytes += len(made) - len(self._made.pop(key, b""))
            self._made[key] = made
            while self._bytes > _CACHED_BYTES:
                self._bytes -= len(self._made.popitem(last=False)[1])
        return made
