"""Firestore stands still for a while."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from google.api_core import exceptions
from google.cloud.firestore_v1.services.firestore import FirestoreClient

from demo.emulators import Emulators
from store.interface import Store
from store.records import StoredScores
from tests.store.samples import (
    MAY_1,
    MAY_2,
    SCORES,
    all_similar,
    make_judge,
    make_meta,
    settle_all,
    write,
)

_FROZEN_S: Final = 4.0
_REQUEST_S: Final = 1.0


@pytest.fixture
def url(firestore_project: str) -> str:
    return f"firestore://{firestore_project}"


@pytest.fixture
def freeze(firestore_emulator: Emulators) -> Iterator[Callable[[], None]]:
    """Stops the emulator for a while."""
    process = firestore_emulator.processes["firestore"]
    timers = []

    def stop() -> None:
        os.kill(process, signal.SIGSTOP)
        # It has many threads.
        os.waitid(os.P_PID, process, os.WSTOPPED)
        timer = threading.Timer(_FROZEN_S, os.kill, (process, signal.SIGCONT))
        timers.append(timer)
        timer.start()

    yield stop
    os.kill(process, signal.SIGCONT)
    for timer in timers:
        timer.cancel()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.firestore_database._REQUEST_S", _REQUEST_S)


# The library gives no timeout to the begin and the end of a transaction, but the one
# of Google's, a minute. What is read within has ours.
@pytest.mark.parametrize(
    ("use", "within"),
    [
        (lambda store: store.state("ada", "a"), False),
        (lambda store: store.day("ada", MAY_1), False),
        (lambda store: store.pending_days(), False),
        (lambda store: store.counts("ada"), False),
        (lambda store: store.settle("ada", MAY_1, all_similar), False),
        (lambda store: store.register("ada", "ada@example.com"), False),
        (lambda store: store.settle("ada", MAY_1, all_similar), True),
        (lambda store: write(store, "b"), True),
        (lambda store: store.remove("ada", "a", 10), True),
    ],
    ids=[
        "state",
        "day",
        "pending days",
        "counts",
        "settle",
        "register",
        "transaction of settle",
        "write",
        "remove",
    ],
)
@pytest.mark.usefixtures("quick")
def test_a_server_that_stands_still_is_asked_again(
    store: Store,
    usage: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
    freeze: Callable[[], None],
    use: Callable[[Store], object],
    within: bool,
) -> None:
    write(store)
    assert usage["store_retries"] == 0
    if within:
        begin = FirestoreClient.begin_transaction

        def begin_and_freeze(*args: Any, **kwargs: Any) -> Any:
            response = begin(*args, **kwargs)
            monkeypatch.setattr(FirestoreClient, "begin_transaction", begin)
            freeze()
            return response

        monkeypatch.setattr(FirestoreClient, "begin_transaction", begin_and_freeze)
    else:
        freeze()
    started_s = time.monotonic()
    use(store)
    waited_s = time.monotonic() - started_s
    assert _FROZEN_S - 0.5 < waited_s < _FROZEN_S + 20
    # It asks once in a second, and waits longer each time.
    assert 1 <= usage["store_retries"] <= _FROZEN_S / _REQUEST_S
    settle_all(store, "ada")
    assert store.pending_days("ada") == []


@pytest.mark.usefixtures("quick")
def test_a_server_that_stands_still_before_the_commit_is_waited_for(
    store: Store, freeze: Callable[[], None]
) -> None:
    write(store)

    def judge(scores: StoredScores) -> Any:
        freeze()
        return make_judge()(scores)

    assert store.write(make_meta(date=MAY_2, generation=11), SCORES, judge) == {
        MAY_1,
        MAY_2,
    }


def test_waiting_ends(
    reopen: Callable[[], Store],
    usage: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
    freeze: Callable[[], None],
) -> None:
    monkeypatch.setattr("store.firestore_database._REQUEST_S", 0.5)
    monkeypatch.setattr("store.firestore_database._GIVE_UP_AFTER_S", 1.5)
    store = reopen()
    write(store)
    freeze()
    started_s = time.monotonic()
    with pytest.raises(exceptions.RetryError, match="Deadline"):
        store.state("ada", "a")
    assert time.monotonic() - started_s < _FROZEN_S
    assert 2 <= usage["store_retries"] <= 4
