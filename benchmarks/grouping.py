"""Similar photos of days of any size, and of a million records of many users."""

import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.processes import AS_PICCL, measure, module
from benchmarks.report import Report, exponent
from models.descriptors import DESCRIPTOR_BYTES
from models.similarity import SimilarOptions
from store.interface import Store
from store.records import Judgement, PhotoMeta, PhotoTags, StoredScores, Verdicts
from store.urls import open_store
from transforms.day_outcomes import day_outcomes

SECTION: Final = "grouping"
_DAYS: Final = (100, 1_000, 10_000)
_GOAL_S: Final = 1.0
_ALONE: Final = "in memory"
_STORED: Final = "in SQLite"
_RECORDS_A_USER: Final = 1_000
_PHOTOS_A_DAY: Final = 100
_USERS: Final = (1, 10, 100, 1_000)
# Of those that joined, the days of so many are grouped, and stand for all.
_GROUPED_USERS: Final = 20
# Of a line; what is quadratic has 2.
_NEAR_LINEAR: Final = 1.15
_FIRST_DAY: Final = date(2024, 1, 1)
_SCORES: Final = StoredScores(300.0, 0.1, 0.1)

_group = partial(day_outcomes, options=SimilarOptions())


def run(report: Report, quick: bool) -> None:
    report.doing(f"{SECTION}: days, and many users")
    sizes, users = (_DAYS[:2], _USERS[:2]) if quick else (_DAYS, _USERS)
    asked = json.dumps([sizes, users, report.settings.rounds])
    answer = measure(module("grouping", asked), environment=AS_PICCL).answer
    days, records = answer["days"], answer["records"]
    for what, seconds in days.items():
        rows = [
            report.add(
                SECTION, f"piccl, {size:,} photos", "s", s, case=f"a day, {what}"
            )
            for size, s in zip(sizes, seconds, strict=True)
        ]
        is_goal = what == _STORED and sizes[-1] == _DAYS[-1]
        name = f"grouping a day of {sizes[-1]:,} photos, {what}"
        goal = _GOAL_S if is_goal else None
        report.ratio(name, rows[-1], 1, goal, at_most=True, unit="s")
        slope = exponent(sizes, [row.median for row in rows])
        name = f"grouping a day, {what}: exponent of its photos"
        report.ratio(name, slope, 1, None, unit="")
    name = f"piccl, {sizes[-1]:,} photos of one moment"
    report.add(SECTION, name, "s", answer["moment"], case=f"a day, {_STORED}")
    for number, seconds in zip(users, records, strict=True):
        report.add(
            SECTION,
            f"piccl, {number * _RECORDS_A_USER:,} records of {number:,} users",
            "us",
            [seconds * 1e6],
            case="a record, in SQLite",
        )
    costs = [number * seconds for number, seconds in zip(users, records, strict=True)]
    name = (
        f"grouping {users[-1] * _RECORDS_A_USER:,} records, by the days of "
        f"{_GROUPED_USERS} users: exponent of the records"
    )
    slope = exponent(users, costs)
    report.ratio(name, slope, 1, _NEAR_LINEAR, at_most=True, unit="")


def main(asked: str) -> None:
    """In a process of its own; times in seconds, as JSON."""
    sizes, users, rounds = json.loads(asked)
    days: dict[str, list[list[float]]] = {_ALONE: [], _STORED: []}
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            for times in days.values():
                times.append([])
            for number in range(rounds):
                path = Path(folder) / f"{size}-{number}.db"
                for times, seconds in zip(days.values(), _day(path, size), strict=True):
                    times[-1].append(seconds)
        moment = _day(Path(folder) / "moment.db", sizes[-1], apart_s=0)[1:]
        records = _many_users(Path(folder) / "many.db", users)
    print(json.dumps({"days": days, "moment": moment, "records": records}))


def _day(path: Path, size: int, apart_s: int = 8) -> tuple[float, float]:
    """A day for the first time: grouped alone; and read, grouped and written."""
    with closing(open_store(f"sqlite:///{path}")) as store:
        _fill(store, "ada", 1, size, apart_s)
        day = _FIRST_DAY.isoformat()
        photos = store.day("ada", day)
        # What is compiled or imported at the first use was.
        _group(photos[:10])
        began_s = time.perf_counter()
        _group(photos)
        alone_s = time.perf_counter() - began_s
        stored_s = _settle(store, "ada", [day])
        groups = {photo.outcome.similar_group for photo in store.day("ada", day)}
    if None in groups or len(groups) != size // 2:
        raise RuntimeError(f"{len(groups)} groups of {size} photos, not {size // 2}")
    return alone_s, stored_s


