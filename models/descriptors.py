"""What a photo looks like, in a few bytes that are compared by the thousand.

A descriptor holds histograms of signed gradients over a coarse grid (where the
photo has edges of which direction) and a histogram of hues, both as small
integers. It needs no detector. It tells shots of one scene from different scenes;
a mirrored photo, a strong turn and a walk around the subject are beyond it.

Where a detector ran, what its backbone saw follows (`models.yolov3.features`): a
digest of the detector and small integers. It counts where both photos were seen by
the same detector; otherwise the plain part alone is compared. The last bytes say
which tags may be the photo's subject.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.areas import area_sums
from models.compiled import compiled

# Also of `models.exposure`, which is asked at the same time.
VERSION: Final = 4

# Chosen on real photos among 3 to 8 cells and 6 to 16 directions, with and without
# sign: large cells forgive a moved camera, and the sign of an edge tells more than
# smaller cells do.
_SIDE_PX: Final = 64
_CELLS: Final = 4
_DIRECTIONS: Final = 16
_HUE_BINS: Final = 7
# Lab's a and b beyond this are rare; the root before it resolves near-grey colours.
_HUE_ROOT: Final = 8.0
_MIDDLE_GRAY: Final = 110 / 255
# More would show the colours of noise.
_MOST_GAIN: Final = 8.0

_EDGE_BYTES: Final = _DIRECTIONS * _CELLS * _CELLS
DESCRIPTOR_BYTES: Final = 1 + _EDGE_BYTES + _HUE_BINS * _HUE_BINS

# What a backbone adds, within the 512 bytes of a descriptor in the store: few
# detectors meet in one store, and 22 numbers for each of 9 cells.
DIGEST_BYTES: Final = 4
FEATURE_BYTES: Final = 22 * 9
# A bit for each tag that may be the photo's subject.
SUBJECT_BYTES: Final = 2
_WITH_FEATURES: Final = DESCRIPTOR_BYTES + DIGEST_BYTES + FEATURE_BYTES
LONGEST_BYTES: Final = _WITH_FEATURES + SUBJECT_BYTES

# Standard deviation of Lab lightness (0 to 100) at `_SIDE_PX` below which a frame
# is a wall, a sky or the inside of a pocket, and its edges are noise.
_LEAST_CONTRAST: Final = 6.0

# Unit vectors of these many units: a bin of both is mostly below 127 then.
_EDGE_UNIT: Final = 300.0
_HUE_UNIT: Final = 127.0

# How much the backbone counts, and the cosine at which it speaks neither for nor
# against (19 of 20 pairs of different photos are below it): the more it counts, the
# more shots are found, and the more an unknown backbone could spoil.
_BACKBONE_WEIGHT: Final = 0.5
_BACKBONE_NEUTRAL: Final = 0.4


def describe(rgb: NDArray[np.uint8]) -> bytes:
    """Describe what a photo looks like.

    Args:
        rgb: uint8, (H, W, 3), RGB, of any size.

    Returns:
        `DESCRIPTOR_BYTES` bytes for `similarities`: a flag that is 0 where the
        photo lacks the detail to be compared, int8 edges, int8 hues.

    Raises:
        ValueError: `rgb` is not (H, W, 3).

    Source: Dalal and Triggs, CVPR 2005, for gradients; Arandjelovic and Zisserman,
    CVPR 2012, for the roots of histograms.
    """
    # Few calls that do much: each lets other threads in, and waits for them then.
    seen = _exposures(*_shrink(rgb))
    lab = np.asarray(cv2.cvtColor(seen, cv2.COLOR_RGB2LAB), np.float32)
    across, down, deviation = _gradients(lab[:_SIDE_PX])
    # By NumPy, which does it for many at once.
    edges = _edges(np.arctan2(down, across), across, down)
    hues = _hues(lab[_SIDE_PX:])
    detailed = deviation >= _LEAST_CONTRAST
    return bytes([detailed]) + edges.tobytes() + hues.tobytes()


@dataclass(frozen=True)
class Looks:
    """Descriptors taken apart, to be compared often; a row for each.

    Attributes:
        detailed: bool, (N,): there is enough to be seen.
        detector: uint32, (N,), the digest, 0 where there is none.
        subjects: uint16, (N,), the bits of the tags that may be a photo's subject,
            see `models.yolov3.features.TAG_BITS`; 0 where no detector looked.
        edges, hues, features: float32, (N, ...), of integers.
        edges_scale, hues_scale, features_scale: float32, (N,), one over the lengths
            of these.
    """

    detailed: NDArray[np.bool_]
    detector: NDArray[np.uint32]
    subjects: NDArray[np.uint16]
    edges: NDArray[np.float32]
    edges_scale: NDArray[np.float32]
    hues: NDArray[np.float32]
    hues_scale: NDArray[np.float32]
    features: NDArray[np.float32]
    features_scale: NDArray[np.float32]

    def __getitem__(self, rows: NDArray[np.intp] | slice) -> "Looks":
        return Looks(*(column[rows] for column in vars(self).values()))


def stack(descriptors: Iterable[bytes]) -> Looks:
    """Rows to compare, of descriptors with and without a backbone.

    Args:
        descriptors: Of `DESCRIPTOR_BYTES`, or of `LONGEST_BYTES` with what a
            detector saw, once without `SUBJECT_BYTES`. Any other length, of another
            version, can not be compared, as a frame without detail.
    """
    known = (DESCRIPTOR_BYTES, _WITH_FEATURES, LONGEST_BYTES)
    rows = [
        (descriptor if len(descriptor) in known else b"").ljust(LONGEST_BYTES, b"\0")
        for descriptor in descriptors
    ]
    signed = np.frombuffer(b"".join(rows), np.int8).reshape(-1, LONGEST_BYTES)
    parts = [1, _EDGE_BYTES, _HUE_BINS * _HUE_BINS, DIGEST_BYTES, FEATURE_BYTES]
    detailed, edges, hues, detector, features, subjects = np.split(
        signed, np.cumsum(parts), axis=1
    )
    return Looks(
        detailed[:, 0] != 0,
        np.ascontiguousarray(detector).view(np.uint32)[:, 0],
        np.ascontiguousarray(subjects).view("<u2")[:, 0],
        *_with_scale(edges),
        *_with_scale(hues),
        *_with_scale(features),
    )


def similarities(one: bytes, others: Sequence[bytes]) -> NDArray[np.float32]:
    """Compare one photo with many.

    Args:
        one: A descriptor.
        others: N descriptors.

    Returns:
        float32, (N,), 0 to 1; 1 for the same look, 0 where either photo lacks
        detail.
    """
    found = pairwise_similarities(stack([one]), stack(others))[0]
    return np.asarray(found, np.float32)


def pairwise_similarities(one: Looks, other: Looks) -> NDArray[np.float32]:
    """Compare many photos with many: correlation of edges less distance of hues.

    Where one detector saw both, the cosine of what it saw moves that up or down.

    Args:
        one: M rows, from `stack`.
        other: N rows.

    Returns:
        float32, (M, N), 0 to 1, as `similarities`.
    """
    alike = _cosines(one.edges, one.edges_scale, other.edges, other.edges_scale)
    # Hellinger distance of the hues. Float32 knows a cosine of 1 to 1e-6 only,
    # whose root would be a visible distance between equals.
    affinity = _cosines(one.hues, one.hues_scale, other.hues, other.hues_scale)
    alike -= np.sqrt(np.maximum(1 - 1e-6 - affinity, 0))
    # Where no detector ever looked, there is nothing to compare.
    if one.detector.any() and other.detector.any():
        _add_backbone(alike, one, other)
    alike *= one.detailed[:, np.newaxis] & other.detailed
    return np.clip(alike, 0, 1, out=alike)


def _shrink(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.int64], int]:
    """The photo at (_SIDE_PX, _SIDE_PX, 3); its own shape is given up.

    Returns:
        int64, RGB, sums of levels of 0 to 255; and of how many pixels each is.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"expected (H, W, 3), got {rgb.shape}")
    height, width = rgb.shape[:2]
    if min(height, width) < _SIDE_PX:
        small = cv2.resize(rgb, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_LINEAR)
        return np.asarray(small, np.int64), 1
    # As cv2.INTER_AREA, in a third of the time.
    sums = area_sums(np.ascontiguousarray(rgb), _SIDE_PX, _SIDE_PX)
    return sums, height * width


