"""Photos in local folders and in Cloud Storage: listing and opening them."""

import dataclasses
import functools
import glob
import io
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from google.api_core.exceptions import GoogleAPIError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption
from google.cloud.storage.retry import DEFAULT_RETRY

from models.images import BadPhotoError
from store.records import in_trash
from transforms.announcements import file_time_s
from transforms.counters import count
from transforms.elements import LOCAL_BUCKET, UploadEvent

_GS = "gs://"
_BEGINNING_BYTES = 64 * 1024
# To connect, and then from one piece of the answer to the next.
_TIMEOUT_S = (10.0, 60.0)
# An outage makes the job wait. After so long it goes on with the other photos.
_RETRY = DEFAULT_RETRY.with_timeout(600.0).with_delay(maximum=20.0)
# Generations are stored in 64 bits: nanoseconds until the year 2262.
_GENERATIONS = 2**63


class ObjectGoneError(Exception):
    """Nothing of this name is there any more."""


class SupersededError(Exception):
    """A newer generation of the object took the place of this one."""


@dataclass(frozen=True)
class ListingError:
    """Something under an address that can not be listed."""

    path: str
    detail: str


def list_photos(address: str, user_id: str) -> Iterator[UploadEvent | ListingError]:
    """All files under an address, photos or not, page by page.

    What lies in a trash folder is not among them, whatever the address.

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


def is_there(event: UploadEvent) -> bool:
    """Whether an object or file of that name is there now, in whatever version.

    Raises:
        OSError: It can not be found out.
    """
    if event.bucket == LOCAL_BUCKET:
        return os.path.lexists(event.name)
    try:
        return storage_client().bucket(event.bucket).blob(event.name).exists()
    except (GoogleAPIError, GoogleAuthError) as err:
        raise OSError(f"Cloud Storage: {err}") from err


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
    if in_trash(os.path.join(folder, "")):
        return
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
    if in_trash(real):
        return
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
        if not (blob.name.endswith("/") or in_trash(blob.name)):
            yield UploadEvent(
                user_id=user_id,
                bucket=bucket,
                name=blob.name,
                generation=int(blob.generation),
                size_bytes=int(blob.size),
                updated_at_s=file_time_s(blob.time_created, blob.metadata),
            )


@functools.cache
def storage_client() -> storage.Client:
    """The process's only client; it may be used from several threads."""
    return storage.Client()


def read_photo(
    event: UploadEvent, check_format: Callable[[bytes], object], max_bytes: int
) -> tuple[bytes, UploadEvent]:
    """Read a photo at the event's generation.

    What passes in Cloud Storage is waited for, up to ten minutes.

    Args:
        event: Which photo.
        check_format: Called with the first bytes before the rest is read; what
            it raises ends the reading.
        max_bytes: Nothing larger is read, whatever the event says of its size.

    Returns:
        The bytes, and the event as it holds for them: a local file may have
        changed since it was listed, and then its present state counts.

    Raises:
        BadPhotoError: It is larger than `max_bytes`.
        ObjectGoneError: It was removed.
        SupersededError: It was overwritten.
        OSError: It can not be read.
    """
    if event.bucket == LOCAL_BUCKET:
        return _read_file(event, check_format, max_bytes)
    download = functools.partial(_download, event, check_format, max_bytes)
    try:
        return _RETRY(download, on_error=_count_retry)(), event
    except (GoogleAPIError, GoogleAuthError) as err:
        raise OSError(f"Cloud Storage: {err}") from err


def check_size(size_bytes: int, max_bytes: int) -> None:
    """Refuse a photo that would be too much to hold in memory.

    Raises:
        BadPhotoError: It is larger.
    """
    if size_bytes > max_bytes:
        raise BadPhotoError(
            f"too large: {size_bytes / 2**20:,.0f} MiB, "
            f"the limit is {max_bytes / 2**20:,.0f} MiB"
        )


def _read_file(
    event: UploadEvent, check_format: Callable[[bytes], object], max_bytes: int
) -> tuple[bytes, UploadEvent]:
    try:
        with open(event.name, "rb") as file:
            info = os.fstat(file.fileno())
            check_size(info.st_size, max_bytes)
            event = dataclasses.replace(
                event,
                generation=info.st_mtime_ns,
                size_bytes=info.st_size,
                updated_at_s=info.st_mtime,
            )
            check_format(os.pread(file.fileno(), _BEGINNING_BYTES, 0))
            return file.read(), event
    except FileNotFoundError as err:
        raise ObjectGoneError(event.path) from err


def _download(
    event: UploadEvent, check_format: Callable[[bytes], object], max_bytes: int
) -> bytes:
    bucket = storage_client().bucket(event.bucket)
    blob = bucket.blob(event.name, generation=event.generation)
    received = _Received(check_format, max_bytes)
    try:
        # In one request, so that the checksum of the whole is compared.
        blob.download_to_file(received, timeout=_TIMEOUT_S, retry=None)
    except NotFound as err:
        live = bucket.get_blob(event.name, timeout=_TIMEOUT_S, retry=None)
        if live is not None and live.generation > event.generation:
            raise SupersededError(event.path) from err
        raise ObjectGoneError(event.path) from err
    except DataCorruption as err:
        # On its way; the next try may fare better.
        raise ConnectionError(str(err)) from err
    # The answer tells; the emulator's does not, and may be of any generation.
    if blob.generation not in (None, event.generation):
        raise SupersededError(event.path)
    if received.tell() < _BEGINNING_BYTES:
        check_format(received.getvalue())
    return received.getvalue()


class _Received(io.BytesIO):
    """What has come of a download; its beginning decides whether the rest comes."""

    def __init__(self, check_format: Callable[[bytes], object], max_bytes: int) -> None:
        super().__init__()
        self._check_format = check_format
        self._max_bytes = max_bytes

    def write(self, chunk: bytes) -> int:  # type: ignore[override]
        before = self.tell()
        written = super().write(chunk)
        if before < _BEGINNING_BYTES <= self.tell():
            self._check_format(bytes(self.getbuffer()[:_BEGINNING_BYTES]))
        # More than its size may come of an object that is stored compressed.
        check_size(self.tell(), self._max_bytes)
        return written


def _count_retry(_: Exception) -> None:
    count("bucket_retries")
