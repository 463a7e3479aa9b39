"""The loss, against sums done by hand on a network of two small heads."""

import math

import numpy as np
import pytest
import tensorflow as tf

from models.yolov3.cfg import parse_cfg
from models.yolov3.evaluate import GroundTruth
from models.yolov3.layers import Network
from models.yolov3.loss import assign, check_trainable, detection_loss

# 64 x 32 pixels; a head of 4 x 2 cells with the larger anchors, one of 8 x 4.
CFG = """
[net]
width=64
height=32
channels=3

[convolutional]
filters=14
size=1
stride=16
activation=linear

[yolo]
mask=1,2
anchors=4,4, 16,8, 20,30
classes=2
num=3
ignore_thresh=.5

[route]
layers=-2

[upsample]
stride=2

[convolutional]
filters=7
size=1
activation=linear

[yolo]
mask=0
anchors=4,4, 16,8, 20,30
classes=2
num=3
ignore_thresh=.5
"""


@pytest.fixture(scope="module")
def network() -> Network:
    return parse_cfg(CFG)


def truth(*boxes: tuple[float, float, float, float, int], crowd: bool = False):
    """Boxes in pixels of the input, each with its class."""
    corners = np.array([box[:4] for box in boxes], np.float32).reshape(-1, 4)
    classes = np.array([box[4] for box in boxes], np.intp)
    corners /= (64, 32, 64, 32)
    return GroundTruth(corners, classes, np.full(len(boxes), crowd))


def loss(network: Network, heads, seen: GroundTruth) -> float:
    targets = [target[np.newaxis] for target in assign(network, seen)]
    boxes = tf.constant(seen.boxes[np.newaxis], tf.float32)
    crowd = tf.constant(seen.crowd[np.newaxis])
    return float(detection_loss(network, heads, targets, boxes, crowd))


def silent() -> list[np.ndarray]:
    """Heads that are sure that there is nothing."""
    heads = [np.zeros((1, 2, 4, 2, 7), np.float32), np.zeros((1, 4, 8, 1, 7))]
    for head in heads:
        head[..., 4] = -20
    return flat(heads)


def flat(heads) -> list[np.ndarray]:
    return [
        head.astype(np.float32).reshape(*head.shape[:3], -1)
        for head in map(np.array, heads)
    ]


def entropy(probability: float) -> float:
    rest = 1 - probability
    return -probability * math.log(probability) - rest * math.log(rest)


@pytest.mark.parametrize(
    ("box", "head", "cell", "anchor"),
    [
        ((20, 4, 34, 12, 1), 0, (0, 1), 0),  # 14 x 8: the anchor of 16 x 8
        ((30, 1, 50, 31, 0), 0, (1, 2), 1),  # 20 x 30; its centre on the lines
        ((41, 17, 46, 21, 0), 1, (2, 5), 0),  # 5 x 4: the other head's
        ((60, 28, 64, 32, 0), 1, (3, 7), 0),  # in the corner
    ],
    ids=["wide", "tall", "small", "corner"],
)
def test_an_object_goes_to_the_anchor_of_its_shape(
    box, head: int, cell, anchor: int, network: Network
) -> None:
    targets = assign(network, truth(box))
    assert [target.shape for target in targets] == [(2, 4, 2, 7), (4, 8, 1, 7)]
    found = [np.argwhere(target[..., 4]).tolist() for target in targets]
    assert found[head] == [[*cell, anchor]]
    assert found[1 - head] == []
    at = targets[head][(*cell, anchor)]
    stride = 16 if head == 0 else 8
    anchors = [(16, 8), (20, 30)] if head == 0 else [(4, 4)]
    x1, y1, x2, y2, of_class = box
    assert at[0] == pytest.approx((x1 + x2) / 2 / stride - cell[1], abs=1e-5)
    assert at[1] == pytest.approx((y1 + y2) / 2 / stride - cell[0], abs=1e-5)
    assert at[2] == pytest.approx(math.log((x2 - x1) / anchors[anchor][0]), abs=1e-5)
    assert at[3] == pytest.approx(math.log((y2 - y1) / anchors[anchor][1]), abs=1e-5)
    assert at[4] == pytest.approx(2 - (x2 - x1) * (y2 - y1) / (64 * 32))
    assert at[5:].tolist() == [of_class == 0, of_class == 1]