@compiled
def _exposures(sums: NDArray[np.int64], pixels: int) -> NDArray[np.float32]:
    """The photo as it is and, below, as it would look at a middle exposure.

    Args:
        sums: int64, (S, S, 3), RGB, of levels of 0 to 255.
        pixels: Of how many each is the sum.

    Returns:
        float32, (2 S, S, 3), RGB, 0 to 1.
    """
    side = len(sums)
    seen = np.empty((2 * side, side, 3), np.float32)
    total = 0.0
    for y in range(side):
        for x in range(side):
            for i in range(3):
                level = np.rint(np.float32(sums[y, x, i]) * np.float32(1 / pixels))
                seen[y, x, i] = level / np.float32(255)
                total += level
    mean = total / (255 * sums.size)
    gain = np.float32(min(_MIDDLE_GRAY / max(mean, 1e-9), _MOST_GAIN))
    for y in range(side):
        for x in range(side):
            for i in range(3):
                seen[side + y, x, i] = min(seen[y, x, i] * gain, np.float32(1))
    return seen


# Sobel's masks after a Gaussian of deviation 1.
_GAUSSIAN: Final = np.asarray(cv2.getGaussianKernel(9, 1.0))[:, 0]
_MEAN: Final = np.convolve(_GAUSSIAN, [1, 2, 1]).astype(np.float32)
_SLOPE: Final = np.convolve(_GAUSSIAN, [1, 0, -1]).astype(np.float32)


