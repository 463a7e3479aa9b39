"""JPEGs to small RGB arrays, the usual ones, faster than Pillow does it.

What comes out is what comes out of Pillow, to the bit; what is not sure to be is left
to it.
"""

from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from models.compiled import compiled

# Grey or colour as cameras write them. The others are for printing, or rare.
_COLORSPACES: Final = ("Gray", "YCbCr")


def shrink_jpeg(
    data: bytes, reduced: tuple[int, int], wanted: tuple[int, int]
) -> NDArray[np.uint8] | None:
    """Decode a JPEG to a size, as Pillow's `draft` and `resize` by BOX do.

    Args:
        data: The encoded photo.
        reduced: Width and height to decode it at, in pixels.
        wanted: Width and height to average that to, not larger.

    Returns:
        uint8, (H, W, 3), RGB, in stored orientation. None if Pillow is to see to it:
        the data is damaged or of a rare kind.
    """
    width, height = reduced
    # Four bytes a pixel are moved at once.
    channels = "RGB" if (width, height) == wanted else "RGBX"
    try:
        if simplejpeg.decode_jpeg_header(data)[2] not in _COLORSPACES:
            return None
        pixels = simplejpeg.decode_jpeg(
            data, channels, min_width=width, min_height=height
        )
    # It knows no name for some samplings of colour, as 4:4:1.
    except (ValueError, LookupError):
        return None
    # What an odd header means to one decoder it may not mean to the other.
    if pixels.shape[:2] != (height, width):
        return None
    if channels == "RGB":
        return np.asarray(pixels, np.uint8)
    rows, columns = _averaged(height, wanted[1]), _averaged(width, wanted[0])
    by_pairs = width <= 2 * wanted[0] and height <= 2 * wanted[1]
    average = _average_pairs if by_pairs else _average
    return average(pixels.view(np.uint32).reshape(height, width), rows, columns)


def _averaged(pixels: int, wanted: int) -> NDArray[np.int64]:
    """Which pixels Pillow's BOX averages: the first and the last, (2, wanted).

    They are those whose centre is in the wanted pixel. Where one may be in either of
    two, the rounding of Pillow's own arithmetic decides, and so it does here.
    """
    scale = pixels / wanted
    centres = (np.arange(wanted) + 0.5) * scale
    first = (centres - 0.5 * scale + 0.5).astype(np.int64)
    last = np.minimum((centres + 0.5 * scale + 0.5).astype(np.int64), pixels) - 1
    last -= (last - centres + 0.5) * (1 / scale) > 0.5
    return np.stack([first, last])


@compiled
def _average(
    rgbx: NDArray[np.uint32], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Average pixels across, and then down, each time to whole levels.

    Args:
        rgbx: uint32, (H, W), with red in the lowest byte.
        rows: (2, h), the first and the last of the rows to average.
        columns: (2, w), the same of columns, at most 256 each.

    Returns:
        uint8, (h, w, 3), RGB.
    """
    height, width = rows.shape[1], columns.shape[1]
    rgb = np.empty((height, width, 3), np.uint8)
    sums = np.empty((3, width), np.uint32)
    # As Pillow does, in fractions of 22 bits.
    bits, half = np.uint32(22), np.uint32(1 << 21)
    parts = ((1 << 22) / (columns[1] + 1 - columns[0]) + 0.5).astype(np.uint32)
    for y in range(height):
        sums[:] = 0
        for row in range(rows[0, y], rows[1, y] + 1):
            line = rgbx[row]
            for x in range(width):
                red_blue, green = np.uint32(0), np.uint32(0)
                for column in range(columns[0, x], columns[1, x] + 1):
                    red_blue += line[column] & np.uint32(0xFF00FF)
                    green += line[column] >> np.uint32(8) & np.uint32(0xFF)
                red, blue = red_blue & np.uint32(0xFFFF), red_blue >> np.uint32(16)
                sums[0, x] += red * parts[x] + half >> bits
                sums[1, x] += green * parts[x] + half >> bits
                sums[2, x] += blue * parts[x] + half >> bits
        part = np.uint32((1 << 22) / (rows[1, y] + 1 - rows[0, y]) + 0.5)
        for x in range(width):
            for channel in range(3):
                rgb[y, x, channel] = sums[channel, x] * part + half >> bits
    return rgb


@compiled
def _average_pairs(
    rgbx: NDArray[np.uint32], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Do what `_average` does where no more than two rows and columns are averaged."""
    height, width = rows.shape[1], columns.shape[1]
    rgb = np.empty((height, width, 3), np.uint8)
    one, byte, low = np.uint32(1), np.uint32(0xFF), np.uint32(0x7F7F7F7F)
    for y in range(height):
        upper, lower = rgbx[rows[0, y]], rgbx[rows[1, y]]
        for x in range(width):
            left, right = columns[0, x], columns[1, x]
            # a + b is twice what they share and what they do not: so four bytes are
            # averaged at once, each rounded up, and none carries into the next.
            a, b = upper[left], upper[right]
            above = (a | b) - ((a ^ b) >> one & low)
            a, b = lower[left], lower[right]
            below = (a | b) - ((a ^ b) >> one & low)
            mean = (above | below) - ((above ^ below) >> one & low)
            rgb[y, x, 0] = mean & byte
            rgb[y, x, 1] = mean >> np.uint32(8) & byte
            rgb[y, x, 2] = mean >> np.uint32(16) & byte
    return rgb
