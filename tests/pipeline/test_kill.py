"""A process that is killed, for real, loses nothing that the next run can not mend."""

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest


# Right after the first photos; in the middle; when all are written and days are
# being grouped.
@pytest.mark.parametrize("written", [1, 30, 60], ids=["start", "middle", "grouping"])
def test_a_killed_process_is_healed_by_the_next_run(
    written, tmp_path, jpeg, backfill, rows
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(60):
        taken_at = f"2024:05:{i // 6 + 1:02} 12:00:{i % 6:02}"
        (folder / f"{i}.jpg").write_bytes(jpeg(i // 3, i % 3, taken_at))
    clean = tmp_path / "clean.db"
    assert backfill(folder, db=clean) == 0

    db = tmp_path / "killed.db"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pipeline",
            "backfill",
            folder,
            "--user=me",
            f"--store=sqlite:///{db}",
            f"--dead-letters={tmp_path / 'dead.jsonl'}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    try:
        _wait_until_written(db, written, process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert backfill(folder, db=db) == 0
    assert rows(db) == rows(clean)


def _wait_until_written(db: Path, number: int, process: subprocess.Popen) -> None:
    deadline_s = time.monotonic() + 120
    while time.monotonic() < deadline_s:
        assert process.poll() is None, "it ended before it could be killed"
        try:
            with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as reader:
                found = reader.execute("SELECT count(*) FROM photos").fetchone()[0]
        except sqlite3.OperationalError:
            found = 0
        if found >= number:
            return
        time.sleep(0.005)
    raise TimeoutError(f"{number} photos were not written in time")