def test_cfg_may_ask_for_more_anchors() -> None:
    network = parse_cfg(CFG.replace("ignore_thresh=.5", "iou_thresh=.2"))
    # 14 x 8 pixels overlap 16 x 8 by 0.875, 20 x 30 by 0.187, 4 x 4 by 0.143.
    few = assign(network, truth((20, 4, 34, 12, 1)))
    assert [np.argwhere(t[..., 4]).tolist() for t in few] == [[[0, 1, 0]], []]
    # 12 x 12 pixels overlap them by 0.545, 0.24 and 0.111.
    more = assign(network, truth((20, 4, 32, 16, 1)))
    found = [np.argwhere(t[..., 4]).tolist() for t in more]
    assert found == [[[0, 1, 0], [0, 1, 1]], []]
    first, second = more[0][0, 1]
    assert first[[0, 1, 4, 5, 6]].tolist() == second[[0, 1, 4, 5, 6]].tolist()
    assert second[2:4] == pytest.approx(np.log([12 / 20, 12 / 30]))


@pytest.mark.parametrize("turned", [False, True])
def test_best_anchor_is_kept_from_who_is_only_beside(turned: bool) -> None:
    network = parse_cfg(CFG.replace("ignore_thresh=.5", "iou_thresh=.2"))
    wide, tall = (20, 4, 32, 16, 1), (17, 0, 31, 20, 0)
    boxes = [tall, wide] if turned else [wide, tall]
    # The wide one's second anchor is the tall one's best.
    (place, _), (alone, _) = (assign(network, truth(*b)) for b in (boxes, [tall]))
    assert place[0, 1, 1].tolist() == alone[0, 1, 1].tolist()
    assert place[0, 1, 0, 5:].tolist() == [0, 1]


def test_two_objects_in_one_place_have_both_classes(network: Network) -> None:
    first, second = (20, 4, 34, 12, 1), (21, 4, 35, 12, 0)
    alone, both = (assign(network, truth(*b)) for b in ([second], [first, second]))
    place = both[0][0, 1, 0]
    assert place[5:].tolist() == [1, 1]
    assert place[:5].tolist() == alone[0][0, 1, 0][:5].tolist()


def test_a_crowd_is_nobodys(network: Network) -> None:
    targets = assign(network, truth((20, 4, 34, 12, 1), crowd=True))
    assert not any(target.any() for target in targets)


def test_perfect_predictions_cost_nothing(network: Network) -> None:
    seen = truth((20, 4, 34, 12, 1), (30, 1, 50, 31, 0), (41, 17, 46, 21, 0))
    heads = [
        head.reshape(target.shape)
        for head, target in zip(silent(), assign(network, seen), strict=True)
    ]
    for head, target in zip(heads, assign(network, seen), strict=True):
        found = target[..., 4] > 0
        inside = np.clip(target[found][:, :2], 1e-6, 1 - 1e-6)
        head[found, :2] = np.log(inside / (1 - inside))
        head[found, 2:4] = target[found][:, 2:4]
        head[found, 4] = 20
        head[found, 5:] = np.where(target[found][:, 5:] > 0, 20, -20)
    perfect = flat([head[np.newaxis] for head in heads])
    assert loss(network, perfect, seen) == pytest.approx(0, abs=1e-4)
    # Anything else costs something.
    for channel in range(7):
        heads[0][0, 1, 0, channel] += -0.5 if channel in (4, 6) else 0.5
        worse = flat([head[np.newaxis] for head in heads])
        assert loss(network, worse, seen) > 1e-9 + loss(network, perfect, seen)


def test_loss_is_the_sum_done_by_hand(network: Network) -> None:
    seen = truth((20, 4, 34, 12, 1))  # centre 27, 8: cell (0, 1), at 0.6875, 0.5
    heads = silent()
    heads[0].reshape(1, 2, 4, 2, 7)[0, 0, 1, 0] = (0.3, -0.2, 0.4, 0.1, 0.7, -0.6, 0.9)
    # Somebody far away is wrongly sure to three quarters.
    heads[1].reshape(1, 4, 8, 1, 7)[0, 3, 0, 0, 4] = math.log(3)

    def cross_entropy(target: float, logit: float) -> float:
        p = 1 / (1 + math.exp(-logit))
        return -target * math.log(p) - (1 - target) * math.log(1 - p)

    weight = 2 - 14 * 8 / (64 * 32)
    expected = weight * (cross_entropy(0.6875, 0.3) - entropy(0.6875))
    expected += weight * (cross_entropy(0.5, -0.2) - entropy(0.5))
    expected += weight * (math.log(14 / 16) - 0.4) ** 2 / 2 + weight * 0.1**2 / 2
    expected += cross_entropy(1, 0.7)
    expected += cross_entropy(0, -0.6) + cross_entropy(1, 0.9)
    expected += math.log(4)
    assert loss(network, heads, seen) == pytest.approx(expected, rel=1e-5)


