import sqlite3
from collections.abc import Callable
from typing import Any, Final

import pytest

from store.interface import Store
from store.records import DayOutcome
from tests.store.samples import (
    MAY_1,
    MAY_2,
    SCORES,
    make_judge,
    make_meta,
    make_verdicts,
    write,
)
from tests.store.tables import Tables

# No store can keep it, and each finds out on its way.
UNSTORABLE: Final[Any] = object()


@pytest.mark.parametrize(
    "fail",
    [
        lambda store: store.write(
            make_meta("new"), SCORES, make_judge(make_verdicts(version=UNSTORABLE))
        ),
        lambda store: store.write(
            make_meta("a", MAY_2, generation=11),
            SCORES,
            make_judge(make_verdicts(version=UNSTORABLE)),
        ),
        lambda store: store.write(
            make_meta("gone", MAY_2, generation=11),
            SCORES,
            make_judge(make_verdicts(version=UNSTORABLE)),
        ),
        lambda store: store.write(
            make_meta("a", MAY_2, generation=11), SCORES, lambda _: 1 / 0
        ),
        lambda store: store.remove("ada", "a", 2**63),
        lambda store: store.rejudge(
            "ada", "a", 10, make_judge(make_verdicts(version=UNSTORABLE))
        ),
        lambda store: store.rejudge("ada", "a", 10, lambda _: 1 / 0),
        lambda store: store.decide("ada", "a", UNSTORABLE),
        lambda store: store.settle(
            "ada",
            MAY_1,
            lambda _: {"a": DayOutcome(True), "b": DayOutcome(keeper=UNSTORABLE)},
        ),
        lambda store: store.settle("ada", MAY_1, lambda _: 1 / 0),
    ],
    ids=[
        "write",
        "overwrite",
        "write again",
        "judge of a write",
        "remove",
        "rejudge",
        "judge",
        "decide",
        "settle",
        "group",
    ],
)
def test_failure_leaves_all_tables_as_they_were(
    store: Store, tables: Tables, fail: Callable[[Store], object]
) -> None:
    for id_ in ("a", "b", "gone"):
        write(store, id_)
    store.remove("ada", "gone", 10)
    before = tables.everything()
    with pytest.raises(
        (sqlite3.Error, OverflowError, ZeroDivisionError, TypeError, ValueError)
    ):
        fail(store)
    assert tables.everything() == before
    write(store, "c")
