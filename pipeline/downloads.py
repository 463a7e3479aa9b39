"""Fetching one published file: resumed, retried, and whole or not there at all."""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import responses
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import requests
import urllib3

from pipeline.known_weights import PublishedFile

# A try that brought this much counts as the first, so that a large file arrives
# over a line that breaks now and then, and a server can not keep us for ever.
_PROGRESS_BYTES: Final = 1 << 20
_BLOCK_BYTES: Final = 1 << 16
_PASSING_STATUS: Final = (408, 425, 429)  # and all from 500
_PASSING: Final = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
)
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Patience:
    """When to give up.

    Attributes:
        tries: How often in a row an address may fail; by default the waits between
            them are 7 s.
        timeout_s: How long it may take to connect, and until more bytes come.
        wait_s: Waited before the second try; twice as long before each further one.
        longest_wait_s: Waited at most, whatever the server asks for.
    """

    tries: int = 4
    timeout_s: float = 15.0
    wait_s: float = 1.0
    longest_wait_s: float = 30.0


class DownloadError(Exception):
    """The file does not come from where it is published; the text says why."""


class _PassingError(Exception):
    """The same for the moment: the next try may succeed."""

    def __init__(self, text: str, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.wait_s = wait_s


def fetch(
    file: PublishedFile,
    folder: Path,
    *,
    tell: Callable[[str], None],
    on_bytes: Callable[[int], None],
    patience: Patience = Patience(),
) -> bool:
    """Put a published file into a folder, unless it is there.

    What has arrived is kept in `NAME.part`, from which this or a later call goes
    on; `NAME` appears when all of it is there and its digest is right. If-Range
    is not used: the digest tells better whether two parts belong together.

    Args:
        file: Which.
        folder: Where to; made if it is missing.
        tell: Called with a line about each trouble that is being dealt with.
        on_bytes: Called with the number of bytes that are there so far.
        patience: When to give up.

    Returns:
        Whether it was fetched; False if it was there.

    Raises:
        DownloadError: It can not be fetched from any of its addresses.
        FileExistsError: Something else has its name; it is left alone.
        OSError: The folder can not be written.
    """
    target = folder / file.name
    if _is_there(target, file):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / f"{file.name}.part", tell) as part:
        # The process that had the lock may have fetched it.
        if _is_there(target, file):
            return False
        _check_room(folder, file.size_bytes - _size(part))
        download = _Download(file, part, tell, on_bytes, patience)
        for number, url in enumerate(file.urls, start=1):
            try:
                download.from_address(url)
                break
            except DownloadError as err:
                if number == len(file.urls):
                    raise
                tell(f"{err}; trying {_host(file.urls[number])}")
        os.fsync(part.fileno())
        os.replace(part.name, target)
    return True


def _is_there(path: Path, file: PublishedFile) -> bool:
    if not path.exists():
        return False
    with path.open("rb") as there:
        if _is_right(there, file):
            return True
    # It may be somebody's own training.
    raise FileExistsError(
        errno.EEXIST, "another file of this name is there; move it away", str(path)
    )


def _is_right(there: BufferedReader | BufferedRandom, file: PublishedFile) -> bool:
    there.seek(0)
    return (
        _size(there) == file.size_bytes
        and hashlib.file_digest(there, "sha256").hexdigest() == file.sha256
    )


@contextmanager
def _locked(path: Path, tell: Callable[[str], None]) -> Iterator[BufferedRandom]:
    """Open a file that only one process at a time adds to; leave none empty."""
    while True:
        with path.open("a+b") as part:
            try:
                fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                tell(f"another process is fetching {path.stem}; waiting for it")
                fcntl.flock(part, fcntl.LOCK_EX)
            if not _is_at(part, path):
                continue  # the one that had the lock gave it its final name
            try:
                yield part
            finally:
                if _is_at(part, path) and not _size(part):
                    path.unlink()
            return


