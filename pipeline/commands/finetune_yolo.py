"""Adjust a YOLOv3 network to one's own photos."""

import argparse
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.check_out import check_out
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from models.yolov3.examples import Photo
    from models.yolov3.labels import Labelled
    from models.yolov3.layers import Network
    from models.yolov3.train import Result
    from models.yolov3.weights import Weights

DESCRIPTION = """\
Adjusts a YOLOv3 network, or one of its relatives, to labelled photos. DATA holds
the photos and their labels: boxes.json or COCO's instances_*.json.

  piccl finetune-yolo DATA --weights yolov3 --out mine.weights
  piccl backfill ~/Pictures --user me --weights mine.weights

The cfg is copied beside the new weights, where `piccl backfill` looks for it.

Every fifth photo, by a hash of its name, is held out. After each epoch they say
how good the network is; the best epoch is written, or the start if nothing beats
it, as Darknet's own weights. The state is kept beside them after each epoch;
--resume goes on from it.

boxes.json: {"a.jpg": {"width": 640, "height": 480,
                       "boxes": [[x1, y1, x2, y2, "dog"], ...]}}, in pixels.
"""

# On a fifth of 673 COCO photos, which Yolo-Fastest knows how to find things in
# already, the highest that did not lose mAP50.
_LEARNING_RATES: Final = {"heads": 1e-4, "all": 4e-5}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("data", metavar="DATA", type=Path, help="folder of photos and their labels")
    add(
        "--weights",
        required=True,
        metavar="MODEL",
        help="what to start from: a model that `piccl weights` fetched, or a file of "
        "Darknet weights",
    )
    add(
        "--cfg",
        metavar="FILE",
        help="the Darknet cfg of the weights (default: the file beside them, of the "
        "same name)",
    )
    add("--out", type=Path, required=True, help="where the new ones go (.weights)")
    add(
        "--labels",
        type=Path,
        metavar="FILE",
        help="the labels, if they are not in DATA or it has several",
    )
    add(
        "--names",
        type=Path,
        metavar="FILE",
        help="the network's classes, one a line (default: COCO's 80)",
    )
    add(
        "--train",
        choices=("heads", "all"),
        default="all",
        help="what learns: everything, or only what is not common to all heads, which "
        "takes a third of the time and gains less (default: all)",
    )
    add("--epochs", type=int, default=30, help="at most (default: 30)")
    add("--batch", type=int, default=8, help="photos a step (default: 8)")
    add(
        "--learning-rate",
        type=float,
        metavar="RATE",
        help="of Adam, at its highest (default: 0.0001 for heads, 0.00004 for all)",
    )
    add(
        "--validation",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="of the photos, held out (default: 0.2)",
    )
    add("--seed", type=int, default=1, help="of order and variants (default: 1)")
    add("--resume", action="store_true", help="go on where a training stopped")
    add("--json", action="store_true", help="for a program, not for a person")


def run(args: argparse.Namespace, beam_args: Sequence[str]) -> int:
    """Fine-tune, write the weights, say what was gained.

    Raises:
        UsageError: An option, a file or the labels are not of use.
    """
    if beam_args:
        raise UsageError(f"unknown option: {' '.join(beam_args)}")
    from pipeline.detector import network_files

    checkpoint = _check(args)
    args.cfg, args.weights = network_files(args.weights, args.cfg)
    network, weights, names = _read_network(args)
    labels = _read_labels(args, names)

    # TensorFlow calls it an error when it leaves out an optimization.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    from rich.console import Console

    from models.yolov3.examples import find_photos, is_held_out

    # The result is for stdout, which may be a pipe.
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    photos, skipped = find_photos(args.data, labels)
    for reason, files in skipped.items():
        console.print(f"{len(files)} skipped, {reason}: {_some(files)}")
    learned: list[Photo] = []
    held_out: list[Photo] = []
    for name, photo in photos.items():
        (held_out if is_held_out(name, args.validation) else learned).append(photo)
    if not learned or all(photo.truth.crowd.all() for photo in held_out):
        raise UsageError(
            f"of {len(photos)} photos in {args.data} that can be used, {len(learned)} "
            "are to learn from and too few to judge by: label more, or change "
            "--validation"
        )
    result = _train(args, console, checkpoint, network, weights, learned, held_out)

    from models.yolov3.weights import write_weights

    write_weights(args.out, network, result.weights)
    if not args.out.with_suffix(".cfg").exists():
        shutil.copy(args.cfg, args.out.with_suffix(".cfg"))
    checkpoint.unlink(missing_ok=True)
    summary = {
        "weights": str(args.out),
        "learned_photos": len(learned),
        "held_out_photos": len(held_out),
        "skipped_photos": {reason: len(files) for reason, files in skipped.items()},
        "map50_before": result.history[0].map50,
        "map50_after": result.best.map50,
        "best_epoch": result.best.number,
        "epochs": len(result.history) - 1,
    }
    if args.json:
        print(json.dumps(summary))
    else:
        _print_summary(args, result, len(learned), len(held_out))
    return 0


