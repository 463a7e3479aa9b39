"""Darknet's `.cfg`: the layers of a network, their shapes, and nothing unknown."""

import math
from pathlib import Path
from typing import Final, cast, get_args

from models.yolov3.layers import (
    Activation,
    AvgPool,
    Convolutional,
    Dropout,
    IouLoss,
    Layer,
    MaxPool,
    Network,
    Route,
    Shape,
    Shortcut,
    Upsample,
    Yolo,
)
from models.yolov3.sections import CfgError as CfgError
from models.yolov3.sections import Section, read_sections

# Far beyond every published network, and small enough that a broken cfg neither
# fills the memory nor hangs.
_MOST_CFG_BYTES: Final = 1 << 20
_MOST_LAYERS: Final = 1024
_MOST_SIDE_PX: Final = 4096
_MOST_FILTERS: Final = 1 << 16
_MOST_SIZE: Final = 64
_MOST_STRIDE: Final = 64
_MOST_WEIGHTS: Final = 1 << 30  # 4 GiB; YOLOv4x has a tenth of it
_MOST_VALUES: Final = 1 << 27  # of one layer, 512 MiB: YOLOv3 at 2048 x 2048
_MOST_VALUES_IN_ALL: Final = 1 << 29  # routes may keep them; YOLOv3 has a quarter
# Each is a convolution of its own, but for depthwise ones.
_MOST_GROUPS_IN_ALL: Final = 4096


def load_cfg(path: Path) -> Network:
    """Read a cfg from a file.

    Raises:
        CfgError: As `parse_cfg`; or it is too large, or no text.
        OSError: It can not be read.
    """
    with path.open("rb") as file:
        data = file.read(_MOST_CFG_BYTES + 1)
    if len(data) > _MOST_CFG_BYTES:
        raise CfgError(1, f"larger than {_MOST_CFG_BYTES} bytes: this is no cfg")
    try:
        return parse_cfg(data.decode())
    except UnicodeDecodeError as err:
        line = data.count(b"\n", 0, err.start) + 1
        raise CfgError(line, "not UTF-8: this is no cfg") from None


def parse_cfg(text: str) -> Network:
    """Read a cfg.

    Raises:
        CfgError: It can not be read, or asks for something this package does
            not know; the text names the line.

    Source: Darknet, src/parser.c.
    """
    sections = read_sections(text)
    if not sections or sections[0].name != "net":
        line = sections[0].line if sections else 1
        raise CfgError(line, "the first section is not [net]")
    net, *rest = sections
    if len(rest) > _MOST_LAYERS:
        raise rest[_MOST_LAYERS].error(f"is one more than {_MOST_LAYERS} layers")
    height = net.integer("height", None, 1, _MOST_SIDE_PX)
    width = net.integer("width", None, 1, _MOST_SIDE_PX)
    net.integer("channels", None, 3, 3)
    net.refuse_unread()

    layers: list[Layer] = []
    shapes: list[Shape] = []
    weights = values = groups = 0
    for section in rest:
        before = shapes[-1] if shapes else (height, width, 3)
        layer, shape = _layer(section, before, layers, shapes)
        section.refuse_unread()
        if min(shape) < 1:
            raise section.error("leaves nothing of what it reads")
        if math.prod(shape) > _MOST_VALUES:
            raise section.error(f"puts out {shape}, more than {_MOST_VALUES} values")
        if isinstance(layer, Convolutional):
            kernel = layer.size**2 * layer.in_channels // layer.groups
            weights += layer.filters * kernel
            groups += layer.groups if layer.groups < layer.in_channels else 1
        values += math.prod(shape)
        if groups > _MOST_GROUPS_IN_ALL:
            raise section.error(f"brings the groups to more than {_MOST_GROUPS_IN_ALL}")
        if values > _MOST_VALUES_IN_ALL:
            raise section.error(f"brings the values to more than {_MOST_VALUES_IN_ALL}")
        if weights > _MOST_WEIGHTS:
            raise section.error(f"brings the weights to more than {_MOST_WEIGHTS}")
        layers.append(layer)
        shapes.append(shape)
    network = Network(width, height, tuple(layers), tuple(shapes))
    if not network.heads:
        raise sections[-1].error("ends a network that has no [yolo]")
    return network


def _layer(
    section: Section, before: Shape, layers: list[Layer], shapes: list[Shape]
) -> tuple[Layer, Shape]:
    """Read one layer and tell the shape that it puts out.

    Args:
        section: Its section.
        before: What the layer before puts out.
        layers: Those before it.
        shapes: What each of them puts out.
    """
    height, width, channels = before
    if section.name != "route" and layers and isinstance(layers[-1], Yolo):
        # Darknet would hand on activated values, OpenCV boxes.
        raise section.error("reads a [yolo]")
    match section.name:
        case "convolutional":
            return _convolutional(section, before)
        case "shortcut":
            froms = _indices(section, "from", layers)
            for index in froms:
                if (other := shapes[index]) != before:
                    raise section.error(f"adds layer {index} of {other} to {before}")
            return Shortcut(section.line, froms, _activation(section, "linear")), before
        case "route":
            return _route(section, layers, shapes)
        case "upsample":
            stride = section.integer("stride", 2, 1, _MOST_STRIDE)
            section.number("scale", 1, 1, 1)
            shape = height * stride, width * stride, channels
            return Upsample(section.line, stride), shape
        case "maxpool":
            return _maxpool(section, before)
        case "avgpool":
            return AvgPool(section.line), (1, 1, channels)
        case "dropout":
            section.number("probability", 0.2, 0, 1)
            return Dropout(section.line), before
        case "yolo":
            return _yolo(section, channels), before
    raise section.error("is not supported")


