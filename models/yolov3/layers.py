"""The layers of a Darknet network, and what each puts out."""

from dataclasses import dataclass
from typing import Literal

Activation = Literal["linear", "leaky", "relu", "mish", "swish", "logistic"]
IouLoss = Literal["mse", "iou", "giou", "diou", "ciou"]
# (height, width, channels) of what a layer puts out.
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Convolutional:
    """A convolution, with batch normalization and activation.

    Attributes:
        line: Where its section begins in the cfg, from 1.
        in_channels: Channels of what it reads.
        filters: Channels of what it puts out.
        size: Side of the square kernel.
        stride: Same in both directions.
        padding: Pixels of zeros at each of the four sides.
        groups: In which channels are kept apart.
        batch_normalize: Normalized by stored statistics, then scaled and shifted.
        activation: Applied last.
    """

    line: int
    in_channels: int
    filters: int
    size: int
    stride: int
    padding: int
    groups: int
    batch_normalize: bool
    activation: Activation


@dataclass(frozen=True)
class Shortcut:
    """Sum of the layer before and of `layers` (absolute), then an activation."""

    line: int
    layers: tuple[int, ...]
    activation: Activation


@dataclass(frozen=True)
class Route:
    """`layers` (absolute) side by side; of each, one of `groups` parts of channels."""

    line: int
    layers: tuple[int, ...]
    groups: int
    group_id: int


@dataclass(frozen=True)
class Upsample:
    """Each pixel becomes `stride` x `stride` pixels."""

    line: int
    stride: int


@dataclass(frozen=True)
class MaxPool:
    """Largest of `size` x `size`.

    Attributes:
        padding: Sum of two sides; the smaller half is above and to the left.
    """

    line: int
    size: int
    stride: int
    padding: int


@dataclass(frozen=True)
class AvgPool:
    """Mean of the whole plane."""

    line: int


@dataclass(frozen=True)
class Dropout:
    """Does nothing but in Darknet's training."""

    line: int


@dataclass(frozen=True)
class Yolo:
    """A detection head; it reads the layer before.

    Attributes:
        anchors: (width, height) in pixels of the input, those of the mask only.
        classes: Number of classes; the layer before has
            len(anchors) * (5 + classes) channels.
        scale_x_y: How far a centre may leave its cell (YOLOv4).
        new_coords: Activations were applied by the layer before (Scaled-YOLOv4).
        ignore_thresh: Training ignores predictions that overlap more than this.
        iou_thresh: Training gives an object to all anchors whose shapes overlap it
            more than this, beside the best; 1 for the best alone.
        iou_loss: What training does about boxes: "mse" is YOLOv3's.
    """

    line: int
    anchors: tuple[tuple[float, float], ...]
    classes: int
    scale_x_y: float
    new_coords: bool
    ignore_thresh: float
    iou_thresh: float
    iou_loss: IouLoss


Layer = Convolutional | Shortcut | Route | Upsample | MaxPool | AvgPool | Dropout | Yolo


@dataclass(frozen=True)
class Network:
    """What a cfg describes.

    Attributes:
        width, height: Of the input in pixels; it has three channels, RGB.
        layers: In order; layer 0 reads the input.
        shapes: What each layer puts out; a `Yolo` hands on what it reads.
    """

    width: int
    height: int
    layers: tuple[Layer, ...]
    shapes: tuple[Shape, ...]

    @property
    def convolutions(self) -> list[Convolutional]:
        return [layer for layer in self.layers if isinstance(layer, Convolutional)]

    @property
    def classes(self) -> int:
        """Number of classes."""
        return max(layer.classes for layer in self.layers if isinstance(layer, Yolo))

    @property
    def heads(self) -> list[int]:
        """Indices of the `Yolo` layers."""
        return [n for n, layer in enumerate(self.layers) if isinstance(layer, Yolo)]
