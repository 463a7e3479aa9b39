"""Sums over the areas of a grid: what an average is made of, exact in integers."""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.compiled import compiled


def area_sums(pixels: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.int64]:
    """Sum a picture over a grid whose lines may run through pixels.

    Args:
        pixels: uint8, (H, W, C), C-contiguous.
        rows: Of the grid, at most H.
        columns: Of the grid, at most W.

    Returns:
        int64, (rows, columns, C). Weights of an area add up to H * W: a pixel that
        is whole in it counts `rows * columns` times.
    """
    height, width, channels = pixels.shape
    bands = np.zeros((rows, width * channels), np.int32)
    _add_lines(pixels.reshape(height, -1), bands)
    # Turned, as sums along a line are five times as slow.
    turned = np.asarray(cv2.transpose(bands), np.int32).reshape(width, -1)
    sums = np.zeros((columns, channels * rows), np.int64)
    _add_lines(turned, sums)
    return sums.reshape(columns, channels, rows).transpose(2, 0, 1)


@compiled
def _add_lines(
    lines: NDArray[np.uint8] | NDArray[np.int32],
    bands: NDArray[np.int32] | NDArray[np.int64],
) -> None:
    """Add (H, N) lines to (rows, N) bands, `rows` times what is whole in a band."""
    height, rows = len(lines), len(bands)
    for row in range(rows):
        top, bottom = row * height, (row + 1) * height
        band = bands[row]
        for y in range(top // rows, (bottom + rows - 1) // rows):
            weight = min(bottom, (y + 1) * rows) - max(top, y * rows)
            line = lines[y]
            for i in range(len(band)):
                band[i] += weight * line[i]
