"""Real photos, and weights for any cfg that behave like trained ones."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.yolov3.boxes import prepare
from models.yolov3.cfg import parse_cfg
from models.yolov3.layers import Convolutional
from models.yolov3.network import convolution, forward
from models.yolov3.weights import ConvolutionWeights, Weights, write_weights


@pytest.fixture(scope="session")
def rgbs(shared_photos: Path) -> list[NDArray[np.uint8]]:
    """Eight real photos, uint8, (H, W, 3), RGB, of several shapes."""
    files = sorted((shared_photos / "detect").glob("*.jpg"))
    some = files[:: len(files) // 8][:8]
    return [cv2.cvtColor(cv2.imread(str(f)), cv2.COLOR_BGR2RGB) for f in some]


@pytest.fixture(scope="session")
def random_weights(
    rgbs: list[NDArray[np.uint8]], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Path, Path]]:
    """Of a cfg: files of it and of random weights for it.

    Nothing vanishes and nothing explodes under them: the statistics of the batch
    normalization are those of a photo, about as training leaves them.
    """

    def write(cfg: str) -> tuple[Path, Path]:
        network = parse_cfg(cfg)
        rng = np.random.default_rng(0)
        made: list[ConvolutionWeights] = []

        def convolve(n: int, layer: Convolutional, x):
            per_group = layer.in_channels // layer.groups
            shape = (layer.size, layer.size, per_group, layer.filters)
            kernel = rng.standard_normal(shape, np.float32)
            kernel /= np.sqrt(np.float32(layer.size**2 * per_group))
            bias = rng.normal(0, 0.2, layer.filters).astype(np.float32)
            y = convolution(layer, x, kernel).numpy()
            if not layer.batch_normalize:
                made.append(ConvolutionWeights(kernel, bias))
                return y + bias
            scale = rng.uniform(0.5, 1.5, layer.filters).astype(np.float32)
            # A single pixel has no variance.
            mean, variance = y.mean((0, 1, 2)), y.var((0, 1, 2)) + np.float32(0.05)
            made.append(ConvolutionWeights(kernel, bias, scale, mean, variance))
            return (y - mean) / np.sqrt(variance) * scale + bias

        forward(network, prepare(rgbs[0], network, "stretch")[np.newaxis], convolve)
        folder = tmp_path_factory.mktemp("network")
        (folder / "random.cfg").write_text(cfg)
        write_weights(folder / "random.weights", network, Weights(made))
        return folder / "random.cfg", folder / "random.weights"

    return write
