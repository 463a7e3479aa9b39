"""A photo's result depends on the photo alone, and no network crashes."""

import hashlib
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.yolov3 import detector as detector_module
from models.yolov3 import fused
from models.yolov3.boxes import prepare
from models.yolov3.cfg import CfgError, parse_cfg
from models.yolov3.detector import (
    SCORING_BATCH,
    Detector,
    Precision,
    detect,
    load_detector,
)
from models.yolov3.features import feature_layer
from models.yolov3.weights import WeightsError

RandomWeights = Callable[[str], tuple[Path, Path]]
Rgb = NDArray[np.uint8]

# Every kind of layer, each once or twice.
EVERYTHING = """\
[net]
width=32
height=32
channels=3
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=mish
[convolutional]
batch_normalize=1
groups=8
filters=8
size=3
stride=1
pad=1
activation=leaky
[convolutional]
groups=2
filters=8
size=1
stride=1
pad=1
activation=swish
[shortcut]
from=-2
activation=linear
[dropout]
probability=.2
[maxpool]
size=3
stride=2
[route]
layers=-1
groups=2
group_id=1
[upsample]
stride=2
[route]
layers=-1,2
[convolutional]
filters=14
size=1
stride=1
pad=0
activation=linear
[yolo]
mask=1,2
anchors=4,4, 8,8, 16,16
classes=2
num=3
scale_x_y=1.1
[route]
layers=-3
[maxpool]
size=2
stride=1
[convolutional]
batch_normalize=1
filters=4
size=3
stride=2
padding=1
activation=relu
[convolutional]
filters=7
size=1
stride=1
pad=0
activation=logistic
[yolo]
mask=0
anchors=4,4, 8,8, 16,16
classes=2
num=3
new_coords=1
"""


@pytest.fixture(
    scope="module",
    params=[
        ("yolo-fastest-1.1-xl", "f32"),
        ("yolo-fastest-1.1-xl", "bf16"),
        ("yolov3-tiny", "f32"),
        ("yolov3-tiny", "bf16"),
    ],
    ids=" ".join,
)
def files(
    request: pytest.FixtureRequest, shared_models: Path, random_weights: RandomWeights
) -> tuple[Path, Path, Precision]:
    model, precision = request.param
    cfg, weights = shared_models / f"{model}.cfg", shared_models / f"{model}.weights"
    if not weights.exists():
        cfg, weights = random_weights(cfg.read_text())
    return cfg, weights, precision


@pytest.fixture(scope="module")
def detector(files: tuple[Path, Path, Precision]) -> Detector:
    return load_detector(*files)


@pytest.fixture(scope="module")
def images(detector: Detector, rgbs: Sequence[Rgb]) -> NDArray[np.float32]:
    return np.stack([prepare(rgb, detector.network, "letterbox") for rgb in rgbs])


@pytest.fixture(scope="module")
def alone(detector: Detector, images: NDArray[np.float32]) -> list[str]:
    return [digests(detector, image[np.newaxis])[0] for image in images]


def digests(detector: Detector, images: NDArray[np.float32]) -> list[str]:
    """Of all that is put out of each photo, to the last bit."""
    heads, features = detector.run(images)
    return [
        hashlib.sha256(b"".join(of[n].tobytes() for of in (*heads, features)))
        .hexdigest()[:16]
        for n in range(len(images))
    ]  # fmt: skip


def test_outputs_are_as_the_cfg_says(detector: Detector, images) -> None:
    network = detector.network
    heads, features = detector.run(images[:3])
    layers = [*network.heads, feature_layer(network)]
    for n, output in zip(layers, (*heads, features), strict=True):
        assert output.shape == (3, *network.shapes[n])
        assert output.dtype == np.float32
        assert np.isfinite(output).all()


@pytest.mark.parametrize("number", range(1, 2 * SCORING_BATCH + 2))
def test_neighbours_change_nothing(detector, images, alone, number: int) -> None:
    assert len(set(alone)) == len(images)
    for start in range(0, len(images), number):
        part = np.s_[start : start + number]
        assert digests(detector, images[part]) == alone[part]


def test_order_changes_nothing(detector, images, alone) -> None:
    order = np.random.default_rng(0).permutation(len(images))
    assert digests(detector, images[order]) == [alone[n] for n in order]


def test_threads_share_a_network(detector, images, alone) -> None:
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: digests(detector, images), range(8)):
            assert found == alone


