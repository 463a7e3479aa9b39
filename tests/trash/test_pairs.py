"""Which files go with which photo."""

import os
import struct
from datetime import UTC, datetime

import pytest

from tests.trash.encoded import MAC_EPOCH_S, box, encoded, film
from tests.trash.library import RUN, USER, Library

_NS = 10**9
_TIME = 1_600_000_000 * _NS
_HOUR = 3600


_MORNING = "2024:05:01 08:00:00"
_EVENING = "2024:05:01 20:00:00"
_MORNING_S = int(datetime(2024, 5, 1, 8, tzinfo=UTC).timestamp())


def _unit(library: Library, name: str = "a.jpg") -> tuple[list[str], list[str]]:
    rows = [row for row in library.rows() if row["title"] == name]
    (unit,) = library.bin.units(rows)
    return (
        [row["title"] for row in unit.photos],
        [os.path.basename(entry.path) for entry in unit.companions],
    )


@pytest.mark.parametrize(
    ("name", "later_s", "expected"),
    [
        ("a.dng", 0, True),
        ("a.NEF", 2, True),
        ("a.MOV", -2, True),
        ("a.dng", 3, False),
        ("b.dng", 0, False),
        ("a.txt", 0, False),
        ("a.b.dng", 0, False),
        ("A.dng", 0, False),
        ("below/a.dng", 0, False),
    ],
)
def test_same_name_and_moment_make_a_pair(
    name, later_s, expected, library: Library
) -> None:
    library.photo("a.jpg", 0.5, mtime_ns=_TIME)
    library.file(name, mtime_ns=_TIME + later_s * _NS)
    photos, companions = _unit(library)
    assert photos == ["a.jpg"]
    assert companions == ([name] if expected else [])


@pytest.mark.parametrize(
    ("taken_at", "later_s", "expected"),
    [(_MORNING, 10_000, True), (_EVENING, 0, False), (None, 0, False)],
)
def test_what_the_camera_wrote_counts_before_the_file(
    taken_at, later_s, expected, library: Library
) -> None:
    library.photo("a.jpg", 0.5, data=encoded(_MORNING, 1), mtime_ns=_TIME)
    library.file("a.heic", encoded(taken_at, 2, "HEIF"), mtime_ns=_TIME + later_s * _NS)
    assert _unit(library)[1] == (["a.heic"] if expected else [])


@pytest.mark.parametrize(
    ("made_at_s", "later_s", "expected"),
    [
        (_MORNING_S, 1, True),
        (_MORNING_S, 3, False),
        (_MORNING_S + 14 * _HOUR, 0, True),
        (_MORNING_S - 12 * _HOUR, 0, True),
        (_MORNING_S + 25 * _HOUR, 0, False),
        (_MORNING_S - 25 * _HOUR, 0, False),
    ],
)
@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("name", ["a.mov", "a.MP4"])
def test_film_of_another_day_is_no_pair(
    name, version, made_at_s, later_s, expected, library: Library
) -> None:
    """Also if both were copied in the same second, years later."""
    library.photo("a.jpg", 0.5, data=encoded(_MORNING, 1), mtime_ns=_TIME)
    data = film(made_at_s + MAC_EPOCH_S, version, large=bool(version))
    library.file(name, data, mtime_ns=_TIME + later_s * _NS)
    assert _unit(library)[1] == ([name] if expected else [])


@pytest.mark.parametrize(
    ("copied_at_s", "later_s", "expected"),
    [
        (_MORNING_S, 2, True),
        (_MORNING_S, 3, False),
        (_MORNING_S + 14 * _HOUR, 0, True),
        (_MORNING_S + 25 * _HOUR, 0, False),
    ],
)
@pytest.mark.parametrize(
    "data",
    [
        b"film",
        film(0),
        box(b"moov", b""),
        box(b"ftyp", b"qt  ") + struct.pack(">I4s", 3, b"moov"),
        film(_MORNING_S)[:-82],
        film(2**63, 1),
    ],
    ids=["none", "zero", "empty", "broken", "cut", "never"],
)
def test_copy_without_times_is_no_proof(
    data, copied_at_s, later_s, expected, library: Library
) -> None:
    library.photo("a.jpg", 0.5, data=encoded(_MORNING, 1), mtime_ns=copied_at_s * _NS)
    library.file("a.mov", data, mtime_ns=(copied_at_s + later_s) * _NS)
    assert _unit(library)[1] == (["a.mov"] if expected else [])