def _many_users(path: Path, users: Sequence[int]) -> list[float]:
    """Seconds a record, in a store that has so many users."""
    days = [
        (_FIRST_DAY + timedelta(days=day)).isoformat()
        for day in range(_RECORDS_A_USER // _PHOTOS_A_DAY)
    ]
    with closing(open_store(f"sqlite:///{path}")) as store:
        # What the others are copies of, and stays as it is.
        _fill(store, "pattern", len(days), _PHOTOS_A_DAY)
    costs = []
    there = 0
    for number in users:
        fresh = [f"user-{user}" for user in range(there, number)]
        _copy(path, "pattern", fresh)
        there = number
        some = fresh[:: max(1, len(fresh) // _GROUPED_USERS)][:_GROUPED_USERS]
        with closing(open_store(f"sqlite:///{path}")) as store:
            seconds = sum(_settle(store, user, days) for user in some)
        costs.append(seconds / len(some) / _RECORDS_A_USER)
    return costs


def _settle(store: Store, user_id: str, days: Sequence[str]) -> float:
    began_s = time.perf_counter()
    for day in days:
        store.settle(user_id, day, _group)
    return time.perf_counter() - began_s


def _fill(store: Store, user_id: str, days: int, photos: int, apart_s: int = 8) -> None:
    """Photos that wait: each thing twice, a second apart, then the next.

    If things are 0 s apart, all photos are of one moment.
    """
    chance = np.random.default_rng(0)
    verdicts = Verdicts(
        shaken=False,
        dark=False,
        screenshot=False,
        sharpness_threshold=60.0,
        dark_probability=_SCORES.dark_probability,
        dark_threshold=0.9,
        screenshot_probability=_SCORES.screenshot_probability,
        screenshot_threshold=0.9,
        version="v1",
    )
    look = b""
    for place in range(days * photos):
        day, nth = divmod(place, photos)
        midnight = datetime.combine(
            _FIRST_DAY + timedelta(days=day), datetime.min.time()
        )
        thing, again = divmod(nth, 2)
        taken_at = midnight + timedelta(seconds=apart_s * thing + min(again, apart_s))
        if not again:
            values = chance.integers(-40, 40, DESCRIPTOR_BYTES)
            # The first says that there is enough to compare.
            values[0] = 1
            look = values.astype(np.int8).tobytes()
        store.write(
            PhotoMeta(
                user_id=user_id,
                id=f"{place * 2654435761 % 2**32:08x}{place:08x}",
                title=f"IMG_{place:07}.jpg",
                path=f"/photos/IMG_{place:07}.jpg",
                date=taken_at.date().isoformat(),
                latitude=48.137,
                longitude=11.575,
                taken_at=taken_at.isoformat(),
                time_source="exif",
                generation=1,
                width=4032,
                height=3024,
                bytes=3_600_000,
                sha256=f"{place:064x}",
                damaged=False,
                sharpness=_SCORES.sharpness,
                exposure=0.5,
                descriptor=look,
                fingerprint="f1",
            ),
            _SCORES,
            lambda _: Judgement(verdicts, PhotoTags()),
            detected=None,
            replaces=None,
        )


def _copy(path: Path, pattern: str, users: Sequence[str]) -> None:
    """Rows of users like those of another one, by SQL: a million take a minute."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA foreign_keys = OFF")
        query = "SELECT name FROM sqlite_master WHERE type = 'table'"
        tables = [name for (name,) in db.execute(query)]
        for user in users:
            db.execute("INSERT INTO users (id) VALUES (?)", (user,))
            for table in tables:
                columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
                if "user_id" not in columns:
                    continue
                names = ", ".join(f'"{column}"' for column in columns)
                values = names.replace('"user_id"', "?")
                db.execute(
                    f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} "
                    "WHERE user_id = ?",
                    (user, pattern),
                )


if __name__ == "__main__":
    main(sys.argv[1])