def test_another_process_says_the_same(
    shared_models: Path, rgbs: Sequence[Rgb], tmp_path: Path
) -> None:
    cfg = shared_models / "yolo-fastest-1.1-xl.cfg"
    weights = cfg.with_suffix(".weights")
    detectors = [load_detector(cfg, weights, each) for each in ("f32", "bf16")]
    network = detectors[0].network
    images = np.stack([prepare(rgb, network, "stretch") for rgb in rgbs])
    np.save(tmp_path / "images.npy", images)
    # Even one that lets TensorFlow have threads.
    program = """
import sys
from pathlib import Path
import numpy as np
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(3)
tf.constant(1) + 1
sys.path.insert(0, sys.argv[1])
from test_detector import digests, load_detector
cfg, weights, images = map(Path, sys.argv[2:])
for precision in ("f32", "bf16"):
    print(*digests(load_detector(cfg, weights, precision), np.load(images)))
"""
    here = Path(__file__).parent
    run = subprocess.run(
        [sys.executable, "-c", program, here, cfg, weights, tmp_path / "images.npy"],
        env=os.environ | {"PYTHONPATH": str(here.parents[2])},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines() == [
        " ".join(digests(detector, images)) for detector in detectors
    ]


def test_detections_do_not_depend_on_the_company(detector, rgbs) -> None:
    def seen(some: Sequence[Rgb]) -> list[list[NDArray]]:
        found = detect(detector, some, resize="letterbox", threshold=0.2)
        return [[each.boxes, each.confidences, each.classes] for each, _ in found]

    together = seen(rgbs)
    assert sum(len(boxes) for boxes, *_ in together) >= 5
    for rgb, expected in zip(rgbs, together, strict=True):
        for array, other in zip(seen([rgb])[0], expected, strict=True):
            assert np.array_equal(array, other)
    assert seen([]) == []


def test_bf16_is_another_precision_of_the_same(
    shared_models: Path, rgbs: Sequence[Rgb]
) -> None:
    model = shared_models / "yolo-fastest-1.1-xl.cfg"
    outputs = []
    for precision in ("f32", "bf16"):
        detector = load_detector(model, model.with_suffix(".weights"), precision)
        image = prepare(rgbs[0], detector.network, "letterbox")
        outputs.append(detector.run(image[np.newaxis])[0])
    for exact, rounded in zip(*outputs, strict=True):
        difference = np.abs(exact - rounded).mean() / exact.std()
        # A bfloat16 has 8 bits; measured 0.02 to 0.05.
        assert 1e-3 < difference < 0.1


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_fused_convolutions_say_the_same(
    random_weights: RandomWeights,
    rgbs: Sequence[Rgb],
    monkeypatch: pytest.MonkeyPatch,
    precision: Precision,
) -> None:
    files = random_weights(EVERYTHING)
    network = parse_cfg(EVERYTHING)
    images = np.stack([prepare(rgb, network, "stretch") for rgb in rgbs])
    assert any(map(fused.can_fuse, network.convolutions))
    outputs = [load_detector(*files, precision).run(images)[0]]
    monkeypatch.setattr(detector_module, "can_fuse", lambda _: False)
    outputs.append(load_detector(*files, precision).run(images)[0])
    for one, other in zip(*outputs, strict=True):
        tolerance = 1e-5 if precision == "f32" else 0.05
        assert np.abs(one - other).max() < tolerance * np.ptp(other)


def test_weights_of_another_network_are_refused(shared_models: Path) -> None:
    with pytest.raises(WeightsError, match="too short"):
        load_detector(
            shared_models / "yolo-fastest-1.1-xl.cfg",
            shared_models / "yolo-fastest-1.1.weights",
        )


def mutated(cfg: str, rng: random.Random) -> str:
    """A cfg with another number, a line more or less, or a section moved."""
    lines = cfg.splitlines()
    for _ in range(rng.randint(1, 3)):
        n = rng.randrange(4, len(lines))
        match rng.randrange(4):
            case 0:
                del lines[n]
            case 1:
                lines.insert(n, rng.choice(lines[4:]))
            case 2:
                sections = re.split(r"(?m)^(?=\[)", "\n".join(lines))[1:]
                moved = sections.pop(rng.randrange(1, len(sections)))
                sections.insert(rng.randrange(1, len(sections) + 1), moved.strip())
                lines = "\n".join(s.strip() for s in sections).splitlines()
            case _:
                number = rng.choice(["0", "1", "2", "3", "5", "8", "-1", "-2", "-4"])
                lines[n] = re.sub(r"-?\d+", number, lines[n], count=1)
    return "\n".join(lines)


def test_mutated_networks_run_or_are_refused(
    random_weights: RandomWeights, rgbs: Sequence[Rgb]
) -> None:
    rng = random.Random(0)
    ran, refused, layers = 0, 0, set()
    while ran < 50:
        cfg = EVERYTHING if not ran else mutated(EVERYTHING, rng)
        try:
            network = parse_cfg(cfg)
        except CfgError:
            refused += 1
            continue
        # Cheap ones are enough.
        if max(h * w * c for h, w, c in network.shapes) > 1 << 20:
            continue
        detector = load_detector(*random_weights(cfg))
        heads, _ = detector.run(prepare(rgbs[0], network, "stretch")[np.newaxis])
        assert [head[0].shape for head in heads] == [
            network.shapes[n] for n in network.heads
        ]
        list(detect(detector, rgbs[:1], resize="letterbox", threshold=0.2))
        layers.update(type(layer).__name__ for layer in network.layers)
        ran += 1
    print(f"{ran} ran, {refused} were refused")
    assert refused
    assert len(layers) == 7