def _convolutional(section: Section, before: Shape) -> tuple[Convolutional, Shape]:
    height, width, channels = before
    filters = section.integer("filters", 1, 1, _MOST_FILTERS)
    size = section.integer("size", 1, 1, _MOST_SIZE)
    stride = _stride(section)
    padding = section.integer("padding", 0, 0, _MOST_SIZE)
    if section.integer("pad", 0, 0, _MOST_SIZE):  # a flag, whatever its value
        padding = size // 2
    groups = section.integer("groups", 1, 1, _MOST_FILTERS)
    if channels % groups or filters % groups:
        raise section.error(
            f"parts {channels} channels and {filters} filters in {groups} groups"
        )
    normalize = bool(section.integer("batch_normalize", 0))
    activation = _activation(section, "logistic")
    layer = Convolutional(
        section.line,
        channels,
        filters,
        size,
        stride,
        padding,
        groups,
        normalize,
        activation,
    )
    rows, columns = (
        (side + 2 * padding - size) // stride + 1 for side in (height, width)
    )
    return layer, (rows, columns, filters)


def _route(
    section: Section, layers: list[Layer], shapes: list[Shape]
) -> tuple[Route, Shape]:
    indices = _indices(section, "layers", layers)
    groups = section.integer("groups", 1, 1, _MOST_FILTERS)
    group_id = section.integer("group_id", 0, 0, groups - 1)
    height, width, _ = shapes[indices[0]]
    channels = 0
    for index in indices:
        rows, columns, depth = shapes[index]
        if (rows, columns) != (height, width):
            raise section.error(
                f"puts {columns} x {rows} of layer {index} beside {width} x {height}"
            )
        if depth % groups:
            raise section.error(
                f"parts {depth} channels of layer {index} in {groups} groups"
            )
        channels += depth // groups
    layer = Route(section.line, indices, groups, group_id)
    return layer, (height, width, channels)


def _maxpool(section: Section, before: Shape) -> tuple[MaxPool, Shape]:
    height, width, channels = before
    stride = _stride(section)
    size = section.integer("size", stride, 1, _MOST_SIZE)
    # A window that lies in the padding alone would have no largest value.
    padding = section.integer("padding", size - 1, 0, size - 1)
    rows, columns = ((side + padding - size) // stride + 1 for side in (height, width))
    return MaxPool(section.line, size, stride, padding), (rows, columns, channels)


def _yolo(section: Section, channels: int) -> Yolo:
    sides = section.numbers("anchors", 1e-3, 1e6)
    pairs = tuple(zip(sides[::2], sides[1::2], strict=False))
    num = section.integer("num", None, 1, _MOST_FILTERS)
    if len(sides) != 2 * num:
        raise section.error(f"has {len(sides)} sides of {num} anchors")
    mask = section.integers("mask", 0, num - 1)
    classes = section.integer("classes", None, 1, _MOST_FILTERS)
    if channels != len(mask) * (5 + classes):
        raise section.error(
            f"reads {channels} channels, not {len(mask)} x (5 + {classes})"
        )
    return Yolo(
        section.line,
        tuple(pairs[index] for index in mask),
        classes,
        section.number("scale_x_y", 1, 1e-3, 1e3),
        bool(section.integer("new_coords", 0)),
        section.number("ignore_thresh", 0.5, 0, 1),
        section.number("iou_thresh", 1, 0, 1),
        cast(IouLoss, section.word("iou_loss", "mse", get_args(IouLoss))),
    )


def _stride(section: Section) -> int:
    stride = section.integer("stride", 1, 1, _MOST_STRIDE)
    for key in ("stride_x", "stride_y"):
        if section.integer(key, stride, 1, _MOST_STRIDE) != stride:
            raise section.error(f"has another {key} than stride")
    return stride


def _indices(section: Section, key: str, layers: list[Layer]) -> tuple[int, ...]:
    """Layers by their absolute index; in the cfg, negative ones count from here."""
    here = len(layers)
    indices = []
    for given in section.integers(key, -here, here - 1):
        index = given + here if given < 0 else given
        if isinstance(layers[index], Yolo):
            raise section.error(f"reads layer {index}, a [yolo]")
        indices.append(index)
    return tuple(indices)


def _activation(section: Section, default: Activation) -> Activation:
    return cast(Activation, section.word("activation", default, get_args(Activation)))
