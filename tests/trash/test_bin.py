"""Into the trash, back and away, as a whole; on the disk and in the store."""

import os
import time
from pathlib import Path

import pytest

from store.records import photo_id
from tests.trash.library import RUN, USER, Library
from trash import files
from trash.bin import new_run


@pytest.fixture
def three(library: Library) -> Library:
    """A group of three shots, of which `a ä.jpg` stays, and a shaken photo."""
    library.photo("a ä.jpg", 0.5, sharpness=3.0)
    library.photo("b.jpg", 0.5, sharpness=2.0)
    library.photo("below/c.jpg", 0.5)
    library.photo("shaken.jpg", 0.7, shaken=True)
    library.settle()
    (library.folder / "b.jpg").chmod(0o640)
    return library


def test_recommended_photos_move_and_come_back(three: Library) -> None:
    seen, rows = three.seen(), three.rows()
    outcome = three.clean_up()
    assert {one.title: one.reason for one in outcome.photos} == {
        "b.jpg": "similar",
        "c.jpg": "similar",
        "shaken.jpg": "shaken",
    }
    assert outcome.refused == []
    assert three.titles() == {"a ä.jpg"}
    assert three.trash_path("below/c.jpg").read_bytes() == b"below/c.jpg"
    assert not (three.folder / "b.jpg").exists()
    assert outcome.bytes == len("b.jpg") + len("below/c.jpg") + len("shaken.jpg")

    back = three.restore()
    assert len(back.photos) == 3
    assert three.seen() == seen
    assert three.rows() == rows
    assert list(three.store.trashed(USER)) == []


def test_what_is_purged_is_gone_for_good(three: Library) -> None:
    three.clean_up()
    outcome = three.bin.purge(three.store.trashed(USER))
    assert len(outcome.photos) == 3
    assert list(three.seen()) == ["a ä.jpg", "below"]
    assert list(three.store.trashed(USER)) == []
    assert three.restore().photos == []


def test_unit_is_restored_as_one(library: Library) -> None:
    library.photo("x.jpg", 0.3, shaken=True)
    library.photo("y.jpg", 0.4, shaken=True)
    library.file("x.mov")
    library.clean_up()
    (one,) = [r for r in library.store.trashed(USER) if r.title == "x.jpg"]
    assert len(one.files) == 2
    library.bin.restore([one])
    assert {"x.jpg", "x.mov"} <= set(library.seen())
    assert not (library.folder / "y.jpg").exists()
    assert library.trash_path("y.jpg").exists()


def _overwrite(path: Path) -> None:
    path.write_bytes(b"other")


def _same_size_and_time(path: Path) -> None:
    info = path.stat()
    path.write_bytes(b"X" * info.st_size)
    os.utime(path, ns=(info.st_mtime_ns, info.st_mtime_ns))


def _to_link(path: Path) -> None:
    path.rename(path.with_name("real"))
    path.symlink_to(path.with_name("real"))


def _to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "change", [_overwrite, _same_size_and_time, _to_link, _to_pipe, Path.unlink]
)
def test_photo_that_changed_since_it_was_judged_stays(change, three: Library) -> None:
    path = three.folder / "b.jpg"
    change(path)
    before = three.seen() if change is not _to_pipe else None
    rows = three.rows()
    outcome = three.clean_up()
    (refused,) = outcome.refused
    assert refused.path == str(path)
    assert "changed" in refused.why or "not there" in refused.why
    assert len(outcome.photos) == 2
    assert "b.jpg" in three.titles()
    three.restore()
    assert three.rows() == rows
    if before is not None:
        assert three.seen() == before


@pytest.mark.parametrize("by_name", [True, False], ids=["replaced", "written"])
def test_photo_saved_while_it_is_moved_is_not_lost(
    by_name, three: Library, monkeypatch
) -> None:
    """Just before the name goes: the latest moment there is."""
    path, rename = three.folder / "b.jpg", os.rename

    def save(source, target):
        if str(source) == str(path):
            if by_name:
                path.with_name("new").write_bytes(b"edited")
                rename(path.with_name("new"), path)
            else:
                path.write_bytes(b"edited")
        rename(source, target)

    monkeypatch.setattr(os, "rename", save)
    outcome = three.clean_up()
    monkeypatch.undo()
    contents = [one.data for one in three.seen().values()]
    assert contents.count(b"edited") == 1
    if by_name:
        assert path.read_bytes() == b"edited"
        # The photo that was judged is in the trash, and stays there: its name is taken.
        assert three.trash_path("b.jpg").read_bytes() == b"b.jpg"
        (refused,) = three.restore().refused
        assert "another file has its name now" in refused.why
        assert path.read_bytes() == b"edited"
    else:
        assert path.read_bytes() == b"edited"
        (refused,) = outcome.refused
        assert "changed" in refused.why


