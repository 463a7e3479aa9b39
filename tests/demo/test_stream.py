"""`make demo-stream`, as a person sees it."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import pytest

from demo.emulators import missing
from pipeline.known_weights import DEFAULT_MODEL

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.timeout(300),
]
ROOT: Final = Path(__file__).resolve().parents[2]


@pytest.fixture
def roll(tmp_path: Path) -> Path:
    """Three photos, what is none, and what only begins as one."""
    chance = np.random.default_rng(0)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        cv2.imwrite(str(tmp_path / name), chance.integers(0, 255, (120, 160, 3)))
    (tmp_path / "notes.txt").write_text("not a photo")
    (tmp_path / "torn.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:500])
    return tmp_path


def _demonstrated(photos: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "demo.stream", str(photos)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_documents_and_dead_letters_appear(roll: Path) -> None:
    shown = _demonstrated(roll)
    assert shown.returncode == 0, shown
    assert "4 photos uploaded" in shown.stdout
    assert "3 photos in Firestore" in shown.stdout
    table = shown.stdout[shown.stdout.index("3 photos in Firestore") :]
    assert table.count("settled") == 3
    assert "waits" not in table
    assert all(name in table for name in ("a.jpg", "b.jpg", "c.jpg"))
    assert "1 dead letters" in table
    assert "torn.jpg: " in table


def test_stream_that_ends_by_itself_is_a_failure(
    roll: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Weights that were fetched are used, and these are none."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    (home / ".cache" / "piccl").mkdir(parents=True)
    for suffix in ("cfg", "weights"):
        (home / ".cache" / "piccl" / f"{DEFAULT_MODEL}.{suffix}").write_text("none")
    shown = _demonstrated(roll)
    assert shown.returncode == 1, shown
    assert "The stream ended with 2; it said last:" in shown.stdout
    assert f"{DEFAULT_MODEL}.cfg" in shown.stdout
