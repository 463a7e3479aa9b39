"""What Firestore bills a photo."""

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from google.cloud import firestore

from store.interface import Store
from tests.store.filled_days import add, columns, fill, group, name, pairs
from tests.store.samples import MAY_1, write


@pytest.fixture
def url(firestore_project: str) -> str:
    return f"firestore://{firestore_project}"


@pytest.fixture
def db(firestore_project: str, store: Store) -> firestore.Client:
    return firestore.Client(firestore_project)


def test_filled_days_are_as_the_store_writes_them(
    store: Store, db: firestore.Client
) -> None:
    fill(store, db, 3)
    filled = store.day("ada", MAY_1)
    for number in range(3):
        add(store, number)
    assert store.day("ada", MAY_1) == filled


def test_photos_that_come_one_by_one_cost_six_writes_each(
    store: Store, usage: Counter[str], written: list[str]
) -> None:
    number = 30
    for one in range(number):
        add(store, one)
        store.settle("ada", MAY_1, group)
    assert pairs(store.day("ada", MAY_1)) == number // 2
    print(
        f"{number} photos of a day, settled after each: "
        f"{len(written) / number:.1f} writes, "
        f"{usage['store_reads'] / number:.1f} reads a photo"
    )
    # The user's own document is written once.
    assert len(written) <= 6 * number + 1
    assert usage["store_writes"] == len(written)


@pytest.mark.parametrize("number", [10, 100, 1000])
def test_day_that_is_settled_once_costs_six_writes_a_photo(
    store: Store,
    db: firestore.Client,
    usage: Counter[str],
    written: list[str],
    number: int,
) -> None:
    def bill(*works: Callable[[], object]) -> tuple[int, int]:
        """Reads and writes."""
        reads, writes = usage["store_reads"], usage["store_writes"]
        written.clear()
        for work in works:
            work()
        assert usage["store_writes"] - writes == len(written)
        return usage["store_reads"] - reads, len(written)

    last = number - 1
    settle = partial(store.settle, "ada", MAY_1, group)
    fill(store, db, last)
    reads, writes = bill(partial(add, store, last))
    all_reads, all_writes = bill(settle)
    assert pairs(store.day("ada", MAY_1)) == number // 2
    less_reads, less_writes = bill(lambda: store.remove("ada", name(last), 10), settle)
    more_reads, more_writes = bill(
        lambda: write(store, "more", **columns(last)), settle
    )
    reads_each, writes_each = reads + all_reads / number, writes + all_writes / number
    print(
        f"a day of {number}, settled once: {reads_each:.1f} reads, "
        f"{writes_each:.1f} writes a photo; then one removed: {less_reads} reads, "
        f"{less_writes} writes; one added: {more_reads} reads, {more_writes} writes"
    )
    assert writes_each <= 6
    assert reads_each <= 6
    # Its own three documents, two of them again, and two of its twin.
    assert more_writes <= 3 + 2 + 2
    assert more_reads <= number + 20
    assert less_reads <= number + 20
    # What has not changed is not written, and a day that does not wait is not read.
    assert bill(settle) == (2, 0)
