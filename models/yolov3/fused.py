"""A convolution with its bias and activation in one operation of oneDNN.

For each batch, TensorFlow lays out a kernel anew for oneDNN unless it is a constant of
the graph. With YOLOv3 that takes 6 of 100 ms; but constants are in memory once more in
each copy of the graph, 4.4 GB of them. So the operation that TensorFlow makes of a
constant is asked for directly: it reads a variable once, and keeps what it laid out.

TensorFlow is imported inside the functions: it takes seconds.
"""

from typing import TYPE_CHECKING, Any, Final

from models.yolov3.layers import Convolutional

if TYPE_CHECKING:
    import tensorflow as tf

_OPERATION: Final = "_MklNativeFusedConv2D"


def can_fuse(layer: Convolutional) -> bool:
    """Whether `fused_convolution` can do a layer, on this machine."""
    # TensorFlow has it where it was built with oneDNN, which is not everywhere.
    from tensorflow.python.framework.kernels import get_registered_kernels_for_op

    is_plain = layer.groups == 1 and layer.activation in ("linear", "leaky")
    return is_plain and bool(get_registered_kernels_for_op(_OPERATION).kernel)


def fused_convolution(
    layer: Convolutional, x: "tf.Tensor", kernel: "tf.Tensor", bias: "tf.Tensor"
) -> "tf.Tensor":
    """Convolve, add the bias and activate, in a graph that is not trained.

    Args:
        layer: What to do; `can_fuse` it.
        x: (N, H, W, in_channels).
        kernel: (size, size, in_channels, filters); what it is when this runs first
            is used ever after.
        bias: (filters,).

    Returns:
        (N, h, w, filters).
    """
    import tensorflow as tf

    def attribute(**value: Any) -> Any:
        return tf.compat.v1.AttrValue(**value)

    def several(**values: Any) -> Any:
        return attribute(list=tf.compat.v1.AttrValue.ListValue(**values))

    kind = x.dtype.as_datatype_enum
    sides = [layer.padding] * 2
    activation = [b"LeakyRelu"] if layer.activation == "leaky" else []
    attributes = {
        "T": attribute(type=kind),
        "TArgs": several(type=[kind]),
        "num_args": attribute(i=1),
        "num_host_args": attribute(i=0),
        "strides": several(i=[1, layer.stride, layer.stride, 1]),
        "is_filter_const": attribute(b=True),
        "padding": attribute(s=b"EXPLICIT"),
        "explicit_paddings": several(i=[0, 0, *sides, *sides, 0, 0]),
        "fused_ops": several(s=[b"BiasAdd", *activation]),
        "leakyrelu_alpha": attribute(f=0.1),
        # How its kernels are told from others of TensorFlow.
        "_kernel": attribute(s=b"MklNameChangeOp"),
    }
    reads = [x, tf.convert_to_tensor(kernel), tf.convert_to_tensor(bias)]
    graph = tf.compat.v1.get_default_graph()
    operation = graph.create_op(
        _OPERATION, reads, [x.dtype], name="FusedConv2D", attrs=attributes
    )
    return operation.outputs[0]
