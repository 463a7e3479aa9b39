"""A tiny run from the command line to its results; how fast it is, is not asked."""

import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks import inputs, networks
from benchmarks.__main__ import main
from benchmarks.contestants import Contestant, Outcome, compete, whole_process
from benchmarks.inputs import SIZES, Inputs, make_inputs
from benchmarks.peers.networks import look_for
from benchmarks.processes import AS_PICCL, ChildError, Run, measure, module
from benchmarks.report import Report
from benchmarks.settings import Settings


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two real files of a size that counts as 0.3 MP, and a large one."""
    folder = tmp_path_factory.mktemp("photos")
    chance = np.random.default_rng(0)
    for name, side_px in (("a", 480), ("b", 500), ("large", 1200)):
        rgb = chance.integers(0, 256, (side_px // 20, side_px // 20, 3), np.uint8)
        Image.fromarray(rgb).resize((side_px, side_px)).save(folder / f"{name}.jpg")
    return folder


def test_few_photos_once_without_peers(photos: Path, tmp_path: Path) -> None:
    code = main(
        [
            "backfill",
            "--quick",
            "--only=0.3 MP, no tags",
            "--most-photos=3",
            f"--photos={photos}",
            f"--inputs={tmp_path / 'inputs'}",
            f"--out={tmp_path / 'out'}",
            f"--peers={tmp_path / 'no-python'}",
        ]
    )
    assert code == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    case = "0.3 MP, no tags"
    measured = {row["name"]: row for row in results["rows"] if row["case"] == case}
    assert set(measured) == {
        "piccl backfill",
        "bare loop",
        "script as in the paper",
        "JPEG decode alone, full size",
        "JPEG decode alone, reduced",
    }
    assert all(row["median"] > 0 for row in measured.values())
    assert measured["piccl backfill"]["facts"]["peak_mb"] > 50
    assert any("2 are real files, 1 are made" in note for note in results["notes"])
    # Who is not there is told, and so is the goal that could not be looked at.
    missing = [one["name"] for one in results["missing"]]
    assert f"{case}: CleanVision" in missing
    assert f"{case}: the goal of CleanVision" in missing


def test_sections_that_fail_do_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr("benchmarks.peaks.run", fail)
    monkeypatch.setattr("benchmarks.memory.run", lambda report, _: report.note("ran"))
    assert main(["memory", f"--out={tmp_path}"]) == 1
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["notes"] == ["ran"]
    assert results["missing"][0]["why"] == "RuntimeError: out of luck"


@pytest.mark.parametrize(
    "argv",
    [
        ["nonsense"],
        ["--rounds=0"],
        ["--photos=/no/such/folder"],
        ["backfill", "--only=13 MP"],
    ],
    ids=["section", "rounds", "photos", "only"],
)
def test_wrong_command_lines(argv: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(argv)


@pytest.mark.parametrize("size", SIZES)
def test_made_photos_are_as_large_as_those_of_phones(
    size: str, photos: Path, tmp_path: Path
) -> None:
    made = make_inputs(size, 4, Settings(photos=photos, inputs=tmp_path))
    made_here = [path for path in made.paths if "made" in path.name]
    assert len(made_here) == (2 if size == "0.3 MP" else 4)
    assert len({path.read_bytes() for path in made.paths}) == 4
    for path in made_here:
        with Image.open(path) as image:
            pixels = image.width * image.height
            assert image.getexif()
        assert pixels == pytest.approx(float(size.split()[0]) * 1e6, rel=0.05)
        assert path.stat().st_size / pixels == pytest.approx(0.3, rel=0.15)
    # Made once.
    times = [path.stat().st_ctime_ns for path in made.paths]
    again = make_inputs(size, 4, Settings(photos=photos, inputs=tmp_path))
    assert [path.stat().st_ctime_ns for path in again.paths] == times


def test_failing_child_says_why() -> None:
    with pytest.raises(ChildError, match=r"exit 1.*no luck"):
        measure([sys.executable, "-c", "raise SystemExit('no luck')"])


def test_memory_of_children_is_counted() -> None:
    grow = "x = b'1' * 200_000_000; import time; time.sleep(0.5)"
    parent = (
        "import subprocess, sys; "
        f"subprocess.run([sys.executable, '-c', {grow!r}]); print('{{}}')"
    )
    run = measure([sys.executable, "-c", parent])
    assert run.peak_mb > 200
    assert run.answer == {}


def test_decoding_tells_who_was_the_fastest(photos: Path) -> None:
    answer = measure(module("decode", photos, "1"), environment=AS_PICCL).answer
    assert set(answer) == {"full", "reduced"}
    for told in answer.values():
        assert told["by"] in ("Pillow", "OpenCV", "simplejpeg")
        assert told["photos_per_s"] > 0


def test_more_photos_than_are_made_are_the_same_under_other_names(
    monkeypatch: pytest.MonkeyPatch, photos: Path, tmp_path: Path
) -> None:
    monkeypatch.setitem(inputs._DIFFERENT, "0.3 MP", 3)
    made = make_inputs("0.3 MP", 8, Settings(photos=photos, inputs=tmp_path))
    assert (len(made), made.different) == (8, 3)
    assert len({path.read_bytes() for path in made.paths}) == 3
    assert "3 differ" in made.described


def test_other_photos_make_other_inputs(photos: Path, tmp_path: Path) -> None:
    settings = Settings(photos=tmp_path / "photos", inputs=tmp_path / "inputs")
    shutil.copytree(photos, settings.photos or tmp_path)
    before = make_inputs("0.3 MP", 2, settings).folder
    assert make_inputs("0.3 MP", 2, settings).folder == before
    shutil.copy(photos / "a.jpg", tmp_path / "photos" / "c.jpg")
    assert make_inputs("0.3 MP", 2, settings).folder != before


def test_start_is_told_from_speed(tmp_path: Path) -> None:
    """Who takes 5 s to begin and 0.5 s a photo."""
    paths = [tmp_path / str(place) for place in range(40)]
    photos = Inputs(tmp_path, paths, 1, 1, 0, 40)
    few = Inputs(tmp_path, paths[:4], 1, 1, 0, 4)
    asked = []

    def run(some: Inputs) -> Run:
        asked.append(len(some))
        return Run(5 + 0.5 * len(some), 0.0, 0.0, {})

    contestant = whole_process("who", photos, few, run)
    for _ in range(2):
        outcome = contestant.run()["who"]
        assert outcome.speed == pytest.approx(2)
        assert outcome.start_s == pytest.approx(5)
    assert asked == [4, 40, 40]
    alone = whole_process("who", few, few, run).run()["who"]
    assert (alone.speed, alone.start_s) == (4 / 7, None)


def test_start_of_few_photos_is_told_too(photos: Path, tmp_path: Path) -> None:
    settings = Settings(photos=photos, inputs=tmp_path)
    made = make_inputs("0.3 MP", 12, settings)
    assert len(inputs.beginning(made, settings)) == 3
    few = inputs.first(made, 4, settings)
    assert inputs.beginning(few, settings) == few


def test_contestants_take_turns_in_another_order() -> None:
    ran: list[str] = []

    def contestant(name: str, *, once: bool = False) -> Contestant:
        def run() -> dict[str, Outcome]:
            ran.append(name)
            if ran.count(name) == 2 and name == "c":
                raise ChildError("no luck")
            return {name: Outcome(1, 1.0)}

        return Contestant(name, run, once)

    report = Report({}, settings=Settings(rounds=3))
    several = [contestant("a"), contestant("b", once=True), contestant("c")]
    rows = compete(report, "section", "case", several)
    assert "".join(ran) == "abc" + "ca" + "a"
    assert {name: len(row.values) for name, row in rows.items()} == {
        "a": 3,
        "b": 1,
        "c": 1,
    }
    assert [one.why for one in report.missings] == ["no luck"]


@pytest.mark.parametrize(
    ("calls", "looked"), [(1, 2 * 1), (3, 2 * 3)], ids=["warm-up", "value"]
)
def test_each_caller_looks_at_least_once(calls: int, looked: int) -> None:
    """Even in no time."""
    batches = []
    images = np.zeros((4, 2, 2, 3), np.float32)

    def look(batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        batches.append(len(batch))
        return []

    answer = look_for([look, look], images, calls, 0)
    assert batches == [4] * looked
    assert answer["images_per_s"] > 0


def test_children_do_not_outlive_whoever_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"

    def interrupt(*_: object) -> None:
        while not (pid.is_file() and pid.read_text()):
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.processes.os.wait4", interrupt)
    child = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(60)"
    parent = (
        "import subprocess, sys; "
        f"subprocess.run([sys.executable, '-c', {child!r}], stdout=open(r'{pid}', 'w'))"
    )
    with pytest.raises(KeyboardInterrupt):
        measure([sys.executable, "-c", parent])
    grandchild = int(pid.read_text())
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s and _runs(grandchild):
        time.sleep(0.01)
    assert not _runs(grandchild)


def _runs(pid: int) -> bool:
    """Whether it is there and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_interrupted_run_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def measure_some(report: Report, _: bool) -> None:
        report.add("peaks", "somebody", "GFLOP/s", [1.0])
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.peaks.run", measure_some)
    assert main(["memory", f"--out={tmp_path}"]) == 130
    results = json.loads((tmp_path / "results.json").read_text())
    assert [row["name"] for row in results["rows"]] == ["somebody"]


@pytest.mark.parametrize(
    ("precision", "off_by", "is_alike"),
    [
        pytest.param("f32", 0.0005, True, id="f32"),
        pytest.param("f32", 0.01, False, id="f32-other"),
        pytest.param("bf16", 0.04, True, id="bf16"),
        pytest.param("bf16", 0.06, False, id="bf16-other"),
        pytest.param("bf16", np.nan, False, id="nan"),
    ],
)
def test_who_sees_something_else_does_not_take_part(
    precision: str, off_by: float, *, is_alike: bool
) -> None:
    truth = [np.linspace(0, 1, 8, dtype=np.float32).reshape(1, 2, 2, 2)]
    heads = [np.asarray(truth[0] + off_by, np.float32)]
    if is_alike:
        networks._check(heads, truth, precision)
    else:
        with pytest.raises(ChildError, match="differ"):
            networks._check(heads, truth, precision)
