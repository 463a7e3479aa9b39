"""The command, on a dozen photos and a small network of random weights."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from models.yolov3.cfg import parse_cfg
from models.yolov3.weights import (
    ConvolutionWeights,
    Weights,
    read_weights,
    write_weights,
)
from pipeline.__main__ import main
from pipeline.commands import finetune_yolo
from pipeline.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]

CFG = """
[net]
width=64
height=64
channels=3

[convolutional]
filters=8
size=3
stride=4
pad=1
activation=leaky

[convolutional]
filters=8
size=3
stride=2
pad=1
activation=leaky

[convolutional]
filters=170
size=1
activation=linear

[yolo]
mask=0,1
anchors=10,10, 40,40
classes=80
num=2
"""


@pytest.fixture(scope="session")
def drawn(shared_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of twelve photos, their labels, a cfg and random weights."""
    folder = tmp_path_factory.mktemp("drawn")
    labels = json.loads((shared_photos / "detect" / "boxes.json").read_text())
    names = sorted(labels)[:12]
    for name in names:
        shutil.copy(shared_photos / "detect" / name, folder / name)
    (folder / "boxes.json").write_text(json.dumps({n: labels[n] for n in names}))
    (folder / "small.cfg").write_text(CFG)
    network = parse_cfg(CFG)
    rng = np.random.default_rng(0)
    convolutions = []
    for layer in network.convolutions:
        shape = (layer.size, layer.size, layer.in_channels, layer.filters)
        kernel = rng.normal(0, 0.2, shape).astype(np.float32)
        bias = np.zeros(layer.filters, np.float32)
        convolutions.append(ConvolutionWeights(kernel, bias))
    write_weights(folder / "small.weights", network, Weights(convolutions, seen=5))
    return folder


@pytest.fixture
def data(drawn: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    shutil.copytree(drawn, folder)
    return folder


def words(data: Path, *more: str) -> list[str]:
    cfg, weights, out = (
        data / f for f in ("small.cfg", "small.weights", "new.weights")
    )
    files = [f"--cfg={cfg}", f"--weights={weights}", f"--out={out}"]
    short = ["--epochs=2", "--batch=4", "--validation=0.4", "--train=all"]
    return [str(data), *files, *short, *more]


def run(data: Path, *more: str, beam_args: tuple[str, ...] = ()) -> int:
    parser = argparse.ArgumentParser()
    finetune_yolo.add_arguments(parser)
    return finetune_yolo.run(parser.parse_args(words(data, *more)), beam_args)


def test_short_run_writes_weights_and_says_what_was_gained(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "broken.jpg").write_bytes(b"no photo")
    labels = json.loads((data / "boxes.json").read_text())
    labels["broken.jpg"] = labels["gone.jpg"] = next(iter(labels.values()))
    (data / "boxes.json").write_text(json.dumps(labels))
    assert main(["finetune-yolo", *words(data)]) == 0
    out, err = capsys.readouterr()
    assert "1 skipped, not in the folder: gone.jpg" in err
    assert "1 skipped, not readable as a photo: broken.jpg" in err
    assert "start: mAP50" in err
    assert "epoch 2: loss" in err
    assert "held out" in out
    assert f"weights in {data / 'new.weights'}" in out.replace("\n", "")
    network = parse_cfg(CFG)
    assert read_weights(data / "new.weights", network).seen >= 5
    assert not (data / "new.checkpoint.npz").exists()
    # Where `piccl backfill --weights=new.weights` looks for it.
    assert (data / "new.cfg").read_text() == CFG


def test_json_is_all_there_is_on_stdout(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # COCO's own labels, given by name, beside another file of labels.
    labels = json.loads((data / "boxes.json").read_text())
    coco = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "tv"}]}
    for row, (name, photo) in enumerate(labels.items()):
        size = {"width": photo["width"], "height": photo["height"]}
        coco["images"].append({"id": row, "file_name": name} | size)
        box = [1, 1, photo["width"] / 2, photo["height"] / 2]
        coco["annotations"].append({"image_id": row, "category_id": 1, "bbox": box})
    (data / "instances_mine.json").write_text(json.dumps(coco))
    labels = f"--labels={data / 'instances_mine.json'}"
    assert run(data, labels, "--json", "--epochs=1") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["learned_photos"] + summary["held_out_photos"] == 12
    assert summary["held_out_photos"] >= 1
    assert summary["map50_after"] >= summary["map50_before"]
    assert summary["skipped_photos"] == {}


