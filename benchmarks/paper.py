"""A plain script as the paper suggests it, with the libraries that it names.

    python -m benchmarks.paper FOLDER [--cfg F --weights F]

Each detector reads the photo itself (`cv2.imread`), photo after photo: the variance of
the Laplacian (Fig. 3), Keras's `predict` on one photo (Table 2), and YOLOv3 by OpenCV's
own network. Each library has the threads that it takes by itself, which is all cores.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Final

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from models.darkness.network import INPUT_PX, WEIGHTS
from models.yolov3.cfg import load_cfg

_SHAKEN_BELOW: Final = 400.0
_DARK_FROM: Final = 0.5
_SEEN_FROM: Final = 0.5
_OVERLAP: Final = 0.4


def read(path: str) -> NDArray[np.uint8]:
    """BGR, as OpenCV has it."""
    bgr = cv2.imread(path)
    if bgr is None:
        raise ValueError(f"{path}: OpenCV can not read it")
    return np.asarray(bgr, np.uint8)


def is_shaken(path: str) -> bool:
    gray = cv2.cvtColor(read(path), cv2.COLOR_BGR2GRAY)
    return bool(cv2.Laplacian(gray, cv2.CV_64F).var() < _SHAKEN_BELOW)


def is_dark(path: str, model: keras.Model) -> bool:
    rgb = cv2.cvtColor(read(path), cv2.COLOR_BGR2RGB)
    small = cv2.resize(rgb, (INPUT_PX, INPUT_PX)).astype(np.float32) / 255
    return bool(model.predict(small[None], verbose=0)[0, 0] >= _DARK_FROM)


def objects(path: str, net: cv2.dnn.Net, size: tuple[int, int]) -> list[int]:
    """Classes of what is seen, one for each box that stays; `size` is (W, H)."""
    bgr = read(path)
    net.setInput(cv2.dnn.blobFromImage(bgr, 1 / 255, size, swapRB=True, crop=False))
    found = np.concatenate(net.forward(net.getUnconnectedOutLayersNames()))
    scores = found[:, 5:]
    classes = scores.argmax(axis=1)
    confidences = scores.max(axis=1)
    seen = confidences >= _SEEN_FROM
    kept = cv2.dnn.NMSBoxes(
        found[seen, :4].tolist(), confidences[seen].tolist(), _SEEN_FROM, _OVERLAP
    )
    return [int(classes[seen][place]) for place in np.ravel(kept)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.paper", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cfg")
    parser.add_argument("--weights")
    args = parser.parse_args()
    paths = [str(path) for path in sorted(args.folder.iterdir())]
    model = keras.saving.load_model(WEIGHTS, compile=False)
    net, size = None, (0, 0)
    if args.weights:
        net = cv2.dnn.readNetFromDarknet(args.cfg, args.weights)
        network = load_cfg(Path(args.cfg))
        size = network.width, network.height
    for path in paths:
        is_shaken(path)
        is_dark(path, model)
        if net is not None:
            objects(path, net, size)
    print(json.dumps({"photos": len(paths)}))


if __name__ == "__main__":
    main()
