"""The backfill's end of the graph: a listing instead of announcements."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, TypeAlias

import apache_beam as beam
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput

from store.urls import open_store
from transforms.buckets import ListingError, folder_prefix, list_photos
from transforms.counters import count
from transforms.dead_letters import DEAD, DeadOutput, dead_letter
from transforms.elements import LOCAL_BUCKET, DeadLetter, UploadEvent

FOLDERS: Final = "folders"
# Prefix of the paths in a folder, and whether there is any file in it.
_Folder: TypeAlias = tuple[str, bool]
_FolderOutput: TypeAlias = TaggedOutput[Literal["folders"], _Folder]


class ListUploads(beam.PTransform):
    """Addresses -> `uploads`: UploadEvent; `folders`; `dead`: DeadLetter.

    Each file comes once, however many addresses lead to it, and the listing is
    shuffled so that workers share it.

    Args:
        user_id: The owner of all of them.
    """

    def __init__(self, user_id: str) -> None:
        super().__init__()
        self._user_id = user_id

    def expand(
        self, addresses: beam.PCollection[str]
    ) -> dict[str, beam.PCollection[UploadEvent | _Folder | DeadLetter]]:
        listed: DoOutputsTuple = addresses | "List" >> beam.ParDo(
            _ListDoFn(self._user_id)
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
    def __init__(self, user_id: str) -> None:
        self._user_id = user_id

    def process(
        self, address: str
    ) -> Iterator[UploadEvent | _FolderOutput | DeadOutput]:
        is_empty = True
        for found in list_photos(address, self._user_id):
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
        if prefix is not None:
            yield TaggedOutput(FOLDERS, (prefix, not is_empty))


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

    Compares a user's stored photos under the listed folders with the listing.
    A folder in which there is nothing, or that could not be listed whole, proves
    nothing: it may be on an unplugged disk.

    Args:
        store_url: Where the photos are stored.
        user_id: Whose photos.
    """

    def __init__(self, store_url: str, user_id: str) -> None:
        super().__init__()
        self._store_url = store_url
        self._user_id = user_id

    def expand(
        self, listed: dict[str, beam.PCollection[UploadEvent | _Folder | DeadLetter]]
    ) -> beam.PCollection[UploadEvent]:
        folders = listed[FOLDERS]
        not_listed = listed[DEAD] | "NotListed" >> beam.Map(_path)
        stored = folders | "Stored" >> beam.ParDo(
            _StoredDoFn(self._store_url, self._user_id)
        )
        return (
            {
                "stored": stored | "KeyStored" >> beam.Map(_keyed),
                "listed": listed["uploads"] | "KeyListed" >> beam.Map(_keyed),
            }
            | "Compare" >> beam.CoGroupByKey()
            | "KeepRemoved"
            >> beam.ParDo(
                _KeepRemovedDoFn(),
                folders=beam.pvalue.AsList(folders),
                not_listed=beam.pvalue.AsList(not_listed),
            )
        )


def _keyed(event: UploadEvent) -> tuple[str, UploadEvent]:
    return event.photo_id, event


def _path(letter: DeadLetter) -> str:
    return letter.path


class _StoredDoFn(beam.DoFn):
    def __init__(self, store_url: str, user_id: str) -> None:
        self._store_url = store_url
        self._user_id = user_id

    def setup(self) -> None:
        self._store = open_store(self._store_url)

    def teardown(self) -> None:
        self._store.close()

    def process(self, folder: _Folder) -> Iterator[UploadEvent]:
        prefix, has_files = folder
        if not has_files:
            return
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


class _KeepRemovedDoFn(beam.DoFn):
    def process(
        self,
        element: tuple[str, dict[str, Iterable[UploadEvent]]],
        folders: Sequence[_Folder],
        not_listed: Sequence[str],
    ) -> Iterator[UploadEvent]:
        _, sides = element
        if list(sides["listed"]):
            return
        # Folders inside one another find the same photo.
        event = next(iter(sides["stored"]))
        # The innermost folder knows best: it may be a disk of its own.
        around = [folder for folder in folders if event.path.startswith(folder[0])]
        _, has_files = max(around, key=lambda folder: len(folder[0]))
        if has_files and not event.path.startswith(tuple(not_listed)):
            yield event
