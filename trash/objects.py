"""Objects in buckets: into the trash, back, and away for good.

Cloud Storage has no move: an object is copied there and then deleted. Each request
names the generation it is meant for, and each is looked at before as well.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from store.records import TrashedFile
from trash.entries import Entry, MoveRefusedError

if TYPE_CHECKING:
    from google.cloud.storage import Blob

# As `gcloud storage cp -P` writes it and `transforms.announcements` reads it.
_FILE_TIME_KEY: Final = "goog-reserved-file-mtime"
# At once of what is read: cameras write the time before the pixels.
_CHUNK_BYTES: Final = 256 * 1024
# What a copy gets only if it is asked for together.
_KEPT: Final = (
    "cache_control",
    "content_disposition",
    "content_encoding",
    "content_language",
    "content_type",
    "custom_time",
    "storage_class",
)
_CHANGED: Final = "it changed since it was judged; it is analysed again when seen next"


class Objects:
    """See `Place`.

    Args:
        client: Gives a client of Cloud Storage, which is asked for when needed.
    """

    def __init__(self, client: Callable[[], Any]) -> None:
        self._client = client

    def alone(self, path: str) -> AbstractContextManager[None]:
        # There is no lock, but `move_back` makes a generation of its own.
        return nullcontext()

    def list_folder(self, folder: str) -> Sequence[Entry]:
        bucket, prefix = _parts(f"{folder}/")
        with _refused(f"can not list {folder}"):
            return [
                _entry(blob)
                for blob in self._client().list_blobs(
                    bucket, prefix=prefix, delimiter="/"
                )
            ]

    def look(self, path: str) -> Entry | None:
        with _refused("can not look at it"):
            blob = self._get(path)
        return None if blob is None else _entry(blob)

    def open_beginning(self, path: str) -> BinaryIO:
        try:
            with _refused("can not be read"):
                reader: BinaryIO = self._blob(path).open("rb", chunk_size=_CHUNK_BYTES)
                return reader
        except MoveRefusedError as err:
            raise OSError(str(err)) from err

    def sha256(self, entry: Entry) -> str:
        return ""

    def write_info(self, path: str, info: bytes) -> None:
        with _refused("can not write into the trash"):
            self._blob(path).upload_from_string(info, "application/json")

    def move(self, file: TrashedFile) -> None:
        with _refused("can not be moved"):
            source, target = self._get(file.path), self._get(file.trash_path)
            is_judged = source is not None and source.generation == file.generation
            if target is None:
                if source is None:
                    raise MoveRefusedError("it is gone")
                if not is_judged or source.size != file.bytes:
                    raise MoveRefusedError(_CHANGED)
                self._copy(source, file.trash_path)
            elif target.size != file.bytes or (
                is_judged and source.crc32c != target.crc32c
            ):
                raise MoveRefusedError("something else is in the trash by its name")
            elif is_judged:
                _keep_time(source, target)
            if is_judged:
                _delete(source)

    def check_back(self, file: TrashedFile) -> None:
        with _refused("can not look at it"):
            lies, there = self._get(file.trash_path), self._get(file.path)
            if lies is None and not _is_copy(there, file):
                raise MoveRefusedError(
                    f"it is neither in the trash nor in its place: {file.trash_path}"
                )
            if lies is not None and there is not None:
                _check_free(lies, there, file)

    def move_back(self, file: TrashedFile) -> int:
        with _refused("can not be moved back"):
            lies, there = self._get(file.trash_path), self._get(file.path)
            if lies is None:
                back = there if _is_copy(there, file) else None
                return file.generation if back is None else int(back.generation)
            if there is not None:
                _check_free(lies, there, file)
            # Also where it is back already: another command may be about to delete
            # that generation, because it is in the trash as well.
            back = self._copy(lies, file.path, there)
            _delete(lies)
            return int(back.generation)

    def check_delete(self, file: TrashedFile) -> None:
        with _refused("can not look at it"):
            lies = self._get(file.trash_path)
        if lies is not None and lies.size != file.bytes:
            raise MoveRefusedError("what is in the trash was changed there")

    def delete(self, path: str) -> None:
        with _refused("can not be deleted"):
            blob = self._get(path)
            if blob is not None:
                _delete(blob)

    def tidy(self, trash_path: str) -> None:
        """Buckets have no folders."""

    def _blob(self, path: str) -> "Blob":
        bucket, name = _parts(path)
        return self._client().bucket(bucket).blob(name)

    def _get(self, path: str) -> Any:
        bucket, name = _parts(path)
        return self._client().bucket(bucket).get_blob(name)

    def _copy(self, source: "Blob", path: str, there: "Blob | None" = None) -> "Blob":
        """Copy to where that or nothing is, with all that is known of the object."""
        target = self._blob(path)
        expected = 0 if there is None else there.generation
        for name in _KEPT:
            value = getattr(source, name)
            if value is not None:
                setattr(target, name, value)
        target.metadata = _metadata(source)
        token, _, _ = target.rewrite(
            source,
            if_generation_match=expected,
            if_source_generation_match=source.generation,
        )
        while token is not None:
            token, _, _ = target.rewrite(
                source,
                token=token,
                if_generation_match=expected,
                if_source_generation_match=source.generation,
            )
        _keep_time(source, target)
        return target


@contextmanager
def _refused(what: str) -> Iterator[None]:
    from google.api_core.exceptions import GoogleAPIError, PreconditionFailed
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    try:
        yield
    except PreconditionFailed as err:
        raise MoveRefusedError(f"{what}: it changed meanwhile") from err
    except (GoogleAPIError, GoogleAuthError, RequestException) as err:
        raise MoveRefusedError(f"{what}: Cloud Storage: {err}") from err


def _parts(path: str) -> tuple[str, str]:
    bucket, _, name = path.removeprefix("gs://").partition("/")
    return bucket, name


def _entry(blob: Any) -> Entry:
    return Entry(
        f"gs://{blob.bucket.name}/{blob.name}",
        int(blob.generation),
        int(blob.size),
        _changed_at_s(blob),
    )


def _changed_at_s(blob: Any) -> float:
    try:
        return float((blob.metadata or {})[_FILE_TIME_KEY])
    except (KeyError, ValueError):
        return float(blob.time_created.timestamp())


def _metadata(source: Any) -> dict[str, str]:
    """With the time that a photo without EXIF is dated by: a copy is made now."""
    at_s = f"{source.time_created.timestamp():.6f}"
    return {_FILE_TIME_KEY: at_s} | dict(source.metadata or {})


def _keep_time(source: Any, target: Any) -> None:
    if _FILE_TIME_KEY not in (target.metadata or {}):
        target.metadata = _metadata(source)
        target.patch()


def _delete(blob: Any) -> None:
    from google.api_core.exceptions import NotFound, PreconditionFailed

    # Gone already, or a newer one came, which is to stay.
    with suppress(NotFound, PreconditionFailed):
        blob.delete(if_generation_match=blob.generation)


def _is_copy(blob: Any, file: TrashedFile) -> bool:
    if blob is None or blob.size != file.bytes:
        return False
    if int(blob.generation) == file.generation or not file.sha256:
        return True
    # A blob takes over what the answer to a download tells of it, and lacks.
    version = blob.bucket.blob(blob.name, generation=blob.generation)
    return hashlib.sha256(version.download_as_bytes()).hexdigest() == file.sha256


def _check_free(lies: Any, there: Any, file: TrashedFile) -> None:
    if (lies.size, lies.crc32c) != (there.size, there.crc32c):
        raise MoveRefusedError(
            f"another object has its name now; it stays in the trash: {file.trash_path}"
        )
