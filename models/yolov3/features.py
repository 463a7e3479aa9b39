"""What a detector sees of a photo, in bytes that follow its descriptor."""

import functools
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.descriptors import (
    DIGEST_BYTES,
    FEATURE_BYTES,
    SUBJECT_BYTES,
    cell_weights,
)
from models.tags import (
    CLASSES_OF,
    CONFIDENCE_FLOOR,
    TAGS,
    DetectedObject,
    TagThresholds,
    subject_of,
)
from models.yolov3.layers import Network, Route, Upsample

VERSION: Final = 2

# Of a tag in `SUBJECT_BYTES`; no subject is no bit.
TAG_BITS: Final = {tag: 1 << place for place, tag in enumerate(TAGS)}

# How much wider and higher a thing may be in another shot. With 1, grouping misses
# 0.12 of the pairs of shots of one thing, with 2 it misses 0.06, and 0.04 if all that
# is seen may be the subject; but of 43 pairs of a photo with and without its largest
# thing it then takes 4, 11 and 16 for similar.
_RIVAL_FACTOR: Final = 2

# Of 1 to 5 cells, with and without overlap, and of layers of strides 16 and 32,
# these find the most other shots of a scene at equally few mistakes, by both
# Yolo-Fastest 1.1 and 1.1-xl.
_CELLS: Final = 3
_DIMENSIONS: Final = FEATURE_BYTES // _CELLS**2

# A unit vector of this many units: a value of it is mostly below 127 then.
_UNIT: Final = 300.0

# Of cells, relative to what they hold: float32 has seven digits.
_LEAST_DIFFERENCE: Final = 1e-5


def feature_layer(network: Network) -> int:
    """The layer to describe photos by.

    It is the end of the backbone's stage of stride 16: the finest layer but one
    that the heads read, which the first route joins to an upsampled one. Coarser
    layers know the class of a thing, and that two things of one class are alike.

    Args:
        network: From `parse_cfg`.

    Returns:
        Index of the layer: 61 of yolov3, 8 of yolov3-tiny, 80 of Yolo-Fastest 1.1.
        Of a network without such a route, the one that the last convolution before
        the first head reads.
    """
    for layer in network.layers:
        if isinstance(layer, Route):
            kept = [
                n for n in layer.layers if not isinstance(network.layers[n], Upsample)
            ]
            if 0 < len(kept) < len(layer.layers):
                return kept[0]
    return max(network.heads[0] - 2, 0)


def embed(
    features: NDArray[np.float32],
    detector: str,
    objects: Iterable[DetectedObject] = (),
) -> bytes:
    """Describe a photo by what the detector sees, and where.

    Args:
        features: float32, (h, w, channels), what `feature_layer` puts out.
        detector: What tells this detector from others, and their settings.
        objects: All that are stored of the photo, however unsure.

    Returns:
        What follows the plain descriptor in `models.descriptors`: `DIGEST_BYTES` of
        the detector; `FEATURE_BYTES`, int8; `SUBJECT_BYTES`. The first two are all
        nought, as if no detector had looked, where the backbone sees the same
        everywhere, or what is no number.

    Raises:
        ValueError: `features` is not (h, w, channels).

    Source: Achlioptas, JCSS 2003, for projection by random signs.
    """
    if features.ndim != 3:
        raise ValueError(f"expected (h, w, channels), got {features.shape}")
    values = np.zeros(FEATURE_BYTES)
    # Broken weights lead to infinity, or to what is no number.
    if np.isfinite(features).all():
        down, across = (
            weights / weights.sum(1, keepdims=True)
            for weights in (cell_weights(_CELLS, side) for side in features.shape[:2])
        )
        rows = np.tensordot(down, features.astype(np.float64), 1)
        cells = np.einsum("bx,axc->abc", across, rows, optimize=True)
        # What a channel has on the average is much the same for all photos of all
        # things; where it has more tells them apart.
        differences = cells - cells.mean((0, 1))
        vector = (differences @ _signs(features.shape[2])).ravel()
        length = np.linalg.norm(vector)
        # The rest is what float32 leaves of a plain wall.
        if length > _LEAST_DIFFERENCE * np.linalg.norm(cells):
            values = np.clip(np.rint(vector * (_UNIT / length)), -127, 127)
    subjects = _possible_subjects(list(objects))
    if not values.any():
        return bytes(DIGEST_BYTES + FEATURE_BYTES) + subjects
    digest = hashlib.sha256(detector.encode()).digest()[:DIGEST_BYTES]
    return digest + bytes(values.astype(np.int8)) + subjects


def _possible_subjects(objects: Sequence[DetectedObject]) -> bytes:
    """The tags that would be the subject if their objects were twice as large.

    Thresholds do not count: what is seen in one shot is just missed in the next.
    """
    thresholds = TagThresholds(CONFIDENCE_FLOOR)
    bits = 0
    for tag, bit in TAG_BITS.items():
        enlarged = [
            _enlarged(seen) if seen.name in CLASSES_OF[tag] else seen
            for seen in objects
        ]
        if subject_of(enlarged, thresholds) == tag:
            bits |= bit
    return bits.to_bytes(SUBJECT_BYTES, "little")


def _enlarged(seen: DetectedObject) -> DetectedObject:
    return replace(
        seen,
        left=seen.left * _RIVAL_FACTOR,
        top=seen.top * _RIVAL_FACTOR,
        right=seen.right * _RIVAL_FACTOR,
        bottom=seen.bottom * _RIVAL_FACTOR,
    )


# Drawn by a hash, as NumPy's generators may change.
@functools.cache
def _signs(channels: int) -> NDArray[np.float64]:
    """(channels, _DIMENSIONS), each 1 or -1, the same for ever."""
    count = channels * _DIMENSIONS
    drawn = hashlib.shake_256(b"signs").digest((count + 7) // 8)
    bits = np.unpackbits(np.frombuffer(drawn, np.uint8), count=count)
    return np.where(bits.reshape(channels, -1), 1.0, -1.0)
