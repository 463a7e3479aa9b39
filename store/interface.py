"""What a store can do, whatever keeps its rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from store.records import (
    DayOutcome,
    DayPhoto,
    Decision,
    Detected,
    Judgement,
    PhotoMeta,
    PhotoState,
    StoredScores,
)
from store.search import PhotoQuery

# Called with what was done and how often: "store_reads" and "store_writes" are
# documents, which is what Firestore's price goes by, "store_retries" are attempts.
CountUsage: TypeAlias = Callable[[str, int], None]


def count_nothing(name: str, by: int) -> None:
    """For those who do not ask what the store does."""


class Store(Protocol):
    """The four tables; the rows are described in `records.py`.

    One thread uses it at a time. Whatever it is asked to do may be repeated, and
    what is not whole after a crash is made whole by the next try.

    Attributes:
        files: Absolute paths of all files that the store may make.
    """

    files: Sequence[str]

    def close(self) -> None: ...

    def prepare(self) -> None:
        """Make ready for a job: drop the tombstones that no event needs any more.

        Raises:
            StoreError: The store does not answer, or can not be written.
        """

    def register(self, user_id: str, email: str | None) -> None:
        """Remember a user; None leaves the address that is known."""

    def state(self, user_id: str, photo_id: str) -> PhotoState | None:
        """What is known of a photo; None if it was never there."""

    def write(
        self,
        meta: PhotoMeta,
        scores: StoredScores,
        judge: Callable[[StoredScores], Judgement],
        *,
        detected: Detected | None = None,
        replaces: int | None = None,
    ) -> frozenset[str]:
        """Write an analysed photo, unless a newer version of it is known.

        Its three rows change together, the user's decision stays, and nothing is
        recommended until the day has been regrouped.

        Args:
            meta: The row of `photos`.
            scores: What it is judged by.
            judge: Scores to both tags and verdicts.
            detected: What a detector found. None if none ran: then what one found
                before in the same bytes stays.
            replaces: A generation that this one follows although it may be the
                higher number: a file may be replaced by an older one.

        Returns:
            The photo's days that wait to be regrouped.
        """

    def remove(
        self,
        user_id: str,
        photo_id: str,
        generation: int,
        *,
        replaces: int | None = None,
    ) -> frozenset[str]:
        """Remove a photo that is gone, unless a newer version of it is known.

        Args:
            user_id: Its owner.
            photo_id: Its id.
            generation: The newest version that is known to be gone.
            replaces: As for `write`.

        Returns:
            The photo's days that wait to be regrouped.
        """

    def rejudge(
        self,
        user_id: str,
        photo_id: str,
        generation: int,
        judge: Callable[[StoredScores], Judgement],
        detected: Detected | None = None,
    ) -> frozenset[str]:
        """Judge the stored scores of a photo again, without redoing them.

        Args:
            user_id: Its owner.
            photo_id: Its id.
            generation: The version that was scored; another is left alone.
            judge: Scores to what changes of tags and verdicts.
            detected: What a detector found now, in place of what is stored.

        Returns:
            The photo's days that wait to be regrouped.
        """

    def decide(self, user_id: str, photo_id: str, decision: Decision | None) -> None:
        """Write what the user wants; their day waits to be regrouped.

        Raises:
            KeyError: There is no such photo.
        """

    def day(self, user_id: str, date: str) -> list[DayPhoto]:
        """A user's photos of one day, ordered by id."""

    def settle(
        self,
        user_id: str,
        date: str,
        group: Callable[[Sequence[DayPhoto]], Mapping[str, DayOutcome]],
    ) -> int:
        """Regroup a user's day and take it off the pending ones.

        The grouping runs outside of transactions; what it leads to is written only
        if the day is still as it was read, else it starts over.

        Args:
            user_id: The owner of the day.
            date: YYYY-MM-DD.
            group: The day's photos to the outcome of each that has one; a pure
                function.

        Returns:
            How many photos changed.
        """

    def pending_days(self, user_id: str | None = None) -> Sequence[tuple[str, str]]:
        """(user, date) of the days that wait to be regrouped, of one user or all."""

    def photos_under(self, user_id: str, prefix: str) -> Iterator[tuple[str, int]]:
        """(path, generation) of a user's photos whose path starts so, by path."""

    def find_path(self, user_id: str, path: str) -> tuple[str, str] | None:
        """(id, date) of the photo that was read from an address."""

    def search(self, query: PhotoQuery) -> Iterator[dict[str, Any]]:
        """Photos in the order they were taken, one dict of columns each."""

    def counts(self, user_id: str) -> dict[str, int]:
        """How many photos a user has, and how many of each verdict.

        Keys: photos, recommended, recommended_bytes, shaken, dark, screenshot,
        similar, groups, with_tags.
        """
