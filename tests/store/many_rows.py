"""A user's library of any size, made by SQL alone: a million rows take a minute."""

from contextlib import closing
from pathlib import Path
from typing import Final

from models.descriptors import DESCRIPTOR_BYTES, LONGEST_BYTES
from store.search import REASONS, TAGS
from store.sqlite_file import open_database, transaction

HOME: Final = (48.137, 11.575)
FIRST_DAY: Final = "2010-01-01"
# Photos; a million make eleven years.
A_DAY: Final = 250
# Of a photo `n`, spread as hashes are: neighbours in time lie far apart.
_ID: Final = "printf('%08x%024x', (n * 2654435761) % 4294967296, n)"
# Of the first of ten.
_KEEPER: Final = (
    "printf('%08x%024x', ((n - n % 10) * 2654435761) % 4294967296, n - n % 10)"
)
# Common ones and rare ones, of which some meet and others never do.
_HOLDS: Final = {
    "similar": "n % 10 IN (1, 2, 3)",
    "shaken": "n % 50 = 1",
    "dark": "n % 1000 = 11",
    "screenshot": "n % 20 = 5",
    "person": "n % 5 < 2",
    "animal": "n % 12 = 1",
    "vehicle": "n % 15 = 2",
    "furniture": "n % 9 = 3",
    "book": "n % 5000 = 11",
    "bag": "n % 40 = 7",
    "sports": "n % 100000 = 5",
    "food": "n % 30 = 13",
    "device": "n % 70 = 9",
}


def build(path: Path, number: int, user_id: str = "ada") -> None:
    """A day after the other; four in ten were taken at home, two on travels."""
    numbers = f"""WITH RECURSIVE numbers (n) AS (
        SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {number - 1})"""
    with closing(open_database(path)) as db, transaction(db):
        db.execute("INSERT INTO users (id) VALUES (?)", (user_id,))
        db.execute(
            f"""INSERT INTO photos (user_id, id, title, path, date, taken_at,
                latitude, longitude, "delete", time_source, generation, width,
                height, bytes, sha256, damaged, sharpness, exposure, descriptor,
                features, fingerprint, subject, analysed_at)
            {numbers} SELECT ?, {_ID}, printf('IMG_%07d.jpg', n),
                printf('/photos/%d/IMG_%07d.jpg', n / 1000, n),
                date('{FIRST_DAY}', (n / {A_DAY}) || ' days'),
                strftime('%Y-%m-%dT%H:%M:%S', '{FIRST_DAY}',
                    (n / {A_DAY}) || ' days', ((n % {A_DAY}) * 240) || ' seconds'),
                {_place(HOME[0], "n % 7 - 3", "n % 180 - 90")},
                {_place(HOME[1], "n % 11 - 5", "n * 7 % 360 - 180")},
                {" OR ".join(_HOLDS[reason] for reason in REASONS)}, 'exif', 1, 4000,
                3000, 3000000 + n, printf('%064x', n), 0, 300.0, 0.5,
                zeroblob({DESCRIPTOR_BYTES}),
                zeroblob({LONGEST_BYTES - DESCRIPTOR_BYTES}), '0123456789ab',
                CASE {" ".join(f"WHEN {_HOLDS[tag]} THEN '{tag}'" for tag in TAGS)}
                ELSE '' END, '2026-01-01T00:00:00.000+00:00' FROM numbers""",
            (user_id,),
        )
        db.execute(
            f"""INSERT INTO tags (user_id, id, title, {", ".join(TAGS)}, subject,
                objects, detector, version)
            SELECT user_id, id, title, {", ".join(_HOLDS[tag] for tag in TAGS)},
                subject, '[["person",0.93,120,300,420,900]]', 'd1', 't1'
            FROM ({numbers} SELECT n, user_id, id, title, subject
                  FROM numbers JOIN photos ON photos.rowid = n + 1)"""
        )
        db.execute(
            f"""INSERT INTO deletions (user_id, id, title, {", ".join(REASONS)},
                similar_group, similar_kind, keeper, similarity, similarity_threshold,
                grouped_by, sharpness, sharpness_threshold, dark_probability,
                dark_threshold, screenshot_probability, screenshot_threshold, version)
            SELECT user_id, id, title, {", ".join(_HOLDS[one] for one in REASONS)},
                CASE WHEN n % 10 < 4 THEN {_KEEPER} END,
                CASE WHEN n % 10 < 4 THEN 'shot' END,
                CASE WHEN n % 10 < 4 THEN {_KEEPER} END, 0.7, 0.4, 'g1',
                300.0, 60.0, 0.1, 0.9, 0.1, 0.9, 'v1'
            FROM ({numbers} SELECT n, user_id, id, title
                  FROM numbers JOIN photos ON photos.rowid = n + 1)"""
        )


def _place(home: float, near: str, far: str) -> str:
    """Degrees of one axis; home is some hundred metres wide."""
    return (
        f"CASE WHEN n % 10 < 4 THEN {home} + ({near}) * 0.0005 + n % 97 * 1e-6 "
        f"WHEN n % 10 < 6 THEN ({far}) + n % 89 * 0.01 END"
    )
