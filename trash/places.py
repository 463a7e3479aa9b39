"""Which kind of place an address means."""

from collections.abc import Callable
from typing import Any

from trash.entries import Place
from trash.files import LocalFiles
from trash.objects import Objects


class Places:
    """Local folders and buckets.

    Args:
        storage_client: Gives a client of Cloud Storage; called for `gs://` only.
    """

    def __init__(self, storage_client: Callable[[], Any]) -> None:
        self._files = LocalFiles()
        self._objects = Objects(storage_client)

    def of(self, path: str) -> Place:
        """Where an address leads."""
        return self._objects if path.startswith("gs://") else self._files
