"""Photos in local folders and in Cloud Storage: listing and opening them."""

import dataclasses
import functools
import glob
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from google.api_core.exceptions import GoogleAPIError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage

from transforms.elements import LOCAL_BUCKET, UploadEvent

_GS = "gs://"
# One request fetches most photos whole, and little of a video.
_CHUNK_BYTES = 8 * 1024 * 1024
_BEGINNING_BYTES = 64 * 1024
# Generations are stored in 64 bits: nanoseconds until the year 2262.
_GENERATIONS = 2**63


class ObjectGoneError(Exception):
    """The object, or this generation of it, is not there any more."""


@dataclass(frozen=True)
class ListingError:
    """Something under an address that can not be listed."""

    path: str
    detail: str


def list_photos(address: str, user_id: str) -> Iterator[UploadEvent | ListingError]:
    """All files under an address, photos or not, page by page.

    Args:
        address: A file, a folder (searched recursively, links to folders are
            not followed), a glob (`**` for any depth), or `gs://bucket/prefix`.
        user_id: The owner of all of them.
    """
    if address.startswith(_GS):
        yield from _list_bucket(address, user_id)
    elif os.path.isdir(address):
        yield from _list_folder(os.path.realpath(address), user_id)
    else:
        yield from _list_pattern(address, user_id)


def is_pattern(address: str) -> bool:
    """Whether an address is a glob; a name may contain a bracket without being one."""
    if address.startswith(_GS):
        return "*" in address or "?" in address
    return glob.has_magic(address) and not os.path.lexists(address)


def folder_prefix(address: str) -> str | None:
    """What the paths of all photos in a folder begin with; None if it is none."""
    if address.startswith(_GS):
        if is_pattern(address):
            return None
        # A bucket's name must not match the beginning of another's.
        return address if "/" in address.removeprefix(_GS) else f"{address}/"
    return (
        os.path.join(os.path.realpath(address), "") if os.path.isdir(address) else None
    )


def _list_pattern(address: str, user_id: str) -> Iterator[UploadEvent | ListingError]:
    if not is_pattern(address):
        yield from _list_file(address, user_id)
        return
    # Unlike `glob`, pathlib does not follow links to folders, which may lead
    # back to where they are.
    root = Path(Path(address).anchor)
    pattern = Path(address).relative_to(root)
    if pattern.name == "**":
        pattern /= "*"
    try:
        for path in root.glob(str(pattern)):
            if not path.is_dir():
                yield from _list_file(str(path), user_id)
            elif "**" not in pattern.parts:
                yield from _list_folder(os.path.realpath(path), user_id)
    except ValueError as err:
        raise OSError(f"{address} is no pattern: {err}") from err


def _list_folder(folder: str, user_id: str) -> Iterator[UploadEvent | ListingError]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as err:
        yield ListingError(_shown(folder), f"can not list the folder: {err.strerror}")
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _list_folder(entry.path, user_id)
        # Unlike `entry.is_dir()` it raises nothing for a link to itself.
        elif not os.path.isdir(entry.path):
            yield from _list_file(entry.path, user_id)


def _list_file(path: str, user_id: str) -> Iterator[UploadEvent | ListingError]:
    # One name a file, or the same photo would be there twice.
    real = os.path.realpath(path)
    try:
        real.encode()
        info = os.stat(real)
    except UnicodeEncodeError:
        yield ListingError(_shown(path), "the file name is not valid UTF-8; rename it")
    except OSError as err:
        yield ListingError(_shown(path), f"can not look at the file: {err.strerror}")
    else:
        if not stat.S_ISREG(info.st_mode):
            return
        if abs(info.st_mtime_ns) >= _GENERATIONS:
            yield ListingError(real, "the file's time is out of range; touch it")
        else:
            yield UploadEvent(
                user_id=user_id,
                bucket=LOCAL_BUCKET,
                name=real,
                generation=info.st_mtime_ns,
                size_bytes=info.st_size,
                updated_at_s=info.st_mtime,
            )


def _shown(path: str) -> str:
    """What can be written of a path whose bytes are not valid UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _list_bucket(address: str, user_id: str) -> Iterator[UploadEvent]:
    try:
        yield from _list_blobs(address, user_id)
    except (GoogleAPIError, GoogleAuthError) as err:
        raise OSError(f"can not list {address}: {err}") from err


def _list_blobs(address: str, user_id: str) -> Iterator[UploadEvent]:
    bucket, _, name = address.removeprefix(_GS).partition("/")
    pattern = {"match_glob": name} if is_pattern(address) else {"prefix": name}
    for blob in storage_client().list_blobs(bucket, **pattern):
        # Consoles make an empty object to show a folder.
        if not blob.name.endswith("/"):
            yield UploadEvent(
                user_id=user_id,
                bucket=bucket,
                name=blob.name,
                generation=int(blob.generation),
                size_bytes=int(blob.size),
                updated_at_s=blob.time_created.timestamp(),
            )


@functools.cache
def storage_client() -> storage.Client:
    """The process's only client; it may be used from several threads."""
    return storage.Client()


def read_photo(
    event: UploadEvent, check_format: Callable[[bytes], None]
) -> tuple[bytes, UploadEvent]:
    """Read a photo at the event's generation.

    Args:
        event: Which photo.
        check_format: Called with the first bytes before the rest is read; what
            it raises ends the reading.

    Returns:
        The bytes, and the event as it holds for them: a local file may have
        changed since it was listed, and then its present state counts.

    Raises:
        ObjectGoneError: It was removed or superseded.
        OSError: It can not be read.
    """
    try:
        with _opened(event) as file:
            if event.bucket == LOCAL_BUCKET:
                info = os.fstat(file.fileno())
                event = dataclasses.replace(
                    event,
                    generation=info.st_mtime_ns,
                    size_bytes=info.st_size,
                    updated_at_s=info.st_mtime,
                )
                check_format(os.pread(file.fileno(), _BEGINNING_BYTES, 0))
                return file.read(), event
            beginning = file.read(_BEGINNING_BYTES)
            check_format(beginning)
            # Going back to the start would cost a request for the object's size.
            return beginning + file.read(), event
    except (FileNotFoundError, NotFound) as err:
        raise ObjectGoneError(event.path) from err
    except GoogleAPIError as err:
        raise OSError(f"Cloud Storage: {err}") from err


def _opened(event: UploadEvent) -> IO[bytes]:
    if event.bucket == LOCAL_BUCKET:
        return open(event.name, "rb")
    bucket = storage_client().bucket(event.bucket)
    blob = bucket.blob(event.name, generation=event.generation)
    return cast(IO[bytes], blob.open("rb", chunk_size=_CHUNK_BYTES))
