"""Which store an address means."""

from pathlib import Path
from typing import Final

from store.records import StoreError
from store.sqlite import SqliteStore

DEFAULT_URL: Final = "sqlite:///piccl.db"


def open_store(url: str, *, must_exist: bool = False) -> SqliteStore:
    """Open the store at an address.

    Args:
        url: `sqlite:///relative.db` or `sqlite:////absolute.db`.
        must_exist: Fail rather than make a new one.

    Raises:
        StoreError: No such kind of store, or it can not be opened.
    """
    scheme, separator, path = url.partition("///")
    if scheme != "sqlite:" or not separator or not path:
        raise StoreError(
            f"no store at {url!r}: write sqlite:///FILE, or sqlite:////FILE for an "
            "absolute path"
        )
    return SqliteStore(Path(path), must_exist=must_exist)
