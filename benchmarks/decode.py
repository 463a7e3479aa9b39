"""How fast photos can be decoded at all: the limit of whatever looks at them.

    python -m benchmarks.decode FOLDER CORES

It prints {"full": SPEED, "reduced": SPEED}, a speed being {"by": the library that was
the fastest of the first photos, "photos_per_s"}: to colour, on all cores, with nothing
else done; at full size, and at the smallest size that JPEG can be decoded to directly
(1/2, 1/4, 1/8) and that still covers a working image of 512 px.
"""

import io
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import simplejpeg
from PIL import Image

_WORKING_SIDE_PX: Final = 512
# So many tell which library is the fastest.
_TRIED: Final = 16
# Decodes to 1 / n of the size.
Decode = Callable[[bytes, int], object]


def _pillow(data: bytes, reduction: int) -> None:
    with Image.open(io.BytesIO(data)) as image:
        if reduction > 1:
            image.draft("RGB", (image.width // reduction, image.height // reduction))
        image.load()


def _opencv(data: bytes, reduction: int) -> None:
    flags = {
        1: cv2.IMREAD_COLOR,
        2: cv2.IMREAD_REDUCED_COLOR_2,
        4: cv2.IMREAD_REDUCED_COLOR_4,
        8: cv2.IMREAD_REDUCED_COLOR_8,
    }
    # A photo's EXIF is turned by it otherwise.
    flag = flags[reduction] | cv2.IMREAD_IGNORE_ORIENTATION
    cv2.imdecode(np.frombuffer(data, np.uint8), flag)


def _simplejpeg(data: bytes, reduction: int) -> None:
    least = {}
    if reduction > 1:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        least = {
            "min_height": height // reduction,
            "min_width": width // reduction,
            "min_factor": 1,
        }
    simplejpeg.decode_jpeg(data, "RGB", fastdct=False, **least)


_LIBRARIES: Final[Mapping[str, Decode]] = {
    "Pillow": _pillow,
    "OpenCV": _opencv,
    "simplejpeg": _simplejpeg,
}


def _reduction(data: bytes) -> int:
    with Image.open(io.BytesIO(data)) as image:
        longest = max(image.size)
    return max(n for n in (1, 2, 4, 8) if n == 1 or longest / n >= _WORKING_SIDE_PX)


def main(folder: str, cores: str) -> None:
    photos = [path.read_bytes() for path in sorted(Path(folder).iterdir())]
    reductions = [_reduction(data) for data in photos]
    answer = {}
    with ThreadPoolExecutor(int(cores)) as pool:

        def speed(name: str, sizes: Sequence[int]) -> float:
            """Photos a second; of as many photos as sizes."""
            began_s = time.perf_counter()
            list(pool.map(_LIBRARIES[name], photos[: len(sizes)], sizes))
            return len(sizes) / (time.perf_counter() - began_s)

        for kind, sizes in (("full", [1] * len(photos)), ("reduced", reductions)):
            trials = {name: speed(name, sizes[:_TRIED]) for name in _LIBRARIES}
            fastest = max(trials, key=trials.__getitem__)
            answer[kind] = {"by": fastest, "photos_per_s": speed(fastest, sizes)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
