"""Training of the dark-photo network on arrays, and the figures that judge it.

Too dark is a mistake, dark on purpose is not, and their means overlap. The
labelled photos are few, so each epoch draws new variants of them, above all of
what a threshold on the mean gets wrong.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from models.darkness import network
from models.darkness.variants import make_meant, make_too_dark, vary

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Scores = NDArray[np.float64]
Rows = NDArray[np.intp]

# Photos a step and epochs at most: PICCL, Table 3. Adam and binary
# cross-entropy are the table's too, early stopping is in the text above it.
BATCH_SIZE: Final = 64
MAX_EPOCHS: Final = 100
# About the paper's 612 training photos an epoch.
_BATCHES_PER_EPOCH: Final = 10
# The paper keeps 108 of 720 photos for validation, which is near a sixth. With
# some ten too dark photos in such a part, its loss is noisy: wait a while.
_VALIDATION_PARTS: Final = 6
_PATIENCE_EPOCHS: Final = 10
# What a batch of 64 is drawn from. Half is too dark, so that the score means
# the same whatever the folder holds; the mistakes that cost, photos meant to be
# dark, make most of the other half.
_TOO_DARK, _MADE_TOO_DARK, _MEANT, _MADE_MEANT, _BRIGHT = 20, 12, 18, 9, 5

_EXPOSURE_SERIES: Final = re.compile(r"sice_\d+")
# Webcams, and sets that show one scene under several numbers.
_WHOLE_SOURCES: Final = ("amos", "dicm", "zdce")


@dataclass(frozen=True)
class Examples:
    """Photos to learn from.

    Attributes:
        pixels: float32, (N, 64, 64, 3), RGB, 0 to 1, from `network.prepare`.
        too_dark: bool, (N,), what the network shall answer.
        bright: bool, (N,), normally exposed. What is neither was meant to be
            dark, or is so only a little.
        groups: N names, from `source_group`.
    """

    pixels: Floats
    too_dark: Bools
    bright: Bools
    groups: Sequence[str]

    @property
    def kinds(self) -> Rows:
        """0 too dark, 1 bright, 2 neither; intp, (N,)."""
        return np.where(self.too_dark, 0, np.where(self.bright, 1, 2))

    def take(self, rows: Rows) -> "Examples":
        groups = [self.groups[row] for row in rows]
        return Examples(
            self.pixels[rows], self.too_dark[rows], self.bright[rows], groups
        )


def source_group(name: str) -> str:
    """Name what a photo must not be parted from: its series, webcam or scene."""
    if series := _EXPOSURE_SERIES.match(name):
        return series[0]
    source = name.split("_")[0]
    return source if source in _WHOLE_SOURCES else name


def split_groups(examples: Examples, parts: int, seed: int) -> Rows:
    """Deal whole groups to parts that are alike in kinds; intp, (N,), 0 to parts-1.

    The largest groups go to the first parts, so the last part is the most varied.
    """
    names = sorted(set(examples.groups))
    np.random.default_rng(seed).shuffle(names)
    row_of = {name: row for row, name in enumerate(names)}
    rows = np.array([row_of[group] for group in examples.groups])
    held = np.zeros((len(names), 3))
    np.add.at(held, (rows, examples.kinds), 1)
    held /= np.maximum(held.sum(axis=0), 1)
    filled = np.zeros((parts, 3))
    part_of = np.zeros(len(names), np.intp)
    for row in np.argsort(-held.sum(axis=1), kind="stable"):
        part_of[row] = np.argmin(filled @ held[row])
        filled[part_of[row]] += held[row]
    return np.asarray(part_of[rows])


def train(
    examples: Examples,
    *,
    seed: int,
    epochs: int = MAX_EPOCHS,
    augment: bool = True,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> "keras.Model":
    """Train the network; the best epoch on a grouped validation part is kept.

    TensorFlow is made deterministic for the whole process, and one seed gives
    the same weights on the same machine with the same number of threads.

    Args:
        examples: Photos of at least two groups of each kind that occurs.
        seed: Of the split, the weights, the order and the variants.
        epochs: At most so many; early stopping usually ends before.
        augment: Draw variants; without, the photos as they are (the paper's way).
        on_epoch: Called with the epoch's number, from 0, after each.

    Raises:
        ValueError: A kind has only one group, which cannot be on both sides.
    """
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    learned, held_out = _hold_out(examples, seed)
    rng = np.random.default_rng(seed)
    model = network.build()
    model.compile("adam", "binary_crossentropy")
    model.fit(
        _draw_varied(learned, rng) if augment else _draw_plain(learned, rng),
        steps_per_epoch=_BATCHES_PER_EPOCH,
        epochs=epochs,
        shuffle=False,  # the batches are drawn in random order
        verbose=0,
        validation_data=(held_out.pixels, _answers(held_out), _weights(held_out)),
        callbacks=[
            keras.callbacks.EarlyStopping(
                patience=_PATIENCE_EPOCHS, restore_best_weights=True
            ),
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: on_epoch(epoch)
            ),
        ],
    )
    return model


@dataclass(frozen=True)
class Folds:
    """Networks that each saw nothing of one fold's groups.

    Attributes:
        models: One for each fold.
        fold_of: intp, (N,), the fold of each photo.
    """

    models: Sequence["keras.Model"]
    fold_of: Rows

    def score(self, pixels: Floats, rows: Rows) -> Scores:
        """Score photos, or what was made of them, by networks that saw neither.

        Args:
            pixels: float32, (M, 64, 64, 3), from `network.prepare`.
            rows: intp, (M,), which of the N photos each is, or was made of.

        Returns:
            float64, (M,), probabilities.
        """
        scores = np.zeros(len(rows))
        for fold, model in enumerate(self.models):
            inside = self.fold_of[rows] == fold
            scores[inside] = network.Scorer(model).score(pixels[inside])
        return scores


def train_folds(
    examples: Examples,
    *,
    folds: int,
    seed: int,
    epochs: int = MAX_EPOCHS,
    augment: bool = True,
    on_epoch: Callable[[int, int], None] = lambda fold, epoch: None,
) -> Folds:
    """Train one network without each fold, of whole groups, as `train` does."""
    fold_of = split_groups(examples, folds, seed)
    models = [
        train(
            examples.take(np.flatnonzero(fold_of != fold)),
            seed=seed + 1 + fold,
            epochs=epochs,
            augment=augment,
            on_epoch=partial(on_epoch, fold),
        )
        for fold in range(folds)
    ]
    return Folds(models, fold_of)


def _hold_out(examples: Examples, seed: int) -> tuple[Examples, Examples]:
    pairs = set(zip(examples.groups, examples.kinds.tolist(), strict=True))
    fewest = min(Counter(kind for _, kind in pairs).values())
    if fewest < 2:
        raise ValueError("every kind of photo needs two groups or more")
    parts = min(_VALIDATION_PARTS, fewest)
    part = split_groups(examples, parts, seed)
    learned, held_out = (
        np.flatnonzero(part < parts - 1),
        np.flatnonzero(part == parts - 1),
    )
    return examples.take(learned), examples.take(held_out)


def _draw_varied(
    examples: Examples, rng: np.random.Generator
) -> Iterator[tuple[Floats, Floats]]:
    too_dark, bright, meant = (np.flatnonzero(examples.kinds == k) for k in range(3))
    counts = (_TOO_DARK, _MADE_TOO_DARK, _MEANT, _MADE_MEANT, _BRIGHT)
    makers = (None, make_too_dark, None, make_meant, None)
    answers = np.repeat(np.array([1, 1, 0, 0, 0], np.float32), counts)[:, np.newaxis]
    while True:
        batch = []
        pools = (too_dark, bright, meant, bright, bright)
        for pool, count, make in zip(pools, counts, makers, strict=True):
            for row in rng.choice(pool, count):
                pixels = vary(examples.pixels[row], rng)
                batch.append(make(pixels, rng) if make else pixels)
        yield np.stack(batch), answers


def _draw_plain(
    examples: Examples, rng: np.random.Generator
) -> Iterator[tuple[Floats, Floats]]:
    answers = _answers(examples)
    while True:
        rows = rng.permutation(len(answers))
        for start in range(0, max(len(rows) - BATCH_SIZE, 0) + 1, BATCH_SIZE):
            batch = rows[start : start + BATCH_SIZE]
            yield examples.pixels[batch], answers[batch]


def _answers(examples: Examples) -> Floats:
    return examples.too_dark.astype(np.float32)[:, np.newaxis]


def _weights(examples: Examples) -> Floats:
    # Each kind counts as much as in a training batch, however many there are.
    share = np.array([_TOO_DARK + _MADE_TOO_DARK, _BRIGHT, _MEANT + _MADE_MEANT])
    counts = np.bincount(examples.kinds, minlength=3)
    weights = (share / np.maximum(counts, 1))[examples.kinds]
    return np.asarray(weights / weights.mean(), np.float32)
