"""Fine-tuning: that it learns, keeps what it must, goes on, and is read by others."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.images import decode
from models.tags import COCO_NAMES
from models.yolov3.boxes import find_boxes, prepare
from models.yolov3.cfg import parse_cfg
from models.yolov3.detector import Detector, detect
from models.yolov3.evaluate import map50
from models.yolov3.examples import Batch, Photo, find_photos, is_held_out, make_batches
from models.yolov3.labels import Labelled, read_labels
from models.yolov3.layers import Network
from models.yolov3.train import CheckpointError, Epoch, Settings, finetune
from models.yolov3.trainable import Trainable, trained_convolutions
from models.yolov3.weights import (
    ConvolutionWeights,
    Weights,
    read_weights,
    write_weights,
)

# Every kind of convolution that learns differently: plain, by channel, in groups,
# with batch normalization and without; what both heads read ends at the route.
SMALL = """
[net]
width=64
height=64
channels=3

[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky

[convolutional]
batch_normalize=1
filters=8
groups=8
size=3
stride=2
pad=1
activation=leaky

[convolutional]
batch_normalize=1
filters=16
groups=2
size=3
stride=2
pad=1
activation=leaky

[convolutional]
filters=16
size=1
activation=leaky

[convolutional]
filters=255
size=1
activation=linear

[yolo]
mask=1
anchors=10,10, 40,40
classes=80
num=2

[route]
layers=3

[convolutional]
filters=255
size=1
activation=linear

[yolo]
mask=0
anchors=10,10, 40,40
classes=80
num=2
"""
SMALL = SMALL.replace("filters=255", "filters=85")
FAST = Settings("all", epochs=3, batch=4, learning_rate=1e-3, seed=1)


@pytest.fixture(scope="module")
def network() -> Network:
    return parse_cfg(SMALL)


@pytest.fixture(scope="module")
def weights(network: Network) -> Weights:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.2, shape).astype(np.float32)

    drawn = []
    for layer in network.convolutions:
        inputs = layer.in_channels // layer.groups
        kernel = draw(layer.size, layer.size, inputs, layer.filters)
        start = ConvolutionWeights(kernel, draw(layer.filters))
        if layer.batch_normalize:
            scale, mean, variance = (draw(layer.filters) for _ in range(3))
            start = replace(start, scale=1 + scale, mean=mean, variance=variance**2 + 1)
        drawn.append(start)
    return Weights(drawn, seen=1000)


@pytest.fixture(scope="module")
def photos(shared_photos: Path) -> list[Photo]:
    """32 photos that are decoded once."""
    folder = shared_photos / "detect"
    labels = read_labels(folder / "boxes.json", COCO_NAMES)[:32]
    found, skipped = find_photos(folder, labels)
    assert not skipped
    read = {name: photo.read() for name, photo in found.items()}
    return [
        replace(photo, read=partial(read.__getitem__, name))
        for name, photo in found.items()
    ]


@pytest.fixture(scope="module")
def fastest(shared_models: Path) -> tuple[Path, Network, Weights]:
    cfg = shared_models / "yolo-fastest-1.1.cfg"
    network = parse_cfg(cfg.read_text())
    return cfg, network, read_weights(cfg.with_suffix(".weights"), network)


@pytest.fixture(scope="module")
def overfitted(
    fastest, photos: list[Photo], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Weights that know 32 photos by heart; a minute and a half."""
    _, network, weights = fastest
    settings = Settings(
        "all", epochs=34, batch=4, learning_rate=3e-3, seed=1, augment=False
    )
    result = finetune(network, weights, photos, photos, settings)
    assert result.history[0].map50 < 0.5
    assert result.weights.seen == weights.seen + result.best.number * 32
    path = tmp_path_factory.mktemp("overfitted") / "new.weights"
    write_weights(path, network, result.weights)
    return path


def test_overfits_32_photos(fastest, overfitted: Path, photos: list[Photo]) -> None:
    _, network, _ = fastest
    detector = Detector(network, read_weights(overfitted, network))
    rgbs = [photo.read() for photo in photos]
    seen = detect(detector, rgbs, resize="stretch", threshold=0.005)
    found = [detections for detections, _ in seen]
    assert map50([photo.truth for photo in photos], found) >= 0.9


def test_written_weights_are_opencvs_too(
    fastest, overfitted: Path, photos: list[Photo]
) -> None:
    cfg, network, _ = fastest
    detector = Detector(network, read_weights(overfitted, network))
    theirs = cv2.dnn.readNetFromDarknet(str(cfg), str(overfitted))
    theirs.enableWinograd(False)
    compared = 0
    for photo in photos[:8]:
        rgb = photo.read()
        ((ours, _),) = detect(detector, [rgb], resize="stretch", threshold=0.25)
        theirs.setInput(prepare(rgb, network, "stretch").transpose(2, 0, 1)[np.newaxis])
        outputs = theirs.forward(theirs.getUnconnectedOutLayersNames())
        rows = np.concatenate([output.reshape(-1, 85) for output in outputs])
        # They put out what our heads say after all activations, not yet suppressed.
        corners = np.concatenate(
            [rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], axis=1
        )
        for box, confidence, of_class in zip(
            ours.boxes, ours.confidences, ours.classes, strict=True
        ):
            off = np.abs(np.clip(corners, 0, 1) - box).max(axis=1)
            off += np.abs(rows[:, 5 + of_class] - confidence)
            assert off.min() < 1e-4
            compared += 1
    assert compared > 20


def test_learning_starts_from_what_the_detector_computes(
    fastest, photos: list[Photo]
) -> None:
    _, network, weights = fastest
    images = np.stack(
        [prepare(photo.read(), network, "stretch") for photo in photos[:4]]
    )
    heads, _ = Detector(network, weights).run(images)
    learning = Trainable(network, weights, "all").predict(images)
    for ours, theirs in zip(learning, heads, strict=True):
        assert np.abs(ours - theirs).max() < 1e-4 * np.ptp(theirs)


@pytest.mark.parametrize(
    ("model", "first", "count"),
    [("yolov3", 57, 18), ("yolov3-tiny", 8, 5), ("yolo-fastest-1.1", 74, 10)],
)
def test_heads_are_what_not_all_heads_read(
    model: str, first: int, count: int, shared_models: Path
) -> None:
    network = parse_cfg((shared_models / f"{model}.cfg").read_text())
    rows = trained_convolutions(network, "heads")
    assert (rows[0], len(rows)) == (first, count)
    assert trained_convolutions(network, "all") == [*range(len(network.convolutions))]


def test_only_head_learns_its_last_convolution() -> None:
    single = SMALL[: SMALL.index("[route]")]
    assert trained_convolutions(parse_cfg(single), "heads") == [4]


@pytest.mark.parametrize("layers", ["heads", "all"])
def test_what_is_frozen_stays_bit_for_bit(
    layers, network: Network, weights: Weights, photos: list[Photo]
) -> None:
    trainable = Trainable(network, weights, layers)
    first, *_ = trained_convolutions(network, layers)
    assert first == (4 if layers == "heads" else 0)
    for batch in make_batches(
        photos[:4], network, resize="stretch", size=4, seed=1, epoch=1, augment=True
    ):
        assert np.isfinite(trainable.step(batch, 1e-2))
    after = trainable.weights().convolutions
    for row, (new, old) in enumerate(zip(after, weights.convolutions, strict=True)):
        learned = [(new.kernel, old.kernel), (new.bias, old.bias)]
        if old.scale is not None:
            learned.append((new.scale, old.scale))
            # Statistics are never learned.
            assert np.array_equal(new.mean, old.mean)
            assert np.array_equal(new.variance, old.variance)
        for ours, theirs in learned:
            assert np.array_equal(ours, theirs) == (row < first)


def test_loss_falls(network: Network, weights: Weights, photos: list[Photo]) -> None:
    epochs: list[Epoch] = []
    settings = replace(FAST, epochs=6, learning_rate=3e-2, augment=False)
    result = finetune(
        network, weights, photos[:8], photos[:8], settings, on_epoch=epochs.append
    )
    assert list(result.history) == epochs
    assert [epoch.number for epoch in epochs] == [*range(7)]
    assert epochs[6].loss < 0.6 * epochs[1].loss


def test_rate_rises_then_falls_over_the_whole_training(
    network: Network,
    weights: Weights,
    photos: list[Photo],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates: list[float] = []
    step = Trainable.step

    def watched(self: Trainable, batch: Batch, learning_rate: float) -> float:
        rates.append(learning_rate)
        return step(self, batch, learning_rate)

    monkeypatch.setattr(Trainable, "step", watched)
    settings = replace(FAST, epochs=5, batch=1, learning_rate=1e-6)
    finetune(network, weights, photos[:4], photos[4:6], settings)
    assert len(rates) == 20
    # The first tenth is the rise.
    assert rates[0] == pytest.approx(0.5e-6, rel=0.01)
    assert np.argmax(rates) == 1
    assert (np.diff(rates[1:]) < 0).all()
    assert rates[-1] == pytest.approx(1e-8)


def test_each_epoch_sees_other_variants(
    network: Network, weights: Weights, photos: list[Photo]
) -> None:
    # Nothing is learned by such steps, so only the variants differ.
    settings = replace(FAST, epochs=4, batch=1, learning_rate=1e-12)
    result = finetune(network, weights, photos[:1], photos[:1], settings)
    losses = [epoch.loss for epoch in result.history[1:]]
    assert len({round(loss, 3) for loss in losses}) == 4


def test_start_is_kept_if_nothing_beats_it(fastest, photos: list[Photo]) -> None:
    _, network, weights = fastest
    # So large a step ruins any network.
    settings = Settings("heads", epochs=1, batch=4, learning_rate=0.5, seed=1)
    result = finetune(network, weights, photos[:4], photos[:8], settings)
    assert result.history[1].map50 < result.history[0].map50 == result.best.map50
    assert result.weights.seen == weights.seen
    for ours, theirs in zip(
        result.weights.convolutions, weights.convolutions, strict=True
    ):
        assert np.array_equal(ours.kernel, theirs.kernel)


class KilledError(Exception):
    pass


def test_interrupted_training_comes_to_the_same_end(
    network: Network, weights: Weights, photos: list[Photo], tmp_path: Path
) -> None:
    checkpoint = tmp_path / "state.npz"

    def train(settings: Settings = FAST, **kwargs):
        return finetune(
            network, weights, photos[:10], photos[10:20], settings, **kwargs
        )

    def kill(epoch: int, step: int) -> None:
        # In the midst of the third epoch.
        if (epoch, step) == (3, 2):
            raise KilledError

    whole = train()
    with pytest.raises(KilledError):
        train(checkpoint=checkpoint, on_step=kill)
    steps: list[int] = []
    resumed = train(
        checkpoint=checkpoint, on_step=lambda epoch, step: steps.append(epoch)
    )
    assert steps == [3, 3, 3]
    assert resumed.history[1:] == whole.history[1:]
    for ours, theirs in zip(
        resumed.weights.convolutions, whole.weights.convolutions, strict=True
    ):
        assert np.array_equal(ours.kernel, theirs.kernel)
    with pytest.raises(CheckpointError, match="other photos, labels, weights or opt"):
        train(replace(FAST, seed=2), checkpoint=checkpoint)


def test_early_stopping_after_ten_epochs_without_a_better_one(
    network: Network, weights: Weights, photos: list[Photo]
) -> None:
    # Nothing is learned by such steps.
    settings = replace(FAST, epochs=30, learning_rate=1e-12)
    result = finetune(network, weights, photos[:2], photos[2:4], settings)
    assert len(result.history) == 11
    assert result.best.number == 0


def test_nothing_to_judge_by_is_an_error(
    network: Network, weights: Weights, photos: list[Photo]
) -> None:
    empty = [
        replace(p, truth=replace(p.truth, crowd=p.truth.crowd | True)) for p in photos
    ]
    with pytest.raises(ValueError, match="objects to find"):
        finetune(network, weights, photos, empty, FAST)


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_batches_show_what_the_detector_will_see(
    resize, fastest, photos: list[Photo]
) -> None:
    _, network, _ = fastest
    batches = make_batches(
        photos[:6], network, resize=resize, size=4, seed=1, epoch=1, augment=False
    )
    # Blurred, since the bars may be half a pixel off.
    ours = [cv2.blur(image, (9, 9)) for batch in batches for image in batch.images]
    assert len(ours) == 6
    for photo in photos[:6]:
        theirs = cv2.blur(prepare(photo.read(), network, resize), (9, 9))
        assert min(np.abs(image - theirs).mean() for image in ours) < 0.01


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_truth_in_a_batch_decodes_to_the_labels(
    resize, fastest, photos: list[Photo]
) -> None:
    """A network that says just what the targets ask for finds the labelled boxes."""
    _, network, _ = fastest
    photo = max(photos, key=lambda p: np.ptp(p.read().shape[:2]) * len(p.truth.boxes))
    (batch,) = make_batches(
        [photo], network, resize=resize, size=1, seed=1, epoch=1, augment=False
    )
    heads = []
    for target in batch.targets:
        raw = target[0].copy()
        inside = np.clip(raw[..., :2], 1e-6, 1 - 1e-6)
        raw[..., :2] = np.log(inside / (1 - inside))
        raw[..., 4] = np.where(raw[..., 4] > 0, 20, -20)
        raw[..., 5:] = np.where(raw[..., 5:] > 0, 20, -20)
        heads.append(raw.reshape(*raw.shape[:2], -1))
    found = find_boxes(heads, network, photo.read().shape[:2], resize, 0.5)
    assert len(found.boxes) > 3
    for box in found.boxes:
        assert np.abs(photo.truth.boxes - box).max(axis=1).min() < 0.01


def test_epochs_differ_and_repeat(network: Network, photos: list[Photo]) -> None:
    def draw(seed: int, epoch: int, count: int = 6) -> np.ndarray:
        batches = make_batches(
            photos[:count],
            network,
            resize="stretch",
            size=4,
            seed=seed,
            epoch=epoch,
            augment=True,
        )
        return np.concatenate([batch.images for batch in batches])

    first = draw(1, 1)
    assert first.shape == (6, 64, 64, 3)
    assert np.array_equal(first, draw(1, 1))
    assert not np.array_equal(first, draw(1, 2))
    assert not np.array_equal(first, draw(2, 1))
    # Not only their order.
    assert not np.array_equal(draw(1, 1, 1), draw(1, 2, 1))
    assert not np.array_equal(draw(1, 1, 1), draw(2, 1, 1))


def test_photos_that_can_not_be_used_are_named(
    shared_photos: Path, tmp_path: Path
) -> None:
    good = next((shared_photos / "detect").glob("coco_*.jpg")).read_bytes()
    shape = decode(good)
    for name, data in [("good.jpg", good), ("side.jpg", good), ("bad.jpg", b"no")]:
        (tmp_path / name).write_bytes(data)
    truth = read_labels(shared_photos / "detect" / "boxes.json", COCO_NAMES)[0].truth
    sides = {"good.jpg": (shape.width, shape.height)}
    labels = [
        Labelled(name, *sides.get(name, (shape.height, shape.width)), truth)
        for name in ("good.jpg", "side.jpg", "bad.jpg", "gone.jpg")
    ]
    found, skipped = find_photos(tmp_path, labels)
    assert list(found) == ["good.jpg"]
    assert list(skipped.values()) == [["side.jpg"], ["bad.jpg"], ["gone.jpg"]]


def test_share_held_out_stays_held_out() -> None:
    names = [f"{n}.jpg" for n in range(2000)]
    fifth = {name for name in names if is_held_out(name, 0.2)}
    third = {name for name in names if is_held_out(name, 0.33)}
    assert 350 < len(fifth) < 450
    assert fifth < third
