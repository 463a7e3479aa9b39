from store.interface import Store
from store.records import PhotoState
from tests.store.samples import MAY_1, MAY_2, MAY_3, write
from tests.store.tables import Tables


def test_removed_photo_leaves_a_tombstone_only(store: Store, tables: Tables) -> None:
    write(store)
    write(store, "b")
    assert store.remove("ada", "a", 10) == {MAY_1}
    for table in ("photos", "tags", "deletions"):
        assert [row["id"] for row in tables.rows(table)] == ["b"]
    assert store.state("ada", "a") == PhotoState(
        10, True, None, None, None, None, None, None, frozenset({MAY_1})
    )


def test_removing_an_older_generation_changes_nothing(
    store: Store, tables: Tables
) -> None:
    write(store, generation=10)
    before = tables.everything()
    assert store.remove("ada", "a", 9) == {MAY_1}
    assert tables.everything() == before


def test_removing_twice_changes_nothing(store: Store, tables: Tables) -> None:
    write(store)
    store.remove("ada", "a", 10)
    before = tables.everything()
    assert store.remove("ada", "a", 10) == {MAY_1}
    assert store.remove("ada", "a", 9) == {MAY_1}
    assert tables.everything() == before


def test_removal_of_a_moved_photo_keeps_its_days(store: Store, tables: Tables) -> None:
    write(store, date=MAY_1)
    write(store, date=MAY_2, generation=11)
    assert store.remove("ada", "a", 11) == {MAY_1, MAY_2}
    assert store.remove("ada", "a", 12) == {MAY_1, MAY_2}
    assert write(store, date=MAY_3, generation=13) == {MAY_1, MAY_2, MAY_3}
    assert tables.rows("tombstones") == []


def test_removed_generation_is_not_resurrected(store: Store, tables: Tables) -> None:
    write(store, generation=10)
    store.remove("ada", "a", 10)
    before = tables.everything()
    assert write(store, generation=10) == {MAY_1}
    assert write(store, generation=9) == {MAY_1}
    assert tables.everything() == before


def test_removal_before_the_write_is_remembered(store: Store, tables: Tables) -> None:
    assert store.remove("ada", "a", 10) == set()
    assert write(store, generation=10) == set()
    assert store.state("ada", "a") == PhotoState(
        10, True, None, None, None, None, None, None, frozenset()
    )
    assert tables.rows("users") == []


def test_newer_generation_lives_again(store: Store, tables: Tables) -> None:
    store.remove("ada", "a", 10)
    assert write(store, generation=11) == {MAY_1}
    assert tables.rows("tombstones") == []
    assert tables.row("photos")["generation"] == 11


def test_late_removal_of_what_was_overwritten_removes_nothing(
    store: Store,
    tables: Tables,
) -> None:
    write(store, generation=10)
    write(store, generation=11)
    store.remove("ada", "a", 10)
    assert tables.row("photos")["generation"] == 11


def test_removed_file_comes_back_out_of_a_backup(store: Store, tables: Tables) -> None:
    write(store, generation=10)
    store.remove("ada", "a", 10)
    write(store, generation=10, replaces=10)
    assert tables.row("photos")["generation"] == 10
    assert tables.rows("tombstones") == []


def test_file_is_removed_whatever_its_number(store: Store) -> None:
    write(store, generation=10)
    assert store.remove("ada", "a", 5, replaces=10) == {MAY_1}
    state = store.state("ada", "a")
    assert state is not None
    assert state.removed