def test_keeper_that_was_deleted_by_hand_is_told_of(three: Library) -> None:
    (three.folder / "a ä.jpg").unlink()
    before, rows = three.seen(), three.rows()
    outcome = three.clean_up()
    assert [one.title for one in outcome.photos] == ["shaken.jpg"]
    assert {one.title for one in outcome.refused} == {"b.jpg", "c.jpg"}
    for one in outcome.refused:
        assert "a ä.jpg" in one.why
        assert "piccl backfill --prune" in one.why
    three.restore()
    assert (three.seen(), three.rows()) == (before, rows)


def _delete_by_hand(library: Library) -> None:
    (library.folder / "a ä.jpg").unlink()


def _forget(library: Library) -> None:
    library.store.remove(USER, photo_id("file", str(library.folder / "a ä.jpg")), 2**62)


@pytest.mark.parametrize("loses_keeper", [_delete_by_hand, _forget])
def test_purge_that_must_not_go_on_may_be_restored(
    loses_keeper, three: Library
) -> None:
    three.clean_up()
    group = [one for one in three.store.trashed(USER) if one.reason == "similar"]
    for one in group:
        three.store.begin_purge(USER, one.run, one.id)
    loses_keeper(three)
    outcome = three.bin.recover()
    assert (outcome.photos, outcome.refused) == ([], [])
    assert {one.title for one in outcome.stays} == {"b.jpg", "c.jpg"}
    assert three.bin.recover().stays == []
    assert len(three.restore().photos) == 3
    assert (three.folder / "b.jpg").exists()


def test_what_was_deleted_is_forgotten_whatever_became_of_the_keeper(
    three: Library,
) -> None:
    """Killed between the last file and the last step."""
    three.clean_up()
    for one in three.store.trashed(USER):
        if one.reason == "similar":
            three.store.begin_purge(USER, one.run, one.id)
            os.unlink(one.files[0].trash_path)
    _forget(three)
    assert three.bin.recover().stays == []
    assert [one.title for one in three.store.trashed(USER)] == ["shaken.jpg"]


def test_unit_of_which_one_must_not_be_purged_stays(library: Library) -> None:
    for name in ("a", "b"):
        library.photo(f"{name}.jpg", 0.5, sharpness=ord(name))
        library.photo(f"{name}.heic", 0.6, sharpness=ord(name))
    library.settle()
    (unit,) = library.bin.units(
        row for row in library.rows() if row["title"] == "a.jpg"
    )
    assert library.bin.trash([unit], run=RUN, reasons=None).refused == []
    first, second = library.store.trashed(USER)
    assert None not in (first.kept, second.kept)
    purge = library.bin
    begin = library.store.begin_purge

    def lose_the_other(user: str, run: str, id_: str):
        # In the store only: it was looked at on the disk just before.
        if id_ == second.id:
            library.store.decide(USER, second.kept, "trash")
        return begin(user, run, id_)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library.store, "begin_purge", lose_the_other)
        outcome = purge.purge([first])
    assert len(outcome.refused) == 2
    assert {one.state for one in library.store.trashed(USER)} == {"trashed"}
    assert len(library.restore().photos) == 2
    assert {"a.jpg", "a.heic"} <= set(library.seen())


def test_later_runs_sort_behind_earlier_ones() -> None:
    runs = []
    for _ in range(20):
        runs.append(new_run())
        time.sleep(0.0015)
    assert runs == sorted(runs)


def test_nothing_is_purged_whose_keeper_is_gone(three: Library) -> None:
    three.clean_up()
    (three.folder / "a ä.jpg").unlink()
    outcome = three.bin.purge(three.store.trashed(USER))
    assert [one.title for one in outcome.photos] == ["shaken.jpg"]
    assert all("piccl backfill --prune" in one.why for one in outcome.refused)
    assert three.trash_path("b.jpg").exists()


