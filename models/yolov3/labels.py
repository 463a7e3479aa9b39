"""Boxes that people drew: COCO's JSON, or a smaller one by file name."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.tags import SPELLINGS
from models.yolov3.evaluate import GroundTruth

# left, top, right, bottom in pixels; class; whether it is a crowd.
_Box = tuple[float, float, float, float, str, bool]
# File; width, height and boxes.
_Rows = Iterator[tuple[str, tuple[int, int, list[_Box]]]]


class LabelsError(ValueError):
    """The labels can not be used; the text says what to change."""


@dataclass(frozen=True)
class Labelled:
    """One photo as its labels have it.

    Attributes:
        file: Its name, or its path below the folder of photos.
        width, height: In pixels, upright, as it was when the boxes were drawn.
        truth: Boxes in fractions of width and height, inside, with an area.
    """

    file: str
    width: int
    height: int
    truth: GroundTruth


def read_labels(path: Path, names: Sequence[str]) -> list[Labelled]:
    """Read the labels of photos.

    Args:
        path: COCO's JSON (`images`, `annotations`, `categories`), or
            {file: {"width", "height", "boxes": [[x1, y1, x2, y2, class]]}}, in
            pixels; a sixth entry "crowd" marks a region of many.
        names: The network's classes; either spelling of COCO's will do.

    Returns:
        By file name. A box without an area is left out.

    Raises:
        LabelsError: Neither of the two, or with classes that the network lacks.
        OSError: It can not be read.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
        boxes = dict(_coco_boxes(data) if "annotations" in data else _boxes(data))
        sizes = [size for *size, _ in boxes.values()]
        if min(map(min, sizes), default=1) < 1:
            raise ValueError("a photo without width or height")
    except LookupError as err:
        raise LabelsError(f"{path} lacks {err}") from err
    except (TypeError, ValueError, AttributeError) as err:
        raise LabelsError(
            f"{path} holds no labels, neither COCO's nor by file name: {err}"
        ) from err
    row_of = {_spelled(name): row for row, name in enumerate(names)}
    unknown = Counter(
        box[4]
        for _, _, of_photo in boxes.values()
        for box in of_photo
        if _spelled(box[4]) not in row_of
    )
    if unknown:
        counts = ", ".join(f"{name!r} ({n})" for name, n in unknown.most_common())
        raise LabelsError(f"{path} has classes that the network lacks: {counts}")
    return [
        Labelled(file, width, height, _truth(of_photo, width, height, row_of))
        for file, (width, height, of_photo) in sorted(boxes.items())
    ]


def _boxes(
    data: Mapping[str, Any],
) -> Iterator[tuple[str, tuple[int, int, list[_Box]]]]:
    for file, photo in data.items():
        boxes = [
            (float(x1), float(y1), float(x2), float(y2), str(name), "crowd" in more)
            for x1, y1, x2, y2, name, *more in photo["boxes"]
        ]
        yield file, (int(photo["width"]), int(photo["height"]), boxes)


def _coco_boxes(data: Mapping[str, Any]) -> _Rows:
    name_of = {category["id"]: category["name"] for category in data["categories"]}
    boxes: dict[Any, list[_Box]] = {image["id"]: [] for image in data["images"]}
    for annotation in data["annotations"]:
        x, y, width, height = map(float, annotation["bbox"])
        boxes[annotation["image_id"]].append(
            (
                x,
                y,
                x + width,
                y + height,
                name_of[annotation["category_id"]],
                bool(annotation.get("iscrowd")),
            )
        )
    for image in data["images"]:
        size = int(image["width"]), int(image["height"])
        yield image["file_name"], (*size, boxes[image["id"]])


def _truth(
    boxes: Sequence[_Box], width: int, height: int, row_of: Mapping[str, int]
) -> GroundTruth:
    corners = np.array([box[:4] for box in boxes], np.float64).reshape(-1, 4)
    inside = np.clip(corners / [width, height, width, height], 0, 1)
    inside = inside.astype(np.float32)
    kept = (inside[:, 2:] > inside[:, :2]).all(axis=1)
    classes = np.array([row_of[_spelled(box[4])] for box in boxes], np.intp)
    crowd = np.array([box[5] for box in boxes], np.bool_)
    return GroundTruth(inside[kept], classes[kept], crowd[kept])


def _spelled(name: str) -> str:
    return SPELLINGS.get(name, name)
