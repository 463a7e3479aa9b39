"""The command, on a few small photos."""

import argparse
import csv
import hashlib
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from models import held_out
from models.darkness import network, train
from pipeline.commands import train_dark
from pipeline.errors import UsageError


def _run(*words: str, beam_args: tuple[str, ...] = ()) -> int:
    parser = argparse.ArgumentParser()
    train_dark.add_arguments(parser)
    return train_dark.run(parser.parse_args(words), beam_args)


def _write(folder: Path, photos: list[tuple[str, str, str]]) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as lines:
        rows = csv.writer(lines)
        rows.writerow(["file", "label", "note"])
        for name, label, note in photos:
            light = 150 if label == "bright" else 12
            bgr = rng.integers(0, light, (40, 60, 3)).astype(np.uint8)
            if "purpose" in label + note:
                bgr[10:30, 20:40] = 240
            cv2.imwrite(str(folder / name), bgr)
            rows.writerow([name, label, note])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    dark = [(f"d{i}.png", "too dark", "") for i in range(5)]
    dark += [(f"p{i}.png", "dark on purpose", "") for i in range(5)]
    dark += [("u.png", "unsure", "")]
    _write(folder / "dark", dark)
    _write(folder / "bright", [(f"b{i}.png", "bright", "") for i in range(5)])
    borderline = [
        ("n.png", "night, well lit", "mean luma 82 | dark on purpose"),
        ("s.png", "slightly under-exposed", "mean luma 60 | not dark"),
        ("q.png", "partly dark", "nobody judged it"),
    ]
    _write(folder / "borderline", borderline)
    return folder


@pytest.mark.parametrize("method", ["default", "paper"])
def test_short_run_writes_a_model_and_its_figures(
    method: str,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(train, "_BATCHES_PER_EPOCH", 1)
    if method == "paper":  # once through the folds is enough
        folds = train.Folds([network.load()] * 2, np.arange(16) % 2)
        monkeypatch.setattr(train, "train_folds", lambda *_, **__: folds)
    monkeypatch.setenv("COLUMNS", "120")
    out = data / "new.keras"
    options = ["--folds", "2", "--epochs", "1", "--method", method, "--out", str(out)]
    assert _run(str(data), *options) == 0
    model = keras.saving.load_model(out, compile=False)
    assert model.count_params() == 328_225
    # Three times the weights if the optimizer's moments were in it.
    assert out.stat().st_size < 1_500_000
    said = capsys.readouterr().out
    assert "AUC against on purpose" in said
    assert "of 5:" in said
    assert ("night, well lit" in said) == (method == "default")
    for kind in ("one lamp", "lit subject before black", "cropped to 80 %"):
        assert kind in said
    assert f"model in {out}" in said.replace("\n", "")
    scores = held_out.load(out.with_name("held_out.csv"))
    learned = [*(data / "dark").glob("[dp]*.png"), *(data / "bright").glob("*.png")]
    digests = {hashlib.sha256(photo.read_bytes()).hexdigest() for photo in learned}
    assert digests <= set(scores)
    # And n.png or, by the paper, u.png; s.png has the bytes of d1.png.
    assert len(scores) == len(digests) + 1
    if method == "paper":
        assert {photo.threshold for photo in scores.values()} == {0.5}


def test_judgement_of_a_borderline_photo_ends_its_note(data: Path) -> None:
    judged = {
        photo.path.name: photo.judgement for photo in train_dark.read_photos(data)
    }
    assert judged["n.png"] == "dark on purpose"
    assert judged["s.png"] == "not dark"
    assert judged["q.png"] == judged["u.png"] == "unsure"
    assert judged["d0.png"] == "too dark"


@pytest.mark.parametrize(
    ("paper", "too_dark"), [(False, 5), (True, 11)], ids=["default", "paper"]
)
def test_the_paper_takes_its_answers_from_the_folders(
    paper: bool, too_dark: int, data: Path
) -> None:
    examples = train_dark.to_examples(train_dark.read_photos(data), paper=paper)
    assert examples.too_dark.sum() == too_dark
    assert examples.bright.sum() == 5


@pytest.mark.parametrize(
    ("words", "beam_args", "message"),
    [
        ([], ("--nonsense",), "unknown option: --nonsense"),
        (["--folds", "1"], (), "--folds must be at least 2"),
        (["--epochs", "0"], (), "--epochs at least 1"),
        (["--out", "model.h5"], (), "must end in .keras"),
        (["--out", "/no/such/folder/m.keras"], (), "no such folder"),
        (["--folds", "5"], (), "too few photos"),
    ],
    ids=["option", "folds", "epochs", "suffix", "out", "too few"],
)
def test_bad_use_is_one_clear_line(
    words: list[str], beam_args: tuple[str, ...], message: str, data: Path
) -> None:
    before = network.WEIGHTS.read_bytes()
    with pytest.raises(UsageError, match=message) as error:
        _run(str(data), *words, beam_args=beam_args)
    assert "\n" not in str(error.value)
    assert network.WEIGHTS.read_bytes() == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "bright" / "manifest.csv").unlink(), "no such manifest"),
        (lambda d: (d / "bright" / "b0.png").unlink(), "cannot read .*b0.png"),
        (lambda d: (d / "dark" / "d0.png").write_bytes(b"no"), "cannot read .*d0.png"),
        (
            lambda d: (d / "dark" / "manifest.csv").write_text("file,label\na,b\n"),
            "no column 'note'",
        ),
    ],
    ids=["manifest", "missing photo", "broken photo", "column"],
)
def test_broken_data_is_one_clear_line(damage, message: str, data: Path) -> None:
    damage(data)
    with pytest.raises(UsageError, match=message) as error:
        _run(str(data), "--folds", "2")
    assert "\n" not in str(error.value)
