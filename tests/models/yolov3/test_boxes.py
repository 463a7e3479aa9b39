"""From photo to input and from heads to boxes, on made heads with known answers."""

import time
import warnings

import numpy as np
import pytest
from numpy.typing import NDArray

from models.yolov3.boxes import Resize, find_boxes, prepare
from models.yolov3.cfg import parse_cfg
from models.yolov3.layers import Network

CLASSES = 3


def network(
    width: int = 64, height: int = 32, classes: int = CLASSES, **entries: object
) -> Network:
    """One head of cells of 8 x 8 pixels, two anchors: 8 x 4 and 16 x 16 pixels."""
    more = "\n".join(f"{key}={value}" for key, value in entries.items())
    filters = 2 * (5 + classes)
    return parse_cfg(
        f"[net]\nwidth={width}\nheight={height}\nchannels=3\n"
        f"[convolutional]\nfilters={filters}\nsize=8\nstride=8\nactivation=linear\n"
        "[yolo]\nmask=0,1\nanchors=8,4, 16,16\nnum=2\n"
        f"classes={classes}\n{more}\n"
    )


def nothing(network: Network) -> NDArray[np.float32]:
    """A head that sees nothing, (h, w, anchor, 5 + classes)."""
    rows, columns, _ = network.shapes[-1]
    return np.full((rows, columns, 2, 5 + CLASSES), -20, np.float32)


def put(head, row, column, anchor, confidence, kind, raw=(0, 0, 0, 0)) -> None:
    """An object whose objectness and class probability are equally high."""
    logit = -np.log(1 / np.sqrt(confidence) - 1)
    head[row, column, anchor, :5] = (*raw, logit)
    head[row, column, anchor, 5 + kind] = logit


def found(head, network, photo=(32, 64), resize: Resize = "stretch", threshold=0.25):
    rows, columns = head.shape[:2]
    flat = head.reshape(rows, columns, -1)
    # Nothing overflows, whatever a head says.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return find_boxes([flat], network, photo, resize, threshold)


@pytest.mark.parametrize(
    ("shape", "shown"),
    [
        ((50, 100), np.s_[:, :]),
        ((100, 100), np.s_[:, 16:48]),
        ((20, 200), np.s_[13:19, :]),
        ((400, 1), np.s_[:, 31:32]),
        ((1, 400), np.s_[15:16, :]),
        ((7, 3), np.s_[:, 25:38]),
    ],
    ids=str,
)
def test_letterbox_keeps_the_shape(shape: tuple[int, int], shown) -> None:
    rgb = np.full((*shape, 3), (255, 0, 51), np.uint8)
    image = prepare(rgb, network(), "letterbox")
    assert image.shape == (32, 64, 3)
    assert image.dtype == np.float32
    inside = np.zeros((32, 64), bool)
    inside[shown] = True
    assert image[inside] == pytest.approx(np.tile([1, 0, 0.2], (inside.sum(), 1)))
    assert (image[~inside] == 0.5).all()


def test_stretch_fills_the_input() -> None:
    rgb = np.zeros((300, 200, 3), np.uint8)
    rgb[:150] = 255
    image = prepare(rgb, network(), "stretch")
    assert (image[:16] == 1).all()
    assert (image[16:] == 0).all()


@pytest.mark.parametrize(
    "rgb",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
    ],
    ids=["gray", "alpha", "float"],
)
def test_other_arrays_are_refused(rgb) -> None:
    with pytest.raises(ValueError, match="expected"):
        prepare(rgb, network(), "letterbox")


def test_a_box_is_where_its_cell_and_anchor_say() -> None:
    head = nothing(network())
    # Cells of 8 x 8 pixels: centre at (20, 12), of 8 x 4 pixels.
    put(head, 1, 2, 0, 0.81, 2)
    seen = found(head, network())
    assert seen.boxes == pytest.approx(
        np.array([[16 / 64, 10 / 32, 24 / 64, 14 / 32]]), abs=1e-6
    )
    assert seen.confidences == pytest.approx([0.81])
    assert seen.classes.tolist() == [2]
    assert [a.dtype for a in (seen.boxes, seen.confidences, seen.classes)] == [
        np.float32,
        np.float32,
        np.int64,
    ]


def test_a_box_is_moved_and_scaled_by_the_head() -> None:
    head = nothing(network())
    # A quarter of the way across, three quarters down, twice as wide, half as high.
    raw = (-np.log(3), np.log(3), np.log(2), -np.log(2))
    put(head, 1, 2, 0, 0.81, 0, raw)
    expected = [(18 - 8) / 64, (14 - 1) / 32, (18 + 8) / 64, (14 + 1) / 32]
    assert found(head, network()).boxes[0] == pytest.approx(expected, abs=1e-6)
    # As far from the middle of its cell again.
    assert found(head, network(scale_x_y=2)).boxes[0] == pytest.approx(
        [(16 - 8) / 64, (16 - 1) / 32, (16 + 8) / 64, (16 + 1) / 32], abs=1e-6
    )


def test_new_coords_are_activated_already() -> None:
    head = np.zeros_like(nothing(network()))
    head[1, 2, 0] = (0.25, 0.75, 0.5, 1, 0.9, 0, 0.9, 0)
    seen = found(head, network(new_coords=1, scale_x_y=2))
    # Four times the anchor's height: (2 h)^2.
    expected = [(16 - 4) / 64, (16 - 8) / 32, (16 + 4) / 64, (16 + 8) / 32]
    assert seen.boxes[0] == pytest.approx(expected, abs=1e-6)
    assert seen.confidences == pytest.approx([0.81])
    assert seen.classes.tolist() == [1]


