import itertools
from dataclasses import dataclass
from typing import Final, Literal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from store.interface import Store
from store.sqlite import SqliteStore
from tests.store.samples import MAY_1, MAY_2, MAY_3, all_similar, settle_all, write
from tests.store.tables import Tables

DAYS: Final = (MAY_1, MAY_2, MAY_3)


@dataclass(frozen=True)
class Event:
    kind: Literal["write", "remove", "settle"]
    photo: int
    generation: int

    @property
    def id(self) -> str:
        return f"p{self.photo}"

    @property
    def date(self) -> str:
        """The same version of the same photo always shows the same date."""
        return DAYS[(self.photo + self.generation) % len(DAYS)]

    def apply(self, store: Store, user_id: str) -> None:
        if self.kind == "settle":
            store.settle(user_id, self.date, all_similar)
        elif self.kind == "remove":
            store.remove(user_id, self.id, self.generation)
        else:
            write(
                store,
                self.id,
                self.date,
                user_id=user_id,
                generation=self.generation,
                title=f"{self.generation}.jpg",
            )


def test_any_order_of_events_ends_as_the_newest_alone(
    shared: Store, shared_tables: Tables
) -> None:
    # Each example has users of its own.
    users = itertools.count()

    @settings(
        deadline=None, max_examples=150 if isinstance(shared, SqliteStore) else 15
    )
    @given(
        st.lists(
            st.builds(
                Event,
                st.sampled_from(["write", "write", "remove", "settle"]),
                st.integers(0, 2),
                st.integers(1, 4),
            ),
            max_size=20,
        )
    )
    @example([Event("write", 0, 2), Event("remove", 0, 1)])
    @example([Event("remove", 0, 1), Event("write", 0, 1)])
    def check(events: list[Event]) -> None:
        user_id = f"any-{next(users)}"
        for event in events:
            event.apply(shared, user_id)

        # What waits for no regrouping needs none.
        waiting = {date for _, date in shared.pending_days(user_id)}
        for date in set(DAYS) - waiting:
            photos = shared.day(user_id, date)
            assert {photo.id: photo.outcome for photo in photos} == all_similar(photos)
        settle_all(shared, user_id)
        assert shared.pending_days(user_id) == []

        alone = f"alone-{next(users)}"
        newest: dict[str, Event] = {}
        for event in events:
            if event.kind != "settle":
                # A version that is removed was there before.
                newest[event.id] = max(
                    newest.get(event.id, event),
                    event,
                    key=lambda one: (one.generation, one.kind == "remove"),
                )
        for event in newest.values():
            event.apply(shared, alone)
        settle_all(shared, alone)
        assert shared_tables.documents(user_id) == shared_tables.documents(alone)

    check()
