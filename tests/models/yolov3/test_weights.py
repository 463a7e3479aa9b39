"""Darknet's weights: read and written to the byte, folded as OpenCV folds them."""

import struct
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.yolov3.cfg import load_cfg, parse_cfg
from models.yolov3.layers import Network
from models.yolov3.weights import (
    ConvolutionWeights,
    Weights,
    WeightsError,
    read_weights,
    write_weights,
)

# Two groups; 4 vectors of 6, a kernel of 6 x 1 x 3 x 3 (the 4 channels of the first
# in 2 groups have 2 each), then a plain layer.
CFG = """[net]
width=8
height=8
channels=3
[convolutional]
filters=4
size=3
[convolutional]
batch_normalize=1
filters=6
size=3
groups=2
activation=linear
[yolo]
mask=0
anchors=1,1
num=1
classes=1
"""
FLOATS = 4 + 4 * 3 * 9 + 4 * 6 + 6 * 2 * 9
NETWORK = parse_cfg(CFG)


def body(count: int = FLOATS) -> bytes:
    return np.arange(1, count + 1, dtype="<f4").tobytes()


def header(seen: int = 7, version: tuple[int, int, int] = (0, 2, 5)) -> bytes:
    return struct.pack("<3iQ", *version, seen)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], Weights]:
    def read_bytes(data: bytes) -> Weights:
        (tmp_path / "a.weights").write_bytes(data)
        return read_weights(tmp_path / "a.weights", NETWORK)

    return read_bytes


@pytest.mark.parametrize("name", ["yolo-fastest-1.1", "yolo-fastest-1.1-xl"])
def test_real_weights_are_written_as_they_were_read(
    shared_models: Path, tmp_path: Path, name: str
) -> None:
    network = load_cfg(shared_models / f"{name}.cfg")
    published = shared_models / f"{name}.weights"
    weights = read_weights(published, network)
    write_weights(tmp_path / "again.weights", network, weights)
    assert (tmp_path / "again.weights").read_bytes() == published.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again.weights"]


@pytest.mark.parametrize(
    ("name", "published_bytes"), [("yolov3", 248007048), ("yolov3-tiny", 35434956)]
)
def test_length_of_published_weights(
    shared_models: Path, tmp_path: Path, name: str, published_bytes: int
) -> None:
    network = load_cfg(shared_models / f"{name}.cfg")
    (tmp_path / "a.weights").write_bytes(header())
    with pytest.raises(WeightsError, match=f"20 bytes, not {published_bytes}$"):
        read_weights(tmp_path / "a.weights", network)


def test_order_of_the_floats(read: Callable[[bytes], Weights]) -> None:
    weights = read(header() + body())
    assert weights.seen == 7
    first, second = weights.convolutions
    assert first.bias.tolist() == [1, 2, 3, 4]
    assert first.scale is first.mean is first.variance is None
    assert first.kernel.shape == (3, 3, 3, 4)
    # Darknet has (filters, channels, rows, columns), columns next to each other.
    assert first.kernel[0, 1, 0, 0] == 4 + 1 + 1
    assert first.kernel[1, 0, 0, 0] == 4 + 1 + 3
    assert first.kernel[0, 0, 1, 0] == 4 + 1 + 9
    assert first.kernel[0, 0, 0, 1] == 4 + 1 + 27
    start = 4 + 108
    vectors = [second.bias, second.scale, second.mean, second.variance]
    assert [vector[0] - start for vector in vectors] == [1, 7, 13, 19]
    assert second.kernel.shape == (3, 3, 2, 6)
    assert second.kernel[0, 0, 0, 0] == start + 25
    assert second.kernel[2, 2, 1, 5] == FLOATS
    arrays = [*vectors, first.kernel, second.kernel]
    assert all(a.dtype == np.float32 and a.flags["C_CONTIGUOUS"] for a in arrays)


@pytest.mark.parametrize(
    ("version", "wide"),
    [
        ((0, 1, 0), False),
        ((0, 2, 0), True),
        ((0, 2, 5), True),
        ((1, 0, 0), True),
        ((1001, 2, 0), False),
        ((0, 1001, 0), False),
        ((-1, 0, 0), False),
    ],
)
def test_every_header(
    read: Callable[[bytes], Weights], version: tuple[int, int, int], wide: bool
) -> None:
    seen = 2**40 + 5 if wide else 2**32 - 1
    weights = read(struct.pack("<3iQ" if wide else "<3iI", *version, seen) + body())
    assert weights.seen == seen
    assert weights.convolutions[1].kernel[2, 2, 1, 5] == FLOATS


def with_float(index: int, value: float) -> bytes:
    floats = np.frombuffer(body(), "<f4").copy()
    floats[index] = value
    return header() + floats.tobytes()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "0 bytes hold no header"),
        (header()[:11], "11 bytes hold no header"),
        (header()[:19], "19 bytes hold no header"),
        (header(version=(0, 1, 0))[:15], "15 bytes hold no header"),
        (header() + body(FLOATS - 1), "4 bytes too short for this cfg: 992 .* not 996"),
        (header() + body()[:-1], "1 bytes too short"),
        (header() + body() + b"\0", "1 bytes too long for this cfg: 997 .* not 996"),
        (header() + body(2 * FLOATS), f"{4 * FLOATS} bytes too long"),
        (header(version=(0, 1, 0)) + body(), "4 bytes too long"),
        (with_float(0, np.nan), "line 5 of the cfg: a weight is not finite"),
        (with_float(-1, -np.inf), "line 8 of the cfg: a weight is not finite"),
        (with_float(4 + 108 + 23, -1e-9), "line 8 of the cfg: a variance is negative"),
    ],
    ids=[
        "empty",
        "version",
        "wide",
        "narrow",
        "float short",
        "byte short",
        "byte long",
        "twice",
        "other header",
        "nan",
        "infinite",
        "variance",
    ],
)
def test_refused_with_the_reason(
    read: Callable[[bytes], Weights], data: bytes, why: str
) -> None:
    with pytest.raises(WeightsError, match=why):
        read(data)


