"""A Darknet network whose convolutions learn."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from models.yolov3.examples import Batch
from models.yolov3.layers import Convolutional, Network, Route, Shortcut, Yolo
from models.yolov3.loss import detection_loss
from models.yolov3.network import convolution, forward
from models.yolov3.weights import ConvolutionWeights, Weights

if TYPE_CHECKING:
    import tensorflow as tf

Layers = Literal["heads", "all"]
Arrays = list[NDArray[np.float32]]

# Kingma and Ba, Adam, ICLR 2015, Algorithm 1.
_BETA_1: Final = 0.9
_BETA_2: Final = 0.999
_EPSILON: Final = 1e-8


class Trainable:
    """The weights of a network as variables, and one step of learning.

    Batch normalization keeps the statistics that came with the weights, in every
    layer: those of a few photos are worse than COCO's, and those of a batch of
    eight are noise. Its scale and shift are learned where the kernel is. Dropout
    drops nothing: a fine-tuning is short.

    Args:
        network: From `parse_cfg`.
        weights: To start from.
        layers: Which convolutions learn; see `trained_convolutions`.
    """

    def __init__(self, network: Network, weights: Weights, layers: Layers) -> None:
        import tensorflow as tf

        self._network = network
        self._start = weights
        # Kernel, bias and, with batch normalization, scale of what learns; and
        # kernel and bias of what does not.
        self._learned: dict[int, list[tf.Variable]] = {}
        self._frozen: dict[int, list[tf.Tensor]] = {}
        self._statistics = [_statistics(w) for w in weights.convolutions]
        rows = trained_convolutions(network, layers)
        for row, start in enumerate(weights.convolutions):
            if row in rows:
                arrays = [start.kernel, start.bias]
                arrays += [] if start.scale is None else [start.scale]
                self._learned[row] = [tf.Variable(array) for array in arrays]
            else:
                self._frozen[row] = [tf.constant(array) for array in start.folded()]
        self._variables = [x for of_row in self._learned.values() for x in of_row]
        # Adam's: mean and mean square of each gradient, steps done.
        self._means = [tf.Variable(tf.zeros_like(x)) for x in self._variables]
        self._squares = [tf.Variable(tf.zeros_like(x)) for x in self._variables]
        self._steps = tf.Variable(0.0)
        images = tf.TensorSpec((None, network.height, network.width, 3), tf.float32)
        self._predict = tf.function(self._heads, [images], autograph=False)
        of_batch = [
            images,
            [tf.TensorSpec((None, *size), tf.float32) for size in _sizes(network)],
            tf.TensorSpec((None, None, 4), tf.float32),
            tf.TensorSpec((None, None), tf.bool),
            tf.TensorSpec((), tf.float32),
        ]
        self._descend = tf.function(self._step, of_batch, autograph=False)

    def step(self, batch: Batch, learning_rate: float) -> float:
        """Learn from a batch by one step of Adam.

        Returns:
            The batch's loss per photo, before the step.
        """
        targets = list(batch.targets)
        args = batch.images, targets, batch.boxes, batch.crowd, learning_rate
        return float(self._descend(*args))

    def predict(self, images: NDArray[np.float32]) -> Arrays:
        """Heads of photos.

        Args:
            images: float32, (N, H, W, 3), RGB, 0 to 1.

        Returns:
            float32, (N, h, w, anchors * (5 + classes)) each, raw.
        """
        return [np.asarray(head) for head in self._predict(images)]

    def weights(self) -> Weights:
        """Everything learned until now, as Darknet has it."""
        convolutions = list(self._start.convolutions)
        for row, variables in self._learned.items():
            kernel, bias, *scale = (np.asarray(variable) for variable in variables)
            convolutions[row] = replace(
                convolutions[row],
                kernel=kernel,
                bias=bias,
                scale=scale[0] if scale else None,
            )
        return replace(self._start, convolutions=convolutions)

    def learned(self) -> Arrays:
        """What the network has learned."""
        return [np.asarray(variable) for variable in self._variables]

    def state(self) -> Arrays:
        """What it has learned, then what the optimizer needs to go on."""
        return [np.asarray(variable) for variable in self._whole_state()]

    def restore(self, arrays: Arrays) -> None:
        """Go back to what was `learned`, or to a `state`."""
        for variable, array in zip(self._whole_state(), arrays, strict=False):
            variable.assign(array)

    def _whole_state(self) -> list["tf.Variable"]:
        return [*self._variables, *self._means, *self._squares, self._steps]

    def _step(
        self,
        images: "tf.Tensor",
        targets: Sequence["tf.Tensor"],
        boxes: "tf.Tensor",
        crowd: "tf.Tensor",
        learning_rate: "tf.Tensor",
    ) -> "tf.Tensor":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            heads = self._heads(images)
            loss = detection_loss(self._network, heads, targets, boxes, crowd)
        gradients = tape.gradient(loss, self._variables)
        steps = self._steps.assign_add(1.0)
        powers = _BETA_1**steps, _BETA_2**steps
        slots = zip(self._variables, self._means, self._squares, strict=True)
        for slot, gradient in zip(slots, gradients, strict=True):
            variable, mean, square = (x.handle for x in slot)
            # Keras's takes three times as long to build and does the same.
            tf.raw_ops.ResourceApplyAdam(
                var=variable,
                m=mean,
                v=square,
                beta1_power=powers[0],
                beta2_power=powers[1],
                lr=learning_rate,
                beta1=_BETA_1,
                beta2=_BETA_2,
                epsilon=_EPSILON,
                grad=gradient,
            )
        return loss

    def _heads(self, images: "tf.Tensor") -> list["tf.Tensor"]:
        outputs = forward(self._network, images, self._convolve)
        return [outputs[head] for head in self._network.heads]

    def _convolve(self, row: int, layer: Convolutional, x: "tf.Tensor") -> "tf.Tensor":
        import tensorflow as tf

        if row in self._frozen:
            kernel, bias = self._frozen[row]
        else:
            kernel, bias, *scales = self._learned[row]
            # As the detector folds them, so that there is nothing to normalize.
            for scale in scales:
                factor, shift = self._statistics[row]
                kernel, bias = kernel * (scale * factor), bias + scale * shift
        return tf.nn.bias_add(convolution(layer, x, kernel), bias)


def trained_convolutions(network: Network, layers: Layers) -> list[int]:
    """Which convolutions learn, counted from 0.

    "heads" are those that only some of the heads are made from, and the last
    before each head; "all" are all.
    """
    indices = [n for n, x in enumerate(network.layers) if isinstance(x, Convolutional)]
    if layers == "all":
        return list(range(len(indices)))
    shared = set.intersection(*(_made_from(network, head) for head in network.heads))
    last = {head - 1 for head in network.heads}
    return [row for row, n in enumerate(indices) if n not in shared or n in last]


def _made_from(network: Network, head: int) -> set[int]:
    """All layers that a head depends on."""
    found: set[int] = set()
    waiting = [head - 1]
    while waiting:
        index = waiting.pop()
        if index in found or index < 0:
            continue
        found.add(index)
        layer = network.layers[index]
        if isinstance(layer, Route | Shortcut):
            waiting += layer.layers
        if not isinstance(layer, Route):
            waiting.append(index - 1)
    return found


def _sizes(network: Network) -> list[tuple[int, int, int, int]]:
    """(h, w, anchors, 5 + classes) of each head."""
    sizes = []
    for head in network.heads:
        layer = network.layers[head]
        assert isinstance(layer, Yolo)
        height, width, _ = network.shapes[head]
        sizes.append((height, width, len(layer.anchors), 5 + layer.classes))
    return sizes


def _statistics(weights: ConvolutionWeights) -> tuple[NDArray[np.float32], ...]:
    """What batch normalization multiplies by and adds, before scale and shift."""
    ones = np.ones_like(weights.bias)
    # A kernel of 1 shows what folding multiplies by.
    plain = replace(
        weights,
        kernel=ones[np.newaxis, np.newaxis, np.newaxis],
        bias=np.zeros_like(ones),
        scale=None if weights.scale is None else ones,
    )
    factor, shift = plain.folded()
    return factor[0, 0, 0], shift