def test_killed_and_resumed_comes_to_the_same_end(data: Path) -> None:
    def command(out: str, *more: str) -> list[str]:
        new = f"--out={data / out}"
        argv = words(data, new, "--epochs=6", "--learning-rate=0.01", "--json", *more)
        return [sys.executable, "-m", "pipeline", "finetune-yolo", *argv]

    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    whole = subprocess.run(
        command("whole.weights"),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=True,
    )
    checkpoint = data / "killed.checkpoint.npz"
    process = subprocess.Popen(
        command("killed.weights"), cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    )
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (data / "killed.weights").exists()
    # Nobody's hours are thrown away by chance.
    with pytest.raises(UsageError, match="--resume goes on"):
        run(data, f"--out={data / 'killed.weights'}")
    resumed = subprocess.run(
        command("killed.weights", "--resume"),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=True,
    )
    first, second = (json.loads(each.stdout) for each in (whole, resumed))
    assert first | {"weights": ""} == second | {"weights": ""}
    assert (data / "killed.weights").read_bytes() == (
        data / "whole.weights"
    ).read_bytes()
    assert not checkpoint.exists()


@pytest.mark.parametrize(
    ("more", "beam_args", "message"),
    [
        ([], ("--nonsense",), "unknown option: --nonsense"),
        (["--epochs=0"], (), "--epochs must be at least 1"),
        (["--batch=0"], (), "--batch must be at least 1"),
        (["--validation=1"], (), "--validation is a share"),
        (["--validation=0.0001"], (), "12 are to learn from and too few to judge"),
        (["--learning-rate=2"], (), "--learning-rate must be between"),
        (["--seed=-1"], (), "--seed must not be negative"),
        (["--out=new.h5"], (), "must end in .weights"),
        (["--out=/no/such/folder/new.weights"], (), "no such folder"),
        (["--cfg=/no/such.cfg"], (), "no such file: /no/such.cfg"),
        (["--weights=/no/such.weights"], (), "no such file: /no/such.weights"),
        (["--names=/no/such.names"], (), "can not read /no/such.names"),
        (["--labels=/no/such.json"], (), "can not read /no/such.json"),
    ],
    ids=lambda value: "".join(value) if isinstance(value, list | tuple) else None,
)
def test_bad_use_is_one_clear_line(
    more: list[str], beam_args: tuple[str, ...], message: str, data: Path
) -> None:
    with pytest.raises(UsageError, match=message) as error:
        run(data, *more, beam_args=beam_args)
    assert "\n" not in str(error.value)
    assert not (data / "new.weights").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "boxes.json").unlink(), "boxes.json or instances_.* has none"),
        (
            lambda d: (d / "instances_a.json").write_text("{}"),
            "has boxes.json, instances_a.json: name them with --labels",
        ),
        (lambda d: (d / "boxes.json").write_text("[]"), "holds no labels"),
        (
            lambda d: (d / "boxes.json").write_text(
                '{"a.jpg": {"width": 9, "height": 9, "boxes": [[1, 1, 5, 5, "elf"]]}}'
            ),
            "lacks: 'elf'",
        ),
        (lambda d: (d / "boxes.json").write_text("{}"), "of 0 photos"),
        (lambda d: (d / "small.cfg").write_text("[nonsense]"), "small.cfg"),
        (
            lambda d: (d / "small.cfg").write_text(CFG[: CFG.index("[yolo]")]),
            "has no .yolo.",
        ),
        (lambda d: (d / "small.weights").write_bytes(b"\0" * 100), "small.weights: "),
        (
            lambda d: (d / "small.cfg").write_text(
                CFG.replace("filters=170", "filters=20").replace("=80", "=5")
            ),
            "small.weights: |has 5 classes and COCO 80",
        ),
    ],
    ids=[
        "no labels",
        "two labels",
        "empty list",
        "unknown class",
        "no photos",
        "cfg",
        "no head",
        "weights",
        "classes",
    ],
)
def test_broken_data_is_one_clear_line(damage, message: str, data: Path) -> None:
    damage(data)
    with pytest.raises(UsageError, match=message) as error:
        run(data)
    assert "\n" not in str(error.value)


def test_names_of_a_network_of_ones_own(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = data / "my.names"
    names.write_text("person\ndog\n\n")
    with pytest.raises(UsageError, match="2 names for a network of 80 classes"):
        run(data, f"--names={names}")


def test_help_explains_without_heavy_imports() -> None:
    code = (
        "import sys, argparse; from pipeline.commands import finetune_yolo as f; "
        "f.add_arguments(argparse.ArgumentParser()); "
        "print([m for m in ('tensorflow', 'cv2', 'numpy') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "[]\n"
