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
    Trashed,
    TrashRequest,
    TrashState,
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
        recommended until the day has been regrouped. Only `trash` is said of bytes,
        and no other bytes of that name inherit it; nor how many the photo is
        `kept_for`, which the same bytes do also after a removal.

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

    def trash(self, user_id: str, unit: Sequence[TrashRequest]) -> None:
        """Decide to trash photos that go as one, and remember how to undo it.

        The first of three steps: then the files are moved, then comes
        `finish_trash`. Whoever asks again for the same run and photo changes nothing.
        Meanwhile each photo is there, decided `trash`, and recommended no more.

        All of it is checked in the transaction. If a photo is in a group, or others
        were trashed because it stays, then another of its present group has to
        remain, outside of the unit and not decided `trash`: that is the one that is
        `kept`, the group's keeper if it can be. It is `kept_for` one more, and for
        those that were trashed because of the photo.

        Several photos of a unit whose paths differ in the ending alone, as those of a
        RAW and its JPEG, and which are all of a group, whatever was decided on any of
        it, are one shot: none has to remain, unless others were trashed because one
        of them stays.

        Raises:
            TrashRefusedError: One of the photos is gone or is not as the request has
                it, is not recommended for any of its reasons, is the last of its
                group, was written and not grouped since (or, of one shot, another of
                that day was), or another run is moving it. None of the unit was
                changed.
        """

    def finish_trash(self, user_id: str, run: str, photo_id: str) -> bool:
        """The files are in the trash: take the photo's rows out of the tables.

        A newer version of the photo stays. The decision goes with the rows: a later
        photo of that name starts without.

        Returns:
            False if the user has decided otherwise since, it is `kept_for` others
            since, it is being restored, or nothing is known of it, as another command
            did restore it; then its files are to be put back. True also if that was
            done before.
        """

    def begin_restore(self, user_id: str, run: str, photo_id: str) -> Trashed | None:
        """Announce that the files are about to be moved back.

        Returns:
            As it is now; None if it is not in the trash.

        Raises:
            TrashRefusedError: It is being purged.
        """

    def finish_restore(
        self, user_id: str, run: str, photo_id: str, generation: int
    ) -> None:
        """The files are back: put the rows back, and forget that it was trashed.

        All is as before, but for the day, which waits to be regrouped; what was
        decided `trash` is undecided. A version of the photo that is stored stays, and
        what was removed again meanwhile stays away.

        Args:
            user_id: Its owner.
            run: That it was trashed by.
            photo_id: Its id.
            generation: That it has now; an object's copy gets a new one.
        """

    def begin_purge(self, user_id: str, run: str, photo_id: str) -> Trashed | None:
        """Announce that the files are about to be deleted.

        Returns:
            As it is now; None if it is not in the trash.

        Raises:
            TrashRefusedError: It is not "trashed" or "purging", or the photo that
                was to stay is gone, has other bytes or is decided `trash`: then it
                is "trashed", also if its purge had begun, and may be restored.
        """

    def cancel_purge(self, user_id: str, run: str, photo_id: str) -> None:
        """No more files are going to be deleted: it may be restored again."""

    def finish_purge(self, user_id: str, run: str, photo_id: str) -> None:
        """The files are deleted: forget the photo."""

    def trashed(
        self,
        user_id: str,
        *,
        run: str | None = None,
        state: TrashState | None = None,
        before: str | None = None,
    ) -> Iterator[Trashed]:
        """What is in a user's trash, by `trashed_at`, run and id.

        Args:
            user_id: Whose.
            run: Only what it trashed.
            state: Only in this state.
            before: Only what was trashed before this time, as `trashed_at` has it.
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
