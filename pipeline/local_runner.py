"""A stream on one machine that loses no message.

Beam's own local runner acknowledges messages before they are processed: whatever
ends it loses up to ten. It ends when Pub/Sub does not answer for two minutes. While
no message comes, nothing else happens for 30 s, as that a day is regrouped. And it
keeps something in memory for each time that it asked for messages.
"""

import contextlib
import functools
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pipeline import Pipeline
from apache_beam.runners.direct.direct_runner import (
    BundleBasedDirectRunner,
    DirectPipelineResult,
    _DirectReadFromPubSub,
)
from apache_beam.runners.direct.transform_evaluator import (
    TransformEvaluatorRegistry,
    _PubSubReadEvaluator,
)
from apache_beam.runners.direct.util import TransformResult
from apache_beam.utils.timestamp import Timestamp
from google.api_core.exceptions import RetryError
from google.cloud import pubsub_v1
from google.pubsub_v1.types import ReceivedMessage

from transforms.dead_letters import WAIT_FOR_PUBSUB

# As many as the darkness network scores at once.
_AT_ONCE: Final = 16
# How late a day may be regrouped because no message comes.
_WAIT_S: Final = 0.5
# Pub/Sub answers when a message comes, or at this time, or not at all.
_ANSWER_WITHIN_S: Final = 30.0
# That no message came may be an error, after which the next is not to wait long.
_ASK_AGAIN: Final = WAIT_FOR_PUBSUB.with_delay(initial=0.1, maximum=1.0).with_timeout(
    300.0
)

_T = TypeVar("_T")


class LocalStreamRunner(BundleBasedDirectRunner):
    """Beam's local runner; messages are acknowledged when they are processed."""

    def run_pipeline(
        self, pipeline: Pipeline, options: PipelineOptions
    ) -> DirectPipelineResult:
        evaluators = TransformEvaluatorRegistry._test_evaluators_overrides
        evaluators[_DirectReadFromPubSub] = functools.partial(_ReadEvaluator, _Inbox())
        try:
            # The evaluators are looked up before this returns; the job goes on.
            return super().run_pipeline(pipeline, options)
        finally:
            del evaluators[_DirectReadFromPubSub]


class _Inbox:
    """Messages of one subscription, a few at a time.

    Threads of its own ask for them, so that the runner need not wait for one to
    come, nor for Pub/Sub to be there.
    """

    def __init__(self) -> None:
        self._client: pubsub_v1.SubscriberClient | None = None
        self._answers: queue.SimpleQueue[Sequence[ReceivedMessage] | Exception] = (
            queue.SimpleQueue()
        )
        self._is_asking = False
        self._taken: Sequence[str] = ()

    def take(self, subscription: str) -> Sequence[ReceivedMessage]:
        """Acknowledge what was taken before, and take what has come.

        Returns:
            At most `_AT_ONCE`; none after a short wait if none has come.

        Raises:
            GoogleAPICallError: The subscription is gone, or may not be read.
        """
        if not self._is_asking:
            self._is_asking = True
            threading.Thread(
                target=self._ask, args=(subscription, self._taken), daemon=True
            ).start()
        try:
            answer = self._answers.get(timeout=_WAIT_S)
        except queue.Empty:
            return ()
        if isinstance(answer, Exception):
            # The runner tries again before it gives up.
            self._answers.put(answer)
            raise answer
        self._is_asking = False
        self._taken = [message.ack_id for message in answer]
        return answer

    def _ask(self, subscription: str, processed: Sequence[str]) -> None:
        try:
            if self._client is None:
                self._client = pubsub_v1.SubscriberClient()
            client = self._client
            if processed:
                _persist(
                    lambda: client.acknowledge(
                        subscription=subscription,
                        ack_ids=processed,
                        retry=_ASK_AGAIN,
                        timeout=_ANSWER_WITHIN_S,
                    )
                )
            answer = _persist(
                lambda: client.pull(
                    subscription=subscription,
                    max_messages=_AT_ONCE,
                    retry=_ASK_AGAIN,
                    timeout=_ANSWER_WITHIN_S,
                )
            )
            self._answers.put(answer.received_messages)
        except Exception as err:
            self._answers.put(err)


def _persist(request: Callable[[], _T]) -> _T:
    """Ask until there is an answer, or an error that does not pass."""
    while True:
        # A single retry that lasts would keep every error that it met.
        with contextlib.suppress(RetryError):
            return request()


class _ReadEvaluator(_PubSubReadEvaluator):
    """Reads when the runner has nothing else to do: all that was read is processed."""

    def __init__(self, inbox: _Inbox, *args: Any) -> None:
        super().__init__(*args)
        self._inbox = inbox

    def _read_from_pubsub(
        self, timestamp_attribute: None
    ) -> list[tuple[Timestamp, PubsubMessage]]:
        if self._has_failed():
            # The job is about to end, and what it was at will be delivered again.
            return []
        return [
            (
                Timestamp.from_utc_datetime(received.message.publish_time),
                PubsubMessage(received.message.data, dict(received.message.attributes)),
            )
            for received in self._inbox.take(self._sub_name)
        ]

    def _has_failed(self) -> bool:
        """Whether a step gave up on what it was given: then that still waits there."""
        manager = self._evaluation_context._watermark_manager
        return any(
            bundle.has_elements()
            for step in manager._transform_to_watermarks.values()
            for bundle in step._pending
        )

    def _forget_done(self) -> None:
        """Drop what is kept of days whose windows are over.

        The runner keeps it for ever and looks at all of it after each step: 6 ms a
        message for each 1,000 days. What is left without elements and timers are
        counts of panes, which nobody reads.
        """
        for states in self._evaluation_context._transform_keyed_states.values():
            for key, state in list(states.items()):
                has_elements = any(
                    tags.get("elements") for tags in state.state.values()
                )
                if not has_elements and not any(state.timers.values()):
                    del states[key]

    def finish_bundle(self) -> TransformResult:
        self._forget_done()
        # Each read is a bundle of its own, which the runner forgets to remove.
        self._execution_context.watermarks.remove_pending(self._input_committed_bundle)
        return super().finish_bundle()