@pytest.mark.parametrize("shape", [(100, 100), (20, 200), (333, 77)], ids=str)
@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_a_box_lies_on_what_is_seen(shape: tuple[int, int], resize: Resize) -> None:
    """A mark in the photo is found in the input, and the box leads back to it."""
    rgb = np.zeros((*shape, 3), np.uint8)
    height, width = shape
    mark = np.s_[int(height * 0.4) : int(height * 0.6), int(width * 0.4) :]
    rgb[mark] = 255
    square = network(416, 416)
    rows, columns = np.nonzero(prepare(rgb, square, resize)[..., 0] > 0.75)
    top, bottom = rows.min(), rows.max() + 1
    left, right = columns.min(), columns.max() + 1
    head = nothing(square)
    column, row = (left + right) / 2 / 8, (top + bottom) / 2 / 8
    offsets = np.array([column % 1, row % 1]).clip(0.01, 0.99)
    sizes = np.array([(right - left) / 16, (bottom - top) / 16])
    raw = (*np.log(offsets / (1 - offsets)), *np.log(sizes))
    put(head, int(row), int(column), 1, 0.9, 0, raw)
    seen = found(head, square, shape, resize)
    truth = [0.4, int(height * 0.4) / height, 1, int(height * 0.6) / height]
    # A pixel of the input is no more than this of the photo's shorter side.
    assert seen.boxes[0] == pytest.approx(truth, abs=0.05)


def test_what_is_seen_twice_is_kept_once() -> None:
    head = nothing(network())
    put(head, 1, 2, 1, 0.6, 0)
    put(head, 1, 3, 1, 0.9, 0)  # IoU 1/3 with both neighbours
    put(head, 1, 4, 1, 0.7, 1)
    put(head, 1, 4, 0, 0.3, 1, raw=(0, 0, np.log(2), np.log(4)))  # the same box
    put(head, 1, 3, 0, 0.8, 1, raw=(0, 0, np.log(2), np.log(4)))  # of another class
    seen = found(head, network())
    assert seen.confidences == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert seen.classes.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(("overlap", "kept"), [(0.44, 2), (0.46, 1)])
def test_boxes_of_a_class_may_overlap_a_little(overlap: float, kept: int) -> None:
    head = nothing(network())
    put(head, 1, 2, 1, 0.9, 0)
    put(head, 1, 2, 0, 0.8, 0, (0, 0, np.log(2), np.log(4 * overlap)))
    assert len(found(head, network()).boxes) == kept


def test_the_threshold_is_exclusive() -> None:
    head = np.zeros_like(nothing(network()))
    head[0, 0, 0] = (0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0, 0)
    active = network(new_coords=1)
    assert len(found(head, active, threshold=0.25).boxes) == 0
    assert len(found(head, active, threshold=0.24).boxes) == 1


def test_boxes_end_at_the_photo() -> None:
    head = nothing(network())
    put(head, 0, 0, 1, 0.9, 0, (0, 0, 1, 1))
    left, top, right, bottom = found(head, network()).boxes[0]
    assert (left, top) == (0, 0)
    assert 0 < right < 1
    assert 0 < bottom < 1
    # A photo in the middle half: what is left of it is not in it.
    assert len(found(head, network(), (100, 100), "letterbox").boxes) == 1
    put(head, 0, 0, 1, 0.9, 0, (0, 0, -1, -1))
    assert len(found(head, network(), (100, 100), "letterbox").boxes) == 0


def test_nothing_is_seen_in_numbers_that_are_none() -> None:
    for value in (np.nan, np.inf, -np.inf, 3e38, -3e38):
        head = nothing(network())
        put(head, 1, 2, 0, 0.9, 0)
        put(head, 2, 5, 0, 0.8, 1, (value, 0, value, 0))
        seen = found(head, network())
        assert np.isfinite(seen.boxes).all()
        assert seen.boxes.min() >= 0
        assert seen.boxes.max() <= 1
        assert seen.confidences[0] == pytest.approx(0.9)
        head[2, 5, 0] = value
        assert np.isfinite(found(head, network()).confidences).all()
    assert found(nothing(network()), network()).boxes.shape == (0, 4)


def test_equals_stay_in_order() -> None:
    # Four boxes apart, equally sure, of two classes.
    head = nothing(network())
    for row, column, kind in [(3, 7, 0), (0, 0, 1), (3, 0, 0), (0, 7, 1)]:
        put(head, row, column, 0, 0.64, kind)
    seen = found(head, network())
    assert seen.classes.tolist() == [0, 0, 1, 1]
    assert (seen.boxes[:, 0] < 0.5).tolist() == [True, False, True, False]


def test_a_network_that_sees_everything_everywhere_is_no_burden() -> None:
    """As many boxes as YOLOv3 can say at 416 x 416, of each of 80 classes."""
    # 10,658 boxes.
    wide = network(584, 584, classes=80)
    head = np.random.default_rng(0).normal(3, 1, (73, 73, 2, 85)).astype(np.float32)
    start = time.thread_time()
    seen = found(head, wide, threshold=0.01)
    assert time.thread_time() - start < 2
    assert len(seen.boxes) == 100
    assert (np.diff(seen.confidences) <= 0).all()
