"""The loss that YOLOv3 and its relatives are trained with.

What the cfg asks for decides, as a network is adjusted best by what made it: by
YOLOv3's loss Yolo-Fastest lost 4 points of mAP50 in an epoch, by its own none.

"mse", the default, is YOLOv3's, as Darknet has it: of a logit below a sigmoid the
gradient is the prediction minus the truth, of the logarithms of width and height
too. "ciou" is the loss that a box's place and shape have together. Darknet scales
its gradient by `iou_normalizer`, since it leaves out that of cells and anchors;
here it is whole and weighted as the other.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from models.yolov3.evaluate import GroundTruth
from models.yolov3.layers import Network, Yolo

if TYPE_CHECKING:
    import tensorflow as tf

Floats = NDArray[np.float32]

# Boxes from a 3,000th of an anchor to 3,000 of them: what is beyond is as wrong,
# and nothing of it is infinite or without a direction.
_LARGEST_EXPONENT: Final = 8.0


def check_trainable(network: Network) -> None:
    """Refuse heads that this loss is not for.

    Raises:
        ValueError: One has `new_coords`, or another `iou_loss` than mse or ciou.
    """
    for index in network.heads:
        layer = network.layers[index]
        assert isinstance(layer, Yolo)
        if layer.new_coords:
            raise ValueError(f"line {layer.line}: new_coords=1 can not be trained")
        if layer.iou_loss not in ("mse", "ciou"):
            raise ValueError(
                f"line {layer.line}: iou_loss={layer.iou_loss} can not be trained"
            )


def assign(network: Network, truth: GroundTruth) -> list[Floats]:
    """Give each object to an anchor of a head, in the cell its centre is in.

    Of all anchors of all heads it is the one whose shape overlaps most; where the
    cfg has an `iou_thresh`, as Yolo-Fastest's, also those that overlap more than
    it, unless they are another object's best. Two objects best in one place: the
    later has the box, both have their class.

    Args:
        network: From `parse_cfg`.
        truth: Boxes in fractions of the input, inside, with an area. A crowd is
            given to none.

    Returns:
        For each head, in order: float32, (h, w, anchors, 5 + classes). Where an
        object is, the sigmoids of x and y, the logits of width and height, the
        weight 2 - area of the coordinates, and 1 for its classes; else zeros.

    Source: YOLOv3, 2.1; Darknet, src/yolo_layer.c.
    """
    targets = []
    # Which head an anchor is of, which it is there, and its shape.
    owners: list[tuple[int, int, Yolo]] = []
    for row, index in enumerate(network.heads):
        layer = network.layers[index]
        assert isinstance(layer, Yolo)
        height, width, _ = network.shapes[index]
        size = (height, width, len(layer.anchors), 5 + layer.classes)
        targets.append(np.zeros(size, np.float32))
        owners += [(row, n, layer) for n in range(len(layer.anchors))]
    shapes = np.array([layer.anchors[n] for _, n, layer in owners], np.float32)
    shapes /= (network.width, network.height)
    boxes, classes = truth.boxes[~truth.crowd], truth.classes[~truth.crowd]
    sides = boxes[:, 2:] - boxes[:, :2]
    common = np.minimum(shapes, sides[:, np.newaxis]).prod(axis=2)
    areas = shapes.prod(axis=1) + sides.prod(axis=1)[:, np.newaxis]
    overlaps = common / (areas - common)
    best = overlaps.argmax(axis=1)
    beside = overlaps > [layer.iou_thresh for _, _, layer in owners]
    beside[np.arange(len(best)), best] = False
    taken = set()
    # The best last: who is somewhere only beside gives way.
    for item, anchor in [*np.argwhere(beside), *enumerate(best)]:
        row, n, layer = owners[anchor]
        height, width = targets[row].shape[:2]
        place = (boxes[item, :2] + boxes[item, 2:]) / 2 * (width, height)
        cell = np.minimum(place.astype(int), (width - 1, height - 1))
        at = targets[row][cell[1], cell[0], n]
        if (row, *cell, n) not in taken:
            at[:] = 0
        if anchor == best[item]:
            taken.add((row, *cell, n))
        # A centre is sigmoid * scale - (scale - 1) / 2 from its cell's corner.
        scale = layer.scale_x_y
        at[:2] = np.clip((place - cell + (scale - 1) / 2) / scale, 0, 1)
        at[2:4] = np.log(sides[item] / shapes[anchor])
        at[4] = 2 - sides[item].prod()
        at[5 + classes[item]] = 1
    return targets


def detection_loss(
    network: Network,
    heads: Sequence["tf.Tensor"],
    targets: Sequence["tf.Tensor"],
    boxes: "tf.Tensor",
    crowd: "tf.Tensor",
) -> "tf.Tensor":
    """Sum up what is wrong with the coordinates, objectness and classes.

    A prediction without an object shall have no objectness, unless it overlaps
    one by more than the head's `ignore_thresh`, or lies so far within a crowd.
    The cross-entropy of x and y is taken less its smallest value, which moves no
    gradient, so that a perfect prediction costs nothing.

    Args:
        network: From `parse_cfg`.
        heads: float32, (N, h, w, anchors * (5 + classes)) each, raw.
        targets: float32, (N, h, w, anchors, 5 + classes) each, from `assign`.
        boxes: float32, (N, T, 4), x1, y1, x2, y2 as fractions of the input, of
            all objects; rows of zeros fill up.
        crowd: bool, (N, T).

    Returns:
        float32, (), per photo.

    Source: YOLOv3, 2.1 to 2.3; Darknet, src/yolo_layer.c.
    """
    import tensorflow as tf

    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits
    total = 0.0
    for index, head, target in zip(network.heads, heads, targets, strict=True):
        layer = network.layers[index]
        assert isinstance(layer, Yolo)
        raw = tf.reshape(head, tf.shape(target))
        weight = target[..., 4:5]
        found = tf.cast(weight > 0, tf.float32)
        overlap = _largest_overlap(network, layer, raw, boxes, crowd)
        ignored = tf.cast(overlap > layer.ignore_thresh, tf.float32)[..., tf.newaxis]
        parts = [
            tf.maximum(found, 1 - ignored) * cross_entropy(found, raw[..., 4:5]),
            found * cross_entropy(target[..., 5:], raw[..., 5:]),
        ]
        if layer.iou_loss == "mse":
            centre = target[..., :2]
            rest = 1 - centre
            least = -tf.math.xlogy(centre, centre) - tf.math.xlogy(rest, rest)
            parts += [
                weight * (cross_entropy(centre, raw[..., :2]) - least),
                weight * tf.square(target[..., 2:4] - raw[..., 2:4]) / 2,
            ]
        else:
            guessed = _boxes(network, layer, tf.sigmoid(raw[..., :2]), raw[..., 2:4])
            real = _boxes(network, layer, target[..., :2], target[..., 2:4])
            lost = 1 - _complete_iou(guessed, real)
            parts.append(weight * lost[..., tf.newaxis])
        total += tf.add_n([tf.reduce_sum(part) for part in parts])
    return total / tf.cast(tf.shape(boxes)[0], tf.float32)


def _largest_overlap(
    network: Network,
    layer: Yolo,
    raw: "tf.Tensor",
    boxes: "tf.Tensor",
    crowd: "tf.Tensor",
) -> "tf.Tensor":
    """With any object: IoU; with any crowd: the share inside. (N, h, w, anchors)."""
    import tensorflow as tf

    # Which predictions are ignored is no way to lower the loss.
    raw = tf.stop_gradient(raw)
    low, high = _boxes(network, layer, tf.sigmoid(raw[..., :2]), raw[..., 2:4])
    low, high = low[..., tf.newaxis, :], high[..., tf.newaxis, :]
    boxes = boxes[:, tf.newaxis, tf.newaxis, tf.newaxis]
    sides = tf.minimum(high, boxes[..., 2:]) - tf.maximum(low, boxes[..., :2])
    common = tf.reduce_prod(tf.maximum(sides, 0), -1)
    own = tf.reduce_prod(high - low, -1)
    others = tf.reduce_prod(boxes[..., 2:] - boxes[..., :2], -1)
    crowd = crowd[:, tf.newaxis, tf.newaxis, tf.newaxis]
    whole = tf.where(crowd, own, own + others - common)
    return tf.reduce_max(tf.math.divide_no_nan(common, whole), -1)


def _boxes(
    network: Network, layer: Yolo, inside: "tf.Tensor", sizes: "tf.Tensor"
) -> tuple["tf.Tensor", "tf.Tensor"]:
    """Left and top, right and bottom, (N, h, w, anchors, 2), in fractions.

    Of `inside`, sigmoids of x and y, and `sizes`, logits of width and height.
    """
    import tensorflow as tf

    height, width = inside.shape[1], inside.shape[2]
    columns, rows = tf.meshgrid(tf.range(width), tf.range(height))
    corners = tf.cast(tf.stack([columns, rows], -1), tf.float32)[:, :, tf.newaxis]
    scale = layer.scale_x_y
    centres = (inside * scale - (scale - 1) / 2 + corners) / (width, height)
    anchors = np.array(layer.anchors, np.float32)
    anchors /= (network.width, network.height)
    sizes = tf.clip_by_value(sizes, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)
    halves = tf.exp(sizes) * anchors / 2
    return centres - halves, centres + halves


def _complete_iou(
    guessed: tuple["tf.Tensor", "tf.Tensor"], real: tuple["tf.Tensor", "tf.Tensor"]
) -> "tf.Tensor":
    """IoU less what is wrong with place and shape; 1 if nothing is, -1.5 at worst.

    Source: Zheng et al., Distance-IoU Loss, AAAI 2020, equations 6 to 11.
    """
    import tensorflow as tf

    divide = tf.math.divide_no_nan
    common = tf.minimum(guessed[1], real[1]) - tf.maximum(guessed[0], real[0])
    common = tf.reduce_prod(tf.maximum(common, 0), -1)
    sizes = [high - low for low, high in (guessed, real)]
    areas = [tf.reduce_prod(size, -1) for size in sizes]
    iou = divide(common, areas[0] + areas[1] - common)
    around = tf.maximum(guessed[1], real[1]) - tf.minimum(guessed[0], real[0])
    # Twice the way between the centres: half of it, squared, is a quarter.
    apart = guessed[0] + guessed[1] - real[0] - real[1]
    distance = divide(
        tf.reduce_sum(tf.square(apart), -1) / 4, tf.reduce_sum(tf.square(around), -1)
    )
    slopes = [tf.atan2(size[..., 0], size[..., 1]) for size in sizes]
    shape = 4 / np.pi**2 * tf.square(slopes[1] - slopes[0])
    weight = tf.stop_gradient(divide(shape, 1 - iou + shape))
    return iou - distance - weight * shape
