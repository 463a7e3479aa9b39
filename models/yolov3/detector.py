"""A Darknet network ready to look at photos, on the processor.

TensorFlow is imported inside the functions: it takes seconds.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from models.yolov3.boxes import Detections, Resize, find_boxes, prepare
from models.yolov3.cfg import load_cfg
from models.yolov3.features import feature_layer
from models.yolov3.fused import can_fuse, fused_convolution
from models.yolov3.layers import Convolutional, Network
from models.yolov3.network import convolution, forward
from models.yolov3.weights import Weights, read_weights

if TYPE_CHECKING:
    import tensorflow as tf

Precision = Literal["f32", "bf16"]
# Photos in a padded batch. Four of them gain YOLOv3 nothing more, take memory, and do
# not stay in the cache with Yolo-Fastest: a photo takes 1.3 times as long in f32.
SCORING_BATCH: Final = 2
# Convolutions whose weights a session takes in one call.
_LOADED_AT_ONCE: Final = 8


class Detector:
    """A network and its weights, in a session of its own. Threads may share it.

    Args:
        network: From `parse_cfg`.
        weights: Of that network; batch normalization is folded into them.
        precision: Of the convolutions and all between them: "bf16" is faster
            where the processor has it, and correct but slow where it has not.
    """

    def __init__(
        self,
        network: Network,
        weights: Weights,
        precision: Precision = "f32",
    ) -> None:
        self.network = network
        self._run = _session(network, weights, precision, fuse=True)
        if precision == "bf16":
            import tensorflow as tf

            try:
                self.run(np.zeros((1, network.height, network.width, 3), np.float32))
            except tf.errors.AbortedError:
                # For processors without AVX-512 oneDNN has none of it.
                self._run = _session(network, weights, precision, fuse=False)

    def run(
        self, images: NDArray[np.float32]
    ) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
        """Run the network on photos, each as if it were alone.

        Args:
            images: float32, (N, height, width, 3), RGB, 0 to 1, from `prepare`.

        Returns:
            The heads in order of the cfg, float32, (N, h, w, anchors * (5 +
            classes)), raw; and the layer of features, float32, (N, h, w, channels).
        """
        parts: list[list[NDArray[np.float32]]] = []
        for start in range(0, len(images), SCORING_BATCH):
            part = batch = images[start : start + SCORING_BATCH]
            if len(part) < SCORING_BATCH:
                batch = np.zeros((SCORING_BATCH, *images.shape[1:]), np.float32)
                batch[: len(part)] = part
            parts.append([output[: len(part)] for output in self._run(batch)])
        *heads, features = (np.concatenate(of) for of in zip(*parts, strict=True))
        return heads, features


def _session(
    network: Network, weights: Weights, precision: Precision, *, fuse: bool
) -> Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """What runs a batch: the heads, and last the layer of features.

    If it may `fuse`, it convolves and activates in one operation where there is one.
    """
    import tensorflow as tf

    dtype = tf.float32 if precision == "f32" else tf.bfloat16
    loads: list[tuple[tf.Operation, list[tf.Tensor]]] = []
    fused = [fuse and can_fuse(layer) for layer in network.convolutions]

    def convolve(n: int, layer: Convolutional, x: "tf.Tensor") -> "tf.Tensor":
        shapes = weights.convolutions[n].kernel.shape, (layer.filters,)
        given = [tf.compat.v1.placeholder(tf.float32, shape) for shape in shapes]
        # Variables: as constants, the graph, its optimized copies and oneDNN would
        # each hold them, 4.4 GB instead of 1.8 for YOLOv3.
        kernel, bias = (
            tf.Variable(tf.cast(value, dtype), trainable=False) for value in given
        )
        loads.append((tf.group(kernel.initializer, bias.initializer), given))
        if fused[n]:
            return fused_convolution(network.convolutions[n], x, kernel, bias)
        return tf.nn.bias_add(convolution(layer, x, kernel), bias)

    # Where the convolution activates, nothing does after it.
    is_fused = iter(fused)
    layers = tuple(
        replace(layer, activation="linear")
        if isinstance(layer, Convolutional) and next(is_fused)
        else layer
        for layer in network.layers
    )
    graph = tf.Graph()
    with graph.as_default():
        images = tf.compat.v1.placeholder(
            tf.float32, (SCORING_BATCH, network.height, network.width, 3)
        )
        outputs = forward(
            replace(network, layers=layers), tf.cast(images, dtype), convolve
        )
        fetched = (*network.heads, feature_layer(network))
        fetches = [tf.cast(outputs[n], tf.float32) for n in fetched]
    # A photo's result may depend on the number of threads: one, the caller's.
    options = tf.compat.v1.ConfigProto(
        device_count={"GPU": 0},
        intra_op_parallelism_threads=1,
        inter_op_parallelism_threads=-1,
    )
    session = tf.compat.v1.Session(graph=graph, config=options)
    # All at once would be in memory three times, and one by one takes seconds.
    for start in range(0, len(loads), _LOADED_AT_ONCE):
        values: dict[tf.Tensor, NDArray[np.float32]] = {}
        part = loads[start : start + _LOADED_AT_ONCE]
        for n, (_, given) in enumerate(part, start):
            folded = weights.convolutions[n].folded()
            values.update(zip(given, folded, strict=True))
        session.run([load for load, _ in part], values)
    return session.make_callable(fetches, [images])  # type: ignore[no-any-return]


def load_detector(
    cfg: Path,
    weights: Path,
    precision: Precision = "f32",
) -> Detector:
    """Load a network from Darknet's files.

    Args:
        cfg: The network.
        weights: Its weights.
        precision: As `Detector` has it.

    Raises:
        CfgError: The cfg can not be read or is not supported.
        WeightsError: The weights are not those of this cfg.
        OSError: A file can not be read.
    """
    network = load_cfg(cfg)
    return Detector(network, read_weights(weights, network), precision)


def detect(
    detector: Detector,
    rgbs: Sequence[NDArray[np.uint8]],
    *,
    resize: Resize,
    threshold: float,
) -> Iterator[tuple[Detections, NDArray[np.float32]]]:
    """See what is in photos, in each as if it were alone.

    Args:
        detector: From `load_detector`.
        rgbs: uint8, (H, W, 3), RGB, upright, each of its own size.
        resize: How a photo is fitted to the input; see `prepare`.
        threshold: Confidence from which on something is seen, exclusive.

    Yields:
        Of each photo, what is seen and what the layer of features puts out,
        float32, (h, w, channels).
    """
    network = detector.network
    for start in range(0, len(rgbs), SCORING_BATCH):
        part = rgbs[start : start + SCORING_BATCH]
        images = np.stack([prepare(rgb, network, resize) for rgb in part])
        heads, features = detector.run(images)
        for row, rgb in enumerate(part):
            of_photo = [head[row] for head in heads]
            shape = rgb.shape[0], rgb.shape[1]
            seen = find_boxes(of_photo, network, shape, resize, threshold)
            yield seen, features[row]