def test_stored_sibling_is_a_photo_of_the_unit(library: Library) -> None:
    library.photo("a.jpg", 0.5)
    library.photo("a.heic", 0.6)
    library.file("a.mov")
    assert _unit(library) == (["a.jpg", "a.heic"], ["a.mov"])
    units = library.bin.units(library.rows())
    assert len(units) == 1


def test_film_goes_with_what_goes_with_the_photo(library: Library) -> None:
    """It is of the moment of the HEIC, which the camera dates as the JPEG."""
    library.photo("a.jpg", 0.5, data=encoded(_MORNING, 1), mtime_ns=_TIME)
    later = (_MORNING_S + 10_000) * _NS
    library.file("a.heic", encoded(_MORNING, 2, "HEIF"), mtime_ns=later)
    library.file("a.mov", mtime_ns=later + _NS)
    assert _unit(library)[1] == ["a.heic", "a.mov"]


def test_folder_is_listed_once(library: Library, monkeypatch) -> None:
    for number in range(20):
        library.photo(f"{number}.jpg", number)
    listed, scandir = [], os.scandir
    monkeypatch.setattr(
        os, "scandir", lambda path: listed.append(path) or scandir(path)
    )
    assert len(library.bin.units(library.rows())) == 20
    assert listed == [str(library.folder)]


def test_pair_goes_and_comes_back_as_one(library: Library) -> None:
    library.photo("keeper.jpg", 0.5, sharpness=2)
    library.photo("a.jpg", 0.5)
    library.photo("a.heic", 0.6, shaken=True)
    library.file("a.mov", b"film")
    library.settle()
    seen, rows = library.seen(), library.rows()
    outcome = library.clean_up()
    assert {one.title for one in outcome.photos} == {"a.jpg", "a.heic"}
    assert len({one.unit for one in outcome.photos}) == 1
    assert library.titles() == {"keeper.jpg"}
    assert library.trash_path("a.mov").read_bytes() == b"film"
    assert not (library.folder / "a.mov").exists()
    one, _ = library.store.trashed(USER)
    library.bin.restore([one])
    library.settle()
    assert (library.seen(), library.rows()) == (seen, rows)


def test_photo_that_is_similar_to_its_own_raw_stays(library: Library) -> None:
    library.photo("a.jpg", 0.5)
    library.photo("a.dng", 0.5, sharpness=2)
    library.settle()
    before = library.rows()
    outcome = library.clean_up()
    assert outcome.photos == []
    assert {one.title for one in outcome.refused} == {"a.jpg", "a.dng"}
    library.settle()
    assert library.rows() == before
    assert {"a.jpg", "a.dng"} <= set(library.seen())


def test_user_trashes_a_pair_that_is_alike_and_not_the_last_of_a_group(
    library: Library,
) -> None:
    for name in ("a", "b", "c"):
        second = 0.5 if name == "a" else 0.9
        library.photo(f"{name}.jpg", second)
        library.photo(f"{name}.dng", second, sharpness=2)
    library.settle()
    seen = library.seen()
    outcome = library.bin.trash(
        library.bin.units(library.rows()), run=RUN, reasons=None
    )
    assert len(outcome.photos) == 4
    assert {one.title for one in outcome.photos} > {"a.jpg", "a.dng"}
    assert {one.why for one in outcome.refused} == {"it is the last of its group"}
    library.restore()
    assert library.seen() == seen


def test_companion_that_can_not_be_moved_holds_the_photo_back(
    library: Library, monkeypatch
) -> None:
    library.photo("a.jpg", 0.5, shaken=True)
    film = library.file("a.mov", b"film")
    library.settle()
    seen, rows, units = (
        library.seen(),
        library.rows(),
        library.bin.units(library.rows()),
    )
    trash = library.store.trash

    def change(*args):
        trash(*args)
        film.write_bytes(b"cut")

    monkeypatch.setattr(library.store, "trash", change)
    outcome = library.bin.trash(units, run=RUN, reasons=("shaken",))
    assert "changed" in outcome.refused[0].why
    library.settle()
    assert film.read_bytes() == b"cut"
    assert library.seen()["a.jpg"] == seen["a.jpg"]
    assert library.rows() == rows
