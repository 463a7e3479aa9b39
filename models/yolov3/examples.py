"""Labelled photos as batches to learn from."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.images import BadPhotoError, decode
from models.yolov3.augment import crop, vary
from models.yolov3.boxes import Resize, prepare
from models.yolov3.evaluate import GroundTruth
from models.yolov3.labels import Labelled
from models.yolov3.layers import Network
from models.yolov3.loss import assign

Floats = NDArray[np.float32]
# float32, (H, W, 3), as the network reads it, and what is in it.
Example = tuple[Floats, GroundTruth]

# Decoding lets go of the interpreter: two threads keep ahead of a slow CPU, and
# eight of a fast GPU. No more photos than this are held beside the batch.
_THREADS: Final = 8
_AHEAD: Final = 16
# Photos are shrunk on their way, which moves their shape by a pixel or so. Another
# shape means another photo, or this one lying on its side.
_SHAPE_TOLERANCE: Final = 0.02


@dataclass(frozen=True)
class Photo:
    """A photo that can be read again and again.

    Attributes:
        read: Decodes it: uint8, (H, W, 3), RGB, upright.
        truth: What is in it, in fractions of width and height.
    """

    read: Callable[[], NDArray[np.uint8]]
    truth: GroundTruth


def find_photos(
    folder: Path, labels: Sequence[Labelled]
) -> tuple[dict[str, Photo], dict[str, list[str]]]:
    """Try every labelled photo once.

    Args:
        folder: Where they are.
        labels: From `read_labels`.

    Returns:
        Those that can be used, by file; and the files of the others, by what is
        wrong with them.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        problems = list(pool.map(partial(_problem, folder), labels))
    photos = {}
    skipped: dict[str, list[str]] = {}
    for labelled, problem in zip(labels, problems, strict=True):
        if problem is None:
            read = partial(_read_rgb, folder / labelled.file)
            photos[labelled.file] = Photo(read, labelled.truth)
        else:
            skipped.setdefault(problem, []).append(labelled.file)
    return photos, skipped


def _problem(folder: Path, labelled: Labelled) -> str | None:
    path = folder / labelled.file
    if not path.is_file():
        return "not in the folder"
    try:
        photo = decode(path.read_bytes())
    except (OSError, BadPhotoError):
        return "not readable as a photo"
    shape = photo.width / photo.height
    if abs(shape * labelled.height / labelled.width - 1) > _SHAPE_TOLERANCE:
        return "of another shape, upright, than the labels say"
    return None


def _read_rgb(path: Path) -> NDArray[np.uint8]:
    return decode(path.read_bytes()).rgb


def is_held_out(file: str, share: float) -> bool:
    """Choose photos to judge by: by name, so the same when others are added."""
    first = hashlib.sha256(file.encode()).digest()[:8]
    return int.from_bytes(first, "big") < share * 2**64


@dataclass(frozen=True)
class Batch:
    """What one step learns from.

    Attributes:
        images: float32, (N, H, W, 3), RGB, 0 to 1.
        targets: float32, (N, h, w, anchors, 5 + classes) for each head.
        boxes: float32, (N, T, 4), in fractions of the input; zeros fill up.
        crowd: bool, (N, T).
    """

    images: Floats
    targets: Sequence[Floats]
    boxes: Floats
    crowd: NDArray[np.bool_]


def make_batches(
    photos: Sequence[Photo],
    network: Network,
    *,
    resize: Resize,
    size: int,
    seed: int,
    epoch: int,
    augment: bool,
) -> Iterator[Batch]:
    """Deal every photo once, in random order, a few of them decoded ahead.

    Args:
        photos: To learn from.
        network: For its input and heads.
        resize: As the detector will prepare photos.
        size: Photos in a batch; the last may have fewer.
        seed: Decides order and variants, with the epoch.
        epoch: Its number; a training that goes on sees the batches it would have.
        augment: Draw variants; without, the photos as they are.
    """

    def make(row: int) -> Example:
        photo = photos[row]
        rgb, truth = photo.read(), photo.truth
        if augment:
            rgb, truth = vary(rgb, truth, np.random.default_rng((seed, epoch, row)))
        if resize == "letterbox":
            rgb, truth = crop(rgb, truth, _letterbox(rgb, network))
        return prepare(rgb, network, "stretch"), truth

    rows = np.random.default_rng((seed, epoch)).permutation(len(photos)).tolist()
    made: list[Example] = []
    for example in _ahead(make, rows):
        made.append(example)
        if len(made) == size:
            yield _collate(made, network)
            made = []
    if made:
        yield _collate(made, network)


def _letterbox(
    rgb: NDArray[np.uint8], network: Network
) -> tuple[float, float, float, float]:
    """Edges around a photo that give it the shape of the network's input."""
    height, width = rgb.shape[:2]
    wide = max(1.0, network.width * height / (network.height * width))
    high = max(1.0, network.height * width / (network.width * height))
    return (1 - wide) / 2, (1 - high) / 2, (1 + wide) / 2, (1 + high) / 2


def _ahead(make: Callable[[int], Example], rows: Sequence[int]) -> Iterator[Example]:
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[Future[Example]] = deque()
        for row in rows:
            waiting.append(pool.submit(make, row))
            if len(waiting) == _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _collate(made: Sequence[Example], network: Network) -> Batch:
    truths = [truth for _, truth in made]
    most = max(len(truth.boxes) for truth in truths)
    boxes = np.zeros((len(made), most, 4), np.float32)
    crowd = np.zeros((len(made), most), np.bool_)
    for row, truth in enumerate(truths):
        boxes[row, : len(truth.boxes)] = truth.boxes
        crowd[row, : len(truth.boxes)] = truth.crowd
    targets = zip(*(assign(network, truth) for truth in truths), strict=True)
    return Batch(
        np.stack([image for image, _ in made]),
        [np.stack(of_head) for of_head in targets],
        boxes,
        crowd,
    )
