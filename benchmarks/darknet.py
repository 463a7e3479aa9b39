"""The networks that are measured: fetched ones, or random weights in their places.

How fast a network is does not depend on its weights, as long as no time goes into
thousands of boxes: random ones see nothing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.settings import ROOT, Settings
from models.tags import COCO_NAMES
from models.yolov3.cfg import load_cfg
from models.yolov3.layers import Convolutional, Yolo
from models.yolov3.weights import ConvolutionWeights, Weights, write_weights
from pipeline.known_weights import installed, weights_folder

YOLOV3: Final = "YOLOv3-416"
FASTEST: Final = "Yolo-Fastest-xl"
_PUBLISHED: Final = {YOLOV3: "yolov3", FASTEST: "yolo-fastest-1.1-xl"}
_SIDE_PX: Final = 416
# Residual blocks of Darknet-53, by stage (YOLOv3, Table 1).
_BLOCKS: Final = (1, 2, 8, 8, 4)
_ANCHORS: Final = "10,13, 16,30, 33,23, 30,61, 62,45, 59,119, 116,90, 156,198, 373,326"
# As a logit.
_NEVER: Final = np.float32(-8)


@dataclass(frozen=True)
class DarknetFiles:
    """A network to measure with.

    Attributes:
        cfg, weights: Darknet's files.
        is_random: Its weights are.
    """

    cfg: Path
    weights: Path
    is_random: bool


def darknet_files(name: str, settings: Settings) -> DarknetFiles | None:
    """Find a network, or make one of its shape.

    Args:
        name: `YOLOV3` or `FASTEST`.
        settings: Where made ones are kept.

    Returns:
        None if not even its cfg is here; `piccl weights` fetches both.
    """
    model = _PUBLISHED[name]
    given = ROOT.parent / "shared" / "data" / "models"
    settings.inputs.mkdir(parents=True, exist_ok=True)
    for folder in (weights_folder(), given):
        if found := installed(model, folder):
            cfg, weights = found
            if name == YOLOV3:
                cfg = _written(settings.inputs / "yolov3-416.cfg", yolov3_cfg())
            return DarknetFiles(cfg, weights, is_random=False)
    if name != YOLOV3:
        return None
    cfg = _written(settings.inputs / "yolov3-416.cfg", yolov3_cfg())
    weights = settings.inputs / "yolov3-416-random.weights"
    if not weights.is_file():
        write_random(cfg, weights)
    return DarknetFiles(cfg, weights, is_random=True)


def write_random(cfg: Path, weights: Path) -> None:
    """Weights of a cfg that keep numbers at an ordinary size and see nothing."""
    network = load_cfg(cfg)
    noise = np.random.default_rng(0)
    heads = {
        id(before)
        for before, layer in zip(network.layers, network.layers[1:], strict=False)
        if isinstance(layer, Yolo)
    }

    def random(layer: Convolutional) -> ConvolutionWeights:
        depth = layer.in_channels // layer.groups
        shape = (layer.size, layer.size, depth, layer.filters)
        kernel = noise.standard_normal(shape, np.float32)
        kernel *= np.sqrt(1 / (layer.size**2 * depth))
        zeros = np.zeros(layer.filters, np.float32)
        if id(layer) in heads:
            kernel /= 1000
            return ConvolutionWeights(kernel, zeros + _NEVER)
        if not layer.batch_normalize:
            return ConvolutionWeights(kernel, zeros)
        return ConvolutionWeights(kernel, zeros, zeros + 1, zeros, zeros + 1)

    made = Weights([random(layer) for layer in network.convolutions])
    write_weights(weights, network, made)


def yolov3_cfg() -> str:
    """YOLOv3's network as Darknet's cfg, for photos of 416 px.

    Source: YOLOv3, Table 1, and pjreddie/darknet, cfg/yolov3.cfg.
    """
    parts = [f"[net]\nwidth={_SIDE_PX}\nheight={_SIDE_PX}\nchannels=3\n"]

    def convolve(filters: int, size: int, stride: int = 1) -> None:
        parts.append(
            f"[convolutional]\nbatch_normalize=1\nfilters={filters}\nsize={size}\n"
            f"stride={stride}\npad=1\nactivation=leaky\n"
        )

    def head(filters: int, mask: str) -> None:
        for _ in range(3):
            convolve(filters, 1)
            convolve(2 * filters, 3)
        outputs = 3 * (5 + len(COCO_NAMES))
        parts.append(
            f"[convolutional]\nfilters={outputs}\nsize=1\nstride=1\npad=1\n"
            "activation=linear\n"
            f"[yolo]\nmask={mask}\nanchors={_ANCHORS}\nclasses={len(COCO_NAMES)}\n"
            "num=9\n"
        )

    def go_on(filters: int, stage: int) -> None:
        parts.append("[route]\nlayers=-4\n")
        convolve(filters, 1)
        parts.append(f"[upsample]\nstride=2\n[route]\nlayers=-1, {stage}\n")

    convolve(32, 3)
    for stage, blocks in enumerate(_BLOCKS):
        filters = 64 * 2**stage
        convolve(filters, 3, 2)
        for _ in range(blocks):
            convolve(filters // 2, 1)
            convolve(filters, 3)
            parts.append("[shortcut]\nfrom=-3\nactivation=linear\n")
    head(512, "6,7,8")
    go_on(256, 61)
    head(256, "3,4,5")
    go_on(128, 36)
    head(128, "0,1,2")
    return "\n".join(parts)


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
