"""What is in a photo: YOLOv3 or a relative of it, out of Darknet's own files."""

import functools
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import apache_beam as beam
from apache_beam.ml.inference.base import ModelHandler, RunInference

from models.tags import COCO_NAMES, CONFIDENCE_FLOOR, objects_in, parse_names
from models.yolov3.boxes import Resize
from models.yolov3.detector import (
    SCORING_BATCH,
    Detector,
    Precision,
    detect,
    load_detector,
)
from models.yolov3.features import embed
from transforms.counters import timed
from transforms.elements import Photo
from transforms.lazy_models import LazyModelHandler, loading

_LOADING: Final = threading.Lock()


@dataclass(frozen=True)
class DetectorSettings:
    """Which network looks at the photos, and how.

    Attributes:
        cfg, weights: Darknet's files.
        names: Of its classes, one a line; None for those of COCO.
        precision: "f32", or "bf16" where all workers have it.
        resize: How a photo is fitted to the input.
        fingerprint: Of all this.
    """

    cfg: Path
    weights: Path
    names: Path | None
    precision: Precision
    resize: Resize
    fingerprint: str


class DetectObjects(beam.PTransform):
    """Photo -> Photo with `objects` and `features`.

    Args:
        settings: Which network looks.
    """

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__()
        self._handler: ModelHandler[Photo, Photo, Any] = LazyModelHandler(
            DetectorModelHandler(settings)
        )

    def expand(self, photos: beam.PCollection[Photo]) -> beam.PCollection[Photo]:
        return photos | "RunInference" >> RunInference(self._handler).with_output_types(
            Photo
        )


@dataclass(frozen=True)
class NamedDetector:
    """A network, and what its classes are called."""

    detector: Detector
    names: tuple[str, ...]


class DetectorModelHandler(ModelHandler[Photo, Photo, NamedDetector]):
    """Looks at photos, at each as if it were alone.

    Args:
        settings: Which network looks.
    """

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__()
        self._settings = settings

    def load_model(self) -> NamedDetector:
        """The network, once for the whole process.

        Raises:
            ValueError: The files are not what they should be.
            OSError: One can not be read.
        """
        # One at a time: a cache alone would let two threads load two networks.
        with _LOADING:
            return _load_model(self._settings)

    def run_inference(
        self,
        batch: Sequence[Photo],
        model: NamedDetector,
        inference_args: Mapping[str, Any] | None = None,
    ) -> Iterator[Photo]:
        with timed("DetectObjects/batch"):
            found = list(
                detect(
                    model.detector,
                    [photo.decoded.rgb for photo in batch],
                    resize=self._settings.resize,
                    threshold=CONFIDENCE_FLOOR,
                )
            )
        for photo, (seen, features) in zip(batch, found, strict=True):
            width, height = photo.decoded.width, photo.decoded.height
            objects = objects_in(seen, model.names, width, height)
            yield replace(
                photo,
                objects=objects,
                features=embed(features, self._settings.fingerprint, objects),
            )

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        return {"min_batch_size": SCORING_BATCH, "max_batch_size": SCORING_BATCH}

    def get_num_bytes(self, batch: Sequence[Photo]) -> int:
        # The default pickles the whole batch to see its size.
        return sum(photo.decoded.rgb.nbytes for photo in batch)

    def get_metrics_namespace(self) -> str:
        return "DetectObjects"


# Beam holds models weakly and would load this one again for every bundle.
@functools.cache
def _load_model(settings: DetectorSettings) -> NamedDetector:
    with loading():
        detector = load_detector(settings.cfg, settings.weights, settings.precision)
        names = class_names(settings.names, detector.network.classes)
    return NamedDetector(detector, names)


def class_names(file: Path | None, classes: int) -> tuple[str, ...]:
    """What the classes of a network are called.

    Args:
        file: One name a line; None for those of COCO.
        classes: Their number.

    Raises:
        ValueError: The names are not as many.
        OSError: The file can not be read.
    """
    if file is not None:
        return parse_names(file.read_text("utf-8"), classes)
    if classes != len(COCO_NAMES):
        raise ValueError(
            f"a network of {classes} classes needs their names, as --detect-names; "
            f"those of COCO are {len(COCO_NAMES)}"
        )
    return COCO_NAMES
