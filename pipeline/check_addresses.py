"""Looking at whose photos a command is of, and at where they are, before it starts."""

import os
from collections.abc import Sequence

from pipeline.errors import UsageError


def check_user(user_id: str) -> None:
    """Refuse what can not be a user's id in either store.

    Raises:
        UsageError: It can not.
    """
    from store.records import valid_user_id

    if not valid_user_id(user_id):
        raise UsageError(
            f"--user {user_id!r}: a user's id is 1 to 128 characters without "
            "spaces and slashes"
        )


def check_addresses(addresses: Sequence[str], user_id: str, *, prune: bool) -> None:
    """Refuse addresses under which there is nothing, before a job starts.

    Raises:
        UsageError: One is missing, empty or can not be listed.
    """
    from transforms.buckets import folder_prefix, is_pattern

    for address in addresses:
        is_bucket = address.startswith("gs://")
        if not (is_bucket or is_pattern(address) or os.path.lexists(address)):
            raise UsageError(f"no such file or folder: {address}")
        if prune and folder_prefix(address) is None:
            raise UsageError(f"--prune compares whole folders; {address} is not one")
        if os.path.isfile(address) and not os.access(
            address, os.R_OK, effective_ids=True
        ):
            raise UsageError(f"can not read {address}: no permission")
        _check_not_empty(address, user_id)


def _check_not_empty(address: str, user_id: str) -> None:
    from transforms.buckets import ListingError, list_photos

    problem = "nothing is there"
    try:
        for found in list_photos(address, user_id):
            if not isinstance(found, ListingError):
                return
            problem = f"{found.path}: {found.detail}"
    except OSError as err:
        problem = str(err)
    raise UsageError(f"no photos at {address}: {problem}")
