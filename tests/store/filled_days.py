"""A user's days of many photos, which look like those of a camera."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import numpy as np
from google.cloud import firestore

from models.descriptors import DESCRIPTOR_BYTES, DIGEST_BYTES, LONGEST_BYTES
from models.similarity import SimilarOptions
from store.interface import Store
from store.records import DayPhoto
from tests.store.samples import MAY_1, write
from transforms.day_outcomes import day_outcomes

group: Final = partial(day_outcomes, options=SimilarOptions())
# Of a commit. The emulator takes 4 MiB, which is fewer than Firestore does.
_DOCUMENTS: Final = 1000


def name(number: int) -> str:
    return f"p{number:05d}"


def columns(number: int) -> dict[str, Any]:
    """Each thing was photographed twice, a second apart, and then the next."""
    thing, again = divmod(number, 2)
    shot_at = datetime.fromisoformat(MAY_1) + timedelta(seconds=thing * 10 + again)
    look = np.random.default_rng(thing).integers(-40, 40, LONGEST_BYTES)
    look[0] = 1
    # The same detector saw all of them.
    look[DESCRIPTOR_BYTES : DESCRIPTOR_BYTES + DIGEST_BYTES] = 1
    return {
        "taken_at": shot_at.isoformat(),
        "descriptor": look.astype(np.int8).tobytes(),
        "sha256": f"{number:064x}",
        "sharpness": 300.0,
    }


def add(store: Store, number: int) -> None:
    write(store, name(number), **columns(number))


def fill(store: Store, db: firestore.Client, number: int) -> None:
    """Write photos that wait to be settled, without their tags.

    The store writes the first; all others are made like it, many at a time.
    """
    add(store, 0)
    first = {
        table: db.document(f"users/ada/{table}/{name(0)}").get().to_dict()
        for table in ("photos", "deletions")
    }
    batch = db.batch()
    for other in range(1, number):
        own = {"id": name(other), "title": f"{name(other)}.jpg"}
        more = columns(other) | {"path": f"/photos/{name(other)}.jpg"}
        for table, fields in first.items():
            own_fields = own | more if table == "photos" else own
            batch.set(
                db.document(f"users/ada/{table}/{name(other)}"), fields | own_fields
            )
        if len(batch) >= _DOCUMENTS:
            batch.commit()
    batch.commit()


def pairs(photos: Sequence[DayPhoto]) -> int:
    """How many groups a day has, of which each has two photos."""
    groups = Counter(photo.outcome.similar_group for photo in photos)
    assert set(groups.values()) == {2}
    return len(groups)
