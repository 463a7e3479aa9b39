"""What Firestore needs to answer a query, and what `firestore.indexes.json` gives it.

The emulator answers any query, but Firestore refuses one whose index is missing:
https://firebase.google.com/docs/firestore/query-data/index-overview
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.cloud.firestore_v1.types import StructuredQuery

FILE: Final = Path(__file__).resolve().parents[2] / "firebase/firestore.indexes.json"

ASCENDING: Final = "ASCENDING"
DESCENDING: Final = "DESCENDING"
CONTAINS: Final = "CONTAINS"
COLLECTION: Final = "COLLECTION"
COLLECTION_GROUP: Final = "COLLECTION_GROUP"

_FIELD: Final = StructuredQuery.FieldFilter.Operator
_UNARY: Final = StructuredQuery.UnaryFilter.Operator
# `in` is several queries, each for one value.
_EQUAL: Final = (_FIELD.EQUAL, _FIELD.IN)
_RANGE: Final = (
    _FIELD.LESS_THAN,
    _FIELD.LESS_THAN_OR_EQUAL,
    _FIELD.GREATER_THAN,
    _FIELD.GREATER_THAN_OR_EQUAL,
)


@dataclass(frozen=True)
class Index:
    """An index of the file, or one that Firestore has by itself.

    Attributes:
        scope: COLLECTION (of one user) or COLLECTION_GROUP (of all).
        fields: Each with ASCENDING, DESCENDING or CONTAINS.
    """

    collection: str
    scope: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Query:
    """What a query asks of an index.

    Attributes:
        first: Fields that begin it, in any order: compared with one value.
        then: Fields that follow, in this order: ranges, sorting, sums.
    """

    collection: str
    scope: str
    first: frozenset[tuple[str, str]]
    then: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, query: StructuredQuery, sums: Sequence[str] = ()) -> "Query":
        (source,) = query.from_
        first, then = set(), []
        for field, mode, is_fixed in _conditions(query.where):
            if is_fixed:
                first.add((field, mode))
            elif (field, mode) not in then:
                then.append((field, mode))
        sorting = [
            (order.field.field_path, StructuredQuery.Direction(order.direction).name)
            for order in query.order_by
            if order.field.field_path != "__name__"
        ]
        # Ranges sort by themselves, unless they are sorted otherwise.
        then = sorting or then
        known = {field for field, _ in (*first, *then)}
        then += [(field, ASCENDING) for field in sums if field not in known]
        scope = COLLECTION_GROUP if source.all_descendants else COLLECTION
        return cls(source.collection_id, scope, frozenset(first), tuple(then))

    def is_served_by(self, index: Index) -> bool:
        begins, follows = (
            index.fields[: len(self.first)],
            index.fields[len(self.first) :],
        )
        return (
            (index.collection, index.scope) == (self.collection, self.scope)
            and frozenset(begins) == self.first
            and follows == self.then
        )

    @property
    def needs_none(self) -> bool:
        """Whether all of a collection is asked for, as it is."""
        return not self.first and not self.then


def _conditions(where: StructuredQuery.Filter) -> Iterator[tuple[str, str, bool]]:
    """(field, ASCENDING or CONTAINS, whether it is compared with one value)."""
    if where.composite_filter.filters:
        assert where.composite_filter.op == StructuredQuery.CompositeFilter.Operator.AND
        for part in where.composite_filter.filters:
            yield from _conditions(part)
    elif field := where.field_filter.field.field_path:
        operator = where.field_filter.op
        if operator == _FIELD.ARRAY_CONTAINS:
            yield field, CONTAINS, True
        else:
            assert operator in (*_EQUAL, *_RANGE), operator
            yield field, ASCENDING, operator in _EQUAL
    elif field := where.unary_filter.field.field_path:
        assert where.unary_filter.op == _UNARY.IS_NULL
        yield field, ASCENDING, True


class Indexes:
    """The indexes of `firestore.indexes.json`, and those that need no mention there."""

    def __init__(self) -> None:
        self.file: Mapping[str, Any] = json.loads(FILE.read_text())
        self.composite = [
            Index(
                entry["collectionGroup"],
                entry["queryScope"],
                tuple((field["fieldPath"], _mode(field)) for field in entry["fields"]),
            )
            for entry in self.file["indexes"]
        ]
        # An override replaces what Firestore has of a field by itself.
        self._overridden = {
            (entry["collectionGroup"], entry["fieldPath"])
            for entry in self.file["fieldOverrides"]
        }
        self.single = [
            Index(
                entry["collectionGroup"],
                index["queryScope"],
                ((entry["fieldPath"], _mode(index)),),
            )
            for entry in self.file["fieldOverrides"]
            for index in entry["indexes"]
        ]

    def serving(self, query: Query) -> list[Index]:
        return [one for one in self._all(query) if query.is_served_by(one)]

    def _all(self, query: Query) -> list[Index]:
        fields = (*query.first, *query.then)
        automatic = [
            Index(query.collection, COLLECTION, ((field, mode),))
            for field, _ in fields
            for mode in (ASCENDING, DESCENDING, CONTAINS)
            if not self._is_overridden(query.collection, field)
        ]
        return [*self.composite, *self.single, *automatic]

    def _is_overridden(self, collection: str, field: str) -> bool:
        # What is said of a map holds for all that is in it.
        parts = field.split(".")
        paths = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
        return any((collection, path) in self._overridden for path in paths)


def _mode(entry: Mapping[str, str]) -> str:
    (mode,) = {entry[key] for key in ("order", "arrayConfig") if key in entry}
    return mode
