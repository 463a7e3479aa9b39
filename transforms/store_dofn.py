"""A worker's connection to the store."""

import apache_beam as beam

from store.interface import Store
from store.urls import open_store
from transforms.counters import count


class StoreDoFn(beam.DoFn):
    """Holds one connection, `self._store`, as long as the worker keeps it.

    Args:
        store_url: Where the store is.
    """

    def __init__(self, store_url: str) -> None:
        self._store_url = store_url

    def setup(self) -> None:
        self._store: Store = open_store(self._store_url, count=count)

    def teardown(self) -> None:
        self._store.close()
