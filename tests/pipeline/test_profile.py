"""`--profile`: where the time of a real run went."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.profile import Profiler
from transforms.step_times import StepTimes


@pytest.fixture
def photos(tmp_path: Path, jpeg: Callable[..., bytes]) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(40):
        (folder / f"{i}.jpg").write_bytes(jpeg(i))
    return folder


def test_rows_add_up_to_the_time_of_all_workers(photos, tmp_path, capsys) -> None:
    db = tmp_path / "photos.db"
    flags = [str(photos), "--user=me", f"--store=sqlite:///{db}", "--weights=none"]
    letters = f"--dead-letters={tmp_path / 'dead.jsonl'}"
    started_s = time.perf_counter()
    assert main(["backfill", *flags, letters, "--json", "--profile"]) == 0
    took_s = time.perf_counter() - started_s
    profile = json.loads(capsys.readouterr().out)["profile"]

    assert profile["wall_s"] == pytest.approx(took_s, rel=0.03)
    rows = {row.pop("step"): row for row in profile["rows"]}
    in_all_s = sum(row["seconds"] for row in rows.values())
    assert in_all_s == pytest.approx(profile["workers"] * took_s, rel=0.03)
    assert all(row["seconds"] >= 0 for row in rows.values()), rows
    for step in ("SkipAnalysed", "LoadPhotos", "ScoreBlur", "WritePhotos"):
        assert rows[step]["elements"] == 40
        assert 0 < rows[step]["seconds"] < rows[step]["wall_s"] * 1.01
    assert rows["ScoreDarkness/batch"]["elements"] >= 3
    assert rows["GroupSimilar"]["elements"] >= 1


def test_it_is_a_table_for_a_person(photos, tmp_path, capsys) -> None:
    db = tmp_path / "photos.db"
    flags = [str(photos), "--user=me", f"--store=sqlite:///{db}", "--weights=none"]
    letters = f"--dead-letters={tmp_path / 'dead.jsonl'}"
    assert main(["backfill", *flags, letters, "--profile"]) == 0
    out = capsys.readouterr().out
    assert "Where the time went" in out
    assert "WritePhotos" in out
    assert "Beam and the rest" in out
    assert main(["backfill", *flags, letters]) == 0
    assert "Where the time went" not in capsys.readouterr().out


def test_workers_elsewhere_are_refused(photos, tmp_path, capsys) -> None:
    db = tmp_path / "photos.db"
    flags = [str(photos), "--user=me", f"--store=sqlite:///{db}"]
    processes = "--direct_running_mode=multi_processing"
    assert main(["backfill", *flags, "--profile", processes]) == 2
    assert "--profile" in capsys.readouterr().err
    assert not db.exists()


def test_a_step_counts_without_its_parts() -> None:
    steps = StepTimes()
    steps.add("Load/decode", 30, 20)
    steps.add("Load", 50, 25)
    steps.add("Score/batch", 7, 7)
    alone = steps.alone()
    assert (alone["Load"].wall_ns, alone["Load"].cpu_ns) == (20, 5)
    assert (alone["Load/decode"].wall_ns, alone["Load/decode"].cpu_ns) == (30, 20)
    assert alone["Score/batch"].cpu_ns == 7
    # It stays as it was told.
    assert steps.alone() == alone


def test_threads_add_up() -> None:
    steps = StepTimes()

    def work() -> None:
        for _ in range(1000):
            steps.add("Work", 2, 1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work_time = steps.alone()["Work"]
    assert (work_time.elements, work_time.wall_ns, work_time.cpu_ns) == (
        4000,
        8000,
        4000,
    )


def test_idle_workers_are_told_apart_from_busy_ones() -> None:
    profiler = Profiler()
    profiler.start_job()
    time.sleep(0.2)
    profile = profiler.profile(workers=3)
    seconds = {row.step: row.seconds for row in profile.rows}
    assert seconds["waiting in the job"] == pytest.approx(3 * profile.wall_s, rel=0.1)
