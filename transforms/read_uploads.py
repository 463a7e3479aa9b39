"""The backfill's end of the graph: a listing instead of announcements."""

from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
from apache_beam.pvalue import DoOutputsTuple

from store.urls import open_store
from transforms.buckets import ListingError, list_photos
from transforms.counters import count
from transforms.dead_letters import DEAD, DeadOutput, dead_letter
from transforms.elements import LOCAL_BUCKET, DeadLetter, UploadEvent


class ListUploads(beam.PTransform):
    """Addresses -> `uploads`: UploadEvent; `dead`: DeadLetter.

    Each file comes once, however many addresses lead to it, and the listing is
    reshuffled so that workers share it.

    Args:
        user_id: The owner of all of them.
    """

    def __init__(self, user_id: str) -> None:
        super().__init__()
        self._user_id = user_id

    def expand(
        self, addresses: beam.PCollection[str]
    ) -> dict[str, beam.PCollection[UploadEvent | DeadLetter]]:
        listed: DoOutputsTuple = addresses | "List" >> beam.ParDo(
            _ListDoFn(self._user_id)
        ).with_outputs(DEAD, main="uploads")
        uploads = (
            listed.uploads
            | "KeyById" >> beam.Map(_keyed)
            # Grouping shares the work out as a Reshuffle does.
            | "GroupById" >> beam.GroupByKey()
            | "TakeOne" >> beam.ParDo(_TakeOneDoFn())
        )
        return {"uploads": uploads, DEAD: listed[DEAD]}


class _ListDoFn(beam.DoFn):
    def __init__(self, user_id: str) -> None:
        self._user_id = user_id

    def process(self, address: str) -> Iterator[UploadEvent | DeadOutput]:
        for found in list_photos(address, self._user_id):
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
                yield found


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

    Compares a user's stored photos under the folders with the listing of the
    same folders. A folder that lists nothing, or not all, proves nothing: it
    may be on an unplugged disk.

    Args:
        store_url: Where the photos are stored.
        user_id: Whose photos.
        folders: Absolute paths or `gs://bucket/prefix`, each listed whole.
    """

    def __init__(self, store_url: str, user_id: str, folders: Sequence[str]) -> None:
        super().__init__()
        self._store_url = store_url
        self._user_id = user_id
        self._prefixes = [_prefix(folder) for folder in folders]

    def expand(
        self, listed: dict[str, beam.PCollection[UploadEvent | DeadLetter]]
    ) -> beam.PCollection[UploadEvent]:
        uploads = listed["uploads"]
        not_empty = (
            uploads
            | "PrefixesOf" >> beam.FlatMap(_prefixes_of, self._prefixes)
            | "NotEmpty" >> beam.Distinct()
        )
        not_listed = listed[DEAD] | "NotListed" >> beam.Map(_path)
        stored = (
            uploads.pipeline
            | "Prefixes" >> beam.Create(self._prefixes, reshuffle=False)
            | "Stored" >> beam.ParDo(_StoredDoFn(self._store_url, self._user_id))
        )
        return (
            {
                "stored": stored | "KeyStored" >> beam.Map(_keyed),
                "listed": uploads | "KeyListed" >> beam.Map(_keyed),
            }
            | "Compare" >> beam.CoGroupByKey()
            | "KeepRemoved"
            >> beam.ParDo(
                _KeepRemovedDoFn(),
                not_empty=beam.pvalue.AsList(not_empty),
                not_listed=beam.pvalue.AsList(not_listed),
            )
        )


def _keyed(event: UploadEvent) -> tuple[str, UploadEvent]:
    return event.photo_id, event


def _path(letter: DeadLetter) -> str:
    return letter.path


def _prefix(folder: str) -> str:
    return folder if folder.startswith("gs://") else folder.rstrip("/") + "/"


def _prefixes_of(event: UploadEvent, prefixes: Sequence[str]) -> Iterator[str]:
    return (prefix for prefix in prefixes if event.path.startswith(prefix))


class _StoredDoFn(beam.DoFn):
    def __init__(self, store_url: str, user_id: str) -> None:
        self._store_url = store_url
        self._user_id = user_id

    def setup(self) -> None:
        self._store = open_store(self._store_url)

    def teardown(self) -> None:
        self._store.close()

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


class _KeepRemovedDoFn(beam.DoFn):
    def process(
        self,
        element: tuple[str, dict[str, Iterable[UploadEvent]]],
        not_empty: Sequence[str],
        not_listed: Sequence[str],
    ) -> Iterator[UploadEvent]:
        _, sides = element
        if list(sides["listed"]):
            return
        # Folders inside one another find the same photo.
        event = next(iter(sides["stored"]))
        if any(event.path.startswith(prefix) for prefix in not_empty) and not any(
            event.path.startswith(folder) for folder in not_listed
        ):
            yield event
