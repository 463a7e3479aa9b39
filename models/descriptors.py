"""What a photo looks like, in a few bytes that are compared by the thousand.

A descriptor holds histograms of signed gradients over a coarse grid (where the
photo has edges of which direction) and a histogram of hues, both as small
integers. It needs no detector. It tells shots of one scene from different scenes;
a mirrored photo, a strong turn and a walk around the subject are beyond it.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

VERSION: Final = 1

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

# Standard deviation of Lab lightness (0 to 100) at `_SIDE_PX` below which a frame
# is a wall, a sky or the inside of a pocket, and its edges are noise.
_LEAST_CONTRAST: Final = 6.0

# Unit vectors of these many units: a bin of both is mostly below 127 then.
_EDGE_UNIT: Final = 300.0
_HUE_UNIT: Final = 127.0


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


def similarities(one: bytes, others: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compare one photo with many.

    Args:
        one: A descriptor.
        others: uint8, (N, DESCRIPTOR_BYTES), one descriptor in each row.

    Returns:
        float32, (N,), 0 to 1; 1 for the same look, 0 where either photo lacks
        detail.
    """
    row = np.frombuffer(one, np.uint8)[np.newaxis]
    return np.asarray(pairwise_similarities(row, others)[0], np.float32)


def pairwise_similarities(
    ones: NDArray[np.uint8], others: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Compare many photos with many: correlation of edges less distance of hues.

    Args:
        ones: uint8, (M, DESCRIPTOR_BYTES).
        others: uint8, (N, DESCRIPTOR_BYTES).

    Returns:
        float32, (M, N), 0 to 1, as `similarities`.
    """
    detailed, edges, hues = _unpack(ones)
    detailed_others, edges_others, hues_others = _unpack(others)
    alike = _cosines(edges, edges_others)
    # Hellinger distance of the hues. Float32 knows a cosine of 1 to 1e-6 only,
    # whose root would be a visible distance between equals.
    affinity = _cosines(hues, hues_others)
    alike -= np.sqrt(np.maximum(1 - 1e-6 - affinity, 0))
    alike *= detailed[:, np.newaxis] & detailed_others
    return np.clip(alike, 0, 1, out=alike)


def exposure(rgb: NDArray[np.uint8]) -> float:
    """How well a photo is exposed, to choose among shots of one scene.

    Args:
        rgb: uint8, (H, W, 3), RGB.

    Returns:
        0 to 1, 4 digits: how much the grey levels tell (their entropy), less the
        share of pixels that are lost in the light.
    """
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    shares = np.bincount(gray.ravel(), minlength=256) / gray.size
    seen = shares[shares > 0]
    entropy = -float(seen @ np.log2(seen)) / 8
    # Lost are pixels that pile up at the photo's own brightest level, wherever it
    # is: darkening an overexposed photo brings nothing back. That level is found
    # without the brightest thousandth, which may be a lamp.
    brightest = np.bincount(rgb.max(2).ravel(), minlength=256) / gray.size
    top = int(np.searchsorted(brightest.cumsum(), 0.999))
    lost = float(brightest[max(0, top - max(1, round(top * 3 / 255))) :].sum())
    # A frame of one level has an entropy of minus nought.
    return round(max(entropy * (1 - lost), 0.0), 4)


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


def _cell_weights() -> NDArray[np.float64]:
    """Triangles, (_CELLS, _SIDE_PX), that reach to their neighbours' middle."""
    cell_px = _SIDE_PX / _CELLS
    middles = (np.arange(_CELLS) + 0.5) * cell_px
    away = np.abs(np.arange(_SIDE_PX) + 0.5 - middles[:, np.newaxis])
    return np.asarray(np.maximum(1 - away / cell_px, 0))


_POOL: Final = _cell_weights()


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    # A frame of one colour has no edges: it stays at nought.
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))


def _unpack(
    descriptors: NDArray[np.uint8],
) -> tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.float32]]:
    signed = np.ascontiguousarray(descriptors).view(np.int8)
    edges = signed[:, 1 : 1 + _EDGE_BYTES].astype(np.float32)
    return signed[:, 0] != 0, edges, signed[:, 1 + _EDGE_BYTES :].astype(np.float32)


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
