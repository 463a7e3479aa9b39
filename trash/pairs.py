"""Photos that go together: RAW and JPEG of one shot, a live photo and its film.

They have the same name but for its ending, lie in the same folder, and are of the
same moment. What can not be shown to be of the same moment is no pair.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import pillow_heif
from PIL import Image

from models.exif import read_capture
from store.interface import Store
from store.search import PhotoQuery
from trash.entries import Entry, MoveRefusedError
from trash.films import FILMS, filmed_at
from trash.places import Places

pillow_heif.register_heif_opener()

# As `Store.search` has it.
Row: TypeAlias = Mapping[str, Any]

# The least that some file systems tell apart, and a camera needs to write a RAW.
_MOMENT_S: Final = 2.0
# Between the clock that a camera shows and UTC, wherever on earth it is.
_ZONES: Final = timedelta(days=1)
# What goes with a photo without being one that was judged.
_COMPANIONS: Final = (
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".kdc", ".mef"),
    *(".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2"),
    *(".srf", ".srw", ".x3f", ".heic", ".heif", ".hif", ".mov", ".mp4", ".avi"),
    *(".aae", ".thm", ".xmp"),
)


@dataclass(frozen=True)
class Unit:
    """Photos and other files that are trashed and restored as one.

    Attributes:
        photos: Rows of `Store.search`; the first gives it its name.
        companions: What lies beside them and is no photo of the store.
    """

    photos: Sequence[Row]
    companions: Sequence[Entry] = ()

    @property
    def bytes(self) -> int:
        photos: int = sum(photo["bytes"] for photo in self.photos)
        return photos + sum(entry.bytes for entry in self.companions)


def find_units(
    store: Store, user_id: str, places: Places, rows: Iterable[Row]
) -> Iterator[Unit]:
    """Photos with what goes with them, each once; every folder is listed once."""
    folders: dict[str, Mapping[str, Sequence[Entry]]] = {}
    known = {row["path"]: row for row in rows}
    taken: set[str] = set()
    for path, row in known.items():
        if path in taken:
            continue
        folder, _, name = path.rpartition("/")
        if folder not in folders:
            folders[folder] = _by_stem(places, folder)
        beside = folders[folder].get(_stem(name), ())
        photos, companions = [row], []
        for entry in _of_one_moment(places, path, beside):
            partner = known.get(entry.path) or _stored(store, user_id, entry.path)
            if partner is not None:
                photos.append(partner)
            elif os.path.splitext(entry.path)[1].lower() in _COMPANIONS:
                companions.append(entry)
        taken.update(photo["path"] for photo in photos)
        yield Unit(photos, companions)


def _by_stem(places: Places, folder: str) -> Mapping[str, Sequence[Entry]]:
    found: dict[str, list[Entry]] = defaultdict(list)
    try:
        entries = places.of(folder).list_folder(folder)
    except MoveRefusedError:
        # Whoever moves the photo is told why that does not work either.
        return {}
    for entry in sorted(entries, key=lambda one: one.path):
        found[_stem(entry.path.rpartition("/")[2])].append(entry)
    return found


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


def _of_one_moment(
    places: Places, path: str, beside: Sequence[Entry]
) -> Sequence[Entry]:
    """Those of the photo's moment, and of the moment of one that is."""
    own = [entry for entry in beside if entry.path == path]
    others = [entry for entry in beside if entry.path != path]
    if not own or not others:
        return []
    taken_at = {entry: _taken_at(places, entry.path) for entry in (*own, *others)}
    found = list(own)
    for one in found:  # it grows
        for other in list(others):
            if _is_same_moment(one, taken_at[one], other, taken_at[other]):
                others.remove(other)
                found.append(other)
    return found[1:]


def _is_same_moment(
    one: Entry,
    one_taken_at: datetime | None,
    other: Entry,
    other_taken_at: datetime | None,
) -> bool:
    by_camera = [at for at in (one_taken_at, other_taken_at) if at is not None]
    if len(by_camera) == 2 and not (_is_film(one.path) or _is_film(other.path)):
        return one_taken_at == other_taken_at
    if abs(one.changed_at_s - other.changed_at_s) > _MOMENT_S:
        return False
    if len(by_camera) == 1:
        # Who copies a folder without its times gives all of it that of the copy.
        by_camera.append(datetime.fromtimestamp(one.changed_at_s, UTC))
    times = [at.replace(tzinfo=None) for at in by_camera]
    return not times or max(times) - min(times) <= _ZONES


def _taken_at(places: Places, path: str) -> datetime | None:
    """What the camera's clock showed, of a film UTC; None if it can not be read."""
    try:
        with places.of(path).open_beginning(path) as file:
            if _is_film(path):
                return filmed_at(file)
            with Image.open(file) as image:
                taken_at = read_capture(image.getexif()).taken_at
    # Pillow raises whatever its decoders come upon.
    except Exception:
        return None
    # To the second, as a RAW and its JPEG need not tell the same parts of it.
    return taken_at and taken_at.replace(tzinfo=None, microsecond=0)


def _is_film(path: str) -> bool:
    return path.lower().endswith(FILMS)


def _stored(store: Store, user_id: str, path: str) -> Row | None:
    found = store.find_path(user_id, path)
    if found is None:
        return None
    return next(store.search(PhotoQuery(user_id, ids=[found[0]])), None)