def test_taken_name_is_not_overwritten(three: Library) -> None:
    three.clean_up()
    (three.folder / "b.jpg").write_bytes(b"new")
    outcome = three.restore()
    (refused,) = outcome.refused
    assert "another file has its name now" in refused.why
    assert (three.folder / "b.jpg").read_bytes() == b"new"
    assert three.trash_path("b.jpg").read_bytes() == b"b.jpg"
    assert len(outcome.photos) == 2

    (three.folder / "b.jpg").unlink()
    assert len(three.restore().photos) == 1
    assert (three.folder / "b.jpg").read_bytes() == b"b.jpg"


@pytest.mark.parametrize("copied", [True, False])
def test_photo_that_was_put_back_by_hand_is_recognised(copied, three: Library) -> None:
    seen, rows = three.seen(), three.rows()
    three.clean_up()
    path = three.folder / "b.jpg"
    if copied:
        path.write_bytes(b"b.jpg")
        path.chmod(0o640)
    else:
        three.trash_path("b.jpg").rename(path)
    outcome = three.restore()
    assert len(outcome.photos) == 3
    assert outcome.refused == []
    if copied:
        generations = {row["title"]: row["generation"] for row in three.rows()}
        assert generations["b.jpg"] == path.stat().st_mtime_ns
        assert three.seen().keys() == seen.keys()
    else:
        assert (three.seen(), three.rows()) == (seen, rows)


def test_interrupted_purge_looks_at_the_keeper_again(three: Library) -> None:
    three.clean_up()
    (record,) = [one for one in three.store.trashed(USER) if one.title == "b.jpg"]
    three.store.begin_purge(USER, record.run, record.id)
    (three.folder / "a ä.jpg").rename(three.folder / "aside")
    (stays,) = three.bin.recover().stays
    assert "piccl backfill --prune" in stays.why
    assert three.trash_path("b.jpg").exists()

    (three.folder / "aside").rename(three.folder / "a ä.jpg")
    assert len(three.bin.purge([record]).photos) == 1
    assert not three.trash_path("b.jpg").exists()


def test_photo_that_is_nowhere_is_told_of(three: Library) -> None:
    three.clean_up()
    three.trash_path("b.jpg").unlink()
    (refused,) = three.restore().refused
    assert "neither in the trash nor in its place" in refused.why
    assert len(three.bin.purge(three.store.trashed(USER)).photos) == 1


def test_unplugged_disk_loses_nothing(three: Library, tmp_path: Path) -> None:
    seen, rows = three.seen(), three.rows()
    three.clean_up()
    three.folder.rename(tmp_path / "unplugged")
    for outcome in (three.restore(), three.bin.purge(three.store.trashed(USER))):
        assert len(outcome.refused) == 3
        assert outcome.photos == []
        assert "make a folder of that name" in outcome.refused[0].why
    (tmp_path / "unplugged").rename(three.folder)
    three.restore()
    assert (three.seen(), three.rows()) == (seen, rows)


def test_folder_that_can_not_be_written_stops_no_other(
    three: Library, ordinary_user
) -> None:
    seen, rows = three.seen(), three.rows()
    for path in (three.folder, *three.folder.rglob("*")):
        os.chown(path, 65534, 65534)
    (three.folder / "below").chmod(0o555)
    with ordinary_user():
        outcome = three.clean_up()
    (three.folder / "below").chmod(0o755)
    (refused,) = outcome.refused
    assert refused.title == "c.jpg"
    assert "Permission denied" in refused.why
    assert len(outcome.photos) == 2
    three.restore()
    assert {name: one.data for name, one in three.seen().items()} == {
        name: one.data for name, one in seen.items()
    }
    assert three.rows() == rows


def test_file_in_place_of_the_trash_folder_stops_no_other(three: Library) -> None:
    (three.folder / ".piccl-trash").write_bytes(b"mine")
    seen, rows = three.seen(), three.rows()
    outcome = three.clean_up()
    assert [one.title for one in outcome.photos] == ["c.jpg"]
    assert {one.title for one in outcome.refused} == {"b.jpg", "shaken.jpg"}
    assert all("nor can it be put back" not in one.why for one in outcome.refused)
    three.restore()
    assert (three.seen(), three.rows()) == (seen, rows)