def test_loss_is_per_photo(network: Network) -> None:
    seen = truth((20, 4, 34, 12, 1))
    one = [np.random.default_rng(0).normal(size=h.shape) for h in silent()]
    twice = [np.repeat(head, 2, axis=0).astype(np.float32) for head in one]
    targets = [np.repeat(t[np.newaxis], 2, axis=0) for t in assign(network, seen)]
    boxes = tf.constant(np.repeat(seen.boxes[np.newaxis], 2, axis=0), tf.float32)
    both = float(detection_loss(network, twice, targets, boxes, tf.zeros((2, 1), bool)))
    assert both == pytest.approx(loss(network, flat(one), seen), rel=1e-5)


@pytest.mark.parametrize(
    ("shift_px", "crowd", "ignored"),
    [
        # 16 pixels, moved sideways: (16 - s) / (16 + s) is 0.5 at 5.33.
        (5.3, False, True),
        (5.4, False, False),
        # Of a crowd it counts which part lies inside: (16 - s) / 16.
        (7.9, True, True),
        (8.1, True, False),
    ],
    ids=["above", "below", "inside a crowd", "half outside"],
)
def test_what_overlaps_an_object_enough_is_not_held_against_it(
    shift_px: float, crowd: bool, ignored: bool, network: Network
) -> None:
    heads = silent()
    # The taller anchor, which is nobody's, guesses 16 x 8 pixels around (24, 8).
    guess = heads[0].reshape(1, 2, 4, 2, 7)[0, 0, 1, 1]
    guess[2:4] = math.log(16 / 20), math.log(8 / 30)
    left = 16 + shift_px
    seen = truth((left, 4, left + 16, 12, 1), crowd=crowd)
    assert not assign(network, seen)[0][:, :, 1].any()
    quiet = loss(network, heads, seen)
    guess[4] = 1
    cost = loss(network, heads, seen) - quiet
    assert cost == pytest.approx(0 if ignored else math.log(1 + math.e), abs=1e-4)


def test_gradient_is_that_of_finite_differences(network: Network) -> None:
    rng = np.random.default_rng(3)
    seen = truth((20, 4, 34, 12, 1), (30, 1, 50, 31, 0), (41, 17, 46, 21, 0))
    heads = [rng.normal(0, 0.5, head.shape).astype(np.float32) for head in silent()]
    variables = [tf.Variable(head) for head in heads]
    targets = [target[np.newaxis] for target in assign(network, seen)]
    boxes, crowd = tf.constant(seen.boxes[np.newaxis]), tf.zeros((1, 3), bool)
    with tf.GradientTape() as tape:
        value = detection_loss(network, variables, targets, boxes, crowd)
    gradients = [np.asarray(g) for g in tape.gradient(value, variables)]
    step = 1e-2
    for row, head in enumerate(heads):
        found = np.argwhere(targets[row][0][..., 4])[0]
        first = found[2] * 7
        places = [(0, *found[:2], first + channel) for channel in range(7)]
        places += [tuple(rng.integers(0, head.shape)) for _ in range(10)]
        for place in places:
            values = []
            for sign in (1, -1):
                moved = [np.array(h) for h in heads]
                moved[row][place] += sign * step
                values.append(loss(network, moved, seen))
            slope = (values[0] - values[1]) / (2 * step)
            assert gradients[row][place] == pytest.approx(slope, abs=5e-3), place


def test_gradients_are_darknets(network: Network) -> None:
    """Prediction minus truth, weighted: `delta_yolo_box` with its sign turned."""
    seen = truth((20, 4, 34, 12, 1))
    heads = [tf.Variable(tf.random.stateless_normal(h.shape, (1, 2))) for h in silent()]
    (target, other) = (t[np.newaxis] for t in assign(network, seen))
    boxes, crowd = tf.constant(seen.boxes[np.newaxis]), tf.zeros((1, 1), bool)
    with tf.GradientTape() as tape:
        value = detection_loss(network, heads, [target, other], boxes, crowd)
    gradient = np.asarray(tape.gradient(value, heads)[0])[0, 0, 1, :7]
    raw, at = np.asarray(heads[0])[0, 0, 1, :7], target[0, 0, 1, 0]
    sigmoid = 1 / (1 + np.exp(-raw))
    weight = 2 - 14 * 8 / (64 * 32)
    assert gradient[:2] == pytest.approx(weight * (sigmoid[:2] - at[:2]), abs=1e-5)
    assert gradient[2:4] == pytest.approx(weight * (raw[2:4] - at[2:4]), abs=1e-5)
    assert gradient[4] == pytest.approx(sigmoid[4] - 1, abs=1e-5)
    assert gradient[5:] == pytest.approx(sigmoid[5:] - at[5:], abs=1e-5)


