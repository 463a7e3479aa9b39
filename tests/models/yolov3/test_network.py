"""Heads and boxes, the same as OpenCV's own importer of Darknet networks finds."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.yolov3.boxes import NMS_IOU, Detections, Resize, find_boxes, prepare
from models.yolov3.detector import load_detector
from models.yolov3.layers import Network

RandomWeights = Callable[[str], tuple[Path, Path]]
Rgb = NDArray[np.uint8]


class OpenCV:
    """The oracle: a network run by cv2.dnn."""

    def __init__(self, cfg: str, weights: Path, network: Network) -> None:
        # Its own threshold would be 0.2.
        cfg = cfg.replace("[yolo]", "[yolo]\nthresh=0.01")
        self._net = cv2.dnn.readNetFromDarknet(
            np.frombuffer(cfg.encode(), np.uint8), np.fromfile(weights, np.uint8)
        )
        self._net.enableWinograd(False)
        names = self._net.getLayerNames()
        # What a head reads, channels last, and its boxes.
        self._heads = [name for name in names if name.startswith("permute_")]
        self._boxes = [name for name in names if name.startswith("yolo_")]
        assert len(self._heads) == len(self._boxes) == len(network.heads)

    def run(
        self, image: NDArray[np.float32]
    ) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
        """Heads, and rows of centre, size, objectness and confidences."""
        self._net.setInput(cv2.dnn.blobFromImage(image))
        outputs = self._net.forward([*self._heads, *self._boxes])
        heads = [output[0] for output in outputs[: len(self._heads)]]
        return heads, np.concatenate(outputs[len(self._heads) :])


def suppressed(
    rows: NDArray[np.float32],
    rgb: Rgb,
    network: Network,
    resize: Resize,
    threshold: float,
) -> list[tuple[int, float, NDArray[np.float64]]]:
    """Class, confidence and box in fractions of the photo, class by class."""
    height, width = rgb.shape[:2]
    span = np.ones(2)
    if resize == "letterbox":
        scale = min(network.width / width, network.height / height)
        shown = np.array([int(width * scale + 1e-9), int(height * scale + 1e-9)])
        span = shown / (network.width, network.height)
        margin = (np.array([network.width, network.height]) - shown) // 2
        start = margin / (network.width, network.height)
    else:
        start = np.zeros(2)
    found = []
    for kind in range(rows.shape[1] - 5):
        of_kind = rows[rows[:, 5 + kind] > threshold].astype(float)
        corners = of_kind[:, :2] - of_kind[:, 2:4] / 2
        boxes = np.hstack([corners, of_kind[:, 2:4]]).tolist()
        confidences = of_kind[:, 5 + kind].tolist()
        for n in cv2.dnn.NMSBoxes(boxes, confidences, threshold, NMS_IOU):
            ends = np.stack([corners[n], corners[n] + of_kind[n, 2:4]])
            box = np.clip((ends - start) / span, 0, 1).ravel()
            if (box[2:] > box[:2]).all():
                found.append((kind, confidences[n], box))
    return found


def check_boxes(
    ours: Detections, theirs: list[tuple[int, float, NDArray[np.float64]]]
) -> None:
    """One to one, in any order of nearly equals."""
    assert len(ours.boxes) == len(theirs)
    assert (np.diff(ours.confidences) <= 0).all()
    left = list(theirs)
    for kind, confidence, box in zip(
        ours.classes, ours.confidences, ours.boxes, strict=True
    ):
        same = [
            n
            for n, (their_kind, their_confidence, their_box) in enumerate(left)
            if kind == their_kind
            and abs(confidence - their_confidence) < 1e-4
            and np.abs(box - their_box).max() < 1e-4
        ]
        assert same, (kind, confidence, box)
        del left[same[0]]


def few_exceed(confidences: NDArray[np.float32]) -> float:
    """A threshold far from all confidences, exceeded by at most a hundred."""
    highest = np.sort(confidences, axis=None)[-100:].astype(float)
    after = int(np.argmax(np.diff(highest[:50])))
    return float(highest[after : after + 2].mean())


def check(
    files: tuple[Path, Path],
    rgbs: list[Rgb],
    resize: Resize = "letterbox",
    oracle: str | None = None,
    threshold: float | None = None,
) -> int:
    """Compare a network with OpenCV's; how many boxes were compared.

    Args:
        files: Cfg and weights.
        rgbs: What to look at.
        resize: How.
        oracle: What OpenCV reads instead of the cfg.
        threshold: Of the confidence; by default one that a few boxes exceed.
    """
    cfg, weights = files
    detector = load_detector(cfg, weights)
    network = detector.network
    theirs = OpenCV(oracle or cfg.read_text(), weights, network)
    images = [prepare(rgb, network, resize) for rgb in rgbs]
    heads, _ = detector.run(np.stack(images))
    boxes = 0
    for row, (rgb, image) in enumerate(zip(rgbs, images, strict=True)):
        expected, rows = theirs.run(image)
        for n, head, truth in zip(network.heads, heads, expected, strict=True):
            assert head[row].shape == truth.shape == network.shapes[n]
            error = float(np.abs(head[row] - truth).max() / np.ptp(truth))
            print(f"{cfg.stem}, head {n}: error {error:.1e} of {np.ptp(truth):.3g}")
            assert error < 1e-4
        least = threshold or few_exceed(rows[:, 5:])
        ours = find_boxes(
            [head[row] for head in heads], network, rgb.shape[:2], resize, least
        )
        check_boxes(ours, suppressed(rows, rgb, network, resize, least))
        boxes += len(ours.boxes)
    return boxes


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize("model", ["yolo-fastest-1.1", "yolo-fastest-1.1-xl"])
def test_real_networks(
    model: str, resize: Resize, shared_models: Path, rgbs: list[Rgb]
) -> None:
    files = shared_models / f"{model}.cfg", shared_models / f"{model}.weights"
    assert check(files, rgbs, resize, threshold=0.25) >= 10


@pytest.mark.parametrize(
    ("model", "size", "photos"),
    # Darknet's own files have these sizes.
    [("yolov3-tiny", 35_434_956, 3), ("yolov3", 248_007_048, 1)],
)
def test_yolov3(
    model: str,
    size: int,
    photos: int,
    shared_models: Path,
    random_weights: RandomWeights,
    rgbs: list[Rgb],
) -> None:
    files = random_weights((shared_models / f"{model}.cfg").read_text())
    assert files[1].stat().st_size == size
    assert check(files, rgbs[:photos]) >= 10


def section(name: str, **entries: object) -> str:
    lines = [f"{key.strip('_')}={value}" for key, value in entries.items()]
    return "\n".join([f"[{name}]", *lines, ""])


def conv(filters: int, size: int = 3, **entries: object) -> str:
    entries = {"batch_normalize": 1, "pad": 1, "activation": "leaky"} | entries
    return section("convolutional", filters=filters, size=size, **entries)


def yolo(activation: str = "linear", **entries: object) -> str:
    anchors = "10,14, 23,27, 37,58, 81,82"
    return conv(21, 1, batch_normalize=0, activation=activation) + section(
        "yolo", mask="0,1,3", anchors=anchors, classes=2, num=4, **entries
    )


def cfg_of(*sections: str, width: int = 64, height: int = 64) -> str:
    net = section("net", width=width, height=height, channels=3)
    return "".join([net, *sections])


SPP = [
    section("maxpool", size=5, stride=1),
    section("route", layers="-2"),
    section("maxpool", size=9, stride=1),
    section("route", layers="-4"),
    section("maxpool", size=13, stride=1),
    section("route", layers="-1,-3,-5,-6"),
]
SMALL = {
    "depthwise": [conv(8), conv(8, groups=8), conv(16, groups=8, stride=2)],
    "groups": [conv(8), conv(12, groups=4), conv(12, 5, groups=3, stride=2)],
    "linear": [conv(8, activation="linear")],
    "leaky": [conv(8, activation="leaky")],
    "relu": [conv(8, activation="relu")],
    "mish": [conv(8, activation="mish")],
    "swish": [conv(8, activation="swish")],
    "logistic": [conv(8, activation="logistic")],
    "bias": [conv(8, batch_normalize=0), conv(8, batch_normalize=0, groups=8)],
    "shortcut": [conv(8), conv(8), section("shortcut", from_=-2, activation="linear")],
    "activated shortcut": [
        *(conv(8), conv(8)),
        section("shortcut", from_=0, activation="leaky"),
        section("shortcut", from_=-2, activation="mish"),
    ],
    "route": [conv(8), conv(4), conv(6), section("route", layers="-1, -3, 1")],
    "group of a route": [conv(8), section("route", layers=-1, groups=4, group_id=2)],
    "upsample": [
        *(conv(8, stride=2), section("upsample", stride=2)),
        *(conv(4), section("upsample", stride=3)),
    ],
    "maxpool": [conv(8), section("maxpool", size=2, stride=2)],
    "maxpool of stride 1": [conv(8), section("maxpool", size=2, stride=1)],
    "maxpool with padding": [conv(8), section("maxpool", size=3, stride=2, padding=1)],
    "spp": [conv(8, stride=2), *SPP, conv(8, 1)],
    "avgpool": [conv(8), section("avgpool")],
    "dropout": [conv(8), section("dropout", probability=0.5), conv(8)],
    "padding": [
        conv(8, pad=0, padding=2),
        conv(8, 5, pad=0),
        conv(8, pad=0, padding=1, stride=2),
    ],
    "even kernel": [conv(8, 2), conv(8, 4, stride=2)],
}


@pytest.mark.parametrize("name", SMALL)
def test_each_layer(name: str, random_weights: RandomWeights, rgbs: list[Rgb]) -> None:
    # An odd size, and not square.
    check(random_weights(cfg_of(*SMALL[name], yolo(), width=61, height=47)), rgbs[:1])


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
@pytest.mark.parametrize(
    "head",
    [
        yolo(),
        yolo(scale_x_y=1.2),
        yolo("logistic", new_coords=1, scale_x_y=2),
        # Two heads, the first in the middle.
        yolo() + section("route", layers=0) + conv(8, stride=2) + yolo(),
    ],
    ids=["plain", "scale_x_y", "new_coords", "two"],
)
def test_each_head(
    head: str, resize: Resize, random_weights: RandomWeights, rgbs: list[Rgb]
) -> None:
    cfg = cfg_of(conv(8, stride=4), head, width=416, height=256)
    assert check(random_weights(cfg), rgbs[:2], resize) >= 10


@pytest.mark.parametrize(
    ("ours", "oracle"),
    [
        # OpenCV reads the first of several layers only.
        (
            [section("shortcut", from_="-2,-3", activation="linear")],
            [
                section("shortcut", from_=-2, activation="linear"),
                section("shortcut", from_=-4, activation="linear"),
            ],
        ),
        # OpenCV forgets the groups of several layers.
        (
            [section("route", layers="-1,-3", groups=2, group_id=1)],
            [
                section("route", layers=-1, groups=2, group_id=1),
                section("route", layers=-4, groups=2, group_id=1),
                section("route", layers="-2,-1"),
            ],
        ),
    ],
    ids=["shortcut of several", "groups of several"],
)
def test_where_opencv_is_not_darknet(
    ours: list[str], oracle: list[str], random_weights: RandomWeights, rgbs: list[Rgb]
) -> None:
    before = [conv(8), conv(8), conv(8)]
    files = random_weights(cfg_of(*before, *ours, yolo()))
    check(files, rgbs[:1], oracle=cfg_of(*before, *oracle, yolo()))
