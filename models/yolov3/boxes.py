"""From a photo to what a network reads, and from what it says to boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from models.yolov3.layers import Network, Yolo

# Of all that leads from a photo and weights to boxes, in the whole package.
VERSION: Final = 1

Resize = Literal["letterbox", "stretch"]
# On 673 COCO photos Yolo-Fastest-xl has 2.9 points of mAP50 more than with bars.
DEFAULT_RESIZE: Final[Resize] = "stretch"

# Overlap above which the less confident of two boxes of a class is the same thing
# seen again: Darknet's own.
NMS_IOU: Final = 0.45
# A network that sees things everywhere, such as an untrained one, costs no more
# than this; the second is what COCO's evaluation looks at.
_MOST_CANDIDATES: Final = 1000
_MOST_DETECTIONS: Final = 100
# Beyond it exp nears the end of float32.
_LARGEST_EXPONENT: Final = 80.0


@dataclass(frozen=True)
class Detections:
    """What was seen in a photo, the most confident first.

    Attributes:
        boxes: float32, (n, 4): left, top, right, bottom in fractions of the photo's
            width and height, 0 to 1.
        confidences: float32, (n,): objectness times probability of the class.
        classes: int64, (n,): index of the class.
    """

    boxes: NDArray[np.float32]
    confidences: NDArray[np.float32]
    classes: NDArray[np.int64]


def prepare(
    rgb: NDArray[np.uint8], network: Network, resize: Resize
) -> NDArray[np.float32]:
    """Bring a photo to the size that the network reads.

    Args:
        rgb: uint8, (H, W, 3), RGB, upright.
        network: For its input size.
        resize: "letterbox" keeps the photo's shape and fills up with grey, as
            `darknet detect` does; "stretch" gives its shape up, as `darknet
            detector` does.

    Returns:
        float32, (network.height, network.width, 3), RGB, 0 to 1.

    Raises:
        ValueError: `rgb` is not a uint8 (H, W, 3) image.

    Source: Darknet, src/image.c, letterbox_image.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"expected uint8 (H, W, 3), got {rgb.dtype} {rgb.shape}")
    left, top, width, height = _frame(rgb.shape[:2], network, resize)
    # Bilinear, as Darknet and OpenCV do it. Of a working image it leaves out little:
    # averaging found the same in 673 COCO photos (mAP50 0.340 and 0.339).
    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_LINEAR)
    if (width, height) == (network.width, network.height):
        return np.asarray(small / np.float32(255))
    image = np.full((network.height, network.width, 3), 0.5, np.float32)
    shown = image[top : top + height, left : left + width]
    np.divide(small, np.float32(255), out=shown)
    return image


def find_boxes(
    heads: Sequence[NDArray[np.float32]],
    network: Network,
    photo: tuple[int, int],
    resize: Resize,
    threshold: float,
) -> Detections:
    """Decode the heads of one photo and suppress what was found twice.

    Args:
        heads: float32, (h, w, anchors * (5 + classes)), raw, in order of the cfg.
        network: From `parse_cfg`.
        photo: Height and width of the array that was prepared.
        resize: How it was prepared.
        threshold: Confidence from which on something is seen, exclusive.

    Source: YOLOv3, Fig. 2; Darknet, src/yolo_layer.c and src/box.c.
    """
    parts = [
        _candidates(head, layer, network, threshold)
        for head, layer in zip(
            heads, (network.layers[n] for n in network.heads), strict=True
        )
        if isinstance(layer, Yolo)
    ]
    boxes, confidences, classes = (
        np.concatenate(arrays) for arrays in zip(*parts, strict=True)
    )
    left, top, width, height = _frame(photo, network, resize)
    scale = np.array([network.width / width, network.height / height] * 2)
    offset = np.array([left / width, top / height] * 2)
    shown = np.clip(boxes * scale - offset, 0, 1).astype(np.float32)
    # What lies in the grey, or is no number, is in no photo.
    seen = np.flatnonzero((shown[:, 2:] > shown[:, :2]).all(1))
    # Stable: equals stay in order of head, row, column and anchor.
    order = np.lexsort((classes[seen], -confidences[seen]))
    seen = seen[order[:_MOST_CANDIDATES]]
    kept = seen[_suppress(boxes[seen], confidences[seen], classes[seen])]
    kept = kept[:_MOST_DETECTIONS]
    return Detections(shown[kept], confidences[kept], classes[kept])


def _frame(
    photo: Sequence[int], network: Network, resize: Resize
) -> tuple[int, int, int, int]:
    """Left, top, width, height of the photo within the input, in pixels."""
    if resize == "stretch":
        return 0, 0, network.width, network.height
    photo_height, photo_width = photo
    if network.width * photo_height < network.height * photo_width:
        width = network.width
        height = max(1, photo_height * network.width // photo_width)
    else:
        height = network.height
        width = max(1, photo_width * network.height // photo_height)
    return (network.width - width) // 2, (network.height - height) // 2, width, height


def _candidates(
    head: NDArray[np.float32], layer: Yolo, network: Network, threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.int64]]:
    """Boxes (n, 4) in fractions of the input, confidences, classes.

    A box is there once for each class whose confidence exceeds the threshold.
    """
    rows, columns, _ = head.shape
    raw = head.reshape(rows, columns, len(layer.anchors), 5 + layer.classes)
    objectness = raw[..., 4] if layer.new_coords else _sigmoid(raw[..., 4])
    # The product is no larger: few cells are left to look at.
    at = np.nonzero(objectness > threshold)
    row, column, anchor = at
    raw = raw[at]
    if layer.new_coords:
        probabilities, centers = raw[:, 5:], raw[:, :2]
        sizes = np.square(2 * raw[:, 2:4].astype(np.float64))
    else:
        probabilities, centers = _sigmoid(raw[:, 5:]), _sigmoid(raw[:, :2])
        sizes = np.exp(np.minimum(raw[:, 2:4], _LARGEST_EXPONENT).astype(np.float64))
    centers = (centers - 0.5) * layer.scale_x_y + 0.5 + np.stack([column, row], 1)
    centers = centers / np.array([columns, rows])
    sizes *= np.array(layer.anchors)[anchor] / (network.width, network.height)
    boxes = np.concatenate([centers - sizes / 2, centers + sizes / 2], 1)
    confidences = objectness[at][:, np.newaxis] * probabilities
    box, kind = np.nonzero(confidences > threshold)
    return boxes[box], confidences[box, kind], kind


def _suppress(
    boxes: NDArray[np.float64],
    confidences: NDArray[np.float32],
    classes: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Indices, ascending, of what no more confident box of its class covers."""
    kept: list[int] = []
    corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    for kind in np.unique(classes):
        members = np.flatnonzero(classes == kind)
        chosen = cv2.dnn.NMSBoxes(
            corners[members].tolist(), confidences[members].tolist(), 0.0, NMS_IOU
        )
        kept.extend(members[np.asarray(chosen, np.int64)])
    return np.array(sorted(kept), np.int64)


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(
        1 / (1 + np.exp(np.minimum(-x, np.float32(_LARGEST_EXPONENT)))), np.float32
    )
