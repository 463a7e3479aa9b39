"""Broken cfgs and weights: a clear error or a network, never anything else."""

import math
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.yolov3.cfg import CfgError, load_cfg, parse_cfg
from models.yolov3.layers import Network
from models.yolov3.weights import WeightsError, read_weights

CFGS = ["yolo-fastest-1.1", "yolo-fastest-1.1-xl", "yolov3", "yolov3-tiny"]
# For each of the cfgs; together with those of the weights, 2,000.
CFG_MUTATIONS = 375
WEIGHTS_MUTATIONS = 500

NUMBERS = ["0", "-1", "1", "2", "3", "7", "65", "99999", "2147483648", "1e9", ".5", ""]

Lines = list[bytes]


def flip_bytes(rng: random.Random, lines: Lines) -> Lines:
    data = bytearray(b"\n".join(lines))
    for _ in range(rng.choice([1, 1, 4, 30])):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data).split(b"\n")


def flip_digits(rng: random.Random, lines: Lines) -> Lines:
    data = bytearray(b"\n".join(lines))
    digits = [n for n, byte in enumerate(data) if chr(byte).isdigit()]
    for n in rng.sample(digits, rng.choice([1, 1, 2, 5])):
        data[n] = rng.choice(b"0123456789-.,")
    return bytes(data).split(b"\n")


def change_number(rng: random.Random, lines: Lines) -> Lines:
    n = rng.choice([n for n, line in enumerate(lines) if b"=" in line])
    key, _, _ = lines[n].partition(b"=")
    return [*lines[:n], key + b"=" + rng.choice(NUMBERS).encode(), *lines[n + 1 :]]


def delete_lines(rng: random.Random, lines: Lines) -> Lines:
    n = rng.randrange(len(lines))
    return lines[:n] + lines[n + rng.choice([1, 1, 2, 8]) :]


def duplicate_lines(rng: random.Random, lines: Lines) -> Lines:
    n, m = rng.randrange(len(lines)), rng.randrange(len(lines))
    return lines[:m] + lines[n : n + rng.choice([1, 1, 2, 8])] + lines[m:]


def swap_lines(rng: random.Random, lines: Lines) -> Lines:
    n, m = rng.sample(range(len(lines)), 2)
    swapped = list(lines)
    swapped[n], swapped[m] = lines[m], lines[n]
    return swapped


def truncate(rng: random.Random, lines: Lines) -> Lines:
    data = b"\n".join(lines)
    return data[: rng.randrange(len(data))].split(b"\n")


MUTATIONS = [
    flip_bytes,
    flip_digits,
    change_number,
    delete_lines,
    duplicate_lines,
    swap_lines,
    truncate,
]


def mutate(rng: random.Random, cfg: bytes) -> bytes:
    """Break a cfg in one to three ways."""
    lines = cfg.split(b"\n")
    for _ in range(rng.choice([1, 1, 2, 3])):
        lines = rng.choice(MUTATIONS)(rng, lines) or [b""]
    return b"\n".join(lines)


def assert_sound(network: Network) -> None:
    """A network that can be built, in bounds that a machine has."""
    assert len(network.layers) == len(network.shapes) <= 1024
    assert network.heads
    assert all(min(shape) >= 1 for shape in network.shapes)
    assert all(math.prod(shape) <= 1 << 27 for shape in network.shapes)
    weights = 0
    for layer in network.convolutions:
        assert layer.in_channels % layer.groups == layer.filters % layer.groups == 0
        assert layer.size >= 1
        assert layer.stride >= 1
        weights += layer.filters * layer.in_channels // layer.groups * layer.size**2
    assert weights <= 1 << 30
    for index in network.heads:
        head = network.layers[index]
        assert network.shapes[index][2] == len(head.anchors) * (5 + head.classes)


@pytest.mark.parametrize("name", CFGS)
def test_broken_cfgs(shared_models: Path, tmp_path: Path, name: str) -> None:
    cfg = (shared_models / f"{name}.cfg").read_bytes()
    rng = random.Random(name)
    started_s = time.process_time()
    survivors = 0
    reasons = []
    for _ in range(CFG_MUTATIONS):
        (tmp_path / "broken.cfg").write_bytes(mutate(rng, cfg))
        try:
            network = load_cfg(tmp_path / "broken.cfg")
        except CfgError as err:
            reasons.append(str(err))
        else:
            assert_sound(network)
            survivors += 1
    assert all(reason.startswith("line ") and len(reason) < 250 for reason in reasons)
    assert len({reason.partition(": ")[2] for reason in reasons}) > 30
    # Both outcomes are met: what is mutated is neither always nor never refused.
    assert CFG_MUTATIONS / 20 < survivors < CFG_MUTATIONS * 19 / 20
    assert time.process_time() - started_s < 30


SMALL = """[net]
width=32
height=32
channels=3
[convolutional]
batch_normalize=1
filters=4
size=3
[convolutional]
filters=6
[yolo]
mask=0
anchors=1,1
num=1
classes=1
"""


def break_header(rng: random.Random, data: bytes) -> bytes:
    numbers = bytearray(data)
    at = rng.randrange(0, 20)
    numbers[at] = rng.randrange(256)
    return bytes(numbers)


def break_floats(rng: random.Random, data: bytes) -> bytes:
    numbers = bytearray(data)
    for _ in range(rng.choice([1, 10, 100])):
        numbers[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(numbers)


def shorten(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def lengthen(rng: random.Random, data: bytes) -> bytes:
    return data + rng.randbytes(rng.choice([1, 3, 4, 8, 5000]))


def test_broken_weights(tmp_path: Path) -> None:
    network = parse_cfg(SMALL)
    floats = 4 * 4 + 4 * 27 + 6 + 6 * 4
    whole = b"\0\0\0\0\2\0\0\0\5\0\0\0" + bytes(8) + np.ones(floats, "<f4").tobytes()
    path = tmp_path / "broken.weights"
    path.write_bytes(whole)
    read_weights(path, network)
    rng = random.Random(0)
    ways: list[Callable[[random.Random, bytes], bytes]] = [
        break_header,
        break_floats,
        shorten,
        lengthen,
    ]
    survivors = 0
    for _ in range(WEIGHTS_MUTATIONS):
        data = whole
        for way in rng.sample(ways, rng.choice([1, 1, 2])):
            data = way(rng, data or b"\0")
        path.write_bytes(data)
        try:
            weights = read_weights(path, network)
        except WeightsError:
            continue
        survivors += 1
        first, second = weights.convolutions
        assert first.kernel.shape == (3, 3, 3, 4)
        assert second.kernel.shape == (1, 1, 4, 6)
        assert weights.seen >= 0
        assert first.variance is not None
        assert first.variance.min() >= 0
        for array in (first.kernel, second.kernel, first.bias, first.variance):
            assert np.isfinite(array).all()
    assert 25 < survivors < 475