def test_folded_is_the_same_convolution() -> None:
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, 2, 6)).astype(np.float32)
    bias, scale, mean = rng.normal(size=(3, 6)).astype(np.float32)
    variance = rng.uniform(0.1, 2, 6).astype(np.float32)
    patch = rng.normal(size=(3, 3, 2)).astype(np.float32)
    folded, shift = ConvolutionWeights(kernel, bias, scale, mean, variance).folded()
    response = np.tensordot(patch, kernel, 3)
    expected = (response - mean) / np.sqrt(variance + 1e-6) * scale + bias
    assert np.tensordot(patch, folded, 3) + shift == pytest.approx(expected, abs=1e-5)
    assert folded.dtype == shift.dtype == np.float32
    plain = ConvolutionWeights(kernel, bias)
    assert plain.folded() == (kernel, bias)


def test_small_variances_are_folded_as_by_opencv(tmp_path: Path) -> None:
    """What is added to the variance is no matter of taste where there is little."""
    cfg = (
        "[net]\nwidth=4\nheight=4\nchannels=3\n"
        "[convolutional]\nbatch_normalize=1\nfilters=6\nsize=1\nactivation=linear\n"
    )
    network = parse_cfg(cfg + "[yolo]\nmask=0\nanchors=1,1\nnum=1\nclasses=1\n")
    rng = np.random.default_rng(0)
    weights = ConvolutionWeights(
        rng.normal(size=(1, 1, 3, 6)).astype(np.float32),
        *rng.normal(size=(3, 6)).astype(np.float32),
        np.array([0, 1e-8, 1e-6, 1e-5, 1e-3, 1], np.float32),
    )
    write_weights(tmp_path / "a.weights", network, Weights([weights]))
    net = cv2.dnn.readNetFromDarknet(
        np.frombuffer(cfg.encode(), np.uint8),
        np.fromfile(tmp_path / "a.weights", np.uint8),
    )
    rgb = rng.uniform(size=(1, 3, 4, 4)).astype(np.float32)
    net.setInput(rgb)
    theirs = net.forward()[0]
    kernel, bias = weights.folded()
    ours = np.einsum("chw,cf->fhw", rgb[0], kernel[0, 0]) + bias[:, None, None]
    errors = np.abs(ours - theirs).max((1, 2)) / np.abs(theirs).max((1, 2))
    assert errors.max() < 1e-5


def weights_of(network: Network) -> Weights:
    rng = np.random.default_rng(1)
    first = ConvolutionWeights(
        rng.normal(size=(3, 3, 3, 4)).astype(np.float32), np.zeros(4, np.float32)
    )
    second = ConvolutionWeights(
        rng.normal(size=(3, 3, 2, 6)).astype(np.float32), *np.ones((4, 6), np.float32)
    )
    return Weights([first, second], seen=2**33)


def test_written_weights_are_read(tmp_path: Path) -> None:
    given = weights_of(NETWORK)
    write_weights(tmp_path / "a.weights", NETWORK, given)
    found = read_weights(tmp_path / "a.weights", NETWORK)
    assert found.seen == 2**33
    for one, other in zip(given.convolutions, found.convolutions, strict=True):
        assert np.array_equal(one.kernel, other.kernel)
        assert np.array_equal(one.bias, other.bias)
    assert np.array_equal(found.convolutions[1].variance, np.ones(6))


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (lambda w: Weights(w.convolutions[:1]), "1 convolutions, not 2"),
        (lambda w: Weights(w.convolutions[::-1]), "line 5 of the cfg: other shapes"),
        (
            lambda w: Weights([w.convolutions[0]] * 2),
            "line 8 of the cfg: other shapes",
        ),
        (
            lambda w: Weights(
                [w.convolutions[0], replace(w.convolutions[1], mean=None)]
            ),
            "line 8 of the cfg: other shapes",
        ),
    ],
    ids=["count", "order", "kernel", "statistics"],
)
def test_other_weights_are_not_written(
    tmp_path: Path, broken: Callable[[Weights], Weights], why: str
) -> None:
    (tmp_path / "a.weights").write_bytes(b"old")
    with pytest.raises(WeightsError, match=why):
        write_weights(tmp_path / "a.weights", NETWORK, broken(weights_of(NETWORK)))
    assert (tmp_path / "a.weights").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.weights"]


def test_where_nothing_may_be_written(
    tmp_path: Path, ordinary_user: Callable[[], AbstractContextManager[None]]
) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    with ordinary_user(), pytest.raises(PermissionError):
        write_weights(folder / "a.weights", NETWORK, weights_of(NETWORK))


def test_a_missing_file_is_no_weights_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_weights(tmp_path / "a.weights", NETWORK)
    with pytest.raises(IsADirectoryError):
        read_weights(tmp_path, NETWORK)
