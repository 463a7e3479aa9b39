"""Firestore has an index for each query that the store sends, and for no other."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any, Final

import pytest
from google.cloud import firestore
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.types import (
    RunAggregationQueryRequest,
    RunQueryRequest,
)

from demo.emulators import Emulators
from store.interface import Store
from store.search import REASONS, TAGS, PhotoQuery
from store.urls import open_store
from tests.firebase.queries import Indexes, Query
from tests.store.samples import CAT, MAY_1, all_similar, make_judge, write
from tests.store.trash_requests import request_of

_PLACE: Final[Mapping[str, Any]] = {"near": (48.5, -2.25), "within_km": 5.0}
_DAYS: Final = {"first_date": MAY_1, "last_date": MAY_1}
_SEARCHES: Final[Sequence[Mapping[str, Any]]] = (
    {},
    _DAYS,
    {"first_date": MAY_1},
    {"last_date": MAY_1},
    _PLACE,
    {"ids": ["a", "b"]},
    {"subject": "food"},
    {"decision": "trash"},
    {"reasons": ("any",)},
    *({"reasons": (reason,)} for reason in REASONS),
    *({"tags": (tag,)} for tag in TAGS),
    {"tags": TAGS[:2], "reasons": REASONS, **_DAYS, **_PLACE},
    {"reasons": ("any", "dark"), **_DAYS, **_PLACE},
    {"subject": "food", "tags": TAGS, "reasons": ("any",), **_DAYS, **_PLACE},
)


def _trash_all_but_c(store: Store) -> None:
    write(store, "c")
    store.settle("ada", MAY_1, all_similar)
    for photo in "ba":
        store.trash("ada", [request_of(photo)])
        assert store.finish_trash("ada", "run", photo)


def _restore_a(store: Store) -> None:
    _trash_all_but_c(store)
    store.begin_restore("ada", "run", "a")
    store.finish_restore("ada", "run", "a", 10)


def _purge_a(store: Store) -> None:
    _trash_all_but_c(store)
    store.begin_purge("ada", "run", "a")
    store.finish_purge("ada", "run", "a")


_TRASHED: Final[Sequence[Mapping[str, Any]]] = (
    {},
    {"run": "run"},
    {"state": "moving"},
    {"before": "2026"},
    {"run": "run", "state": "trashed", "before": "2026"},
)

# Every method of a store, on photos `a` and `b` of which `a` is the keeper.
USES: Final[Mapping[str, Callable[[Store], object]]] = {
    "prepare": lambda store: store.prepare(),
    "register": lambda store: store.register("ada", "ada@example.org"),
    "state": lambda store: store.state("ada", "a"),
    "write": lambda store: write(store, generation=11, detected=CAT),
    "remove": lambda store: store.remove("ada", "a", 11),
    "rejudge": lambda store: store.rejudge("ada", "a", 10, make_judge()),
    "decide": lambda store: store.decide("ada", "a", "keep"),
    # A shot that is all of a group, for which its day is looked at too.
    "trash": lambda store: store.trash("ada", [request_of(photo) for photo in "ab"]),
    "finish_trash": _trash_all_but_c,
    "begin_restore": _restore_a,
    "finish_restore": _restore_a,
    "begin_purge": _purge_a,
    "cancel_purge": lambda store: (
        _trash_all_but_c(store),
        store.begin_purge("ada", "run", "a"),
        store.cancel_purge("ada", "run", "a"),
    ),
    "finish_purge": _purge_a,
    "trashed": lambda store: [
        list(store.trashed("ada", **asked)) for asked in _TRASHED
    ],
    "day": lambda store: store.day("ada", MAY_1),
    "settle": lambda store: (
        store.decide("ada", "a", "trash"),
        store.settle("ada", MAY_1, all_similar),
    ),
    "pending_days": lambda store: (store.pending_days(), store.pending_days("ada")),
    "photos_under": lambda store: list(store.photos_under("ada", "/photos/")),
    "find_path": lambda store: store.find_path("ada", "/photos/a.jpg"),
    "search": lambda store: [
        list(store.search(PhotoQuery("ada", **search))) for search in _SEARCHES
    ],
    "counts": lambda store: store.counts("ada"),
    "close": lambda store: store.close(),
}


@pytest.fixture(scope="module")
def queries(firestore_emulator: Emulators) -> Mapping[str, Sequence[Query]]:
    """What each method asks Firestore for."""
    with pytest.MonkeyPatch.context() as patch:
        recorded: dict[str, list[Query]] = {}
        for number, (name, use) in enumerate(USES.items()):
            with closing(open_store(f"firestore://piccl-indexes-{number}")) as store:
                for photo in "ab":
                    write(store, photo, path=f"/photos/shot.{photo}")
                store.settle("ada", MAY_1, all_similar)
                recorded[name] = []
                _record(patch, recorded[name])
                use(store)
                patch.undo()
    return recorded


def _record(patch: pytest.MonkeyPatch, queries: list[Query]) -> None:
    run, aggregate = FirestoreClient.run_query, FirestoreClient.run_aggregation_query

    def record_run(self: FirestoreClient, request: Any, **options: Any) -> Any:
        queries.append(Query.of(RunQueryRequest(request).structured_query))
        return run(self, request, **options)

    def record_aggregate(self: FirestoreClient, request: Any, **options: Any) -> Any:
        asked = RunAggregationQueryRequest(request).structured_aggregation_query
        sums = [one.sum.field.field_path for one in asked.aggregations if "sum" in one]
        queries.append(Query.of(asked.structured_query, sums))
        return aggregate(self, request, **options)

    patch.setattr(FirestoreClient, "run_query", record_run)
    patch.setattr(FirestoreClient, "run_aggregation_query", record_aggregate)


def test_every_method_is_used() -> None:
    methods = {name for name, it in vars(Store).items() if callable(it)}
    assert {name for name in methods if not name.startswith("_")} == set(USES)


@pytest.mark.parametrize("method", USES)
def test_each_query_has_an_index(
    queries: Mapping[str, Sequence[Query]], method: str
) -> None:
    indexes = Indexes()
    assert [
        query
        for query in queries[method]
        if not query.needs_none and not indexes.serving(query)
    ] == []


def test_each_index_has_a_query(queries: Mapping[str, Sequence[Query]]) -> None:
    indexes = Indexes()
    used = {
        index
        for asked in queries.values()
        for query in asked
        for index in indexes.serving(query)
    }
    assert {*indexes.composite, *indexes.single} - used == set()


def test_file_says_nothing_twice() -> None:
    indexes = Indexes()
    stated = [*indexes.composite, *indexes.single]
    assert len(stated) == len(set(stated))
    overridden = [
        (entry["collectionGroup"], entry["fieldPath"])
        for entry in indexes.file["fieldOverrides"]
    ]
    assert len(overridden) == len(set(overridden))


def test_file_has_the_form_that_firebase_reads() -> None:
    """https://firebase.google.com/docs/reference/firestore/indexes."""
    file = Indexes().file
    assert set(file) == {"indexes", "fieldOverrides"}
    for entry in file["indexes"]:
        assert set(entry) == {"collectionGroup", "queryScope", "fields"}
        assert len(entry["fields"]) > 1
        for field in entry["fields"]:
            _check_mode(field, beside={"fieldPath"})
    for entry in file["fieldOverrides"]:
        assert set(entry) - {"ttl"} == {"collectionGroup", "fieldPath", "indexes"}
        assert entry.get("ttl", True) is True
        for index in entry["indexes"]:
            _check_mode(index, beside={"queryScope"})
    for entry in (
        *file["indexes"],
        *(i for e in file["fieldOverrides"] for i in e["indexes"]),
    ):
        assert entry["queryScope"] in ("COLLECTION", "COLLECTION_GROUP")


