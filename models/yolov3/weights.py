"""Darknet's `.weights`: a short header, then every convolution's floats in order."""

import math
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from models.yolov3.layers import Convolutional, Network

# Added to the variance, under the root, as OpenCV does. Darknet's releases differ:
# 1e-6 beside the root, then 1e-5 under it.
_EPSILON: Final = 1e-6
# Darknet 0.2.5, the last that changed the header.
_VERSION: Final = (0, 2, 5)


class WeightsError(ValueError):
    """The file does not hold the weights of the network; the text says why."""


@dataclass(frozen=True)
class ConvolutionWeights:
    """Weights of one convolution.

    Attributes:
        kernel: float32, (size, size, in_channels / groups, filters), as
            TensorFlow has it; the filters of a group are consecutive.
        bias: float32, (filters,). With batch normalization, its shift (beta).
        scale, mean, variance: float32, (filters,), of the batch normalization;
            None without.
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    scale: NDArray[np.float32] | None = None
    mean: NDArray[np.float32] | None = None
    variance: NDArray[np.float32] | None = None

    def folded(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Kernel and bias of the plain convolution that computes the same."""
        if self.scale is None or self.mean is None or self.variance is None:
            return self.kernel, self.bias
        factor = self.scale / np.sqrt(self.variance.astype(np.float64) + _EPSILON)
        kernel = self.kernel * factor.astype(np.float32)
        return kernel, (self.bias - self.mean * factor).astype(np.float32)


@dataclass(frozen=True)
class Weights:
    """What a file holds.

    Attributes:
        convolutions: In the order of the cfg.
        seen: How many images the network was trained on.
    """

    convolutions: Sequence[ConvolutionWeights]
    seen: int = 0


def read_weights(path: Path, network: Network) -> Weights:
    """Read the weights of a network, with a header of any version.

    Raises:
        WeightsError: The file is too short or too long, by so many bytes, has no
            header, or holds a number that no training leaves there.
        OSError: It can not be read.

    Source: Darknet, src/parser.c (load_weights_upto, load_convolutional_weights).
    """
    with path.open("rb") as file:
        seen = _read_header(file)
        size = os.fstat(file.fileno()).st_size
        expected = file.tell() + 4 * sum(
            _vectors(layer) * layer.filters + math.prod(_kernel_shape(layer))
            for layer in network.convolutions
        )
        if size != expected:
            short_or_long = "short" if size < expected else "long"
            raise WeightsError(
                f"{abs(size - expected)} bytes too {short_or_long} for this cfg: "
                f"{size} bytes, not {expected}"
            )
        return Weights([_read(file, layer) for layer in network.convolutions], seen)


def write_weights(path: Path, network: Network, weights: Weights) -> None:
    """Write weights as Darknet 0.2.5 does: whole or not at all.

    Raises:
        WeightsError: They are not those of the network.
        OSError: They can not be written.
    """
    # In the same folder, so that it can take the other's place in one step.
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(struct.pack("<3iQ", *_VERSION, weights.seen))
            layers = network.convolutions
            if len(layers) != len(weights.convolutions):
                raise WeightsError(
                    f"{len(weights.convolutions)} convolutions, not {len(layers)}"
                )
            for layer, convolution in zip(layers, weights.convolutions, strict=True):
                _write(file, layer, convolution)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _read_header(file: BinaryIO) -> int:
    """Read how many images were seen; the floats begin behind it."""
    head = file.read(20)
    major, minor = struct.unpack_from("<2i", head.ljust(20, b"\0"))
    # A version of 1000 and more says that fully connected layers are transposed,
    # of which there are none.
    wide = major * 10 + minor >= 2 and major < 1000 and minor < 1000
    end = 20 if wide else 16
    if len(head) < end:
        raise WeightsError(f"{len(head)} bytes hold no header")
    file.seek(end)
    return int.from_bytes(head[12:end], "little")


def _vectors(layer: Convolutional) -> int:
    return 4 if layer.batch_normalize else 1


def _kernel_shape(layer: Convolutional) -> tuple[int, int, int, int]:
    """(filters, in_channels / groups, size, size), as in the file."""
    depth = layer.in_channels // layer.groups
    return layer.filters, depth, layer.size, layer.size


def _read(file: BinaryIO, layer: Convolutional) -> ConvolutionWeights:
    def floats(count: int) -> NDArray[np.float32]:
        values = np.fromfile(file, "<f4", count)
        if len(values) < count:
            raise WeightsError("the file was cut off while it was read")
        if not np.isfinite(values).all():
            raise WeightsError(f"line {layer.line} of the cfg: a weight is not finite")
        return values.astype(np.float32, copy=False)

    vectors = [floats(layer.filters) for _ in range(_vectors(layer))]
    if layer.batch_normalize and vectors[3].min() < 0:
        raise WeightsError(f"line {layer.line} of the cfg: a variance is negative")
    shape = _kernel_shape(layer)
    kernel = floats(math.prod(shape)).reshape(shape).transpose(2, 3, 1, 0)
    return ConvolutionWeights(np.ascontiguousarray(kernel), *vectors)


def _write(
    file: BinaryIO, layer: Convolutional, convolution: ConvolutionWeights
) -> None:
    given = [convolution.bias, convolution.scale, convolution.mean]
    vectors = [
        vector for vector in (*given, convolution.variance) if vector is not None
    ]
    kernel = convolution.kernel.transpose(3, 2, 0, 1)
    shapes = [vector.shape for vector in vectors] + [kernel.shape]
    if shapes != [(layer.filters,)] * _vectors(layer) + [_kernel_shape(layer)]:
        raise WeightsError(
            f"line {layer.line} of the cfg: other shapes than it asks for"
        )
    for array in (*vectors, kernel):
        file.write(array.astype("<f4").tobytes())