def _is_at(file: BufferedRandom, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _size(file: BufferedReader | BufferedRandom) -> int:
    return os.fstat(file.fileno()).st_size


def _check_room(folder: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        text = f"{needed_bytes / 1e6:,.1f} MB needed, {free_bytes / 1e6:,.1f} MB free"
        raise OSError(errno.ENOSPC, text, str(folder))


@dataclass(frozen=True)
class _Download:
    file: PublishedFile
    part: BufferedRandom
    tell: Callable[[str], None]
    on_bytes: Callable[[int], None]
    patience: Patience

    def from_address(self, url: str) -> None:
        """Make the part whole and right."""
        problem = f"{self.file.name} from {_host(url)} has the wrong SHA-256"
        # Once more, because what it was added to may have been wrong.
        for last in (False, True):
            self._fill(url)
            if _is_right(self.part, self.file):
                return
            self.part.truncate(0)
            if not last:
                self.tell(f"{problem}; fetching all of it again")
        raise DownloadError(problem)

    def _fill(self, url: str) -> None:
        """Add what is missing, in as many tries as patience allows."""
        failures = 0
        while (before := _size(self.part)) < self.file.size_bytes:
            try:
                self._receive(url, before)
            except _PassingError as err:
                if _size(self.part) - before >= _PROGRESS_BYTES:
                    failures = 0
                failures += 1
                if failures >= self.patience.tries:
                    raise DownloadError(str(err)) from err
                wait_s = max(self.patience.wait_s * 2 ** (failures - 1), err.wait_s)
                wait_s = min(wait_s, self.patience.longest_wait_s)
                again = f"try {failures + 1} of {self.patience.tries} in {wait_s:.0f} s"
                self.tell(f"{err}; {again}")
                time.sleep(wait_s)

    def _receive(self, url: str, have: int) -> None:
        """Ask once for what is missing, and add what comes."""
        # Compressed, the length would be another. Some hosts refuse the library's
        # own name.
        headers = {"Accept-Encoding": "identity", "User-Agent": "piccl"}
        if have:
            headers["Range"] = f"bytes={have}-"
        size, timeout_s, answered = self.file.size_bytes, self.patience.timeout_s, False
        try:
            with requests.get(
                url, headers=headers, stream=True, timeout=timeout_s
            ) as response:
                answered = True
                there = _check_answer(response, have, self.file)
                if there != have:
                    self.part.truncate(there)
                for block in response.iter_content(_BLOCK_BYTES):
                    there += len(block)
                    if there > size:
                        raise DownloadError(
                            f"{_host(url)} sends more than the {size:,} bytes of "
                            f"{self.file.name}"
                        )
                    self.part.write(block)
                    self.on_bytes(there)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as err:
            raise _explained(err, url, answered=answered) from err
        finally:
            self.part.flush()
        if there < size:
            raise _PassingError(f"{_host(url)} broke off {size - there:,} bytes early")


def _check_answer(response: requests.Response, have: int, file: PublishedFile) -> int:
    """Where in the file the body begins."""
    where, status = _host(response.url), response.status_code
    if status in _PASSING_STATUS or status >= 500:
        asked = response.headers.get("Retry-After", "")
        raise _PassingError(
            f"{where} answers {status} {responses.get(status, '')}",
            float(asked) if asked.isdecimal() else 0.0,
        )
    if status not in (200, 206):
        raise DownloadError(
            f"{where} answers {status} {responses.get(status, '')} for {file.name}"
        )
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise DownloadError(f"{where} sends {file.name} compressed, unasked")
    start, total = 0, file.size_bytes
    if status == 206:
        given = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if given is None or int(given[1]) != have:
            raise DownloadError(f"{where} sends another part of {file.name} than asked")
        start = have
        if given[2] != "*":
            total = int(given[2])
    length = response.headers.get("Content-Length", "")
    if total == file.size_bytes and length.isdecimal():
        total = start + int(length)
    if total != file.size_bytes:
        raise DownloadError(
            f"{where} offers {total:,} bytes as {file.name}, which has "
            f"{file.size_bytes:,}"
        )
    return start


def _explained(err: Exception, url: str, *, answered: bool) -> Exception:
    """What a failed request means, in a few words."""
    where, causes = _host(url), list(_causes(err))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return DownloadError(
                f"can not trust {where}: {cause.verify_message} "
                "(REQUESTS_CA_BUNDLE names a file of further certificates)"
            )
    # The innermost one says why; the library's own wrap it in their names.
    reason = str(causes[-1]) or type(causes[-1]).__name__
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            reason = cause.strerror
    # A server may have a say in it.
    reason = "".join(c for c in reason if c.isprintable())
    if isinstance(err, requests.exceptions.ProxyError):
        return DownloadError(f"can not reach {where} through the proxy: {reason}")
    if not isinstance(err, _PASSING):
        return DownloadError(f"can not fetch from {where}: {reason}")
    if answered:
        return _PassingError(f"{where} broke off: {reason}")
    return _PassingError(f"can not reach {where}: {reason}")


def _causes(err: BaseException | None) -> Iterator[BaseException]:
    while err is not None:
        yield err
        err = err.__cause__ or err.__context__


def _host(url: str) -> str:
    """Without what may be secret in an address."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2]
