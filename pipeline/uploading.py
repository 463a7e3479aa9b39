"""Backing photos up: each gets a name in the bucket, and none is ever replaced."""

import base64
import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import IO, Final, Literal

import google_crc32c
import requests
from google.api_core.exceptions import BadRequest, GoogleAPIError, PreconditionFailed
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage
from google.cloud.storage.exceptions import InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from PIL import Image

from models.images import BadPhotoError, check_format
from pipeline.local_files import LocalFile
from transforms.announcements import FILE_TIME_KEY
from transforms.buckets import ListingError

SHA256_KEY: Final = "sha256"
THREADS: Final = 8

# What Cloud Storage takes in one request. Larger files are sent in parts of this
# size, so that memory stays bounded whatever there is.
_AT_ONCE_BYTES: Final = 8 * 1024 * 1024
_BLOCK_BYTES: Final = 1024 * 1024
_BEGINNING_BYTES: Final = 64 * 1024
# How often a file that is being written meanwhile is read.
_TRIES: Final = 3
# Of the SHA-256, for the name of a photo whose own is taken; all of it if the
# first is taken too.
_HASH_DIGITS: Final = (8, 64)
# What may pass is tried again for so long; a repeated request does no harm, because
# an object has to be new.
_RETRY: Final = DEFAULT_RETRY.with_timeout(120.0)
# What the bucket, and not the file, is to blame for.
_CLOUD_ERRORS: Final = (
    GoogleAPIError,
    GoogleAuthError,
    InvalidResponse,
    requests.RequestException,
    ConnectionError,
)

Kind = Literal["uploaded", "renamed", "skipped", "not a photo", "failed"]


