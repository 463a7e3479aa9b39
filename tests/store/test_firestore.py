"""What is Firestore's own; what every store does is tested in the files beside."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from google.cloud import firestore
from google.cloud.firestore import DELETE_FIELD
from google.cloud.firestore_v1.services.firestore import FirestoreClient

from store.firestore import FirestoreStore
from store.firestore_photos import document_of
from store.interface import Store
from store.records import DayOutcome, DayPhoto, PhotoMeta, Verdicts
from store.search import REASONS, TAGS
from tests.store.samples import (
    CAT,
    MAY_1,
    MAY_2,
    SCORES,
    all_similar,
    make_judge,
    make_meta,
    make_verdicts,
    nothing,
    settle_all,
    write,
)
from tests.store.trash_requests import request_of


@pytest.fixture
def url(firestore_project: str) -> str:
    return f"firestore://{firestore_project}"


@pytest.fixture
def db(firestore_project: str, store: Store) -> firestore.Client:
    """A client that knows nothing of the store."""
    return firestore.Client(firestore_project)


def _fields(db: firestore.Client, path: str) -> dict[str, Any]:
    fields = db.document(path).get().to_dict()
    assert fields is not None, path
    return fields


def _paths(db: firestore.Client) -> Iterator[str]:
    """Of all documents, wherever they are."""
    for top in db.collections():
        for document in top.list_documents():
            if document.get().exists:
                yield document.path
            for collection in document.collections():
                for below in collection.list_documents():
                    assert not list(below.collections())
                    yield below.path


# Documents.


def test_documents_lie_below_their_user(store: Store, db: firestore.Client) -> None:
    write(store)
    write(store, "b", user_id="bob")
    store.remove("bob", "b", 10)
    store.remove("eve", "c", 10)
    assert sorted(_paths(db)) == [
        "users/ada",
        "users/ada/deletions/a",
        "users/ada/photos/a",
        "users/ada/tags/a",
        "users/bob",
        "users/bob/tombstones/b",
        "users/eve/tombstones/c",
    ]


def test_fields_are_of_the_kind_they_are_meant_to_be(
    store: Store, db: firestore.Client
) -> None:
    meta = make_meta(latitude=None, longitude=None)
    store.write(meta, SCORES, make_judge(), detected=CAT)
    photo = _fields(db, "users/ada/photos/a")
    for field in dataclasses.fields(PhotoMeta):
        value = getattr(meta, field.name)
        assert (type(photo[field.name]), photo[field.name]) == (type(value), value)
    assert photo["delete"] is False
    assert photo["decision"] is None
    assert photo["features"] == b"cat"
    assert photo["pending_dates"] == [MAY_1]
    assert isinstance(photo["analysed_at"], datetime)
    assert abs(photo["analysed_at"] - datetime.now(UTC)) < timedelta(minutes=5)
    tags = _fields(db, "users/ada/tags/a")
    assert [type(tags[tag]) for tag in TAGS if tags[tag] is not None] == [bool, bool]
    assert tags["animal"] is None
    deletions = _fields(db, "users/ada/deletions/a")
    assert [type(deletions[reason]) for reason in REASONS] == [bool] * 4
    verdicts = make_verdicts()
    for field in dataclasses.fields(Verdicts):
        assert deletions[field.name] == getattr(verdicts, field.name)


def test_longest_descriptor_comes_back_as_it_was(
    store: Store, db: firestore.Client
) -> None:
    longest = bytes(range(256)) * 2
    write(store, descriptor=longest)
    assert _fields(db, "users/ada/photos/a")["descriptor"] == longest
    assert store.day("ada", MAY_1)[0].descriptor == longest


def test_tombstone_expires_after_its_days_are_settled(
    store: Store, db: firestore.Client
) -> None:
    write(store)
    write(store, date=MAY_2, generation=11)
    store.remove("ada", "a", 11)
    for date in (MAY_1, MAY_2):
        # Time to live would take the pending days with it.
        assert _fields(db, "users/ada/tombstones/a")["expires_at"] is None
        store.settle("ada", date, nothing)
    expires_at = _fields(db, "users/ada/tombstones/a")["expires_at"]
    # Pub/Sub keeps a message for 31 days at most.
    assert expires_at > datetime.now(UTC) + timedelta(days=31)


def test_tombstone_of_what_never_was_expires_too(
    store: Store, db: firestore.Client
) -> None:
    store.remove("ada", "a", 10)
    expires_at = _fields(db, "users/ada/tombstones/a")["expires_at"]
    assert expires_at > datetime.now(UTC) + timedelta(days=31)


def test_record_in_the_trash_holds_the_documents_as_they_were(
    store: Store, db: firestore.Client
) -> None:
    write(store, detected=CAT)
    store.settle("ada", MAY_1, nothing)
    names = ("photos", "tags", "deletions")
    before = {name: _fields(db, f"users/ada/{name}/a") for name in names}
    store.trash("ada", [request_of("a")])
    assert _fields(db, "users/ada/trash/run.a")["rows"] == before
    store.finish_trash("ada", "run", "a")
    store.begin_restore("ada", "run", "a")
    store.finish_restore("ada", "run", "a", 10)
    store.settle("ada", MAY_1, nothing)
    assert {name: _fields(db, f"users/ada/{name}/a") for name in names} == before


def test_documents_of_before_there_was_a_trash_can_be_trashed(
    store: Store, db: firestore.Client
) -> None:
    """They do not tell what they stay for: nothing."""
    for id_ in "abc":
        write(store, id_)
        db.document(f"users/ada/photos/{id_}").update({"kept_for": DELETE_FIELD})
    store.remove("ada", "c", 10)
    old = {"kept_for": DELETE_FIELD, "sha256": DELETE_FIELD}
    db.document("users/ada/tombstones/c").update(old)
    write(store, "c", generation=11)
    assert [photo.kept_for for photo in store.day("ada", MAY_1)] == [0, 0, 0]
    store.settle("ada", MAY_1, all_similar)
    for id_ in "ab":
        store.trash("ada", [request_of(id_)])
    assert [photo.kept_for for photo in store.day("ada", MAY_1)] == [0, 0, 2]


def _judged_again(store: Store) -> None:
    judge = make_judge(make_verdicts(shaken=True, version="v2"))
    store.rejudge("ada", "a", 10, judge, CAT)


@pytest.mark.parametrize(
    "change",
    [
        lambda store: write(store),
        lambda store: write(store, detected=CAT),
        lambda store: store.settle("ada", MAY_1, all_similar),
        _judged_again,
        lambda store: store.rejudge("ada", "b", 10, make_judge()),
        lambda store: store.decide("ada", "a", "trash"),
        lambda store: store.remove("ada", "a", 10),
    ],
    ids=["written", "detected", "settled", "judged", "same", "decided", "removed"],
)
def test_photo_repeats_what_tags_and_deletions_say(
    store: Store, db: firestore.Client, change: Callable[[Store], object]
) -> None:
    for id_ in "abc":
        write(store, id_)
    store.settle("ada", MAY_1, all_similar)
    write(store, "c", sharpness=1.0)
    change(store)
    for photo in db.collection("users/ada/photos").stream():
        tags = _fields(db, f"users/ada/tags/{photo.id}")
        deletions = _fields(db, f"users/ada/deletions/{photo.id}")
        for name in ("detector", "subject"):
            assert photo.get(name) == tags[name]
        for name in ("version", "shaken", "dark", "screenshot"):
            assert photo.get("judged")[name] == deletions[name]
        assert photo.get("judged")["tags_version"] == tags["version"]
        outcome = {field.name for field in dataclasses.fields(DayOutcome)} - {"delete"}
        assert photo.get("outcome") == {name: deletions[name] for name in outcome}


def test_photos_of_others_named_so_are_none_of_ours(
    store: Store, db: firestore.Client
) -> None:
    other: Mapping[str, Any] = {
        "pending_dates": [MAY_1],
        "date": MAY_1,
        "decision": "keep",
        "settled_decision": "none",
    }
    db.document("albums/summer/photos/a").set(other)
    write(store)
    store.settle("ada", MAY_1, nothing)
    assert store.pending_days() == []
    assert _fields(db, "albums/summer/photos/a") == other


# Users, who change `decision` in their own documents and nothing else.

_DECISIONS: Final = ["keep", "trash", None]


@pytest.mark.parametrize("before", _DECISIONS)
@pytest.mark.parametrize("after", _DECISIONS)
@pytest.mark.parametrize("whose", [None, "ada"], ids=["all", "one"])
def test_decision_of_a_client_lets_the_day_wait(
    store: Store,
    db: firestore.Client,
    before: Any,
    after: Any,
    whose: str | None,
) -> None:
    write(store)
    write(store, "b")
    store.decide("ada", "a", before)
    store.settle("ada", MAY_1, nothing)
    assert store.pending_days(whose) == []
    db.document("users/ada/photos/a").update({"decision": after})
    days = store.pending_days(whose)
    if before == after:
        assert days == []
        return
    assert days == [("ada", MAY_1)]
    state = store.state("ada", "a")
    assert state is not None
    assert state.pending_dates == {MAY_1}
    seen = {}

    def group(photos: Sequence[DayPhoto]) -> Mapping[str, DayOutcome]:
        seen.update({photo.id: photo.decision for photo in photos})
        return {photo.id: DayOutcome(delete=not photo.decision) for photo in photos}

    store.settle("ada", MAY_1, group)
    assert seen == {"a": after, "b": None}
    assert _fields(db, "users/ada/photos/a")["delete"] is (after is None)
    assert store.pending_days(whose) == []


@pytest.mark.parametrize("waiting", [True, False], ids=["waiting", "settled"])
def test_decision_of_a_client_while_the_day_is_settled_is_not_lost(
    store: Store, db: firestore.Client, waiting: bool
) -> None:
    write(store)
    if not waiting:
        store.settle("ada", MAY_1, nothing)
    write(store, "b")
    calls = 0

    def group(photos: Sequence[DayPhoto]) -> Mapping[str, DayOutcome]:
        nonlocal calls
        calls += 1
        if calls == 1:
            db.document("users/ada/photos/a").update({"decision": "keep"})
        return {photo.id: DayOutcome(delete=not photo.decision) for photo in photos}

    store.settle("ada", MAY_1, group)
    for _, date in store.pending_days("ada"):
        store.settle("ada", date, group)
    assert _fields(db, "users/ada/photos/a")["decision"] == "keep"
    assert _fields(db, "users/ada/photos/a")["delete"] is False
    assert _fields(db, "users/ada/photos/b")["delete"] is True
    assert store.pending_days() == []


def test_decision_of_a_client_survives_what_a_job_writes(
    store: Store, db: firestore.Client
) -> None:
    write(store)
    db.document("users/ada/photos/a").update({"decision": "keep"})
    write(store, date=MAY_2, generation=11)
    store.rejudge("ada", "a", 11, make_judge(make_verdicts(dark=True)))
    settle_all(store, "ada")
    assert _fields(db, "users/ada/photos/a")["decision"] == "keep"
    store.remove("ada", "a", 11)
    write(store, generation=12)
    assert _fields(db, "users/ada/photos/a")["decision"] == "keep"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the documents that are read from now on, and of those queried below."""
    paths: list[str] = []
    get, query = FirestoreClient.batch_get_documents, FirestoreClient.run_query

    def spy_get(*args: Any, **kwargs: Any) -> Any:
        names = kwargs["request"]["documents"]
        paths.extend(name.partition("/documents/")[2] for name in names)
        return get(*args, **kwargs)

    def spy_query(*args: Any, **kwargs: Any) -> Any:
        paths.append(kwargs["request"]["parent"].partition("/documents")[2].lstrip("/"))
        return query(*args, **kwargs)

    monkeypatch.setattr(FirestoreClient, "batch_get_documents", spy_get)
    monkeypatch.setattr(FirestoreClient, "run_query", spy_query)
    return paths


