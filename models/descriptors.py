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

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

# Also of `models.exposure`, which is asked at the same time.
VERSION: Final = 3

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
    small = _shrink(rgb)
    lightness = _lab(small)[:, :, 0]
    detailed = float(lightness.std()) >= _LEAST_CONTRAST
    # In the dark all colours are nearly grey: hues are those of the photo as it
    # would look at a middle exposure.
    gain = min(_MIDDLE_GRAY / max(float(small.mean()), 1e-9), _MOST_GAIN)
    ab = _lab(np.minimum(small * np.float32(gain), 1))[:, :, 1:]
    edges = np.rint(_edges(lightness) * _EDGE_UNIT)
    hues = np.rint(_hues(ab) * _HUE_UNIT)
    values = np.concatenate([[detailed], edges, hues])
    return bytes(np.clip(values, -127, 127).astype(np.int8))


def stack(descriptors: Iterable[bytes]) -> NDArray[np.uint8]:
    """Rows to compare, of descriptors with and without a backbone.

    Args:
        descriptors: Of `DESCRIPTOR_BYTES`, or of `LONGEST_BYTES` with what a
            detector saw, once without `SUBJECT_BYTES`. Any other length, of another
            version, can not be compared, as a frame without detail.

    Returns:
        uint8, (N, LONGEST_BYTES); what is missing is nought.
    """
    known = (DESCRIPTOR_BYTES, _WITH_FEATURES, LONGEST_BYTES)
    rows = [
        (descriptor if len(descriptor) in known else b"").ljust(LONGEST_BYTES, b"\0")
        for descriptor in descriptors
    ]
    return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, LONGEST_BYTES)


