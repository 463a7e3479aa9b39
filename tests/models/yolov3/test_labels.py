"""Labels of both kinds, as they should be and as they should not."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.tags import COCO_NAMES
from models.yolov3.labels import LabelsError, read_labels

NAMES = ("person", "aeroplane", "sofa")

BY_FILE = {
    "b.jpg": {"width": 200, "height": 100, "boxes": [[20, 10, 60, 50, "airplane"]]},
    "a.jpg": {
        "width": 100,
        "height": 100,
        "boxes": [
            [-5, 0, 50, 120, "person"],
            [0, 0, 100, 50, "aeroplane", "crowd"],
            [30, 30, 30, 60, "couch"],
        ],
    },
    "none.jpg": {"width": 100, "height": 100, "boxes": []},
}

COCO = {
    "images": [
        {"id": 7, "file_name": "b.jpg", "width": 200, "height": 100},
        {"id": 3, "file_name": "a.jpg", "width": 100, "height": 100},
        {"id": 9, "file_name": "none.jpg", "width": 100, "height": 100},
    ],
    "annotations": [
        {"image_id": 7, "category_id": 5, "bbox": [20, 10, 40, 40], "iscrowd": 0},
        {"image_id": 3, "category_id": 1, "bbox": [-5, 0, 55, 120], "iscrowd": 0},
        {"image_id": 3, "category_id": 5, "bbox": [0, 0, 100, 50], "iscrowd": 1},
        {"image_id": 3, "category_id": 63, "bbox": [30, 30, 0, 30]},
    ],
    "categories": [
        {"id": 1, "name": "person"},
        {"id": 5, "name": "airplane"},
        {"id": 63, "name": "couch"},
    ],
}


def write(folder: Path, data: object) -> Path:
    path = folder / "labels.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


@pytest.mark.parametrize("data", [BY_FILE, COCO], ids=["by file", "coco"])
def test_both_kinds_say_the_same(data: object, tmp_path: Path) -> None:
    first, second, empty = read_labels(write(tmp_path, data), NAMES)
    assert [x.file for x in (first, second, empty)] == ["a.jpg", "b.jpg", "none.jpg"]
    assert (second.width, second.height) == (200, 100)
    # Cut to the photo; the box without an area is gone; both spellings are one.
    assert first.truth.boxes.tolist() == [[0, 0, 0.5, 1], [0, 0, 1, 0.5]]
    assert first.truth.boxes.dtype == np.float32
    assert first.truth.classes.tolist() == [0, 1]
    assert first.truth.crowd.tolist() == [False, True]
    assert second.truth.boxes[0] == pytest.approx([0.1, 0.1, 0.3, 0.5])
    assert second.truth.classes.tolist() == [1]
    assert empty.truth.boxes.shape == (0, 4)


@pytest.mark.parametrize("spelling", ["sofa", "couch"])
@pytest.mark.parametrize("names", [("sofa",), ("couch",)], ids=["sofa", "couch"])
def test_either_spelling_fits_either(spelling, names, tmp_path: Path) -> None:
    data = {"a.jpg": {"width": 9, "height": 9, "boxes": [[1, 1, 5, 5, spelling]]}}
    (labelled,) = read_labels(write(tmp_path, data), names)
    assert labelled.truth.classes.tolist() == [0]


def test_classes_that_the_network_lacks_are_named(tmp_path: Path) -> None:
    boxes = [[1, 1, 5, 5, name] for name in ("unicorn", "person", "unicorn", "elf")]
    data = {"a.jpg": {"width": 9, "height": 9, "boxes": boxes}}
    with pytest.raises(LabelsError, match=r"lacks: 'unicorn' \(2\), 'elf' \(1\)"):
        read_labels(write(tmp_path, data), NAMES)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "no labels"),
        ("[1, 2]", "no labels"),
        ('"text"', "no labels"),
        ({"a.jpg": {"width": 9, "boxes": []}}, "lacks 'height'"),
        ({"a.jpg": {"width": 9, "height": 0, "boxes": []}}, "without width or height"),
        ({"a.jpg": {"width": 9, "height": 9, "boxes": [[1, 2]]}}, "no labels"),
        ({"a.jpg": {"width": 9, "height": 9, "boxes": [["x", 1, 2, 3, "p"]]}}, "'x'"),
        ({"a.jpg": 5}, "no labels"),
        (COCO | {"categories": []}, "lacks 1|lacks 5"),
        (COCO | {"images": COCO["images"][:1]}, "lacks 3"),
        ({"annotations": [], "categories": []}, "lacks 'images'"),
    ],
    ids=[
        "no JSON",
        "a list",
        "a text",
        "no height",
        "height of 0",
        "short box",
        "text in a box",
        "a number",
        "no categories",
        "no image",
        "no images",
    ],
)
def test_what_is_no_label_is_one_clear_line(data, message, tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match=message) as error:
        read_labels(write(tmp_path, data), NAMES)
    assert "\n" not in str(error.value)


def test_real_labels_are_whole(shared_photos: Path) -> None:
    labels = read_labels(shared_photos / "detect" / "boxes.json", COCO_NAMES)
    assert len(labels) == 673
    truths = [labelled.truth for labelled in labels]
    assert sum(int(truth.crowd.sum()) for truth in truths) == 44
    boxes = np.concatenate([truth.boxes for truth in truths])
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert boxes.min() >= 0
    assert boxes.max() <= 1
