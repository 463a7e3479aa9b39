"""How likely a photo is too dark to be of use: the paper's CNN (Table 2)."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.ml.inference.base import ModelHandler, RunInference

from models.darkness.network import SCORING_BATCH, Scorer, load, prepare
from transforms.counters import timed
from transforms.elements import Photo
from transforms.lazy_models import LazyModelHandler, loading


class ScoreDarkness(beam.PTransform):
    """Photo -> Photo with `dark_probability`.

    Args:
        model: File that `piccl train-dark` wrote.
    """

    def __init__(self, model: Path) -> None:
        super().__init__()
        self._handler: ModelHandler[Photo, Photo, Any] = LazyModelHandler(
            DarknessModelHandler(model)
        )

    def expand(self, photos: beam.PCollection[Photo]) -> beam.PCollection[Photo]:
        return photos | "RunInference" >> RunInference(self._handler).with_output_types(
            Photo
        )


class DarknessModelHandler(ModelHandler[Photo, Photo, Scorer]):
    """Scores photos, each the same whatever else is in its batch.

    Args:
        model: File that `piccl train-dark` wrote.
    """

    def __init__(self, model: Path) -> None:
        super().__init__()
        self._model = model

    def load_model(self) -> Scorer:
        return _load_model(self._model)

    def run_inference(
        self,
        batch: Sequence[Photo],
        model: Scorer,
        inference_args: Mapping[str, Any] | None = None,
    ) -> Iterator[Photo]:
        with timed("ScoreDarkness/batch"):
            inputs = np.stack([prepare(photo.decoded.rgb) for photo in batch])
            probabilities = model.score(inputs)
        for photo, probability in zip(batch, probabilities, strict=True):
            # Rounded, so that another processor comes to the same verdict.
            yield replace(photo, dark_probability=round(float(probability), 4))

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        return {"min_batch_size": SCORING_BATCH, "max_batch_size": SCORING_BATCH}

    def get_num_bytes(self, batch: Sequence[Photo]) -> int:
        # The default pickles the whole batch to see its size.
        return sum(photo.decoded.rgb.nbytes for photo in batch)

    def get_metrics_namespace(self) -> str:
        return "ScoreDarkness"


# Beam holds models weakly and would load this one again for every bundle.
@functools.cache
def _load_model(path: Path) -> Scorer:
    with loading():
        import tensorflow as tf  # seconds, which a mere launcher need not spend

        try:
            # All sessions of a process share the threads that its first use asked for.
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:
            # TensorFlow is in use already, as in a test or a notebook.
            pass
        return Scorer(load(path))