@dataclass(frozen=True, slots=True)
class Content:
    """What tells whether two photos are the same.

    Attributes:
        size_bytes: Encoded.
        crc32c: As Cloud Storage writes it: big-endian, base64.
        sha256: Hexadecimal; None of an object that others have put there.
    """

    size_bytes: int
    crc32c: str
    sha256: str | None

    def same_as(self, other: "Content | None") -> bool:
        return (
            other is not None
            and (self.size_bytes, self.crc32c) == (other.size_bytes, other.crc32c)
            and (None in (self.sha256, other.sha256) or self.sha256 == other.sha256)
        )


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes:
        path: Of the file.
        kind: "renamed" is uploaded, under another name because its own was taken.
        name: Of the object, without the bucket; "" if there is none.
        size_bytes: Uploaded.
        detail: Why it was not uploaded.
        at_bucket: It failed for a reason that other files may share.
    """

    path: str
    kind: Kind
    name: str = ""
    size_bytes: int = 0
    detail: str = ""
    at_bucket: bool = False


class Uploader:
    """Backs up the photos of one user; its methods may be called by several threads.

    Args:
        bucket: Where to.
        user_id: The owner.
        announce: Called with each object of a photo, new or there already.
    """

    def __init__(
        self,
        bucket: storage.Bucket,
        user_id: str,
        announce: Callable[[storage.Blob], None] | None = None,
    ) -> None:
        self._bucket = bucket
        self._prefix = f"users/{user_id}/photos/"
        self._announce = announce
        self._lock = threading.Lock()
        # Every name that is taken, also by an upload that is under way.
        self._taken: dict[str, Content] = {}

    def list_bucket(self) -> None:
        """Find out what is there; to be called first."""
        blobs = self._bucket.client.list_blobs(
            self._bucket,
            prefix=self._prefix,
            fields="items(name,size,crc32c,metadata),nextPageToken",
            retry=_RETRY,
        )
        for blob in blobs:
            self._taken[blob.name.removeprefix(self._prefix)] = _content_of(blob)

    def upload_all(
        self, files: Iterator[LocalFile | ListingError]
    ) -> Iterator[Outcome]:
        """Back up all of them, a few at a time, until the bucket fails too often.

        Args:
            files: Read no further than threads become free.
        """
        pool = ThreadPoolExecutor(THREADS)
        pending: set[Future[Outcome]] = set()
        failures_in_a_row = 0
        try:
            for file in files:
                if isinstance(file, ListingError):
                    yield Outcome(file.path, "failed", detail=file.detail)
                    continue
                pending.add(pool.submit(self.upload, file))
                if len(pending) < 2 * THREADS:
                    continue
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for outcome in (future.result() for future in done):
                    yield outcome
                    if outcome.at_bucket:
                        failures_in_a_row += 1
                    elif outcome.kind in ("uploaded", "renamed"):
                        failures_in_a_row = 0
                if failures_in_a_row >= THREADS:
                    break
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            # After Ctrl-C nobody waits for what is under way: it is there as a
            # whole or not at all.
            pool.shutdown(wait=False, cancel_futures=True)

    def upload(self, file: LocalFile) -> Outcome:
        """Back up one file, unless it is no photo or there already."""
        try:
            for _ in range(_TRIES):
                with open(file.path, "rb") as local:
                    outcome = self._upload(file, local)
                if outcome is not None:
                    return outcome
            return Outcome(file.path, "failed", detail="it changes while it is read")
        except BadPhotoError as err:
            return Outcome(file.path, "not a photo", detail=str(err))
        except _CLOUD_ERRORS as err:
            shared = not isinstance(err, BadRequest)
            return Outcome(file.path, "failed", detail=str(err), at_bucket=shared)
        except OSError as err:
            return Outcome(file.path, "failed", detail=err.strerror or str(err))

    def _upload(self, file: LocalFile, local: IO[bytes]) -> Outcome | None:
        """None if the file changed meanwhile."""
        mtime_ns, size_bytes = before = _version(local)
        format_ = check_format(local.read(_BEGINNING_BYTES))
        local.seek(0)
        # Read once, so that what is sent is what was looked at.
        at_once = size_bytes <= _AT_ONCE_BYTES
        stream = io.BytesIO(local.read(size_bytes)) if at_once else local
        content = _read_content(stream)
        if _version(local) != before:
            return None
        metadata = {
            SHA256_KEY: str(content.sha256),
            FILE_TIME_KEY: str(mtime_ns // 10**9),
        }
        try:
            return self._put(file, stream, content, Image.MIME[format_], metadata)
        except (ValueError, *_CLOUD_ERRORS):
            # A part that is not what it was, or missing: neither was it accepted.
            if _version(local) != before:
                return None
            raise

    def _put(
        self,
        file: LocalFile,
        stream: IO[bytes],
        content: Content,
        content_type: str,
        metadata: dict[str, str],
    ) -> Outcome:
        at_once = isinstance(stream, io.BytesIO)
        while True:
            name, is_there = self._choose(file.name, content)
            path = self._prefix + name
            if is_there:
                self._announce_again(path)
                return Outcome(file.path, "skipped", path)
            blob = self._bucket.blob(path, chunk_size=_AT_ONCE_BYTES)
            blob.metadata = metadata
            stream.seek(0)
            try:
                blob.upload_from_file(
                    stream,
                    size=content.size_bytes,
                    content_type=content_type,
                    if_generation_match=0,
                    # Either way Cloud Storage refuses other bytes. Of a file sent
                    # in parts the library would compare in the end too, and delete
                    # whatever has the name by then.
                    checksum="crc32c" if at_once else None,
                    crc32c_checksum_value=content.crc32c,
                    retry=_RETRY,
                )
            except PreconditionFailed:
                self._look_up(name)
                continue
            except BaseException:
                with self._lock:
                    del self._taken[name]
                raise
            if blob.crc32c != content.crc32c:
                raise OSError(f"it arrived damaged as {path}")
            if self._announce is not None:
                self._announce(blob)
            kind: Kind = "uploaded" if name == file.name else "renamed"
            return Outcome(file.path, kind, path, content.size_bytes)

    def _choose(self, name: str, content: Content) -> tuple[str, bool]:
        """The name for a photo, and whether it is there already.

        The others have its hash in them, so a second run finds it again.
        """
        stem, suffix = os.path.splitext(name)
        names = [name]
        names += [f"{stem}~{content.sha256:.{n}}{suffix}" for n in _HASH_DIGITS]
        with self._lock:
            for name in names:
                if content.same_as(self._taken.get(name)):
                    return name, True
            for name in names:
                if name not in self._taken:
                    self._taken[name] = content
                    return name, False
        raise OSError("other photos have all the names that it could have")

    def _look_up(self, name: str) -> None:
        """Note what somebody else has put there meanwhile."""
        blob = self._bucket.get_blob(self._prefix + name, retry=_RETRY)
        with self._lock:
            # What is gone again has no content that another could have.
            self._taken[name] = _content_of(blob) if blob else Content(-1, "", None)

    def _announce_again(self, path: str) -> None:
        """A run that was interrupted may not have come to it; repeats do no harm."""
        if self._announce is None:
            return
        blob = self._bucket.get_blob(path, retry=_RETRY)
        if blob is not None:
            self._announce(blob)


def _version(local: IO[bytes]) -> tuple[int, int]:
    info = os.fstat(local.fileno())
    return info.st_mtime_ns, info.st_size


def _content_of(blob: storage.Blob) -> Content:
    return Content(int(blob.size), blob.crc32c, (blob.metadata or {}).get(SHA256_KEY))


def _read_content(stream: IO[bytes]) -> Content:
    size_bytes, crc32c, sha256 = 0, google_crc32c.Checksum(), hashlib.sha256()
    while block := stream.read(_BLOCK_BYTES):
        size_bytes += len(block)
        crc32c.update(block)
        sha256.update(block)
    digest = base64.b64encode(crc32c.digest()).decode()
    return Content(size_bytes, digest, sha256.hexdigest())
