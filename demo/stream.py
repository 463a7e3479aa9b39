"""The stream end to end on this machine: photos in, documents out, while one looks.

`make demo-stream PHOTOS=~/Pictures` starts the emulators and `piccl stream`, uploads
the photos with `piccl upload`, and shows the documents as they appear in Firestore.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
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
# No document changed for so long after all were settled.
_QUIET_S: Final = 5.0
_GIVE_UP_AFTER_S: Final = 600.0


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
    ]
    console.print(f"$ piccl {' '.join(stream_command)} &", highlight=False)
    with log.open("wb") as said:
        stream = subprocess.Popen(_piccl(stream_command), stdout=said, stderr=said)
    try:
        console.print(f"$ piccl {' '.join(upload_command)}", highlight=False)
        subprocess.run(_piccl(upload_command), check=True)
        _watch(console, stream)
    except subprocess.CalledProcessError as err:
        return err.returncode
    finally:
        stream.terminate()
        stream.wait()
    if stream.returncode == 1:
        console.print(log.read_text(errors="replace"), markup=False)
        return 1
    refused = pubsub.pull_all(letters)
    console.print(f"\n{len(refused)} dead letters")
    for letter in refused[:_SHOWN]:
        console.print("  " + letter.data.decode()[:200], markup=False)
    return 0


def _piccl(command: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "pipeline", *command]


def _watch(console: Console, stream: "subprocess.Popen[bytes]") -> None:
    """Show the documents until they no longer change."""
    started_s = changed_s = time.monotonic()
    before: list[dict[str, Any]] = []
    with Live(console=console, auto_refresh=False) as live:
        while stream.poll() is None and time.monotonic() < started_s + _GIVE_UP_AFTER_S:
            rows = _rows()
            if rows != before:
                before, changed_s = rows, time.monotonic()
                live.update(_table(rows), refresh=True)
            is_settled = rows and not any(row["pending_dates"] for row in rows)
            if is_settled and time.monotonic() > changed_s + _QUIET_S:
                break
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
