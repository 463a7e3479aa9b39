"""What tests of several steps share: a pipeline, and what it counted."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import apache_beam as beam
import pytest
from apache_beam.metrics.cells import DistributionResult
from apache_beam.testing.test_pipeline import TestPipeline

from transforms.counters import NAMESPACE


@dataclass
class Metrics:
    """What a pipeline reports at its end, by name; what is not ours as `WHOSE:NAME`."""

    counters: dict[str, int] = field(default_factory=dict)
    distributions: dict[str, DistributionResult] = field(default_factory=dict)


Measured = Callable[[], AbstractContextManager[tuple[beam.Pipeline, Metrics]]]


@pytest.fixture
def measured() -> Measured:
    """A context that runs the pipeline at its end, and then knows its metrics."""

    @contextmanager
    def run() -> Iterator[tuple[beam.Pipeline, Metrics]]:
        pipeline, metrics = TestPipeline(runner="FnApiRunner"), Metrics()
        yield pipeline, metrics
        result = pipeline.run()
        result.wait_until_finish()
        found = result.metrics().query()
        for kind, values in vars(metrics).items():
            for metric in found[kind]:
                name = metric.key.metric
                others = "" if name.namespace == NAMESPACE else f"{name.namespace}:"
                values[f"{others}{name.name}"] = metric.committed

    return run
