"""The network that is measured where YOLOv3 itself was not fetched."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.darknet import write_random, yolov3_cfg
from models.tags import CONFIDENCE_FLOOR
from models.yolov3.cfg import load_cfg, parse_cfg
from models.yolov3.layers import Network
from models.yolov3.weights import read_weights

_TINY = """\
[net]
width=32
height=32
channels=3
[convolutional]
batch_normalize=1
filters=4
size=3
stride=2
pad=1
activation=leaky
[convolutional]
filters=18
size=1
stride=1
pad=1
activation=linear
[yolo]
mask=0,1,2
anchors=4,4, 8,8, 16,16
classes=1
num=3
"""


def test_shape_is_that_of_yolov3(shared_models: Path) -> None:
    published = (shared_models / "yolov3.cfg").read_text().replace("=608", "=416")
    ours, theirs = map(_shape, (parse_cfg(yolov3_cfg()), parse_cfg(published)))
    assert ours == theirs


def _shape(network: Network) -> list[dict[str, Any]]:
    """All but what training alone reads, and where it stands in the file."""
    left_out = ("line", "ignore_thresh")
    return [
        {k: v for k, v in dataclasses.asdict(layer).items() if k not in left_out}
        for layer in network.layers
    ]


def test_random_weights_see_nothing(tmp_path: Path) -> None:
    cfg, weights = tmp_path / "tiny.cfg", tmp_path / "tiny.weights"
    cfg.write_text(_TINY)
    write_random(cfg, weights)
    network = load_cfg(cfg)
    first, head = read_weights(weights, network).convolutions
    assert np.isfinite(first.folded()[0]).all()
    # Whatever it reads, a box is believed in less than is ever looked at.
    most = head.bias + np.abs(head.kernel).sum(axis=(0, 1, 2)) * 100
    assert 1 / (1 + np.exp(-most.max())) < CONFIDENCE_FLOOR
