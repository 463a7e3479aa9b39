"""Variants of labelled photos, so that few of them teach more."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.yolov3.evaluate import GroundTruth

# How far an edge moves in or out, in sides of the photo; the largest factor of
# saturation and of exposure; the largest turn of the hue, in circles: yolov3.cfg.
_JITTER: Final = 0.3
_SATURATION: Final = 1.5
_EXPOSURE: Final = 1.5
_HUE: Final = 0.1
# What lies outside a photo: Darknet, letterbox_image.
_GREY: Final = 127
# An object of which less is left can not be told any more. It is still not
# nothing, so what is seen there is not held against the network.
_LEAST_VISIBLE: Final = 0.25
# Darknet skips smaller objects (fill_truth_detection); a slip of the hand.
_LEAST_SIDE: Final = 0.001


def vary(
    rgb: NDArray[np.uint8], truth: GroundTruth, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], GroundTruth]:
    """Move the edges, mirror, change the colours.

    Args:
        rgb: uint8, (H, W, 3), RGB.
        truth: What is in it, in fractions of it.
        rng: Decides; the same state gives the same variant.

    Returns:
        A photo of another size, and what is in it, in fractions of it.

    Source: Darknet, src/data.c, load_data_detection.
    """
    left, top, right, bottom = rng.uniform(-_JITTER, _JITTER, 4)
    rgb, truth = crop(rgb, truth, (left, top, 1 + right, 1 + bottom))
    if rng.random() < 0.5:
        rgb = np.ascontiguousarray(rgb[:, ::-1])
        boxes = truth.boxes.copy()
        boxes[:, [0, 2]] = 1 - boxes[:, [2, 0]]
        truth = GroundTruth(boxes, truth.classes, truth.crowd)
    return _recolour(rgb, rng), truth


def crop(
    rgb: NDArray[np.uint8], truth: GroundTruth, edges: tuple[float, float, float, float]
) -> tuple[NDArray[np.uint8], GroundTruth]:
    """Cut out a part of a photo, which may reach beyond it and is grey there.

    Args:
        rgb: uint8, (H, W, 3), RGB.
        truth: What is in it, in fractions of it.
        edges: Left, top, right, bottom of the part, in fractions of the photo.

    Returns:
        The part and what is in it, in fractions of it. What is outside is left
        out; an object of which little is left becomes a `crowd`.
    """
    sides = np.array([rgb.shape[1], rgb.shape[0]])
    low = np.round(np.array(edges[:2]) * sides).astype(int)
    high = np.maximum(np.round(np.array(edges[2:]) * sides).astype(int), low + 1)
    part = np.full((high[1] - low[1], high[0] - low[0], 3), _GREY, np.uint8)
    inner = np.maximum(low, 0), np.minimum(high, sides)
    (x1, y1), (x2, y2) = inner
    (to_x, to_y) = inner[0] - low
    part[to_y : to_y + max(y2 - y1, 0), to_x : to_x + max(x2 - x1, 0)] = rgb[
        y1:y2, x1:x2
    ]
    tiled = np.tile(sides, 2)
    whole = (truth.boxes * tiled - np.tile(low, 2)) / np.tile(high - low, 2)
    boxes = np.clip(whole, 0, 1)
    left = boxes[:, 2:] - boxes[:, :2]
    visible = left.prod(axis=1) / (whole[:, 2:] - whole[:, :2]).prod(axis=1)
    kept = left.min(axis=1, initial=1) >= _LEAST_SIDE
    crowd = truth.crowd | (visible < _LEAST_VISIBLE)
    return part, GroundTruth(
        boxes[kept].astype(np.float32), truth.classes[kept], crowd[kept]
    )


def _recolour(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    turn = rng.uniform(-_HUE, _HUE)
    saturation, exposure = (
        factor ** rng.choice([-1, 1])
        for factor in rng.uniform(1, (_SATURATION, _EXPOSURE))
    )
    levels = np.arange(256)
    # OpenCV counts hues of bytes to 180.
    curves = (levels + turn * 180) % 180, levels * saturation, levels * exposure
    table = np.clip(np.round(np.stack(curves, -1)), 0, 255).astype(np.uint8)
    hsv = cv2.LUT(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV), table[np.newaxis])
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)
