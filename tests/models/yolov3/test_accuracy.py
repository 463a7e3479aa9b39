"""What real networks find in 673 labelled photos; `pytest -s` shows the figures."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.images import decode
from models.tags import COCO_NAMES, TagThresholds, judge_tags, objects_in
from models.yolov3.boxes import NMS_IOU, Detections
from models.yolov3.detector import Precision, detect, load_detector
from models.yolov3.evaluate import map50
from models.yolov3.labels import Labelled, read_labels

SMALL, XL = "yolo-fastest-1.1", "yolo-fastest-1.1-xl"
# Low, since a precision is averaged over all confidences; and COCO's own limit.
THRESHOLD, MOST = 0.01, 100

Rgb = NDArray[np.uint8]
Find = Callable[[str, Precision], list[Detections]]


@pytest.fixture(scope="module")
def labels(shared_photos: Path) -> list[Labelled]:
    return read_labels(shared_photos / "detect" / "boxes.json", COCO_NAMES)


@pytest.fixture(scope="module")
def photos(shared_photos: Path, labels: list[Labelled]) -> list[Rgb]:
    """As a job decodes them."""
    folder = shared_photos / "detect"
    return [decode((folder / photo.file).read_bytes()).rgb for photo in labels]


@pytest.fixture(scope="module")
def find(shared_models: Path, photos: list[Rgb]) -> Find:
    """What ours finds, once for each network and precision."""
    known: dict[tuple[str, Precision], list[Detections]] = {}

    def find_all(model: str, precision: Precision) -> list[Detections]:
        if (model, precision) not in known:
            detector = load_detector(
                shared_models / f"{model}.cfg",
                shared_models / f"{model}.weights",
                precision,
            )
            seen = detect(detector, photos, resize="stretch", threshold=THRESHOLD)
            known[model, precision] = [detections for detections, _ in seen]
        return known[model, precision]

    return find_all


def opencv_finds(models: Path, model: str, photos: Sequence[Rgb]) -> list[Detections]:
    """The same by OpenCV alone, from pixels to boxes."""
    cfg = (models / f"{model}.cfg").read_text()
    net = cv2.dnn.readNetFromDarknet(
        # Its own threshold would be 0.2.
        np.frombuffer(
            cfg.replace("[yolo]", f"[yolo]\nthresh={THRESHOLD}").encode(), np.uint8
        ),
        np.fromfile(models / f"{model}.weights", np.uint8),
    )
    net.enableWinograd(False)
    found = []
    for rgb in photos:
        net.setInput(cv2.dnn.blobFromImage(rgb, 1 / 255, (320, 320)))
        heads = net.forward(net.getUnconnectedOutLayersNames())
        rows = np.concatenate([head.reshape(-1, 5 + 80) for head in heads])
        box, of_class = np.nonzero(rows[:, 5:])
        confidences = rows[box, 5 + of_class]
        centers, sizes = rows[box, :2], rows[box, 2:4]
        kept = cv2.dnn.NMSBoxesBatched(
            np.hstack([centers - sizes / 2, sizes]).tolist(),
            confidences.tolist(),
            of_class.tolist(),
            THRESHOLD,
            NMS_IOU,
        )
        best = sorted(kept, key=lambda n: -confidences[n])[:MOST]
        corners = np.hstack([centers - sizes / 2, centers + sizes / 2])
        found.append(
            Detections(np.clip(corners[best], 0, 1), confidences[best], of_class[best])
        )
    return found


def tag_figures(
    labels: Sequence[Labelled], found: Sequence[Detections]
) -> tuple[float, float]:
    """Precision and recall of the tags of all photos together, crowds included."""
    carried, given = [], []
    for photo, detections in zip(labels, found, strict=True):
        truth = photo.truth
        sure = np.ones(len(truth.classes), np.float32)
        labelled = Detections(truth.boxes, sure, truth.classes)
        for judged, seen in ((carried, labelled), (given, detections)):
            objects = objects_in(seen, COCO_NAMES, photo.width, photo.height)
            judged.append([*judge_tags(objects, TagThresholds(0.25)).values()])
    right = (np.array(carried) & np.array(given)).sum()
    return right / np.sum(given), right / np.sum(carried)


@pytest.mark.parametrize("model", [SMALL, XL])
def test_as_good_as_opencv(
    model: str,
    shared_models: Path,
    labels: list[Labelled],
    photos: list[Rgb],
    find: Find,
) -> None:
    truths = [photo.truth for photo in labels]
    ours = map50(truths, find(model, "f32"))
    theirs = map50(truths, opencv_finds(shared_models, model, photos))
    print(f"{model}: mAP50 {ours:.4f}, OpenCV's {theirs:.4f}")
    assert len(labels) == 673
    assert abs(ours - theirs) <= 0.002


def test_bf16_is_nearly_as_good(labels: list[Labelled], find: Find) -> None:
    truths = [photo.truth for photo in labels]
    f32, bf16 = map50(truths, find(XL, "f32")), map50(truths, find(XL, "bf16"))
    print(f"{XL}: mAP50 {f32:.4f} in f32, {bf16:.4f} in bf16")
    assert abs(f32 - bf16) <= 0.005


@pytest.mark.parametrize(
    ("model", "precision", "least"),
    [
        (SMALL, "f32", (0.82, 0.47)),
        (XL, "f32", (0.84, 0.60)),
        (XL, "bf16", (0.84, 0.60)),
    ],
)
def test_tags_are_right_and_found(
    model: str,
    precision: Precision,
    least: tuple[float, float],
    labels: list[Labelled],
    find: Find,
) -> None:
    right, recalled = tag_figures(labels, find(model, precision))
    print(f"{model}, {precision}: tags {right:.3f} right, {recalled:.3f} found")
    assert right >= least[0]
    assert recalled >= least[1]
