"""A small library of real files for the review, in whatever store."""

import contextlib
import hashlib
import os
import re
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from flask import Flask
from PIL import Image

from console.app import create_app
from console.auth import Access, OnlyUser
from console.backing import Backing
from models.similarity import SimilarOptions
from store.interface import CountUsage, count_nothing
from store.records import photo_id
from store.urls import open_store
from tests.store.samples import FOOD, SCORES, make_judge, make_meta, make_verdicts
from transforms.settle_days import settle_days
from trash.bin import TrashBin
from trash.places import Places

HOSTILE: Final = "<img src=x onerror=alert(1)>\u202egpj.jpg"
# Near in time and place is similar enough: no descriptors of made photos are needed.
OPTIONS: Final = SimilarOptions(method="paper")
SHAKEN: Final = 6


class Library:
    """Photos of ada, and one of eve, in a folder and in a store.

    The 1st of May has a group of three shots, the 2nd shaken photos, the 3rd a dark
    one of a hostile name, the 4th a good one, which alone has no fault.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.count: CountUsage = count_nothing
        self.ids: dict[str, str] = {}
        self._added = 0
        self.store = open_store(url)
        for number in range(3):
            self.add(f"shot{number}.jpg", f"2024-05-01T12:00:0{number}")
        for number in range(SHAKEN):
            self.add(f"shaken{number}.jpg", f"2024-05-02T1{number}:00:00", shaken=True)
        self.add(HOSTILE, "2024-05-03T12:00:00", dark=True)
        self.add("good.jpg", "2024-05-04T12:00:00")
        self.add("eve.jpg", "2024-05-04T12:00:00", user="eve")
        for user in ("ada", "eve"):
            settle_days(self.store, user, OPTIONS)

    def add(
        self,
        name: str,
        taken: str,
        *,
        user: str = "ada",
        image: Image.Image | None = None,
        exif: Image.Exif | None = None,
        **faults: bool,
    ) -> None:
        """Write a photo, or write it anew."""
        path = self.folder / name
        self._added += 1
        rng = np.random.default_rng(self._added)
        colour = tuple(int(level) for level in rng.integers(60, 250, 3))
        image = image or Image.new("RGB", (800, 600), colour)
        if exif is None:
            exif = Image.Exif()
            exif[0x010E] = "<script>alert('description')</script>"
        image.save(path, quality=80, exif=exif)
        info = path.stat()
        self.ids[name] = photo_id("", str(path))
        data = path.read_bytes()
        self.store.write(
            make_meta(
                self.ids[name],
                taken[:10],
                user_id=user,
                title=name,
                path=str(path),
                taken_at=f"{taken}+02:00",
                generation=info.st_mtime_ns,
                bytes=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                width=800,
                height=600,
                sharpness=3.0 if faults.get("shaken") else 9.0,
            ),
            SCORES,
            make_judge(make_verdicts(**faults), FOOD),
        )

    def row(self, name: str, user: str = "ada") -> dict[str, Any] | None:
        from store.search import PhotoQuery

        query = PhotoQuery(user, ids=(self.ids[name],))
        return next(iter(self.store.search(query)), None)

    def named(self, *names: str) -> str:
        """As a button of a page names photos."""
        found = []
        for name in names:
            data = (self.folder / name).read_bytes()
            version = hashlib.sha256(data).hexdigest()[:16]
            found.append(f"{self.ids[name]}:{version}")
        return " ".join(found)

    def there(self, name: str) -> bool:
        return (self.folder / name).exists()

    def app(
        self, access: Access | None = None, read: Callable[[str], bytes] | None = None
    ) -> Flask:
        places = Places(lambda: None)
        return create_app(
            Backing(
                access=access or OnlyUser("ada"),
                open_store=lambda: open_store(self.url, count=self.count),
                open_bin=lambda store, user: TrashBin(store, user, places),
                read=read or (lambda path: Path(path).read_bytes()),
                regroup=lambda store, user: settle_days(store, user, OPTIONS),
                hosts=["localhost", "127.0.0.1"],
            )
        )


def clone(library: Library, name: str, dates: Sequence[str]) -> list[str]:
    """Photos like one of ada's, in the store and as files; returns their ids."""
    ids = [f"{number:032x}" for number in range(len(dates))]
    db = sqlite3.connect(library.url.removeprefix("sqlite:///"))
    with contextlib.closing(db), db:
        for table in ("photos", "tags", "deletions"):
            found = db.execute(
                f"SELECT * FROM {table} WHERE user_id = 'ada' AND id = ?",
                (library.ids[name],),
            )
            columns = [column[0] for column in found.description]
            like = dict(zip(columns, found.fetchone(), strict=True))
            rows = []
            for id_, date in zip(ids, dates, strict=True):
                own = {"id": id_, "title": f"{id_}.jpg", "date": date}
                own["path"] = str(library.folder / f"{id_}.jpg")
                own["taken_at"] = f"{date}T12:00:00+02:00"
                known = {key: value for key, value in own.items() if key in like}
                rows.append(tuple((like | known).values()))
            marks = ", ".join("?" * len(columns))
            db.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    for id_ in ids:
        os.link(library.folder / name, library.folder / f"{id_}.jpg")
    return ids


def csrf(page: str) -> str:
    """The token that a page's forms carry."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None
    return found[1]