def _check_mode(entry: Mapping[str, str], beside: set[str]) -> None:
    (mode,) = set(entry) - beside
    assert set(entry) == {mode, *beside}
    assert (
        entry[mode]
        in {
            "order": ("ASCENDING", "DESCENDING"),
            "arrayConfig": ("CONTAINS",),
        }[mode]
    )


def test_only_tombstones_expire() -> None:
    expiring = [
        (entry["collectionGroup"], entry["fieldPath"])
        for entry in Indexes().file["fieldOverrides"]
        if entry.get("ttl")
    ]
    assert expiring == [("tombstones", "expires_at")]


@pytest.mark.parametrize(
    "collection", ["photos", "tags", "deletions", "tombstones", "trash"]
)
def test_no_field_is_indexed_for_its_size(
    firestore_project: str, collection: str
) -> None:
    """Every field has an index unless told not; no query is for bytes or maps."""
    with closing(open_store(f"firestore://{firestore_project}")) as store:
        for photo in "ab":
            write(store, photo, detected=CAT)
        store.settle("ada", MAY_1, all_similar)
        store.trash("ada", [request_of("b")])
        store.remove("ada", "b", 10)
    documents = firestore.Client(firestore_project).collection(
        f"users/ada/{collection}"
    )
    (fields,) = (found.to_dict() for found in documents.stream())
    large = {
        name for name, value in fields.items() if isinstance(value, bytes | dict | list)
    }
    overridden = {
        entry["fieldPath"]
        for entry in Indexes().file["fieldOverrides"]
        if entry["collectionGroup"] == collection
    }
    assert large <= overridden
    assert overridden <= set(fields)
