"""Photos on the disk and their rows, without analysing them."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from store.interface import Store
from store.records import DayOutcome, DayPhoto, photo_id
from store.search import PhotoQuery
from tests.store.samples import MAY_1, SCORES, make_judge, make_meta, make_verdicts
from trash.bin import TrashBin
from trash.outcome import Outcome
from trash.places import Places

USER: Final = "ada"
RUN: Final = "20240601-120000-abcd"
REASONS: Final = ("similar", "shaken")
_MTIME_NS: Final = 1_600_000_000_123_456_789


def no_client() -> Any:
    raise AssertionError("photos in local folders need no bucket")


def group(photos: Sequence[DayPhoto]) -> Mapping[str, DayOutcome]:
    """Photos of one exposure are a group, and its sharpest one stays."""
    groups = defaultdict(list)
    for photo in photos:
        groups[photo.exposure].append(photo)
    outcomes = {}
    for members in groups.values():
        keeper = max(members, key=lambda one: (one.decision != "trash", one.sharpness))
        for one in members:
            similar = one is not keeper
            faulty = len(members) == 1 and one.shaken and not one.kept_for
            outcomes[one.id] = DayOutcome(
                delete=one.decision != "keep" and (similar or faulty),
                similar=similar,
                similar_group=keeper.id if len(members) > 1 else None,
                similar_kind="shot" if similar else None,
                keeper=keeper.id if len(members) > 1 else None,
            )
    return outcomes


@dataclass(frozen=True)
class Seen:
    """What can be seen of a file."""

    data: bytes
    mtime_ns: int
    mode: int


@dataclass(frozen=True)
class Library:
    """A folder of photos, a store of their rows, and the trash of their user."""

    folder: Path
    store: Store

    @property
    def bin(self) -> TrashBin:
        return TrashBin(self.store, USER, Places(no_client))

    def file(self, name: str, data: bytes = b"", mtime_ns: int = _MTIME_NS) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data or name.encode())
        os.utime(path, ns=(mtime_ns, mtime_ns))
        return path

    def photo(
        self,
        name: str,
        scene: float,
        *,
        sharpness: float = 1.0,
        shaken: bool = False,
        data: bytes = b"",
        mtime_ns: int = _MTIME_NS,
    ) -> str:
        """Add a file and its rows; days are yet to be grouped.

        Returns:
            The id of the photo.
        """
        path = self.file(name, data, mtime_ns)
        return self.analyse(path, scene, sharpness=sharpness, shaken=shaken)

    def analyse(
        self, path: Path, scene: float, *, sharpness: float = 1.0, shaken: bool = False
    ) -> str:
        """Write the rows of a file, as a backfill does that looks at it anew.

        Returns:
            The id of the photo.

        Raises:
            FileNotFoundError: It is gone.
        """
        data = path.read_bytes()
        id_ = photo_id("file", str(path))
        meta = make_meta(
            id_,
            MAY_1,
            title=path.name,
            path=str(path),
            generation=path.stat().st_mtime_ns,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            exposure=scene,
            sharpness=sharpness,
        )
        self.store.write(meta, SCORES, make_judge(make_verdicts(shaken=shaken)))
        return id_

    def settle(self) -> None:
        for user, date in self.store.pending_days(USER):
            self.store.settle(user, date, group)

    def rows(self) -> list[dict[str, Any]]:
        return list(self.store.search(PhotoQuery(USER)))

    def titles(self) -> set[str]:
        return {row["title"] for row in self.rows()}

    def recommended(self) -> list[dict[str, Any]]:
        return [row for row in self.rows() if row["delete"]]

    def clean_up(self, run: str = RUN) -> Outcome:
        """What `piccl cleanup` does."""
        self.settle()
        units = self.bin.units(self.recommended())
        outcome = self.bin.trash(units, run=run, reasons=REASONS)
        self.settle()
        return outcome

    def restore(self) -> Outcome:
        outcome = self.bin.restore(self.store.trashed(USER))
        self.settle()
        return outcome

    def seen(self) -> dict[str, Seen]:
        """All that is in the folder, by the path in it."""
        return look_at(self.folder)

    def trash_path(self, name: str, run: str = RUN) -> Path:
        path = self.folder / name
        return path.parent / ".piccl-trash" / run / path.name


def look_at(folder: Path) -> dict[str, Seen]:
    return {
        str(path.relative_to(folder)): Seen(
            b"" if path.is_dir() else path.read_bytes(),
            0 if path.is_dir() else path.stat().st_mtime_ns,
            path.stat().st_mode,
        )
        for path in sorted(folder.rglob("*"))
    }
