"""How well a detector finds what is known to be in photos: mAP50."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from models.yolov3.boxes import Detections


@dataclass(frozen=True)
class GroundTruth:
    """What people saw in one photo.

    Attributes:
        boxes: float, (n, 4), x1, y1, x2, y2 in any unit; in `map50` in that of
            the boxes found.
        classes: int, (n,).
        crowd: bool, (n,). The box holds many objects that were not told apart:
            finding it, or parts of it, is neither right nor wrong.
    """

    boxes: NDArray[np.floating]
    classes: NDArray[np.integer]
    crowd: NDArray[np.bool_]


def map50(truths: Sequence[GroundTruth], found: Sequence["Detections"]) -> float:
    """Mean over the classes of the average precision at IoU 0.5, 0 to 1.

    Args:
        truths: One for each photo.
        found: In the order of `truths`. All that is found counts, so detect with
            a threshold near 0; of each class, the best 100 of a photo are taken.

    Returns:
        The mean over the classes that occur in `truths`, uncrowded; NaN if none.

    Source: COCO's own evaluation, pycocotools' COCOeval.
    """
    # They need no weights, and take a while to import.
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    classes = {int(c) for truth in truths for c in truth.classes}
    images = [{"id": n} for n in range(len(truths))]
    categories = [{"id": c} for c in sorted(classes)]
    seen = [
        _annotation(n, box, c) | {"iscrowd": int(crowd)}
        for n, truth in enumerate(truths)
        for box, c, crowd in zip(truth.boxes, truth.classes, truth.crowd, strict=True)
    ]
    guessed = [
        _annotation(n, box, c) | {"score": float(confidence)}
        for n, each in enumerate(found)
        for box, c, confidence in zip(
            each.boxes, each.classes, each.confidences, strict=True
        )
    ]
    # It tells on stdout what it is about to do.
    with contextlib.redirect_stdout(io.StringIO()):
        sides = []
        for annotations in (seen, guessed):
            side = COCO()
            side.dataset = {
                "images": images,
                "categories": categories,
                # Ids from 1: 0 stands for "no match" in there.
                "annotations": [a | {"id": i} for i, a in enumerate(annotations, 1)],
            }
            side.createIndex()
            sides.append(side)
        evaluation = COCOeval(*sides, "bbox")
        evaluation.params.iouThrs = np.array([0.5])
        evaluation.params.areaRng = [[0, np.inf]]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.params.maxDets = [100]
        evaluation.evaluate()
        evaluation.accumulate()
    precisions = evaluation.eval["precision"]
    # -1 marks a class of which there is nothing to find.
    known = precisions[precisions > -1]
    return float(known.mean()) if known.size else float("nan")


def _annotation(image: int, box: NDArray[np.floating], of_class: int) -> dict[str, Any]:
    x1, y1, x2, y2 = (float(edge) for edge in box)
    return {
        "image_id": image,
        "category_id": int(of_class),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
    }
