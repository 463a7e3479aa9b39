"""The local runner of streams: what it acknowledges, and what it waits for."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator

import apache_beam as beam
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage, ReadFromPubSub
from apache_beam.options.pipeline_options import PipelineOptions
from google.api_core.exceptions import NotFound

from demo.emulators import Emulators
from demo.pubsub import PubSub
from pipeline import local_runner
from pipeline.local_runner import LocalStreamRunner

pytestmark = pytest.mark.timeout(120)

_ACK_DEADLINE_S = 10

# Filled by the step below, which runs in this process.
_processed: Counter[bytes] = Counter()


class _ProcessDoFn(beam.DoFn):
    def process(self, message: PubsubMessage) -> None:
        if message.data == b"bug":
            raise ZeroDivisionError("a bug")
        _processed[message.data] += 1


Start = Callable[[str], beam.runners.runner.PipelineResult]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a job that reads a subscription; it ends with the test."""
    # Beam's own runner gives up at the fourth answer that does not come.
    monkeypatch.setattr(local_runner, "_ANSWER_WITHIN_S", 1.5)
    started = []
    _processed.clear()

    def run(subscription: str) -> beam.runners.runner.PipelineResult:
        pipeline = beam.Pipeline(
            LocalStreamRunner(), options=PipelineOptions(["--streaming"])
        )
        _ = (
            pipeline
            | ReadFromPubSub(subscription=subscription, with_attributes=True)
            | beam.ParDo(_ProcessDoFn())
        )
        started.append(pipeline.run())
        return started[-1]

    yield run
    for result in started:
        result.cancel()


@pytest.fixture
def topic(pubsub: PubSub) -> str:
    return pubsub.topic("uploads")


@pytest.fixture
def subscription(pubsub: PubSub, topic: str) -> str:
    """What is not acknowledged is delivered again soon."""
    path = pubsub.subscriber.subscription_path(pubsub.project, "stream")
    pubsub.subscriber.create_subscription(
        name=path, topic=topic, ack_deadline_seconds=_ACK_DEADLINE_S
    )
    return path


def _wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline_s, _processed
        time.sleep(0.05)


def test_what_is_processed_is_acknowledged_and_nothing_else(
    pubsub: PubSub, topic: str, subscription: str, start: Start
) -> None:
    job = start(subscription)
    good = Counter({b"%d" % i: 1 for i in range(50)})
    for data in good:
        pubsub.publish(topic, data)
    _wait_until(lambda: len(_processed) == 50)
    # Also the last are acknowledged before the job fails.
    time.sleep(1)
    pubsub.publish(topic, b"bug")
    with pytest.raises(ZeroDivisionError):
        job.wait_until_finish()
    time.sleep(_ACK_DEADLINE_S + 3)
    assert [one.data for one in pubsub.pull_all(subscription)] == [b"bug"]
    assert _processed == good


def test_a_job_ends_when_its_subscription_is_gone(
    pubsub: PubSub, topic: str, subscription: str, start: Start
) -> None:
    pubsub.publish(topic, b"first")
    job = start(subscription)
    _wait_until(lambda: _processed[b"first"] == 1)
    pubsub.subscriber.delete_subscription(subscription=subscription)
    with pytest.raises(NotFound):
        job.wait_until_finish()


def test_a_frozen_pubsub_is_waited_for(
    pubsub: PubSub,
    topic: str,
    subscription: str,
    start: Start,
    pubsub_emulator: Emulators,
) -> None:
    pubsub.publish(topic, b"before")
    job = start(subscription)
    _wait_until(lambda: _processed[b"before"] == 1)
    emulator = pubsub_emulator.processes["pubsub"]
    os.kill(emulator, signal.SIGSTOP)
    try:
        time.sleep(8)
    finally:
        os.kill(emulator, signal.SIGCONT)
    pubsub.publish(topic, b"after")
    # The emulator may give it first to one who no longer waits for the answer.
    _wait_until(lambda: _processed[b"after"] == 1, _ACK_DEADLINE_S + 30)
    assert job.state == "RUNNING"
