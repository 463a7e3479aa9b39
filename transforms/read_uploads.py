"""The backfill's end of the graph: a listing instead of announcements."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, TypeAlias

import apache_beam as beam
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput

from transforms.buckets import ListingError, folder_prefix, is_there, list_photos
from transforms.counters import count, timed_each
from transforms.dead_letters import DEAD, DeadOutput, dead_letter
from transforms.elements import LOCAL_BUCKET, DeadLetter, UploadEvent
from transforms.store_dofn import StoreDoFn

FOLDERS: Final = "folders"
_FolderOutput: TypeAlias = TaggedOutput[Literal["folders"], str]

# A folder that shows none of these may be an unplugged disk's, whatever else is
# in it. Only pruning goes by names.
_PHOTO_SUFFIXES: Final = (
    ".jpg",
    ".jpeg",
    ".png",
    ".webp",
    ".heic",
    ".heif",
    ".gif",
    ".tif",
    ".tiff",
    ".bmp",
)


class ListUploads(beam.PTransform):
    """Addresses -> `uploads`: UploadEvent; `folders`: str; `dead`: DeadLetter.

    `folders` are the prefixes of the paths in those folders that are not empty.

    Each file comes once, however many addresses lead to it, and the listing is
    shuffled so that workers share it.

    Args:
        user_id: The owner of all of them.
        leave_out: Absolute paths that are not listed.
    """

    def __init__(self, user_id: str, leave_out: Sequence[str] = ()) -> None:
        super().__init__()
        self._do_fn = _ListDoFn(user_id, frozenset(leave_out))

    def expand(
        self, addresses: beam.PCollection[str]
    ) -> dict[str, beam.PCollection[UploadEvent | str | DeadLetter]]:
        listed: DoOutputsTuple = addresses | "List" >> beam.ParDo(
            self._do_fn
        ).with_outputs(FOLDERS, DEAD, main="uploads")
        uploads = (
            listed.uploads
            | "KeyById" >> beam.Map(_keyed)
            # Grouping shares the work out as a Reshuffle does.
            | "GroupById" >> beam.GroupByKey()
            | "TakeOne" >> beam.ParDo(_TakeOneDoFn())
        )
        return {"uploads": uploads, FOLDERS: listed[FOLDERS], DEAD: listed[DEAD]}


class _ListDoFn(beam.DoFn):
    def __init__(self, user_id: str, leave_out: frozenset[str]) -> None:
        self._user_id = user_id
        self._leave_out = leave_out

    def process(
        self, address: str
    ) -> Iterator[UploadEvent | _FolderOutput | DeadOutput]:
        is_empty = True
        listing = list_photos(address, self._user_id)
        for found in timed_each("ListUploads", listing):
            if found.path in self._leave_out:
                continue
            count("photos_listed")
            if isinstance(found, ListingError):
                count("photos_read")
                yield dead_letter(
                    DeadLetter(
                        step="ListUploads",
                        reason="can not be listed",
                        detail=found.detail,
                        user_id=self._user_id,
                        path=found.path,
                        generation=0,
                    )
                )
            else:
                is_empty = False
                yield found
        prefix = folder_prefix(address)
        if prefix is not None and not is_empty:
            yield TaggedOutput(FOLDERS, prefix)


class _TakeOneDoFn(beam.DoFn):
    def process(
        self, element: tuple[str, Iterable[UploadEvent]]
    ) -> Iterator[UploadEvent]:
        _, events = element
        count("photos_read")
        # All are the same file; listed twice while it changed, the later counts.
        yield max(events, key=lambda event: event.generation)


class FindRemoved(beam.PTransform):
    """What `ListUploads` found -> UploadEvent of what is no longer there.

    Compares a user's stored photos under the listed folders with the listing,
    folder by folder. A local folder that is missing, shows no photo or could not
    be listed whole proves nothing: it may be on an unplugged disk.

    Args:
        store_url: Where the photos are stored.
        user_id: Whose photos.
        whole_folders: Believe that missing and emptied folders are gone.
    """

    def __init__(
        self, store_url: str, user_id: str, *, whole_folders: bool = False
    ) -> None:
        super().__init__()
        self._stored = _StoredDoFn(store_url, user_id)
        self._missing = _MissingDoFn(whole_folders)

    def expand(
        self, listed: dict[str, beam.PCollection[UploadEvent | str | DeadLetter]]
    ) -> beam.PCollection[UploadEvent]:
        not_listed = listed[DEAD] | "NotListed" >> beam.Map(_path)
        stored = listed[FOLDERS] | "Stored" >> beam.ParDo(self._stored)
        return (
            {
                "stored": stored | "KeyStored" >> beam.Map(_keyed_by_folder),
                "listed": listed["uploads"] | "KeyListed" >> beam.Map(_keyed_by_folder),
            }
            | "Compare" >> beam.CoGroupByKey()
            | "Missing"
            >> beam.ParDo(self._missing, not_listed=beam.pvalue.AsList(not_listed))
        )


def _keyed(event: UploadEvent) -> tuple[str, UploadEvent]:
    return event.photo_id, event


def _keyed_by_folder(event: UploadEvent) -> tuple[str, UploadEvent]:
    return event.path.rpartition("/")[0], event


def _path(letter: DeadLetter) -> str:
    return letter.path


class _StoredDoFn(StoreDoFn):
    def __init__(self, store_url: str, user_id: str) -> None:
        super().__init__(store_url)
        self._user_id = user_id

    def process(self, prefix: str) -> Iterator[UploadEvent]:
        for path, generation in self._store.photos_under(self._user_id, prefix):
            bucket, name = LOCAL_BUCKET, path
            if path.startswith("gs://"):
                bucket, _, name = path.removeprefix("gs://").partition("/")
            yield UploadEvent(
                user_id=self._user_id,
                bucket=bucket,
                name=name,
                generation=generation,
                size_bytes=0,
                updated_at_s=0.0,
                removed=True,
            )


class _MissingDoFn(beam.DoFn):
    def __init__(self, whole_folders: bool) -> None:
        self._whole_folders = whole_folders

    def process(
        self,
        element: tuple[str, dict[str, Iterable[UploadEvent]]],
        not_listed: Sequence[str],
    ) -> Iterator[UploadEvent]:
        folder, sides = element
        there = {event.path for event in sides["listed"]}
        # Folders inside one another find the same photo.
        stored = {event.path: event for event in sides["stored"]}
        missing = [event for path, event in stored.items() if path not in there]
        is_believed = (
            self._whole_folders
            or folder.startswith("gs://")
            or any(path.lower().endswith(_PHOTO_SUFFIXES) for path in there)
        )
        for event in missing:
            if not is_believed:
                count("photos_kept")
            elif any(_is_at_or_below(event.path, path) for path in not_listed):
                continue
            # A stream may have stored what came after the listing.
            elif not is_there(event):
                yield event


def _is_at_or_below(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}/")
