"""The network that tells photos taken too dark, and the weights that ship with it.

Keras is imported inside the functions: it takes seconds, and `piccl --help`
reads this module for its threshold.
"""

import hashlib
import json
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.areas import area_sums

if TYPE_CHECKING:
    import keras

# Of `prepare` and of what is called dark whatever the network says.
VERSION: Final = 2
INPUT_PX: Final = 64
# Photos in a padded batch: enough to keep a core busy, few enough to waste little.
SCORING_BATCH: Final = 16
WEIGHTS: Final = Path(__file__).with_name("dark.keras")
# Dark from here on. Out of fold it is the lowest, in steps of 0.01, that calls at
# most 3 % of the photos dark on purpose and no bright one: MODEL_CARD.md.
DEFAULT_THRESHOLD: Final = 0.91

# Below it nothing can be told from the noise of a sensor, and no photo of the
# training data has so little at its brightest.
_NO_LIGHT: Final = 3 / 255

# What makes a layer what it is, in Keras's own description of it.
_FORM: Final = (
    *("batch_shape", "filters", "kernel_size", "strides", "padding", "dilation_rate"),
    *("groups", "pool_size", "units", "activation", "use_bias", "data_format"),
)
_HDF5: Final = b"\x89HDF\r\n\x1a\n"
# What reading a broken archive raises; the list is from mutated files.
_NO_MODEL: Final = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
)

# The paper names no rates. These are usual for small data: a quarter of the
# feature maps, half of the wide layer.
_CONVOLUTION_DROPOUT: Final = 0.25
_DENSE_DROPOUT: Final = 0.5


def build() -> "keras.Model":
    """Build the untrained network, layer by layer the paper's Table 2.

    Returns:
        A model from float32 (N, 64, 64, 3), RGB, 0 to 1, to float32 (N, 1): the
        probability that the photo is too dark to be of use.

    Source: PICCL, Table 2 (328,225 parameters) and Table 3 (activations).
    """
    from keras import Input, Sequential, layers

    def convolution(filters: int) -> layers.Layer:
        return layers.Conv2D(filters, 3, padding="same", activation="relu")

    return Sequential(
        [
            Input((INPUT_PX, INPUT_PX, 3)),
            convolution(32),
            layers.MaxPooling2D(),
            convolution(32),
            layers.MaxPooling2D(),
            convolution(64),
            layers.MaxPooling2D(),
            layers.Dropout(_CONVOLUTION_DROPOUT),
            convolution(64),
            layers.MaxPooling2D(),
            layers.Dropout(_CONVOLUTION_DROPOUT),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dropout(_DENSE_DROPOUT),
            layers.Dense(1, activation="sigmoid"),
        ],
        name="dark_photo",
    )


def prepare(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Shrink a working image to what the network reads.

    The photo is squeezed to a square, not cropped: what was meant may lie at
    the edge, and darkness has no shape to keep.

    Args:
        rgb: uint8, (H, W, 3), RGB, the working image of `images.decode`.

    Returns:
        float32, (64, 64, 3), RGB, 0 to 1.

    Raises:
        ValueError: `rgb` is not a uint8 (H, W, 3) image.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"expected uint8 (H, W, 3), got {rgb.dtype} {rgb.shape}")
    height, width = rgb.shape[:2]
    if min(height, width) < INPUT_PX:
        small = cv2.resize(rgb, (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_AREA)
        return small.astype(np.float32) / np.float32(255)
    # As cv2.INTER_AREA, in a third of the time, and exact.
    sums = area_sums(np.ascontiguousarray(rgb), INPUT_PX, INPUT_PX)
    levels = np.rint(sums / (height * width))
    return np.asarray(levels / 255, np.float32)


def check_file(path: Path) -> None:
    """Refuse what `load` would refuse, without Keras, which takes seconds.

    Raises:
        ValueError: It is no whole file of Keras, or of another network than `build`.
        OSError: It can not be read.
    """
    if _layers(path) != _layers(WEIGHTS):
        raise ValueError("its layers are not those of the network for darkness")


def load(path: Path = WEIGHTS) -> "keras.Model":
    """Load a trained network: the shipped one, or another.

    Raises:
        ValueError: As `check_file`.
        OSError: It can not be read.
    """
    check_file(path)
    import keras

    return keras.saving.load_model(path, compile=False)


def _layers(path: Path) -> list[tuple[str, list[Any]]]:
    """Class and form of each layer in a file, but for those of training alone."""
    try:
        with zipfile.ZipFile(path) as parts:
            # Both are compared with their checksums.
            config = json.loads(parts.read("config.json"))
            if not parts.read("model.weights.h5").startswith(_HDF5):
                raise ValueError("no weights in it")
        return [
            (layer["class_name"], [layer["config"].get(key) for key in _FORM])
            for layer in config["config"]["layers"]
            if layer["class_name"] != "Dropout"
        ]
    except _NO_MODEL as err:
        raise ValueError("no model in it") from err


class Scorer:
    """A trained network, frozen, in a session of its own. Threads may share it.

    Args:
        model: From `load`, or trained after `build`.
    """

    def __init__(self, model: "keras.Model") -> None:
        import tensorflow as tf

        weights = model.get_weights()
        *convolutions, wide, narrow = zip(weights[::2], weights[1::2], strict=True)
        graph = tf.Graph()
        with graph.as_default():
            photos = tf.compat.v1.placeholder(
                tf.float32, (SCORING_BATCH, INPUT_PX, INPUT_PX, 3)
            )
            x = photos
            for kernel, bias in convolutions:
                x = tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias)
                x = tf.nn.max_pool2d(tf.nn.relu(x), 2, 2, "VALID")
            x = tf.reshape(x, (SCORING_BATCH, -1))
            x = tf.nn.relu(tf.nn.bias_add(x @ wide[0], wide[1]))
            x = tf.nn.sigmoid(tf.nn.bias_add(x @ narrow[0], narrow[1]))
        # More threads would add up in another order, and differ in the last bit: one,
        # the caller's.
        options = tf.compat.v1.ConfigProto(
            device_count={"GPU": 0},
            intra_op_parallelism_threads=1,
            inter_op_parallelism_threads=-1,
        )
        session = tf.compat.v1.Session(graph=graph, config=options)
        self._run = session.make_callable(x, [photos])

    def score(self, photos: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score photos, each as if it were alone.

        TensorFlow's last bits depend on the shape of a batch and on nothing else in
        it, so every batch is padded to one shape.

        Args:
            photos: float32, (N, 64, 64, 3), RGB, 0 to 1, from `prepare`; any N.

        Returns:
            float64, (N,), probability that the photo is too dark; it is, from
            `DEFAULT_THRESHOLD` on.
        """
        scores = np.zeros(len(photos))
        for start in range(0, len(photos), SCORING_BATCH):
            part = photos[start : start + SCORING_BATCH]
            batch = np.zeros((SCORING_BATCH, INPUT_PX, INPUT_PX, 3), np.float32)
            batch[: len(part)] = part
            scores[start : start + len(part)] = self._run(batch)[: len(part), 0]
        # No training photo is as black as a covered lens, and the network is less
        # sure of it than of a little light.
        without_light = photos.max(axis=(1, 2, 3), initial=0) <= _NO_LIGHT
        scores[without_light] = 1.0
        return scores


def weights_digest(path: Path = WEIGHTS) -> str:
    """Name the weights in a file: the first 12 hex digits of its SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
