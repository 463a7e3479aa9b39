"""Which files to back up, and what they are called in the bucket."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from transforms.buckets import ListingError, is_pattern, list_photos


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to back up.

    Attributes:
        path: Absolute.
        name: What it is called in the bucket, below the user's photos.
    """

    path: str
    name: str


def named_files(
    addresses: Sequence[str], user_id: str
) -> Iterator[LocalFile | ListingError]:
    """All files under local addresses, each once, photos or not.

    Args:
        addresses: Files are named by their base name, those in a folder by the
            folder's own name and the path in it. What a glob matches is named as
            if it had been typed.
        user_id: The owner of all of them.
    """
    seen = set()
    for address in (match for given in addresses for match in _matches(given)):
        folder = os.path.realpath(address) if os.path.isdir(address) else None
        for found in list_photos(address, user_id):
            if isinstance(found, ListingError):
                yield found
            elif found.name not in seen:
                seen.add(found.name)
                yield LocalFile(found.name, _name(found.name, folder))


def _matches(address: str) -> Sequence[str]:
    # `**` matches folders along with all that is in them; files are all it means.
    if not is_pattern(address) or "**" in Path(address).parts:
        return [address]
    return sorted(glob.glob(address, include_hidden=True))


def _name(path: str, folder: str | None) -> str:
    if folder is None:
        return os.path.basename(path)
    # A link in the folder may lead to a file elsewhere.
    inside = path.startswith(os.path.join(folder, ""))
    below = os.path.relpath(path, folder) if inside else os.path.basename(path)
    return os.path.join(os.path.basename(folder), below)
