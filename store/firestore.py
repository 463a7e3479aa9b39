"""The four tables in Firestore, under `users/{uid}`, so that rules follow the path.

A photo's document repeats of its tags and deletions what skipping and regrouping
need, so that both read one document a photo. Tombstones are a collection of their
own, which Firestore's time to live clears.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError
from google.cloud import firestore
from google.cloud.firestore import Transaction

from store import firestore_trash
from store.firestore_database import EMULATOR, FirestoreDatabase
from store.firestore_days import (
    UNDECIDED,
    day_photo,
    outcome_fields,
    query_day,
    read_pending_days,
    settle_day,
)
from store.firestore_leaving import trash_unit
from store.firestore_photos import (
    Known,
    bury,
    document_of,
    inherited,
    look_up,
    read_known,
    take_back,
)
from store.firestore_search import count_photos, find_photos, photos_under
from store.interface import CountUsage, count_nothing
from store.records import (
    DayOutcome,
    DayPhoto,
    Decision,
    Detected,
    Judgement,
    PhotoMeta,
    PhotoState,
    PhotoTags,
    StoredScores,
    StoreError,
    Trashed,
    TrashRequest,
    TrashState,
    Verdicts,
)
from store.search import PhotoQuery

_NO_CREDENTIALS: Final = (
    "Firestore: no credentials; run `gcloud auth application-default login`, or name "
    f"an emulator in {EMULATOR}"
)


class FirestoreStore:
    """Documents of one database; see `interface.Store`.

    All stores of a process share one connection, which stays open.

    Args:
        project: Google Cloud project.
        database: Name of the database; None for the default one.
        count: Told of documents read and written, and of retries.
    """

    def __init__(
        self, project: str, database: str | None, *, count: CountUsage = count_nothing
    ) -> None:
        self.files: Sequence[str] = ()
        try:
            self._db = FirestoreDatabase(project, database, count)
        except GoogleAuthError as err:
            raise StoreError(_NO_CREDENTIALS) from err
        except ValueError as err:
            raise StoreError(f"can not use Firestore: {err}") from err

    def close(self) -> None:
        """Nothing: the connection is the process's."""

    def prepare(self) -> None:
        """See that it answers; tombstones expire by themselves.

        Raises:
            StoreError: It does not.
        """
        try:
            self._db.ask()
        except GoogleAuthError as err:
            raise StoreError(_NO_CREDENTIALS) from err
        except GoogleAPIError as err:
            where = os.environ.get(EMULATOR, "")
            at = f" at {where} ({EMULATOR})" if where else ""
            why = getattr(err, "message", str(err))
            raise StoreError(f"Firestore{at} does not answer: {why}") from err

    def register(self, user_id: str, email: str | None) -> None:
        fields = {"id": user_id}
        self._db.make_user(user_id)
        if email is not None:
            self._db.set(self._db.user(user_id), fields | {"email": email})

    def state(self, user_id: str, photo_id: str) -> PhotoState | None:
        known = read_known(self._db, user_id, photo_id)
        if known is None:
            return None
        fields = known.photo or {}
        judged = fields.get("judged", {})
        return PhotoState(
            generation=known.generation,
            removed=known.removed,
            bytes=fields.get("bytes"),
            fingerprint=fields.get("fingerprint"),
            version=judged.get("version"),
            detector=fields.get("detector"),
            tags_version=judged.get("tags_version"),
            grouped_by=fields.get("outcome", {}).get("grouped_by"),
            pending_dates=known.pending,
        )

    def write(
        self,
        meta: PhotoMeta,
        scores: StoredScores,
        judge: Callable[[StoredScores], Judgement],
        *,
        detected: Detected | None = None,
        replaces: int | None = None,
    ) -> frozenset[str]:
        def change(transaction: Transaction) -> frozenset[str]:
            known, dependents = look_up(self._db, meta.user_id, meta.id, transaction)
            if known is not None and known.generation != replaces:
                # A removed generation stays removed.
                oldest = known.generation + 1 if known.removed else known.generation
                if meta.generation < oldest:
                    return known.pending
            pending = {meta.date} if known is None else {meta.date} | known.days
            found = detected or self._detected_before(meta, known, transaction)
            judged = judge(
                dataclasses.replace(scores, objects=found.objects) if found else scores
            )
            assert judged.verdicts is not None
            assert judged.tags is not None
            # Not for a photo that is ignored; and no part of the transaction, in
            # which all of a user's photos would wait for each other.
            self._db.make_user(meta.user_id)
            take_back(transaction, dependents)
            if known is not None and known.removed:
                transaction.delete(
                    document_of(self._db, meta.user_id, "tombstones", meta.id)
                )
            written = {
                # Also out of a tombstone: overwriting may announce the removal of
                # the old version before the new one.
                "photos": dataclasses.asdict(meta)
                | inherited(known, meta.sha256)
                | {
                    "delete": False,
                    "settled_decision": UNDECIDED,
                    "pending_dates": sorted(pending),
                    "analysed_at": datetime.now(UTC),
                    "subject": judged.tags.subject,
                    "features": found.features if found else None,
                    "detector": found.detector if found else None,
                    "judged": _judged(judged.verdicts) | _judged(judged.tags),
                    "outcome": outcome_fields(DayOutcome()),
                },
                "tags": _named(meta)
                | dataclasses.asdict(judged.tags)
                | {
                    "objects": found.objects if found else None,
                    "detector": found.detector if found else None,
                },
                "deletions": _named(meta)
                | dataclasses.asdict(judged.verdicts)
                | outcome_fields(DayOutcome())
                | {"sharpness": meta.sharpness},
            }
            for collection, fields in written.items():
                document = document_of(self._db, meta.user_id, collection, meta.id)
                transaction.set(document, fields)
            return frozenset(pending)

        return self._db.transact(change)[0]

    def remove(
        self,
        user_id: str,
        photo_id: str,
        generation: int,
        *,
        replaces: int | None = None,
    ) -> frozenset[str]:
        def change(transaction: Transaction) -> frozenset[str]:
            known, dependents = look_up(self._db, user_id, photo_id, transaction)
            if known is not None:
                newer = known.generation > generation and known.generation != replaces
                if newer or (known.removed and known.generation == generation):
                    return known.pending
            take_back(transaction, dependents)
            return bury(
                self._db, transaction, user_id, photo_id, known, generation=generation
            )

        return self._db.transact(change)[0]

    def rejudge(
        self,
        user_id: str,
        photo_id: str,
        generation: int,
        judge: Callable[[StoredScores], Judgement],
        detected: Detected | None = None,
    ) -> frozenset[str]:
        def change(transaction: Transaction) -> frozenset[str]:
            known, dependents = look_up(self._db, user_id, photo_id, transaction)
            if known is None:
                return frozenset()
            if known.photo is None or known.generation != generation:
                return known.pending
            tags, deletions = self._db.get(
                [
                    document_of(self._db, user_id, "tags", photo_id),
                    document_of(self._db, user_id, "deletions", photo_id),
                ],
                transaction,
            )
            judged = judge(
                StoredScores(
                    sharpness=deletions.get("sharpness"),
                    dark_probability=deletions.get("dark_probability"),
                    screenshot_probability=deletions.get("screenshot_probability"),
                    objects=detected.objects if detected else tags.get("objects"),
                )
            )
            photo_fields: dict[str, Any] = {
                "delete": False,
                "pending_dates": sorted(known.days),
            }
            tag_fields: dict[str, Any] = {}
            labels = dict(known.photo["judged"])
            if detected is not None:
                photo_fields |= {
                    "features": detected.features,
                    "detector": detected.detector,
                }
                tag_fields |= {
                    "objects": detected.objects,
                    "detector": detected.detector,
                }
            if judged.verdicts is not None:
                labels |= _judged(judged.verdicts)
                transaction.update(
                    deletions.reference, dataclasses.asdict(judged.verdicts)
                )
            if judged.tags is not None:
                labels |= _judged(judged.tags)
                photo_fields["subject"] = judged.tags.subject
                tag_fields |= dataclasses.asdict(judged.tags)
            if tag_fields:
                transaction.update(tags.reference, tag_fields)
            take_back(transaction, dependents)
            transaction.update(
                document_of(self._db, user_id, "photos", photo_id),
                photo_fields | {"judged": labels},
            )
            return known.days

        return self._db.transact(change)[0]

    def decide(self, user_id: str, photo_id: str, decision: Decision | None) -> None:
        def change(transaction: Transaction) -> None:
            known, dependents = look_up(self._db, user_id, photo_id, transaction)
            if known is None or known.removed:
                raise KeyError(photo_id)
            take_back(transaction, dependents)
            transaction.update(
                document_of(self._db, user_id, "photos", photo_id),
                {
                    "decision": decision,
                    "delete": False,
                    "pending_dates": sorted(known.days),
                },
            )

        self._db.transact(change)

    def trash(self, user_id: str, unit: Sequence[TrashRequest]) -> None:
        trash_unit(self._db, user_id, unit)

    def finish_trash(self, user_id: str, run: str, photo_id: str) -> bool:
        return firestore_trash.finish_trash(self._db, user_id, run, photo_id)

    def begin_restore(self, user_id: str, run: str, photo_id: str) -> Trashed | None:
        return firestore_trash.begin_restore(self._db, user_id, run, photo_id)

    def finish_restore(
        self, user_id: str, run: str, photo_id: str, generation: int
    ) -> None:
        firestore_trash.finish_restore(self._db, user_id, run, photo_id, generation)

    def begin_purge(self, user_id: str, run: str, photo_id: str) -> Trashed | None:
        return firestore_trash.begin_purge(self._db, user_id, run, photo_id)

    def cancel_purge(self, user_id: str, run: str, photo_id: str) -> None:
        firestore_trash.cancel_purge(self._db, user_id, run, photo_id)

    def finish_purge(self, user_id: str, run: str, photo_id: str) -> None:
        firestore_trash.finish_purge(self._db, user_id, run, photo_id)

    def trashed(
        self,
        user_id: str,
        *,
        run: str | None = None,
        state: TrashState | None = None,
        before: str | None = None,
    ) -> Iterator[Trashed]:
        return firestore_trash.find_trashed(self._db, user_id, run, state, before)

    def day(self, user_id: str, date: str) -> list[DayPhoto]:
        return [day_photo(found) for found in query_day(self._db, user_id, date)]

    def settle(
        self,
        user_id: str,
        date: str,
        group: Callable[[Sequence[DayPhoto]], Mapping[str, DayOutcome]],
    ) -> int:
        return settle_day(self._db, user_id, date, group)

    def pending_days(self, user_id: str | None = None) -> Sequence[tuple[str, str]]:
        return read_pending_days(self._db, user_id)

    def photos_under(self, user_id: str, prefix: str) -> Iterator[tuple[str, int]]:
        return photos_under(self._db, user_id, prefix)

    def find_path(self, user_id: str, path: str) -> tuple[str, str] | None:
        photos = self._db.user(user_id).collection("photos")
        same_path = firestore.FieldFilter("path", "==", path)
        found = self._db.query(photos.where(filter=same_path).limit(1))
        return (found[0].get("id"), found[0].get("date")) if found else None

    def search(self, query: PhotoQuery) -> Iterator[dict[str, Any]]:
        return find_photos(self._db, query)

    def counts(self, user_id: str) -> dict[str, int]:
        return count_photos(self._db, user_id)

    def _detected_before(
        self, meta: PhotoMeta, known: Known | None, transaction: Transaction
    ) -> Detected | None:
        """What a detector found in these very bytes."""
        photo = known.photo if known is not None else None
        if photo is None or photo["detector"] is None or photo["sha256"] != meta.sha256:
            return None
        tags = document_of(self._db, meta.user_id, "tags", meta.id)
        (found,) = self._db.get([tags], transaction)
        return Detected(
            objects=found.get("objects"),
            detector=photo["detector"],
            features=photo["features"],
        )


def _named(meta: PhotoMeta) -> dict[str, str]:
    return {"id": meta.id, "user_id": meta.user_id, "title": meta.title}


def _judged(judged: Verdicts | PhotoTags) -> dict[str, Any]:
    """What a photo's document repeats of its verdicts or tags."""
    if isinstance(judged, PhotoTags):
        return {"tags_version": judged.version}
    return {
        "version": judged.version,
        "shaken": judged.shaken,
        "dark": judged.dark,
        "screenshot": judged.screenshot,
    }
