"""Topics and subscriptions of the Pub/Sub emulator."""

import warnings
from dataclasses import dataclass, field
from typing import Final

from google.cloud import pubsub_v1
from google.pubsub_v1.types import PubsubMessage

_AT_MOST: Final = 1_000
# Nobody waits for more to publish together, as clients otherwise do for 10 ms.
_AT_ONCE: Final = pubsub_v1.types.BatchSettings(max_latency=0.001)


def _publisher() -> pubsub_v1.PublisherClient:
    return pubsub_v1.PublisherClient(_AT_ONCE)


@dataclass(frozen=True)
class PubSub:
    """One project of the emulator that PUBSUB_EMULATOR_HOST names.

    Attributes:
        project: Its id; any will do.
    """

    project: str
    publisher: pubsub_v1.PublisherClient = field(default_factory=_publisher)
    subscriber: pubsub_v1.SubscriberClient = field(
        default_factory=pubsub_v1.SubscriberClient
    )

    def topic(self, name: str) -> str:
        """Make a topic; returns projects/P/topics/NAME."""
        path = self.publisher.topic_path(self.project, name)
        self.publisher.create_topic(name=path)
        return path

    def subscription(self, topic: str, name: str, ack_deadline_s: int = 60) -> str:
        """Subscribe to a topic's path; returns projects/P/subscriptions/NAME.

        A message that is not acknowledged by the deadline is delivered again; by
        default so late that an emulator that was frozen delivers nothing twice.
        """
        path = self.subscriber.subscription_path(self.project, name)
        self.subscriber.create_subscription(
            name=path,
            topic=topic,
            ack_deadline_seconds=ack_deadline_s,
        )
        return path

    def publish(self, topic: str, data: bytes, **attributes: str) -> None:
        """Publish one message; the emulator has it when this returns."""
        self.publisher.publish(topic, data, **attributes).result(timeout=60)

    def pull_all(self, subscription: str) -> list[PubsubMessage]:
        """Take every message that waits, in no order."""
        messages = []
        while received := self._pull(subscription):
            messages += received
        return messages

    def _pull(self, subscription: str) -> list[PubsubMessage]:
        with warnings.catch_warnings():
            # Deprecated, for a busy topic may seem empty; the emulator's does not,
            # and to wait would cost as long as the wait.
            warnings.simplefilter("ignore", DeprecationWarning)
            answer = self.subscriber.pull(
                subscription=subscription,
                max_messages=_AT_MOST,
                return_immediately=True,
            )
        received = answer.received_messages
        if received:
            self.subscriber.acknowledge(
                subscription=subscription, ack_ids=[one.ack_id for one in received]
            )
        return [one.message for one in received]
