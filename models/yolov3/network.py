"""A Darknet network in TensorFlow, as inference and training share it.

TensorFlow is imported inside the functions: it takes seconds.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, assert_never

from models.yolov3.layers import (
    Activation,
    AvgPool,
    Convolutional,
    Dropout,
    MaxPool,
    Network,
    Route,
    Shortcut,
    Upsample,
    Yolo,
)

if TYPE_CHECKING:
    import tensorflow as tf

# The how manyth convolution, its layer, what it reads -> convolved, normalized or
# with its bias, not yet activated.
Convolve = Callable[[int, Convolutional, "tf.Tensor"], "tf.Tensor"]


def forward(
    network: Network,
    images: "tf.Tensor",
    convolve: Convolve,
) -> list["tf.Tensor"]:
    """Build all layers.

    Args:
        network: From `parse_cfg`.
        images: Floating point, (N, H, W, 3), RGB, 0 to 1; H and W need not be those
            of the cfg, as long as shortcuts and routes still meet.
        convolve: Called for each convolution in order, which is how its weights
            get in: constants for inference, variables for training.

    Returns:
        What each layer puts out, (N, h, w, channels). A `Yolo` hands on what it
        reads: the raw head, before any activation of its own.

    Source: Darknet, src/*_layer.c.
    """
    import tensorflow as tf

    outputs: list[tf.Tensor] = []
    convolutions = 0
    x = images
    for layer in network.layers:
        match layer:
            case Convolutional():
                x = _activate(convolve(convolutions, layer, x), layer.activation)
                convolutions += 1
            case Shortcut():
                for other in layer.layers:
                    x = x + outputs[other]
                x = _activate(x, layer.activation)
            case Route():
                parts = [_part(outputs[other], layer) for other in layer.layers]
                x = tf.concat(parts, -1) if len(parts) > 1 else parts[0]
            case Upsample():
                size = (x.shape[1] * layer.stride, x.shape[2] * layer.stride)
                x = tf.image.resize(x, size, "nearest")
            case MaxPool():
                before = layer.padding // 2
                sides = (before, layer.padding - before)
                # TensorFlow's padding never wins, as Darknet's.
                padding = ((0, 0), sides, sides, (0, 0))
                x = tf.nn.max_pool2d(x, layer.size, layer.stride, padding)
            case AvgPool():
                x = tf.reduce_mean(x, (1, 2), keepdims=True)
            case Dropout() | Yolo():
                pass
            case _:
                assert_never(layer)
        outputs.append(x)
    return outputs


def convolution(
    layer: Convolutional, x: "tf.Tensor", kernel: "tf.Tensor"
) -> "tf.Tensor":
    """Convolve, in groups where the layer has them, without bias.

    Args:
        layer: What to do.
        x: (N, H, W, in_channels).
        kernel: (size, size, in_channels / groups, filters).

    Returns:
        (N, h, w, filters).
    """
    import tensorflow as tf

    sides = (layer.padding, layer.padding)
    padding = ((0, 0), sides, sides, (0, 0))
    if layer.groups == layer.in_channels > 1:
        per_channel = layer.filters // layer.in_channels
        shape = (layer.size, layer.size, layer.in_channels, per_channel)
        # TensorFlow 2.21 aborts while it optimizes a graph whose depthwise
        # convolutions have paddings of their own; to pad first takes time.
        is_same = layer.stride == 1 and layer.size == 2 * layer.padding + 1
        return tf.nn.depthwise_conv2d(
            x if is_same else tf.pad(x, padding),
            tf.reshape(kernel, shape),
            (1, layer.stride, layer.stride, 1),
            "SAME" if is_same else "VALID",
        )
    # Group by group: TensorFlow has no gradient of a grouped one on the CPU.
    parts = zip(
        tf.split(x, layer.groups, -1), tf.split(kernel, layer.groups, -1), strict=True
    )
    convolved = [tf.nn.conv2d(*part, layer.stride, padding) for part in parts]
    return convolved[0] if layer.groups == 1 else tf.concat(convolved, -1)


def _activate(x: "tf.Tensor", activation: Activation) -> "tf.Tensor":
    import tensorflow as tf

    match activation:
        case "linear":
            return x
        case "leaky":
            return tf.nn.leaky_relu(x, 0.1)
        case "relu":
            return tf.nn.relu(x)
        case "mish":
            return x * tf.tanh(tf.nn.softplus(x))
        case "swish":
            return x * tf.sigmoid(x)
        case "logistic":
            return tf.sigmoid(x)
        case _:
            assert_never(activation)


def _part(x: "tf.Tensor", route: Route) -> "tf.Tensor":
    channels = x.shape[-1] // route.groups
    start = route.group_id * channels
    return x if route.groups == 1 else x[..., start : start + channels]