@compiled
def _gradients(
    lab: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Gradients of smoothed lightness, and the deviation of lightness.

    Args:
        lab: float32, (S, S, 3), Lab, lightness 0 to 100.

    Returns:
        Two of float32, (S, S), along the rows and along the columns; the deviation.
    """
    side, taps = len(lab), len(_MEAN)
    # Mirrored at the rim.
    order = np.abs(np.arange(-(taps // 2), side + taps // 2))
    order = np.minimum(order, 2 * (side - 1) - order)
    line = np.empty(len(order), np.float32)
    mean = np.zeros((len(order), side), np.float32)
    slope = np.zeros((len(order), side), np.float32)
    for y in range(len(order)):
        for x in range(len(order)):
            line[x] = lab[order[y], order[x], 0]
        for tap in range(taps):
            for x in range(side):
                mean[y, x] += _MEAN[tap] * line[x + tap]
        # In pairs, which leave exactly nought where there is no difference.
        for tap in range(taps // 2):
            for x in range(side):
                rise = line[x + taps - 1 - tap] - line[x + tap]
                slope[y, x] += _SLOPE[tap] * rise
    across = np.zeros((side, side), np.float32)
    down = np.zeros((side, side), np.float32)
    for y in range(side):
        for tap in range(taps):
            for x in range(side):
                across[y, x] += _MEAN[tap] * slope[y + tap, x]
        for tap in range(taps // 2):
            for x in range(side):
                rise = mean[y + taps - 1 - tap, x] - mean[y + tap, x]
                down[y, x] += _SLOPE[tap] * rise
    return across, down, float(np.std(lab[:, :, 0]))


@compiled
def _edges(
    radians: NDArray[np.float32],
    across: NDArray[np.float32],
    down: NDArray[np.float32],
) -> NDArray[np.int8]:
    """Centred roots of the lengths of gradients, summed by cell and direction.

    Each is shared among the two directions around it, and among the cells.

    Args:
        radians: float32, (S, S), directions of the gradients.
        across: float32, (S, S), the gradients along the rows.
        down: float32, (S, S), along the columns.

    Returns:
        int8, (`_EDGE_BYTES`,), a vector of length `_EDGE_UNIT`.
    """
    cells = np.zeros((_CELLS, _CELLS, _DIRECTIONS))
    band = np.empty((_CELLS, _DIRECTIONS))
    for y in range(len(radians)):
        band[:] = 0
        for x in range(len(radians)):
            length = np.float32(
                math.sqrt(float(across[y, x]) ** 2 + float(down[y, x]) ** 2)
            )
            turns = radians[y, x] / np.float32(2 * np.pi)
            place = (turns - np.floor(turns)) * np.float32(_DIRECTIONS)
            first = int(place)
            share = float(place) - first
            first %= _DIRECTIONS
            second = (first + 1) % _DIRECTIONS
            for cell in range(_CELLS):
                weight = _POOL[cell, x] * length
                band[cell, first] += weight * (1 - share)
                band[cell, second] += weight * share
        for cell in range(_CELLS):
            cells[cell] += _POOL[cell, y] * band
    roots = np.sqrt(cells).reshape(_CELLS * _CELLS, _DIRECTIONS)
    # Without what a cell and what a direction have on the average: sky above,
    # ground below and upright walls are common to different photos.
    of_cells, of_directions = roots.sum(1) / _DIRECTIONS, roots.sum(0) / len(roots)
    for cell in range(len(roots)):
        roots[cell] -= of_cells[cell] + of_directions - of_cells.mean()
    # A frame of one colour has no edges: it stays at nought.
    norm = max(math.sqrt((roots * roots).sum()), 1e-9)
    values = np.rint(roots.ravel() / norm * _EDGE_UNIT)
    return np.asarray(np.minimum(np.maximum(values, -127), 127), np.int8)


@compiled
def _hues(lab: NDArray[np.float32]) -> NDArray[np.int8]:
    """Roots of how many pixels have which roots of Lab's a and b.

    Each is shared among the two bins around it.

    Args:
        lab: float32, (S, S, 3), Lab.

    Returns:
        int8, (`_HUE_BINS` * `_HUE_BINS`,), a vector of length `_HUE_UNIT`.
    """
    counts = np.zeros((_HUE_BINS, _HUE_BINS))
    for y in range(lab.shape[0]):
        for x in range(lab.shape[1]):
            a, b = float(lab[y, x, 1]), float(lab[y, x, 2])
            a = math.copysign(math.sqrt(abs(a)), a) / _HUE_ROOT
            b = math.copysign(math.sqrt(abs(b)), b) / _HUE_ROOT
            a = (max(min(a, 1.0), -1.0) + 1) / 2 * (_HUE_BINS - 1)
            b = (max(min(b, 1.0), -1.0) + 1) / 2 * (_HUE_BINS - 1)
            i, j = min(int(a), _HUE_BINS - 2), min(int(b), _HUE_BINS - 2)
            a, b = a - i, b - j
            counts[i, j] += (1 - a) * (1 - b)
            counts[i, j + 1] += (1 - a) * b
            counts[i + 1, j] += a * (1 - b)
            counts[i + 1, j + 1] += a * b
    # Squares of roots are the counts, which add up to the pixels.
    roots = np.sqrt(counts.ravel() / counts.sum())
    return np.asarray(np.rint(roots * _HUE_UNIT), np.int8)


def cell_weights(cells: int, side: int) -> NDArray[np.float64]:
    """Triangles, (cells, side), that reach to their neighbours' middle."""
    cell = side / cells
    middles = (np.arange(cells) + 0.5) * cell
    away = np.abs(np.arange(side) + 0.5 - middles[:, np.newaxis])
    # Cells smaller than a pixel still reach one.
    return np.asarray(np.maximum(1 - away / max(cell, 1), 0))


_POOL: Final = cell_weights(_CELLS, _SIDE_PX)


def _add_backbone(alike: NDArray[np.float32], one: Looks, other: Looks) -> None:
    """Move the likeness up or down by what one detector saw of both photos."""
    seen = _cosines(
        one.features, one.features_scale, other.features, other.features_scale
    )
    seen = alike + _BACKBONE_WEIGHT * (seen - _BACKBONE_NEUTRAL)
    # Equals are 1 with a backbone as without.
    seen /= 1 + _BACKBONE_WEIGHT * (1 - _BACKBONE_NEUTRAL)
    same = one.detector[:, np.newaxis] == other.detector
    np.copyto(alike, seen, where=same & (other.detector != 0))


def _with_scale(
    values: NDArray[np.int8],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    # All sums are of integers below 2**24, which float32 holds exactly: the result
    # depends on neither the order of summation nor the size of the block.
    floats = values.astype(np.float32)
    return floats, 1 / np.sqrt(np.maximum((floats * floats).sum(1), 1))


def _cosines(
    ones: NDArray[np.float32],
    ones_scale: NDArray[np.float32],
    others: NDArray[np.float32],
    others_scale: NDArray[np.float32],
) -> NDArray[np.float32]:
    # Both lengths in one factor, or a pair would differ from itself turned round.
    scale = ones_scale[:, np.newaxis] * others_scale
    return np.asarray((ones @ others.T) * scale, np.float32)