def _check(args: argparse.Namespace) -> Path:
    """Refuse wrong options before anything is read; name the checkpoint."""
    for flag in ("epochs", "batch"):
        if getattr(args, flag) < 1:
            raise UsageError(f"--{flag} must be at least 1")
    if not 0 < args.validation < 1:
        raise UsageError("--validation is a share between 0 and 1, as 0.2")
    if args.learning_rate is not None and not 0 < args.learning_rate < 1:
        raise UsageError("--learning-rate must be between 0 and 1, as 0.0005")
    if args.seed < 0:
        raise UsageError("--seed must not be negative")
    if not args.data.is_dir():
        raise UsageError(f"no such folder: {args.data}")
    out: Path = args.out
    check_out(out, ".weights")
    checkpoint = out.with_suffix(".checkpoint.npz")
    if checkpoint.exists() and not args.resume:
        raise UsageError(
            f"{checkpoint} is of a training that was interrupted: --resume goes on "
            "with it; remove it to start again"
        )
    return checkpoint


def _read_network(
    args: argparse.Namespace,
) -> tuple["Network", "Weights", tuple[str, ...]]:
    from models.tags import COCO_NAMES, parse_names
    from models.yolov3.cfg import CfgError, load_cfg
    from models.yolov3.loss import check_trainable
    from models.yolov3.weights import WeightsError, read_weights

    names: tuple[str, ...] = COCO_NAMES
    try:
        network = load_cfg(args.cfg)
        check_trainable(network)
        weights = read_weights(args.weights, network)
        if args.names is not None:
            names = parse_names(args.names.read_text("utf-8"), network.classes)
    except OSError as err:
        raise UsageError(f"can not read {err.filename}: {err.strerror}") from err
    except WeightsError as err:
        raise UsageError(f"{args.weights}: {err}") from err
    except CfgError as err:
        raise UsageError(f"{args.cfg}: {err}") from err
    except ValueError as err:
        raise UsageError(f"{args.names or args.cfg}: {err}") from err
    if network.classes != len(names):
        raise UsageError(
            f"{args.cfg} has {network.classes} classes and COCO {len(names)}: name "
            "them with --names, one a line"
        )
    return network, weights, names


def _read_labels(args: argparse.Namespace, names: Sequence[str]) -> "list[Labelled]":
    from models.yolov3.labels import LabelsError, read_labels

    path = args.labels
    if path is None:
        found = [*args.data.glob("boxes.json"), *args.data.glob("instances_*.json")]
        if len(found) != 1:
            there = ", ".join(sorted(file.name for file in found)) or "none"
            raise UsageError(
                f"{args.data} must hold its labels, boxes.json or instances_*.json, "
                f"but has {there}: name them with --labels"
            )
        (path,) = found
    try:
        return read_labels(path, names)
    except OSError as err:
        raise UsageError(f"can not read {path}: {err.strerror}") from err
    except LabelsError as err:
        raise UsageError(str(err)) from err


def _train(
    args: argparse.Namespace,
    console: "Console",
    checkpoint: Path,
    network: "Network",
    weights: "Weights",
    learned: "Sequence[Photo]",
    held_out: "Sequence[Photo]",
) -> "Result":
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    from models.yolov3.boxes import DEFAULT_RESIZE
    from models.yolov3.train import CheckpointError, Epoch, Settings, finetune

    settings = Settings(
        layers=args.train,
        epochs=args.epochs,
        batch=args.batch,
        learning_rate=args.learning_rate or _LEARNING_RATES[args.train],
        seed=args.seed,
        resize=DEFAULT_RESIZE,
    )
    steps = -(-len(learned) // args.batch)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    console.print(
        f"Learning from {len(learned):,} photos, {len(held_out):,} held out, on "
        f"{_device()}"
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=args.epochs * steps)

        def show_step(epoch: int, step: int) -> None:
            done = (epoch - 1) * steps + step
            what = f"epoch {epoch} of {args.epochs}"
            progress.update(task, completed=done, description=what)

        def show_epoch(epoch: Epoch) -> None:
            what = f"epoch {epoch.number}: loss {epoch.loss:.2f}, "
            left = progress.tasks[0].time_remaining
            console.print(
                f"{what if epoch.number else 'start: '}mAP50 {epoch.map50:.3f}"
                + (f", at most {left / 60:.0f} min left" if left else "")
            )

        try:
            return finetune(
                network,
                weights,
                learned,
                held_out,
                settings,
                checkpoint=checkpoint,
                on_step=show_step,
                on_epoch=show_epoch,
            )
        except CheckpointError as err:
            raise UsageError(str(err)) from err
        except KeyboardInterrupt:
            if checkpoint.exists():
                console.print("the same command with --resume goes on")
            raise


def _device() -> str:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        # Else it takes all of the memory at once.
        tf.config.experimental.set_memory_growth(gpu, True)
    if not gpus:
        return "the processor"
    details = tf.config.experimental.get_device_details(gpus[0])
    return str(details.get("device_name", "a GPU"))


def _print_summary(
    args: argparse.Namespace, result: "Result", learned: int, held_out: int
) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "photos", "mAP50 before", "mAP50 after", title="Fine-tuning")
    table.add_row("learned from", f"{learned:,}", "", "")
    start, best = result.history[0], result.best
    table.add_row(
        "held out", f"{held_out:,}", f"{start.map50:.3f}", f"{best.map50:.3f}"
    )
    table.caption = (
        f"Epoch {best.number} of {len(result.history) - 1} was the best."
        if best.number
        else "No epoch was better than the start: these are its weights."
    )
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print(f"weights in {args.out}")


def _some(files: Sequence[str]) -> str:
    return ", ".join(files[:3]) + (", ..." if len(files) > 3 else "")
