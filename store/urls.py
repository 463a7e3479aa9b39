"""Which store an address means."""

import re
from pathlib import Path
from typing import Final

from store.interface import CountUsage, Store, count_nothing
from store.records import StoreError

DEFAULT_URL: Final = "sqlite:///piccl.db"
# For messages and help.
URL_FORMS: Final = (
    "sqlite:///FILE, sqlite:////FILE for an absolute path, or "
    "firestore://PROJECT[/DATABASE]"
)
# Google's rules for the names of projects and databases.
_FIRESTORE: Final = re.compile(
    r"firestore://(?P<project>[a-z][a-z0-9-]{4,28}[a-z0-9])"
    r"(?:/(?P<database>\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9]))?/?"
)


def open_store(
    url: str, *, must_exist: bool = False, count: CountUsage = count_nothing
) -> Store:
    """Open the store at an address.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db` or
            `firestore://PROJECT[/DATABASE]`.
        must_exist: Fail rather than make a new one, or than wait for Firestore.
        count: Told of documents read and written, and of retries.

    Raises:
        StoreError: No such kind of store, or it can not be opened or does not answer.
    """
    firestore = _FIRESTORE.fullmatch(url)
    if firestore is not None:
        # A second to import, which those of SQLite need not spend.
        from store.firestore import FirestoreStore

        store = FirestoreStore(firestore["project"], firestore["database"], count=count)
        if must_exist:
            store.prepare()  # which only looks
        return store
    scheme, separator, path = url.partition("///")
    if scheme != "sqlite:" or not separator or not path:
        raise StoreError(f"no store at {url!r}: write {URL_FORMS}")
    from store.sqlite import SqliteStore

    return SqliteStore(Path(path), must_exist=must_exist)