def test_photo_without_objects_is_only_background(network: Network) -> None:
    assert loss(network, silent(), truth()) == pytest.approx(0, abs=1e-5)
    sure = [np.zeros_like(head) for head in silent()]
    assert loss(network, sure, truth()) == pytest.approx((16 + 32) * math.log(2))


@pytest.mark.parametrize("option", ["new_coords=1", "iou_loss=giou"])
def test_heads_of_other_kinds_are_refused_by_line(option: str) -> None:
    with pytest.raises(ValueError, match=f"line 13: {option}"):
        check_trainable(parse_cfg(CFG.replace("num=3", f"num=3\n{option}", 1)))


CIOU = CFG.replace("ignore_thresh=.5", "iou_loss=ciou")


def test_complete_iou_is_that_done_by_hand() -> None:
    network = parse_cfg(CIOU)
    seen = truth((20, 4, 34, 12, 1))
    heads = silent()
    guess = heads[0].reshape(1, 2, 4, 2, 7)[0, 0, 1, 0]
    # 8 x 16 pixels around (24, 8), sure of all but where it is.
    guess[:] = (0, 0, math.log(8 / 16), math.log(16 / 8), 20, -20, 20)
    common = (28 - 20) * 8
    union = 8 * 16 + 14 * 8 - common
    # In fractions: 64 pixels are 1 across, 32 are 1 down.
    distance = ((27 - 24) / 64) ** 2 / ((14 / 64) ** 2 + (16 / 32) ** 2)
    angles = [math.atan2(w / 64, h / 32) for w, h in ((14, 8), (8, 16))]
    shape = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    part = shape / (1 - common / union + shape)
    weight = 2 - 14 * 8 / (64 * 32)
    expected = weight * (1 - common / union + distance + part * shape)
    assert loss(network, heads, seen) == pytest.approx(expected, rel=1e-4)


def test_complete_iou_of_a_perfect_box_costs_nothing_and_has_a_gradient() -> None:
    network = parse_cfg(CIOU)
    seen = truth((20, 4, 34, 12, 1))
    heads = [tf.Variable(head) for head in silent()]
    targets = [target[np.newaxis] for target in assign(network, seen)]
    raw = np.asarray(heads[0]).copy()
    x, y, w, h = targets[0][0, 0, 1, 0, :4]
    raw[0, 0, 1, :7] = (math.log(x / (1 - x)), math.log(y / (1 - y)), w, h, 20, -20, 20)
    boxes, crowd = tf.constant(seen.boxes[np.newaxis]), tf.zeros((1, 1), bool)
    for shift, cost in ((0, 0), (0.5, 0.1)):
        raw[0, 0, 1, :4] += shift
        heads[0].assign(raw)
        with tf.GradientTape() as tape:
            value = detection_loss(network, heads, targets, boxes, crowd)
        gradient = np.asarray(tape.gradient(value, heads)[0])
        assert np.isfinite(gradient).all()
        assert float(value) == pytest.approx(0, abs=1e-5) if not cost else value > cost
    # Too far right, too low, too wide, too high: all of it has to become less.
    assert (gradient[0, 0, 1, :4] > 0).all()


def test_boxes_beyond_all_measure_have_finite_gradients() -> None:
    network = parse_cfg(CIOU)
    seen = truth((20, 4, 34, 12, 1), (30, 1, 50, 31, 0))
    targets = [target[np.newaxis] for target in assign(network, seen)]
    boxes, crowd = tf.constant(seen.boxes[np.newaxis]), tf.zeros((1, 2), bool)
    for logit in (-200.0, 200.0):
        heads = [tf.Variable(np.full_like(head, logit)) for head in silent()]
        with tf.GradientTape() as tape:
            value = detection_loss(network, heads, targets, boxes, crowd)
        assert np.isfinite(float(value))
        for gradient in tape.gradient(value, heads):
            assert np.isfinite(np.asarray(gradient)).all()
