"""Fine-tuning of a Darknet network on labelled photos."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from models.yolov3.boxes import Detections, Resize, find_boxes, prepare
from models.yolov3.evaluate import map50
from models.yolov3.examples import Photo, make_batches
from models.yolov3.layers import Network
from models.yolov3.loss import check_trainable
from models.yolov3.trainable import Arrays, Layers, Trainable
from models.yolov3.weights import Weights

# What is less likely is left out of mAP50: `darknet detector map`.
_LEAST_CONFIDENCE: Final = 0.005
# Photos scored at once; more bring nothing.
_SCORED: Final = 4
_PATIENCE_EPOCHS: Final = 10
# Steps are small until Adam knows how large the gradients are; but of a short
# training no more than a tenth.
_WARMUP_STEPS: Final = 50
# Where the cosine ends, as a part of the learning rate.
_LAST_RATE: Final = 0.01


class CheckpointError(ValueError):
    """The checkpoint is of another training."""


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        layers: What learns; see `trained_convolutions`.
        epochs: At most so many.
        batch: Photos a step.
        learning_rate: Of Adam, at its highest.
        seed: Of order and variants.
        augment: Draw variants.
        resize: As the detector will prepare photos.
    """

    layers: Layers
    epochs: int
    batch: int
    learning_rate: float
    seed: int
    augment: bool = True
    resize: Resize = "stretch"


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to.

    Attributes:
        number: From 1; 0 is the start.
        loss: Mean of the steps, per photo; NaN for the start.
        map50: On the held out photos, 0 to 1.
    """

    number: int
    loss: float
    map50: float


@dataclass(frozen=True)
class Result:
    """What a training came to.

    Attributes:
        weights: Of the best epoch.
        history: Of all epochs, the start first.
    """

    weights: Weights
    history: Sequence[Epoch]

    @property
    def best(self) -> Epoch:
        return _best(self.history)


def finetune(
    network: Network,
    weights: Weights,
    learned: Sequence[Photo],
    held_out: Sequence[Photo],
    settings: Settings,
    *,
    checkpoint: Path | None = None,
    on_step: Callable[[int, int], None] = lambda epoch, step: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Result:
    """Train, and keep the epoch that is best on the held out photos.

    The start competes, so the result is never worse there than what it began
    with. Training ends early after ten epochs without a better one.

    Args:
        network: From `parse_cfg`.
        weights: To start from.
        learned: Photos to learn from.
        held_out: Photos to judge by.
        settings: How to train.
        checkpoint: Where the state is kept after each epoch. If it is there,
            the training goes on from it, to the same end.
        on_step: Called after each step with epoch and step, from 1.
        on_epoch: Called after each epoch, also for those of the checkpoint.

    Raises:
        ValueError: The network has a head that can not be trained, or there is
            nothing to learn from or to judge by.
        CheckpointError: The checkpoint is of another training.
    """
    check_trainable(network)
    if not learned or all(photo.truth.crowd.all() for photo in held_out):
        raise ValueError("there must be photos to learn from and objects to find")
    trainable = Trainable(network, weights, settings.layers)
    digest = _digest(network, weights, [*learned, *held_out], settings)
    if checkpoint is not None and checkpoint.exists():
        history, state, best = _read_checkpoint(checkpoint, digest)
        trainable.restore(state)
    else:
        score = _score(trainable, network, held_out, settings.resize)
        history, best = [Epoch(0, float("nan"), score)], trainable.learned()
    for epoch in history:
        on_epoch(epoch)
    steps = -(-len(learned) // settings.batch)
    while len(history) <= settings.epochs and not _stalled(history):
        number = len(history)
        losses = []
        batches = make_batches(
            learned,
            network,
            resize=settings.resize,
            size=settings.batch,
            seed=settings.seed,
            epoch=number,
            augment=settings.augment,
        )
        for step, batch in enumerate(batches, 1):
            done = (number - 1) * steps + step
            rate = settings.learning_rate * _rate(done, settings.epochs * steps)
            losses.append(trainable.step(batch, rate))
            on_step(number, step)
        score = _score(trainable, network, held_out, settings.resize)
        if score > _best(history).map50:
            best = trainable.learned()
        history.append(Epoch(number, float(np.mean(losses)), score))
        if checkpoint is not None:
            _write_checkpoint(checkpoint, digest, history, trainable.state(), best)
        on_epoch(history[-1])
    trainable.restore(best)
    seen = weights.seen + _best(history).number * len(learned)
    return Result(replace(trainable.weights(), seen=seen), history)


def _score(
    trainable: Trainable, network: Network, photos: Sequence[Photo], resize: Resize
) -> float:
    found: list[Detections] = []
    for start in range(0, len(photos), _SCORED):
        rgbs = [photo.read() for photo in photos[start : start + _SCORED]]
        images = np.stack([prepare(rgb, network, resize) for rgb in rgbs])
        heads = trainable.predict(images)
        for row, rgb in enumerate(rgbs):
            of_photo = [head[row] for head in heads]
            shape = rgb.shape[0], rgb.shape[1]
            found.append(
                find_boxes(of_photo, network, shape, resize, _LEAST_CONFIDENCE)
            )
    return map50([photo.truth for photo in photos], found)


def _rate(step: int, steps: int) -> float:
    """Part of the learning rate: up in a line, down along a cosine."""
    cosine = (1 + np.cos(np.pi * step / steps)) / 2
    falling = _LAST_RATE + (1 - _LAST_RATE) * cosine
    rising = step / min(_WARMUP_STEPS, max(1, steps // 10))
    return float(min(1.0, rising) * falling)


def _best(history: Sequence[Epoch]) -> Epoch:
    # The first of equals, so the start if nothing beats it.
    return max(history, key=lambda epoch: epoch.map50)


def _stalled(history: Sequence[Epoch]) -> bool:
    return len(history) - 1 - _best(history).number >= _PATIENCE_EPOCHS


def _digest(
    network: Network, weights: Weights, photos: Sequence[Photo], settings: Settings
) -> str:
    """Names all that the end of a training depends on, but for the pixels."""
    digest = hashlib.sha256(repr((network, settings)).encode())
    for convolution in weights.convolutions:
        for part in astuple(convolution):
            digest.update(b"" if part is None else part.tobytes())
    for photo in photos:
        for part in astuple(photo.truth):
            digest.update(part.tobytes())
    return digest.hexdigest()


def _write_checkpoint(
    path: Path, digest: str, history: Sequence[Epoch], state: Arrays, best: Arrays
) -> None:
    whole = {"digest": np.array(digest), "history": np.array([*map(astuple, history)])}
    for name, arrays in (("state", state), ("best", best)):
        whole |= {f"{name}{row}": array for row, array in enumerate(arrays)}
    # Renamed when it is whole: a kill leaves the one before.
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        np.savez(file, **whole)  # type: ignore[arg-type]
    os.replace(part, path)


def _read_checkpoint(path: Path, digest: str) -> tuple[list[Epoch], Arrays, Arrays]:
    with np.load(path) as whole:
        if str(whole["digest"]) != digest:
            raise CheckpointError(
                f"{path} is of a training with other photos, labels, weights or options"
            )
        history = [Epoch(int(n), loss, score) for n, loss, score in whole["history"]]
        state, best = (
            [whole[name] for name in whole.files if name.startswith(start)]
            for start in ("state", "best")
        )
    return history, state, best