def test_what_is_done_for_a_user_stays_below_the_user(
    store: Store, read: list[str], written: list[str]
) -> None:
    # The name of one begins like that of another.
    for user_id in ("user1", "user10", "user100"):
        user = f"users/{user_id}"
        read.clear()
        written.clear()
        for id_ in "ab":
            write(store, id_, user_id=user_id)
        store.settle(user_id, MAY_1, all_similar)
        store.decide(user_id, "a", "keep")
        store.remove(user_id, "b", 10)
        store.rejudge(user_id, "a", 10, make_judge(make_verdicts(dark=True)), CAT)
        settle_all(store, user_id)
        write(store, "b", user_id=user_id, generation=11)
        settle_all(store, user_id)
        store.trash(user_id, [request_of("b", generation=11)])
        store.begin_restore(user_id, "run", "b")
        store.finish_restore(user_id, "run", "b", 11)
        for paths in (read, written):
            assert {p for p in paths if not p.startswith(f"{user}/")} == {user}
        tables = {path.split("/")[2] for path in {*written} - {user}}
        assert tables == {"photos", "tags", "deletions", "tombstones", "trash"}
        # All photos of a user would wait for it.
        assert written.count(user) == 1


def test_10000_users_share_no_document(store: Store) -> None:
    assert isinstance(store, FirestoreStore)
    users: dict[str, str] = {}
    for number in range(10_000):
        user_id = f"user{number}"
        for table in ("photos", "tags", "deletions", "tombstones"):
            # The photos of all of them are named the same.
            path = document_of(store._db, user_id, table, "a").path
            assert users.setdefault(path, user_id) == user_id
            assert path.startswith(f"{store._db.user(user_id).path}/")
    assert len(users) == 4 * 10_000