def possible_subjects(stacked: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """The bits of the tags that may be the subjects of photos.

    Args:
        stacked: uint8, (N, LONGEST_BYTES), from `stack`.

    Returns:
        uint16, (N,), of `models.yolov3.features.TAG_BITS`; nought where no detector
        looked.
    """
    return np.ascontiguousarray(stacked[:, -SUBJECT_BYTES:]).view("<u2")[:, 0]


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


def pairwise_similarities(
    ones: NDArray[np.uint8], others: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Compare many photos with many: correlation of edges less distance of hues.

    Where one detector saw both, the cosine of what it saw moves that up or down.

    Args:
        ones: uint8, (M, LONGEST_BYTES), from `stack`.
        others: uint8, (N, LONGEST_BYTES).

    Returns:
        float32, (M, N), 0 to 1, as `similarities`.
    """
    one, other = _unpack(ones), _unpack(others)
    alike = _cosines(one.edges, other.edges)
    # Hellinger distance of the hues. Float32 knows a cosine of 1 to 1e-6 only,
    # whose root would be a visible distance between equals.
    affinity = _cosines(one.hues, other.hues)
    alike -= np.sqrt(np.maximum(1 - 1e-6 - affinity, 0))
    # Where no detector ever looked, there is nothing to compare.
    if one.detector.any() and other.detector.any():
        _add_backbone(alike, one, other)
    alike *= one.detailed[:, np.newaxis] & other.detailed
    return np.clip(alike, 0, 1, out=alike)


def _shrink(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """RGB, (_SIDE_PX, _SIDE_PX, 3), 0 to 1; the photo's own shape is given up."""
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"expected (H, W, 3), got {rgb.shape}")
    shrinks = min(rgb.shape[:2]) >= _SIDE_PX
    small = cv2.resize(
        rgb,
        (_SIDE_PX, _SIDE_PX),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
    return np.asarray(small, np.float32) / np.float32(255)


def _lab(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lab, lightness 0 to 100, of RGB from 0 to 1."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), np.float32)


def _edges(lightness: NDArray[np.float32]) -> NDArray[np.float64]:
    """Unit vector of centred roots of gradient histograms, (_EDGE_BYTES,)."""
    smooth = cv2.GaussianBlur(lightness, (0, 0), 1.0)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    turns = np.arctan2(down, across) / (2 * np.pi)
    share = _soft_bins(turns % 1 * _DIRECTIONS, _DIRECTIONS, wrap=True)
    energy = share * np.hypot(across, down)[:, :, np.newaxis]
    cells = np.einsum("cy,yxk,dx->cdk", _POOL, energy, _POOL, optimize=True)
    roots = np.sqrt(cells).reshape(-1, _DIRECTIONS)
    # Without what a cell and what a direction have on the average: sky above,
    # ground below and upright walls are common to different photos.
    centred = roots - roots.mean(0) - roots.mean(1, keepdims=True) + roots.mean()
    return _unit(centred.ravel())


def _hues(ab: NDArray[np.float32]) -> NDArray[np.float64]:
    """Unit vector of the roots of a soft histogram of Lab's a and b."""
    roots = np.sign(ab) * np.sqrt(np.abs(ab))
    places = (roots / _HUE_ROOT + 1) / 2 * (_HUE_BINS - 1)
    a = _soft_bins(places[:, :, 0], _HUE_BINS).reshape(-1, _HUE_BINS)
    b = _soft_bins(places[:, :, 1], _HUE_BINS).reshape(-1, _HUE_BINS)
    return _unit(np.sqrt(a.T @ b).ravel())


def _soft_bins(
    places: NDArray[np.floating], bins: int, *, wrap: bool = False
) -> NDArray[np.float64]:
    """Share a place among the two bins around it, (..., bins)."""
    away = np.abs(places[..., np.newaxis].astype(np.float64) - np.arange(bins))
    if wrap:
        away = np.minimum(away, bins - away)
    else:
        away[..., 0] *= places > 0
        away[..., -1] *= places < bins - 1
    return np.asarray(np.maximum(1 - away, 0))


def cell_weights(cells: int, side: int) -> NDArray[np.float64]:
    """Triangles, (cells, side), that reach to their neighbours' middle."""
    cell = side / cells
    middles = (np.arange(cells) + 0.5) * cell
    away = np.abs(np.arange(side) + 0.5 - middles[:, np.newaxis])
    # Cells smaller than a pixel still reach one.
    return np.asarray(np.maximum(1 - away / max(cell, 1), 0))


_POOL: Final = cell_weights(_CELLS, _SIDE_PX)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    # A frame of one colour has no edges: it stays at nought.
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))


class _Looks(NamedTuple):
    """Descriptors taken apart, a row for each; `detector` is 0 where there is none."""

    detailed: NDArray[np.bool_]
    edges: NDArray[np.float32]
    hues: NDArray[np.float32]
    detector: NDArray[np.uint32]
    features: NDArray[np.float32]


def _add_backbone(alike: NDArray[np.float32], one: _Looks, other: _Looks) -> None:
    """Move the likeness up or down by what one detector saw of both photos."""
    seen = _cosines(one.features, other.features)
    seen = alike + _BACKBONE_WEIGHT * (seen - _BACKBONE_NEUTRAL)
    # Equals are 1 with a backbone as without.
    seen /= 1 + _BACKBONE_WEIGHT * (1 - _BACKBONE_NEUTRAL)
    same = one.detector[:, np.newaxis] == other.detector
    np.copyto(alike, seen, where=same & (other.detector != 0))


def _unpack(descriptors: NDArray[np.uint8]) -> _Looks:
    signed = np.ascontiguousarray(descriptors).view(np.int8)
    parts = [1, _EDGE_BYTES, _HUE_BINS * _HUE_BINS, DIGEST_BYTES, FEATURE_BYTES]
    detailed, edges, hues, detector, features, _ = np.split(
        signed, np.cumsum(parts), axis=1
    )
    return _Looks(
        detailed[:, 0] != 0,
        edges.astype(np.float32),
        hues.astype(np.float32),
        np.ascontiguousarray(detector).view(np.uint32)[:, 0],
        features.astype(np.float32),
    )


def _cosines(
    ones: NDArray[np.float32], others: NDArray[np.float32]
) -> NDArray[np.float32]:
    # All sums are of integers below 2**24, which float32 holds exactly: the result
    # depends on neither the order of summation nor the size of the block.
    squares = (ones * ones).sum(1), (others * others).sum(1)
    inverse = [1 / np.sqrt(np.maximum(square, 1)) for square in squares]
    # Both lengths in one factor, or a pair would differ from itself turned round.
    scale = inverse[0][:, np.newaxis] * inverse[1]
    return np.asarray((ones @ others.T) * scale, np.float32)
