"""Firestore answers with an error, or does what it was asked and does not say so."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, Final

import pytest
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1.services.firestore import FirestoreClient

from store.interface import Store
from store.urls import open_store
from tests.store.samples import (
    CAT,
    MAY_1,
    MAY_2,
    all_similar,
    make_judge,
    make_verdicts,
    write,
)
from tests.store.trash_requests import request_of

# What a clock writes.
_TIMES: Final = ("analysed_at", "expires_at")

# Called before or after each request of a kind from now on, with its number.
Spy = Callable[[str, Callable[[int], None], Callable[[int], None]], None]


@pytest.fixture
def url(firestore_project: str) -> str:
    return f"firestore://{firestore_project}"


@pytest.fixture
def db(firestore_project: str, store: Store) -> firestore.Client:
    """A client that knows nothing of the store."""
    return firestore.Client(firestore_project)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    """Lets something happen around the real requests, as an error in their place."""

    def let(
        name: str, before: Callable[[int], None], after: Callable[[int], None]
    ) -> None:
        request = getattr(FirestoreClient, name)
        number = 0

        def spied(*args: Any, **kwargs: Any) -> Any:
            nonlocal number
            number += 1
            before(number)
            response = request(*args, **kwargs)
            after(number)
            return response

        monkeypatch.setattr(FirestoreClient, name, spied)

    return let


def _nothing(_: int) -> None:
    pass


def _raise(error: Exception, times: int = 1) -> Callable[[int], None]:
    def fail(number: int) -> None:
        if number <= times:
            raise error

    return fail


def _documents(db: firestore.Client) -> Mapping[str, Any]:
    return {
        document.reference.path: _timeless(document.to_dict())
        for table in ("users", "photos", "tags", "deletions", "tombstones", "trash")
        for document in db.collection_group(table).stream()
    }


def _timeless(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    # What is in the trash is as it was in documents of its own.
    return {name: _timeless(it) for name, it in value.items() if name not in _TIMES}


_CHANGES: Final[Mapping[str, Callable[[Store], object]]] = {
    "write": lambda store: write(store, "new"),
    "overwrite": lambda store: write(store, "a", MAY_2, generation=11),
    "older": lambda store: write(store, "a", MAY_2, generation=5, replaces=10),
    "detected": lambda store: write(store, "a", generation=11, detected=CAT),
    "after a removal": lambda store: write(store, "gone", generation=11),
    "remove": lambda store: store.remove("ada", "a", 10),
    "remove an older": lambda store: store.remove("ada", "a", 5, replaces=10),
    "remove what never was": lambda store: store.remove("ada", "new", 10),
    "rejudge": lambda store: store.rejudge(
        "ada", "a", 10, make_judge(make_verdicts(dark=True)), CAT
    ),
    "decide": lambda store: store.decide("ada", "b", "trash"),
    "settle": lambda store: store.settle("ada", MAY_1, all_similar),
    "settle in parts": lambda store: store.settle("ada", MAY_1, all_similar),
    "register": lambda store: store.register("ada", "ada@example.com"),
    "trash": lambda store: store.trash("ada", [request_of("a")]),
    "finish trash": lambda store: store.finish_trash("ada", "moving", "b"),
    "begin restore": lambda store: store.begin_restore("ada", "moving", "b"),
    "finish restore": lambda store: store.finish_restore("ada", "back", "e", 11),
    "begin purge": lambda store: store.begin_purge("ada", "out", "f"),
    "finish purge": lambda store: store.finish_purge("ada", "purging", "g"),
}


def _prepare(store: Store) -> None:
    for id_ in ("a", "b", "c", "e", "f", "g", "gone"):
        write(store, id_)
    store.settle("ada", MAY_1, all_similar)
    for id_, run in (("b", "moving"), ("e", "back"), ("f", "out"), ("g", "purging")):
        store.trash("ada", [request_of(id_, run)])
        if run != "moving":
            assert store.finish_trash("ada", run, id_)
    store.begin_restore("ada", "back", "e")
    store.begin_purge("ada", "purging", "g")
    store.remove("ada", "gone", 10)
    write(store, "d")


@pytest.fixture
def expected(
    store: Store, firestore_project: str, request: pytest.FixtureRequest
) -> Mapping[str, Any]:
    """The documents after a change that nothing went wrong with."""
    project = f"{firestore_project}-right"
    with closing(open_store(f"firestore://{project}")) as right:
        _prepare(right)
        _CHANGES[request.getfixturevalue("name")](right)
    _prepare(store)
    return _documents(firestore.Client(project))


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ServiceUnavailable("the connection broke"),
        exceptions.DeadlineExceeded("no answer"),
        exceptions.Aborted("so it seems"),
    ],
    ids=["unavailable", "deadline", "aborted"],
)
@pytest.mark.parametrize("name", _CHANGES)
def test_a_commit_whose_answer_is_lost_changes_nothing_twice(
    store: Store,
    db: firestore.Client,
    expected: Mapping[str, Any],
    usage: Counter[str],
    spy: Spy,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    error: Exception,
) -> None:
    if name == "settle in parts":
        monkeypatch.setattr("store.firestore_days._PHOTOS_A_COMMIT", 2)
    before = usage["store_retries"]
    spy("commit", _nothing, _raise(error))
    _CHANGES[name](store)
    assert _documents(db) == expected
    assert usage["store_retries"] - before == 1


@pytest.mark.parametrize("name", _CHANGES)
def test_a_commit_that_arrives_twice_changes_nothing_twice(
    store: Store,
    db: firestore.Client,
    expected: Mapping[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """As the library sends it again where the connection broke."""
    commit = FirestoreClient.commit
    answers: list[object] = []

    def twice(*args: Any, **kwargs: Any) -> Any:
        answers.append(commit(*args, **kwargs))
        return commit(*args, **kwargs) if len(answers) == 1 else answers[-1]

    monkeypatch.setattr(FirestoreClient, "commit", twice)
    _CHANGES[name](store)
    assert _documents(db) == expected


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("name", [name for name in _CHANGES if name != "register"])
def test_a_commit_that_is_aborted_is_tried_again(
    store: Store,
    db: firestore.Client,
    expected: Mapping[str, Any],
    usage: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    times: int,
) -> None:
    before = usage["store_retries"]
    commit = FirestoreClient.commit
    left = times

    def abort(self: FirestoreClient, request: dict[str, Any], **kwargs: Any) -> Any:
        nonlocal left
        if left == 0:
            return commit(self, request=request, **kwargs)
        left -= 1
        # Which ends it, so that nobody waits for it.
        names = ("database", "transaction")
        self.rollback(request={name: request[name] for name in names})
        raise exceptions.Aborted("somebody else")

    monkeypatch.setattr(FirestoreClient, "commit", abort)
    _CHANGES[name](store)
    assert _documents(db) == expected
    assert usage["store_retries"] - before == times


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["overwrite", "remove", "rejudge"])
def test_a_transaction_that_expired_is_begun_anew(
    store: Store,
    db: firestore.Client,
    expected: Mapping[str, Any],
    usage: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """As when the server answers no more for a minute."""
    before = usage["store_retries"]
    read = FirestoreClient.batch_get_documents
    expired: list[bytes] = []

    def expire(self: FirestoreClient, request: dict[str, Any], **kwargs: Any) -> Any:
        transaction = request["transaction"]
        if transaction and not expired:
            expired.append(transaction)
            names = ("database", "transaction")
            self.rollback(request={name: request[name] for name in names})
            raise exceptions.DeadlineExceeded("no answer")
        return read(self, request=request, **kwargs)

    monkeypatch.setattr(FirestoreClient, "batch_get_documents", expire)
    _CHANGES[name](store)
    assert len(expired) == 1
    assert _documents(db) == expected
    assert usage["store_retries"] - before == 1


@pytest.mark.parametrize("request_", ["begin_transaction", "batch_get_documents"])
@pytest.mark.parametrize(
    "error",
    [
        exceptions.ServiceUnavailable("the connection broke"),
        exceptions.DeadlineExceeded("no answer"),
        exceptions.InternalServerError("sorry"),
        exceptions.Unknown("sorry"),
        exceptions.ResourceExhausted("too many requests"),
        exceptions.Cancelled("the server goes"),
        exceptions.Aborted("somebody else"),
        exceptions.RetryError("the library gave up", None),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_may_pass_is_tried_again(
    store: Store, usage: Counter[str], spy: Spy, request_: str, error: Exception
) -> None:
    write(store)
    spy(request_, _raise(error, times=2), _nothing)
    assert store.remove("ada", "a", 10) == {MAY_1}
    state = store.state("ada", "a")
    assert state is not None
    assert state.removed
    assert usage["store_retries"] == 2


@pytest.mark.parametrize("request_", ["begin_transaction", "commit"])
@pytest.mark.parametrize(
    "error",
    [
        exceptions.PermissionDenied("not you"),
        exceptions.Unauthenticated("who are you"),
        exceptions.FailedPrecondition("the query requires an index"),
        exceptions.NotFound("no such database"),
        exceptions.InvalidArgument("too many writes in a transaction"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_does_not_pass_is_raised_at_once(
    store: Store, usage: Counter[str], spy: Spy, request_: str, error: Exception
) -> None:
    write(store)
    tries: list[int] = []

    def fail(number: int) -> None:
        tries.append(number)
        raise error

    spy(request_, fail, _nothing)
    with pytest.raises(type(error), match=str(error.args[0])):
        store.remove("ada", "a", 10)
    assert tries == [1]
    assert usage["store_retries"] == 0
    state = store.state("ada", "a")
    assert state is not None
    assert not state.removed


def test_a_document_that_is_too_large_is_refused_at_once(
    store: Store, usage: Counter[str]
) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=r"longer than|exceeds"):
        write(store, descriptor=bytes(1_100_000))
    assert usage["store_retries"] == 0


def test_tries_become_rarer_and_end(
    reopen: Callable[[], Store], spy: Spy, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(reopen())
    monkeypatch.setattr("store.firestore_database._GIVE_UP_AFTER_S", 5.0)
    store = reopen()
    tries_s: list[float] = []

    def fail(_: int) -> None:
        tries_s.append(time.monotonic())
        raise exceptions.ServiceUnavailable("the connection broke")

    spy("commit", fail, _nothing)
    started_s = time.monotonic()
    with pytest.raises(exceptions.RetryError, match="the connection broke"):
        store.remove("ada", "a", 10)
    assert 1.0 < time.monotonic() - started_s < 15.0
    # Waits of 0.1 s at the mean, then twice as long each; each by chance.
    assert 3 <= len(tries_s) <= 20
