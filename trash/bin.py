"""A user's trash: photos move in and out of it, step by step, each repeatable.

The store is told before a file moves and after; what is cut short in between is
finished by `TrashBin.recover`, whoever runs it.
"""

import dataclasses
import itertools
import json
import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Final

from store.interface import Store
from store.records import Trashed, TrashRefusedError
from trash.entries import MoveRefusedError
from trash.outcome import Outcome, Refusal
from trash.pairs import Row, Unit, find_units
from trash.places import Places
from trash.requests import build_requests
from trash.staying import check_kept

# So many are announced, then moved: each look at what is being moved costs a query.
_ANNOUNCED: Final = 100


def new_run() -> str:
    """Name for what is trashed together; later ones sort behind it."""
    now = datetime.now(UTC)
    milliseconds = now.microsecond // 1000
    return f"{now:%Y%m%d-%H%M%S}-{milliseconds:03}-{secrets.token_hex(2)}"


def ignore(_: int) -> None:
    """For those who do not ask how far it is."""


class TrashBin:
    """See above.

    Args:
        store: Where the photos are stored.
        user_id: Whose.
        places: Where their files are.
    """

    def __init__(self, store: Store, user_id: str, places: Places) -> None:
        self._store = store
        self._user_id = user_id
        self._places = places

    def recover(self) -> Outcome:
        """Finish what others, or an earlier try, began and did not end.

        Returns:
            What was finished, or could not be. What can not be moved into the trash
            is put back, and what must not be deleted any more stays in it.
        """
        outcome = Outcome()
        for state in ("moving", "restoring", "purging"):
            for unit in self._whole_units(
                self._store.trashed(self._user_id, state=state)
            ):
                if state == "moving":
                    self._recover_moving(unit, outcome)
                elif state == "restoring":
                    self._attempt(self._restore_unit, unit, outcome)
                else:
                    self._recover_purging(unit, outcome)
        return outcome

    def units(self, rows: Iterable[Row]) -> list[Unit]:
        """Photos of `Store.search` with what goes with each."""
        return list(find_units(self._store, self._user_id, self._places, rows))

    def trash(
        self,
        units: Iterable[Unit],
        *,
        run: str,
        reasons: Collection[str] | None,
        done: Callable[[int], None] = ignore,
    ) -> Outcome:
        """Move photos into the trash, as far as each may be.

        Args:
            units: What goes as one.
            run: See `new_run`.
            reasons: Those that the user agreed to; None if they want it whatever was
                recommended.
            done: Told how many photos more were tried.
        """
        outcome = Outcome()
        waiting = iter(units)
        while chunk := list(itertools.islice(waiting, _ANNOUNCED)):
            announced = set()
            for unit in chunk:
                try:
                    requests = build_requests(self._places, unit, run, reasons)
                    self._store.trash(self._user_id, requests)
                    announced.add(requests[0].unit)
                except (MoveRefusedError, TrashRefusedError) as err:
                    outcome.refused.extend(
                        Refusal.of_row(row, str(err)) for row in unit.photos
                    )
                    done(len(unit.photos))
            for records in _units(self._store.trashed(self._user_id, state="moving")):
                if records[0].run == run and records[0].unit in announced:
                    self._move(records, outcome)
                    done(len(records))
        return outcome

    def restore(
        self, records: Iterable[Trashed], done: Callable[[int], None] = ignore
    ) -> Outcome:
        """Move photos back to where they were, with all that goes with them."""
        outcome = Outcome()
        for unit in self._whole_units(records):
            try:
                for record in unit:
                    _check_idle(record, "restoring")
                    for file in record.files:
                        self._places.of(file.path).check_back(file)
            except MoveRefusedError as err:
                _refuse(unit, str(err), outcome)
            else:
                self._attempt(self._restore_unit, unit, outcome)
            done(len(unit))
        return outcome

    def purge(
        self, records: Iterable[Trashed], done: Callable[[int], None] = ignore
    ) -> Outcome:
        """Delete for good what is in the trash, with all that goes with it."""
        outcome = Outcome()
        for unit in self._whole_units(records):
            self._attempt(self._purge_unit, unit, outcome)
            done(len(unit))
        return outcome

    def purgeable(self, records: Iterable[Trashed]) -> Outcome:
        """What `purge` would do now."""
        outcome = Outcome()
        for unit in self._whole_units(records):
            self._attempt(self._check_purge, unit, outcome)
        return outcome

    def _recover_moving(self, unit: Sequence[Trashed], outcome: Outcome) -> None:
        for file in (file for record in unit for file in record.files):
            place = self._places.of(file.path)
            try:
                # Where nothing of it is, its disk may not be plugged in.
                if not any(map(place.look, (file.path, file.trash_path))):
                    place.move_back(file)
            except MoveRefusedError as err:
                _refuse(unit, str(err), outcome)
                return
        self._move(unit, outcome)

    def _recover_purging(self, unit: Sequence[Trashed], outcome: Outcome) -> None:
        try:
            with self._alone(unit):
                left = [record for record in unit if not self._is_deleted(record)]
            # Whoever began it looked as well, but that may be long ago.
            if left:
                self._purge_unit(left)
        except (MoveRefusedError, TrashRefusedError) as err:
            outcome.stays.extend(Refusal.of_record(one, str(err)) for one in unit)
        else:
            outcome.photos.extend(unit)

    def _is_deleted(self, record: Trashed) -> bool:
        """Whether nothing is left that could stay in the trash; then forget it."""
        for file in record.files:
            place = self._places.of(file.path)
            place.check_delete(file)
            if place.look(file.trash_path) is not None:
                return False
        self._clear(record)
        self._store.finish_purge(self._user_id, record.run, record.id)
        return True

    def _move(self, unit: Sequence[Trashed], outcome: Outcome) -> None:
        try:
            with self._alone(unit):
                check_kept(self._store, self._user_id, self._places, unit)
                for record in unit:
                    self._write_info(record)
                for file in (file for record in unit for file in record.files):
                    self._places.of(file.path).move(file)
                finished = [
                    self._store.finish_trash(self._user_id, record.run, record.id)
                    for record in unit
                ]
        except MoveRefusedError as err:
            self._put_back(unit, str(err), outcome)
            return
        if all(finished):
            outcome.photos.extend(
                dataclasses.replace(record, state="trashed") for record in unit
            )
        else:
            self._put_back(unit, "it was decided otherwise meanwhile", outcome)

    def _put_back(self, unit: Sequence[Trashed], why: str, outcome: Outcome) -> None:
        try:
            self._restore_unit(unit)
        except (MoveRefusedError, TrashRefusedError) as err:
            why = f"{why}; nor can it be put back: {err}"
        _refuse(unit, why, outcome)

    def _attempt(
        self,
        step: Callable[[Sequence[Trashed]], None],
        unit: Sequence[Trashed],
        outcome: Outcome,
    ) -> None:
        try:
            step(unit)
        except (MoveRefusedError, TrashRefusedError) as err:
            _refuse(unit, str(err), outcome)
        else:
            outcome.photos.extend(unit)

    def _restore_unit(self, unit: Sequence[Trashed]) -> None:
        with self._alone(unit):
            for record in unit:
                # None: another command was faster. What this one moved goes back too.
                known = self._store.begin_restore(self._user_id, record.run, record.id)
                generations = [
                    self._places.of(file.path).move_back(file) for file in record.files
                ]
                self._clear(record)
                if known is not None:
                    self._store.finish_restore(
                        self._user_id, record.run, record.id, generations[0]
                    )

    def _purge_unit(self, unit: Sequence[Trashed]) -> None:
        with self._alone(unit):
            for record in self._begin_purge(unit):
                for file in record.files:
                    self._places.of(file.path).delete(file.trash_path)
                self._clear(record)
                self._store.finish_purge(self._user_id, record.run, record.id)

    def _begin_purge(self, unit: Sequence[Trashed]) -> list[Trashed]:
        """All of it before any of it is deleted: it goes as one, or stays as one."""
        try:
            self._check_purge(unit)
            begun = [
                self._store.begin_purge(self._user_id, record.run, record.id)
                for record in unit
            ]
        except (MoveRefusedError, TrashRefusedError):
            for record in unit:
                self._store.cancel_purge(self._user_id, record.run, record.id)
            raise
        return [record for record in begun if record is not None]

    def _alone(self, unit: Sequence[Trashed]) -> AbstractContextManager[None]:
        """All files of a unit lie in one folder."""
        path = unit[0].files[0].path
        return self._places.of(path).alone(path)

    def _clear(self, record: Trashed) -> None:
        info = _info_path(record)
        place = self._places.of(info)
        place.delete(info)
        place.tidy(info)

    def _check_purge(self, unit: Sequence[Trashed]) -> None:
        for record in unit:
            _check_idle(record, "purging")
            for file in record.files:
                self._places.of(file.path).check_delete(file)
        check_kept(self._store, self._user_id, self._places, unit)

    def _whole_units(self, records: Iterable[Trashed]) -> list[list[Trashed]]:
        asked = {(record.run, record.unit) for record in records}
        return [
            unit
            for run in sorted({run for run, _ in asked})
            for unit in _units(self._store.trashed(self._user_id, run=run))
            if (run, unit[0].unit) in asked
        ]

    def _write_info(self, record: Trashed) -> None:
        about = {
            "about": "PICCL moved these photos here; `piccl restore` puts them back. "
            "By hand: move each trash_path to its path.",
            **dataclasses.asdict(record),
        }
        del about["state"]
        path = _info_path(record)
        info = json.dumps(about, indent=2, ensure_ascii=False)
        self._places.of(path).write_info(path, f"{info}\n".encode())


def _units(records: Iterable[Trashed]) -> list[list[Trashed]]:
    units: dict[tuple[str, str], list[Trashed]] = defaultdict(list)
    for record in records:
        units[record.run, record.unit].append(record)
    return list(units.values())


def _check_idle(record: Trashed, own: str) -> None:
    if record.state not in ("trashed", own):
        raise MoveRefusedError(f"another command is at it: {record.state}")


def _refuse(unit: Iterable[Trashed], why: str, outcome: Outcome) -> None:
    outcome.refused.extend(Refusal.of_record(record, why) for record in unit)


def _info_path(record: Trashed) -> str:
    return f"{record.files[0].trash_path.rpartition('/')[0]}/{record.id}.json"
