"""`piccl train-screenshots` and `piccl calibrate-blur`, on a few small pictures."""

import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from models import blur_threshold, held_out
from pipeline.__main__ import main


def _photo(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(20, 235, (24, 32, 3)).astype(np.float32)
    scene = cv2.resize(coarse, (400, 300), interpolation=cv2.INTER_CUBIC)
    return np.clip(scene + rng.normal(0, 4, scene.shape), 0, 255).astype(np.uint8)


def _screen(seed: int) -> np.ndarray:
    rows = np.full((480, 270, 3), 244, np.uint8)
    for top in range(40, 460, 40):
        rows[top + 10] = 200
        cv2.putText(rows, f"Item {seed} {top}", (9, top), 0, 0.5, (32,) * 3, 1)
    return rows


def _write(
    folder: Path, label: str, pictures: Iterable[np.ndarray], source: str = "source"
) -> None:
    folder.mkdir(parents=True)
    with (folder / "manifest.csv").open("w", newline="") as lines:
        rows = csv.writer(lines)
        rows.writerow(["file", "label", "source"])
        for n, picture in enumerate(pictures):
            cv2.imwrite(str(folder / f"{n}.png"), picture)
            rows.writerow([f"{n}.png", label, f"{source} {n % 3}"])


def _digests(*folders: Path) -> set[str]:
    return {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in folder.glob("*.png")
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "photos"
    _write(data / "bright", "bright", map(_photo, range(4)))
    _write(data / "detect", "no boxes", map(_photo, range(4, 8)), "COCO from")
    _write(data / "bursts", "bright", [_photo(8), np.zeros((300, 400, 3), np.uint8)])
    _write(data / "screenshots", "screenshot", map(_screen, range(4)), "app")
    return data


def test_screenshots_are_learned(data, capsys) -> None:
    out = data / "scores.csv"
    assert main(["train-screenshots", str(data), f"--held-out={out}"]) == 0
    said = capsys.readouterr().out
    assert "screenshots: 4 of 4 found, 100.0%" in said
    assert "photo of a screen: 0 of 4 called a screenshot" in said
    *_, last = said.splitlines()
    assert last.startswith("weights=(")
    scores = held_out.load(out)
    assert set(scores) == _digests(*data.iterdir())
    shots = _digests(data / "screenshots")
    assert all(
        (one.score >= one.threshold) == (sha in shots) for sha, one in scores.items()
    )


def test_blur_is_calibrated(data, capsys) -> None:
    out = data / "scores.csv"
    assert main(["calibrate-blur", str(data), f"--held-out={out}"]) == 0
    said = capsys.readouterr().out
    # Repositories that hand on COCO are one source.
    told = [line.split(":")[0] for line in said.splitlines() if "without" in line]
    assert told == ["without COCO", *(f"without source {n}" for n in range(3))]
    scores = held_out.load(out)
    # The black one can not be judged, and screenshots have no part.
    judged = _digests(data / "bright", data / "detect", data / "bursts")
    assert judged - set(scores) == _digests_of_black(data)
    assert set(scores) < judged
    chosen = blur_threshold.choose_threshold([one.score for one in scores.values()])
    assert said.splitlines()[-1] == f"threshold={chosen}"


def _digests_of_black(data: Path) -> set[str]:
    return {hashlib.sha256((data / "bursts" / "1.png").read_bytes()).hexdigest()}


@pytest.mark.parametrize("command", ["train-screenshots", "calibrate-blur"])
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--nonsense"], "unknown option: --nonsense"),
        (["--held-out=scores.txt"], "--held-out must end in .csv"),
        (["--held-out=/no/such/folder/a.csv"], "no such folder"),
        ([], "sources, and held-out figures need 2"),
    ],
    ids=["option", "suffix", "folder", "too few"],
)
def test_bad_use_is_one_clear_line(
    command, words, complaint, data, tmp_path, capsys
) -> None:
    for manifest in data.glob("*/manifest.csv"):
        lines = manifest.read_text().splitlines()
        told = [f"{line.rpartition(',')[0]},one" for line in lines[1:]]
        manifest.write_text("\n".join([lines[0], *told]))
    shipped = [path.read_bytes() for path in held_out.PATHS.values()]
    safe = [f"--held-out={tmp_path / 'scores.csv'}"]
    assert main([command, str(data), *safe, *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line
    assert [path.read_bytes() for path in held_out.PATHS.values()] == shipped


@pytest.mark.parametrize("command", ["train-screenshots", "calibrate-blur"])
def test_a_broken_photo_is_named(command, data, tmp_path, capsys) -> None:
    (data / "bright" / "0.png").write_bytes(b"no")
    out = tmp_path / "scores.csv"
    assert main([command, str(data), f"--held-out={out}"]) == 2
    assert "0.png" in capsys.readouterr().err
    assert not out.exists()