def test_path_that_would_be_too_long_for_the_trash_stops_no_other(
    library: Library,
) -> None:
    library.photo("shaken.jpg", 0.7, shaken=True)
    room = (
        os.pathconf("/", "PC_PATH_MAX") - len(str(library.folder)) - len("/x.jpg") - 2
    )
    names = ["d" * 200] * (room // 201)
    name = "/".join([*names, "d" * (room - 201 * len(names)), "x.jpg"])
    library.photo(name.replace("//", "/"), 0.8, shaken=True)
    library.settle()
    rows = library.rows()
    outcome = library.clean_up()
    assert [one.title for one in outcome.photos] == ["shaken.jpg"]
    (refused,) = outcome.refused
    assert "File name too long" in refused.why
    assert "nor can it be put back" not in refused.why
    assert library.bin.recover().refused == []
    library.restore()
    assert library.rows() == rows


def test_file_systems_without_links_are_served(three: Library, monkeypatch) -> None:
    seen, rows = three.seen(), three.rows()

    def link(*_, **__):
        raise OSError(files._NO_LINKS[1], "not supported")

    monkeypatch.setattr(os, "link", link)
    assert len(three.clean_up().photos) == 3
    assert len(three.restore().photos) == 3
    assert (three.seen(), three.rows()) == (seen, rows)


def test_user_trashes_what_is_not_recommended(three: Library) -> None:
    rows = [row for row in three.rows() if row["title"] == "a ä.jpg"]
    outcome = three.bin.trash(three.bin.units(rows), run=RUN, reasons=None)
    assert [one.reason for one in outcome.photos] == ["user"]
    three.settle()
    assert three.titles() == {"b.jpg", "c.jpg", "shaken.jpg"}


def test_last_of_a_group_stays_whatever_the_user_says(three: Library) -> None:
    rows = [row for row in three.rows() if row["similar_group"]]
    outcome = three.bin.trash(three.bin.units(rows), run=RUN, reasons=None)
    assert len(outcome.photos) == 2
    (refused,) = outcome.refused
    assert "last" in refused.why
    assert (three.folder / refused.path).exists()


def test_info_tells_how_to_put_it_back(three: Library) -> None:
    three.clean_up()
    info = three.trash_path("below/c.jpg").parent
    (found,) = info.glob("*.json")
    text = found.read_text()
    assert str(three.folder / "below/c.jpg") in text
    assert str(three.trash_path("below/c.jpg")) in text


def test_what_another_command_restores_during_the_move_is_put_back(
    three: Library, monkeypatch
) -> None:
    seen, rename = three.seen(), os.rename

    def restore(source, target):
        if str(source).endswith("/b.jpg"):
            (record,) = (
                one for one in three.store.trashed(USER) if one.title == "b.jpg"
            )
            three.store.begin_restore(USER, record.run, record.id)
            generation = record.files[0].generation
            three.store.finish_restore(USER, record.run, record.id, generation)
        rename(source, target)

    monkeypatch.setattr(os, "rename", restore)
    outcome = three.clean_up()
    monkeypatch.undo()
    assert "b.jpg" in {one.title for one in outcome.refused}
    assert "b.jpg" not in {one.title for one in outcome.photos}
    assert (three.folder / "b.jpg").exists()
    three.restore()
    assert three.seen() == seen


def test_keep_during_the_move_puts_it_back(three: Library, monkeypatch) -> None:
    rows = three.rows()
    id_ = next(row["id"] for row in rows if row["title"] == "b.jpg")
    seen, rename = three.seen(), os.rename

    def decide(source, target):
        if str(source).endswith("/b.jpg"):
            three.store.decide(USER, id_, "keep")
        rename(source, target)

    monkeypatch.setattr(os, "rename", decide)
    (refused,) = three.clean_up().refused
    monkeypatch.undo()
    assert refused.title == "b.jpg"
    assert (three.folder / "b.jpg").exists()
    decisions = {row["title"]: row["decision"] for row in three.rows()}
    assert decisions["b.jpg"] == "keep"
    three.restore()
    assert three.seen() == seen
