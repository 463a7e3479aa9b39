"""Files in local folders: into the trash, back, and away for good."""

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from typing import BinaryIO, Final

from store.records import TrashedFile
from trash.entries import Entry, MoveRefusedError

# How file systems without hard links answer, and Linux where a link to a file of
# somebody else is asked for.
_NO_LINKS: Final = (
    errno.EPERM,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EMLINK,
)
# Nothing can be at such a path: in place of a folder is a file, or it is too long.
_NOTHING: Final = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
# Another command may remove the empty folder that is just about to be used.
_TRIES: Final = 5
_CHANGED: Final = "it changed since it was judged; `piccl backfill` looks at it again"


class LocalFiles:
    """See `Place`."""

    @contextmanager
    def alone(self, path: str) -> Iterator[None]:
        folder = os.path.dirname(path)
        if not os.path.isdir(folder):
            raise MoveRefusedError(_no_folder(folder))
        with _refused(f"can not open {folder}"):
            descriptor = os.open(folder, os.O_RDONLY)
        try:
            # Some network file systems lock no folders.
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def list_folder(self, folder: str) -> Sequence[Entry]:
        with _refused(f"can not list {folder}"), os.scandir(folder) as entries:
            names = [one.path for one in entries if one.is_file(follow_symlinks=False)]
        return [entry for path in names if (entry := self.look(path)) is not None]

    def look(self, path: str) -> Entry | None:
        with _refused("can not look at it"):
            info = _lstat(path)
        if info is None or not stat.S_ISREG(info.st_mode):
            return None
        return Entry(path, info.st_mtime_ns, info.st_size, info.st_mtime)

    def open_beginning(self, path: str) -> BinaryIO:
        return open(path, "rb")

    def sha256(self, entry: Entry) -> str:
        with _refused("can not be read"), _opened(entry.path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def write_info(self, path: str, info: bytes) -> None:
        with _refused("can not write into the trash"):
            _write(path, info)

    def move(self, file: TrashedFile) -> None:
        with _refused("can not be moved"):
            _finish_leaving(file)
            source, target = _lstat(file.path), _lstat(file.trash_path)
            if target is not None:
                _check_same(target, file, "something else is in the trash by its name")
                # What is new in its place is another photo.
                if source is not None and os.path.samestat(source, target):
                    _leave(file)
                return
            if source is None:
                raise MoveRefusedError("it is gone")
            _move(file)
            # Whoever had it open may have written to it until it had no name.
            _check_same(os.lstat(file.trash_path), file, _CHANGED)

    def check_back(self, file: TrashedFile) -> None:
        with _refused("can not look at it"):
            lies, there = _lstat(file.trash_path), _lstat(file.path)
            if lies is None and (there is None or not _is_copy(file.path, file)):
                raise MoveRefusedError(_missing(file))
            if lies is not None and there is not None:
                _check_free(lies, there, file)

    def move_back(self, file: TrashedFile) -> int:
        with _refused("can not be moved back"):
            _finish_leaving(file)
            lies, there = _lstat(file.trash_path), _lstat(file.path)
            if lies is not None and there is None:
                _place(file.trash_path, file.path)
            elif lies is not None and there is not None:
                _check_free(lies, there, file)
                # The same bytes are back already, by a name or as a copy.
                _unlink(file.trash_path)
            elif there is None and not os.path.isdir(os.path.dirname(file.trash_path)):
                raise MoveRefusedError(_missing(file))
            there = _lstat(file.path)
            if there is not None and _is_copy(file.path, file):
                return there.st_mtime_ns
            return file.generation

    def check_delete(self, file: TrashedFile) -> None:
        with _refused("can not look at it"):
            lies = _lstat(file.trash_path)
            if lies is not None:
                _check_same(lies, file, "what is in the trash was changed there")
            elif not os.path.isdir(os.path.dirname(file.path)):
                raise MoveRefusedError(_missing(file))

    def delete(self, path: str) -> None:
        with _refused("can not be deleted"):
            _unlink(path)

    def tidy(self, trash_path: str) -> None:
        run = os.path.dirname(trash_path)
        for folder in (run, os.path.dirname(run)):
            with suppress(OSError):
                os.rmdir(folder)


@contextmanager
def _refused(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise MoveRefusedError(f"{what}: {err.strerror or err}") from err


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError as err:
        if err.errno in _NOTHING:
            return None
        raise


@contextmanager
def _opened(path: str) -> Iterator[BufferedReader]:
    # It must not hang on a pipe, nor follow a link that took the photo's place.
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise MoveRefusedError("it is no ordinary file any more")
        yield file


def _check_same(info: os.stat_result, file: TrashedFile, why: str) -> None:
    same = (info.st_mtime_ns, info.st_size) == (file.generation, file.bytes)
    if not (stat.S_ISREG(info.st_mode) and same):
        raise MoveRefusedError(why)


def _is_copy(path: str, file: TrashedFile) -> bool:
    """Whether a file has the very bytes, whenever it was put there."""
    info = os.lstat(path)
    if not stat.S_ISREG(info.st_mode) or info.st_size != file.bytes:
        return False
    with _opened(path) as there:
        return hashlib.file_digest(there, "sha256").hexdigest() == file.sha256


def _check_free(lies: os.stat_result, there: os.stat_result, file: TrashedFile) -> None:
    if os.path.samestat(lies, there):
        return
    if not (_is_copy(file.path, file) and _is_copy(file.trash_path, file)):
        raise MoveRefusedError(
            f"another file has its name now; it stays in the trash: {file.trash_path}"
        )


def _missing(file: TrashedFile) -> str:
    folder = os.path.dirname(file.path)
    if not os.path.isdir(folder):
        return _no_folder(folder)
    return f"it is neither in the trash nor in its place: {file.trash_path}"


def _no_folder(folder: str) -> str:
    return (
        f"there is no folder {folder} now: is its disk plugged in? If it was deleted, "
        "or has another name now, make a folder of that name"
    )


def _move(file: TrashedFile) -> None:
    if os.path.realpath(file.path) != file.path:
        raise MoveRefusedError("its folder is a link now, or leads through one")
    with _opened(file.path) as photo:
        _check_same(os.fstat(photo.fileno()), file, _CHANGED)
        if hashlib.file_digest(photo, "sha256").hexdigest() != file.sha256:
            raise MoveRefusedError(_CHANGED)
        linked = _link(file.path, file.trash_path)
        moved = os.lstat(file.trash_path)
        # Saved while it was read, or replaced before it was moved.
        if not os.path.samestat(os.fstat(photo.fileno()), moved) or (
            moved.st_mtime_ns,
            moved.st_size,
        ) != (file.generation, file.bytes):
            _place(file.trash_path, file.path)
            raise MoveRefusedError(_CHANGED)
    if linked:
        _sync_folder(os.path.dirname(file.trash_path))
        _leave(file)


def _link(source: str, target: str) -> bool:
    """Give a file a second name; False if it could only be moved there.

    An existing target is refused.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as err:
        if err.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "something is there", target) from err
        os.rename(source, target)
        return False
    return True


def _place(source: str, target: str) -> None:
    """Move what nobody else touches to a place where nothing is, or the same file."""
    there = _lstat(target)
    if there is not None and os.path.samestat(there, os.lstat(source)):
        _unlink(source)
    elif _link(source, target):
        _sync_folder(os.path.dirname(target))
        _unlink(source)


def _leave(file: TrashedFile) -> None:
    """Take away the first name of a file that has its second.

    Between a look at what has the name and its removal somebody might save another
    photo by it; so it is moved aside at first, whatever it is.
    """
    with suppress(FileNotFoundError):  # another command did it
        os.rename(file.path, _aside(file))
    _finish_leaving(file)


def _finish_leaving(file: TrashedFile) -> None:
    aside = _aside(file)
    left = _lstat(aside)
    if left is None:
        return
    moved = _lstat(file.trash_path)
    if moved is not None and os.path.samestat(left, moved):
        _unlink(aside)
    else:
        _place(aside, file.path)


def _aside(file: TrashedFile) -> str:
    # Names may be as long as they can be already.
    name = hashlib.sha256(os.fsencode(file.path)).hexdigest()[:16]
    return os.path.join(os.path.dirname(file.trash_path), f"leaving-{name}")


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError as err:
        if err.errno not in _NOTHING:
            raise


def _write(path: str, info: bytes) -> None:
    for tries_left in reversed(range(_TRIES)):
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(info)
                file.flush()
                os.fsync(file.fileno())
            _sync_folder(os.path.dirname(path))
        except FileNotFoundError:
            if not tries_left:
                raise
        else:
            return


def _sync_folder(folder: str) -> None:
    """Have what was named in a folder survive a power cut, where it can be asked."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
