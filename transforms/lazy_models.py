"""Models that are loaded when a photo needs them, not before."""

import contextlib
import gc
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

from apache_beam.ml.inference.base import ModelHandler

from transforms.counters import timed

_Example = TypeVar("_Example")
_Prediction = TypeVar("_Prediction")
_Model = TypeVar("_Model")

_LOADING: Final = threading.Lock()


class LazyModelHandler(ModelHandler[_Example, _Prediction, Callable[[], _Model]]):
    """Another handler, whose model is loaded with the first batch.

    Beam loads a model with the worker. That takes seconds and a gigabyte, which a
    job that only skips photos need not spend.

    Args:
        handler: Keeps its model, so that loading it again costs nothing.
    """

    def __init__(self, handler: ModelHandler[_Example, _Prediction, _Model]) -> None:
        super().__init__()
        self._handler = handler

    def load_model(self) -> Callable[[], _Model]:
        return _Lazy(self._handler.load_model)

    def run_inference(
        self,
        batch: Sequence[_Example],
        model: Callable[[], _Model],
        inference_args: Mapping[str, Any] | None = None,
    ) -> Iterable[_Prediction]:
        return self._handler.run_inference(batch, model(), inference_args)

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        return self._handler.batch_elements_kwargs()

    def get_num_bytes(self, batch: Sequence[_Example]) -> int:
        return self._handler.get_num_bytes(batch)

    def get_metrics_namespace(self) -> str:
        return self._handler.get_metrics_namespace()


class _Lazy(Generic[_Model]):
    def __init__(self, load: Callable[[], _Model]) -> None:
        self._load = load
        self._model: _Model | None = None

    def __call__(self) -> _Model:
        # One at a time: two threads would load two models.
        with _LOADING:
            if self._model is None:
                self._model = self._load()
            return self._model


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Around what loads a model that is kept for the whole process."""
    with timed("LoadModels"):
        yield
    # What was imported stays, and need not be searched for garbage: 0.3 s each time, in
    # which all threads stand still.
    gc.freeze()
