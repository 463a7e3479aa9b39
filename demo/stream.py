"""The stream end to end on this machine: photos in, documents out, while one looks.

`make demo-stream PHOTOS=~/Pictures` starts the emulators and `piccl stream`, uploads
the photos with `piccl upload`, and shows the documents as they appear in Firestore.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from google.cloud import firestore, storage
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from demo.emulators import EmulatorError, running
from demo.pubsub import PubSub
from store.search import REASONS, TAGS

PROJECT: Final = "piccl-demo"
_BUCKET: Final = "piccl-demo"
_USER: Final = "demo"
_SHOWN: Final = 20
_LOOK_EVERY_S: Final = 0.5
# Without a change; a busy machine takes a minute to load the models.
_GIVE_UP_AFTER_S: Final = 600.0
_LOG_END_LINES: Final = 20


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="demo.stream", description=__doc__)
    parser.add_argument("photos", nargs="+", metavar="PHOTOS")
    args = parser.parse_args(argv)
    console = Console()
    try:
        console.print("Starting the emulators of Firestore, Pub/Sub, Cloud Storage")
        with running() as emulators, tempfile.TemporaryDirectory() as folder:
            os.environ.update(emulators.environment)
            return _show(args.photos, Path(folder) / "stream.log", console)
    except EmulatorError as err:
        print(f"demo.stream: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _show(photos: Sequence[str], log: Path, console: Console) -> int:
    pubsub = PubSub(PROJECT)
    uploads, dead = pubsub.topic("uploads"), pubsub.topic("dead-letters")
    subscription = pubsub.subscription(uploads, "piccl")
    letters = pubsub.subscription(dead, "dead-letters")
    storage.Client(project=PROJECT).create_bucket(_BUCKET)
    stream_command = [
        "stream",
        f"--subscription={subscription}",
        f"--dead-letter-topic={dead}",
        f"--store=firestore://{PROJECT}",
    ]
    upload_command = [
        "upload",
        *photos,
        f"--user={_USER}",
        f"--bucket={_BUCKET}",
        f"--topic={uploads}",
        f"--store=firestore://{PROJECT}",
        "--json",
    ]
    console.print(f"$ piccl {' '.join(stream_command)} &", highlight=False)
    with log.open("wb") as said:
        stream = subprocess.Popen(_piccl(stream_command), stdout=said, stderr=said)
    try:
        console.print(f"$ piccl {' '.join(upload_command)}", highlight=False)
        uploaded = subprocess.run(
            _piccl(upload_command), stdout=subprocess.PIPE, check=True
        )
        photos_there = json.loads(uploaded.stdout)["uploaded"]
        console.print(f"{photos_there:,} photos uploaded")
        refused = _watch(console, stream, photos_there, _Letters(pubsub, letters))
    except subprocess.CalledProcessError as err:
        console.print(f"The upload failed with {err.returncode}")
        return 1
    except _NotDoneError as err:
        console.print(f"{err}; it said last:", highlight=False)
        end = log.read_text(errors="replace").splitlines()[-_LOG_END_LINES:]
        console.print("\n".join(end), markup=False, highlight=False, soft_wrap=True)
        return 1
    finally:
        stream.terminate()
        stream.wait()
    console.print(f"\n{len(refused)} dead letters")
    for path, reason in [*refused.items()][:_SHOWN]:
        console.print(f"  {path}: {reason}", markup=False, soft_wrap=True)
    return 0


def _piccl(command: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "pipeline", *command]


class _NotDoneError(Exception):
    """The stream ended before the photos were looked at, or never got there."""


@dataclass
class _Letters:
    """What could not be analysed: each photo's address, and why."""

    pubsub: PubSub
    subscription: str
    found: dict[str, str] = field(default_factory=dict)

    def pull(self) -> dict[str, str]:
        """All so far; the same photo may be told of several times."""
        for message in self.pubsub.pull_all(self.subscription):
            letter = json.loads(message.data)
            self.found[letter["path"]] = letter["reason"]
        return self.found


def _watch(
    console: Console,
    stream: "subprocess.Popen[bytes]",
    photos: int,
    letters: _Letters,
) -> dict[str, str]:
    """Show the documents until there is one, or a letter, of each photo.

    Args:
        console: Where to.
        stream: The process that makes them.
        photos: How many were uploaded.
        letters: Of the photos that it can not make any of.

    Returns:
        These photos, and why.

    Raises:
        _NotDoneError: It ended, or nothing changes any more.
    """
    changed_s = time.monotonic()
    before: tuple[list[dict[str, Any]], int] = ([], 0)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            rows, refused = _rows(), letters.pull()
            if (rows, len(refused)) != before:
                before, changed_s = (rows, len(refused)), time.monotonic()
                live.update(_table(rows), refresh=True)
            is_settled = not any(row["pending_dates"] for row in rows)
            if is_settled and len(rows) + len(refused) >= photos:
                return refused
            if stream.poll() is not None:
                raise _NotDoneError(f"The stream ended with {stream.returncode}")
            if time.monotonic() > changed_s + _GIVE_UP_AFTER_S:
                raise _NotDoneError(
                    f"Nothing changed for {_GIVE_UP_AFTER_S:.0f} s, and "
                    f"{len(rows) + len(refused):,} of {photos:,} photos are done"
                )
            time.sleep(_LOOK_EVERY_S)


def _rows() -> list[dict[str, Any]]:
    """The photos' documents with their tags and deletions, the newest first."""
    user = firestore.Client(PROJECT).collection("users").document(_USER)
    joined: dict[str, dict[str, Any]] = {}
    for collection in ("tags", "deletions", "photos"):
        for found in user.collection(collection).stream():
            joined.setdefault(found.id, {}).update(found.to_dict())
    # A document of a photo that was written between the queries is not whole.
    rows = [
        row for row in joined.values() if {"person", "shaken", "path"} <= row.keys()
    ]
    return sorted(rows, key=lambda row: row["analysed_at"], reverse=True)


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    recommended = sum(row["delete"] for row in rows)
    table = Table(
        title=f"{len(rows):,} photos in Firestore, {recommended:,} may be deleted",
        title_justify="left",
        caption=f"and {len(rows) - _SHOWN:,} more" if len(rows) > _SHOWN else None,
    )
    for column in ("photo", "taken", "in it", "delete", "why", "day"):
        table.add_column(column, no_wrap=column in ("taken", "day"), overflow="fold")
    for row in rows[:_SHOWN]:
        table.add_row(
            Text(row["title"]),
            row["taken_at"][:16].replace("T", " "),
            ", ".join(tag for tag in TAGS if row[tag]),
            "yes" if row["delete"] else "",
            ", ".join(reason for reason in REASONS if row[reason]),
            "waits" if row["pending_dates"] else "settled",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
