"""Models that are loaded when a photo needs them."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.ml.inference.base import ModelHandler, RunInference
from apache_beam.testing.util import assert_that, equal_to

from transforms.lazy_models import LazyModelHandler, loading

_loads: list[str] = []


class _Model:
    def double(self, number: int) -> int:
        return number * 2


class _Handler(ModelHandler[int, int, _Model]):
    def load_model(self) -> _Model:
        with loading():
            _loads.append(threading.current_thread().name)
            time.sleep(0.05)
        return _Model()

    def run_inference(
        self,
        batch: Sequence[int],
        model: _Model,
        inference_args: Mapping[str, Any] | None = None,
    ) -> Iterator[int]:
        yield from map(model.double, batch)

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        return {"min_batch_size": 2, "max_batch_size": 2}

    def get_num_bytes(self, batch: Sequence[int]) -> int:
        return 5 * len(batch)

    def get_metrics_namespace(self) -> str:
        return "Double"


@pytest.fixture(autouse=True)
def _no_loads() -> None:
    _loads.clear()


def test_no_model_is_loaded_for_nothing(measured) -> None:
    with measured() as (p, metrics):
        none = p | beam.Create([1]) | beam.Filter(lambda _: False)
        _ = none | RunInference(LazyModelHandler(_Handler()))
    assert _loads == []
    assert "us/LoadModels" not in metrics.distributions


def test_it_does_what_the_other_handler_does(measured) -> None:
    with measured() as (p, metrics):
        doubled = (
            p | beam.Create([1, 2, 3]) | RunInference(LazyModelHandler(_Handler()))
        )
        assert_that(doubled, equal_to([2, 4, 6]))
    assert len(_loads) == metrics.distributions["us/LoadModels"].count == 1
    sizes = metrics.distributions["Double:inference_request_batch_size"]
    assert (sizes.count, sizes.max) == (2, 2)
    assert metrics.distributions["Double:inference_request_batch_byte_size"].sum == 15


def test_a_model_is_loaded_once_by_a_worker_however_many_batches_wait() -> None:
    lazy = LazyModelHandler(_Handler()).load_model()
    assert _loads == []
    with ThreadPoolExecutor(4) as threads:
        models = set(threads.map(lambda _: lazy(), range(4)))
    assert len(models) == len(_loads) == 1
