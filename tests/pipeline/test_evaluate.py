"""The command, on a few real photos."""

import csv
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from models import held_out
from pipeline.__main__ import main
from pipeline.evaluation import scoring
from pipeline.evaluation.labels import LabelledPhoto

# Of each, the first ones of that label; a few are enough to go through everything.
_TAKEN = {
    ("blur", "blur"): 2,
    ("blur", "sharp"): 2,
    ("dark", "too dark"): 2,
    ("dark", "dark on purpose"): 1,
    ("bright", "bright"): 1,
    ("screenshots", "screenshot"): 1,
    ("detect", "boxes"): 3,
    ("bursts", "hdrpair"): 2,
    ("odd", "zero byte"): 1,
}


@pytest.fixture(scope="module")
def data(shared_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small copy of the labelled photos."""
    folder = tmp_path_factory.mktemp("data")
    for (name, label), n in _TAKEN.items():
        with (shared_photos / name / "manifest.csv").open(newline="") as lines:
            rows = [row for row in csv.DictReader(lines) if row["label"] == label][:n]
        (folder / name).mkdir(exist_ok=True)
        manifest = folder / name / "manifest.csv"
        is_new = not manifest.exists()
        with manifest.open("a", newline="") as out:
            writer = csv.DictWriter(out, rows[0])
            if is_new:
                writer.writeheader()
            writer.writerows(rows)
        for row in rows:
            shutil.copy(shared_photos / name / row["file"], folder / name)
    shutil.copy(shared_photos / "detect" / "boxes.json", folder / "detect")
    return folder


@pytest.fixture(scope="module")
def everything(
    data: Path, shared_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], Path]:
    """One evaluation with all there is: its JSON and its page."""
    out = tmp_path_factory.mktemp("out")
    (out / "temporary").mkdir()
    weights = shared_models / "yolo-fastest-1.1-xl.weights"
    with pytest.MonkeyPatch.context() as patch, (out / "json").open("w") as stdout:
        patch.setattr("sys.stdout", stdout)
        patch.setattr("tempfile.tempdir", str(out / "temporary"))
        code = main(
            [
                *("evaluate", str(data), f"--weights={weights}", "--made=2"),
                *("--json", f"--out={out / 'page.html'}"),
            ]
        )
    assert code == 0
    return json.loads((out / "json").read_text()), out / "page.html"


def test_every_labelled_photo_is_counted(everything) -> None:
    figures, _ = everything
    verdicts = {one["verdict"]: one for one in figures["verdicts"]}
    counts = {
        verdict: (one["recall"]["n"], one["false_alarms"]["n"])
        for verdict, one in verdicts.items()
    }
    # All but the screenshot and the empty file are photos.
    assert counts == {"shaken": (2, 2), "dark": (2, 2), "screenshot": (1, 13)}
    assert verdicts["shaken"]["presumed"]["n"] == 6
    assert figures["photos"] == 14
    assert [Path(one["path"]).name for one in figures["unreadable"]] == [
        "zero_bytes.jpg"
    ]
    assert figures["objects"]["photos"] == 3
    assert figures["kinds"]["hdrpair"] == 2


def test_figures_come_with_what_made_them(everything, data) -> None:
    figures, _ = everything
    assert figures["folder"] == str(data.resolve())
    assert figures["versions"]["detector"]
    assert figures["settings"]["weights"] == "yolo-fastest-1.1-xl.weights"
    assert figures["command"].startswith(f"piccl evaluate {data}")
    assert "--made=2" in figures["command"]
    assert "--json" not in figures["command"]


def test_made_photos_are_judged(everything) -> None:
    figures, _ = everything
    similar = figures["similar"]
    kinds = {kind["kind"]: kind["called"]["n"] for kind in similar["kinds"]}
    # Two photos with eight shots each; two frames of the pair that is real.
    assert kinds["cropped"] == 2
    assert kinds["hdrpair"] == 1
    assert kinds["different photos of one minute and place"] == 81
    assert similar["recall"]["value"] > 0.5
    copies = {(one["verdict"], one["kind"]): one["same"] for one in figures["copies"]}
    assert copies["shaken", "as messengers send it"]["n"] == 6
    assert copies["screenshot", "cropped and as messengers send it"]["n"] == 1


def test_nothing_but_the_page_is_left(everything) -> None:
    figures, page = everything
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert sorted(path.name for path in page.parent.iterdir()) == (
        ["json", "page.html", "temporary"]
    )
    assert not list((page.parent / "temporary").iterdir())
    # No path of what is gone.
    assert "temporary" not in json.dumps(figures)


def test_scores_are_those_of_a_backfill_or_held_out(
    everything, data, backfill, rows, tmp_path
) -> None:
    figures, _ = everything
    scores = {
        one["verdict"]: sorted(one["yes_scores"] + one["no_scores"])
        for one in figures["verdicts"]
    }
    flags = ("--weights=none",)
    assert backfill(data / "blur", db=tmp_path / "piccl.db", flags=flags) == 0
    # No list holds them, as nothing was learned from them.
    stored = rows(tmp_path / "piccl.db")["photos"]
    assert scores["shaken"] == sorted(row["sharpness"] for row in stored)
    learned = held_out.load(held_out.PATHS["dark"])
    files = (*(data / "dark").glob("*.*"), *(data / "bright").glob("*.*"))
    photos = [file for file in files if file.name != "manifest.csv"]
    assert scores["dark"] == sorted(
        learned[hashlib.sha256(photo.read_bytes()).hexdigest()].score
        for photo in photos
    )


def test_options_and_labels_of_folders(jpeg, tmp_path, capsys) -> None:
    for number, label in enumerate(["blur", "sharp", "too dark", "nonsense"]):
        (tmp_path / label).mkdir()
        (tmp_path / label / "a.jpg").write_bytes(jpeg(number))
    command = ["evaluate", str(tmp_path), "--weights=none", "--made=0"]
    command += [f"--out={tmp_path / 'page.html'}"]
    assert main(command) == 2
    assert "unknown labels: 'nonsense' (1)" in capsys.readouterr().err
    # Nothing is as sharp as that, so all that can be judged is shaken.
    command += ["--ignore-unknown", "--markdown", "--blur-threshold=1e9"]
    assert main(command) == 0
    tables = capsys.readouterr().out
    assert f"`piccl evaluate {tmp_path} --made=0 --ignore-unknown" in tables
    assert "| shaken | 1 / 1 | 0.500 (0.095–0.905) | 1.000 (0.207–1.000) |" in tables
    assert "| dark | 1 / 0 |" in tables
    assert "similar" not in tables


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nowhere"], "no such file or folder: nowhere"),
        ([".", "--out=page.txt"], "--out must end in .html"),
        ([".", "--out=no/page.html"], "no such folder: no"),
        ([".", "--made=-1"], "-1 is not a whole number"),
        ([".", "--reanalyse=all"], "unknown option: --reanalyse=all"),
        ([".", "--weights=gone.weights"], "no such file: gone.weights"),
        (["."], "no labelled photos in ."),
        ([], "required: DATA"),
    ],
)
def test_misuse_is_said_before_any_work(
    words, complaint, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    if "--weights=gone.weights" in words:
        (tmp_path / "blur").mkdir()
        (tmp_path / "blur" / "a.jpg").write_bytes(b"?")
    assert main(["evaluate", *words]) == 2
    assert complaint in capsys.readouterr().err


def _scored(sha256: str, **row: Any) -> scoring.Scored:
    columns = {"shaken": 0, "dark": 1, "sharpness": 300.0, "sharpness_threshold": 205.0}
    columns |= {"dark_probability": 0.99, "dark_threshold": 0.94}
    return scoring.Scored(columns | row, sha256, 1)


def test_photos_that_were_learned_from_are_judged_held_out() -> None:
    label = LabelledPhoto("/a.jpg", "dark on purpose", dark=False, shaken=True)
    learned = {"ab": held_out.HeldOut(0.9, 0.92)}
    known = scoring.judged("dark", _scored("ab"), label, learned)
    assert (known.score, known.threshold, known.called) == (0.9, 0.92, False)
    assert known.held_out
    new = scoring.judged("dark", _scored("cd"), label, learned)
    assert (new.score, new.threshold, new.called) == (0.99, 0.94, True)
    assert not new.held_out
    # Low means shaken.
    learned = {"ab": held_out.HeldOut(190.0, 200.0)}
    assert scoring.judged("shaken", _scored("ab"), label, learned).called
    assert not scoring.judged("shaken", _scored("cd"), label, learned).called


def test_a_group_is_the_source_or_the_photo_alone() -> None:
    photo = _scored("ab")
    known = LabelledPhoto("/a.jpg", group="camera")
    assert scoring.judged("dark", photo, known, {}).group == "camera"
    alone = LabelledPhoto("/a.jpg")
    assert scoring.judged("dark", photo, alone, {}).group == "/a.jpg"
