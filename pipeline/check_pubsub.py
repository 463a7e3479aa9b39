"""Looking at Pub/Sub before anything is done that would fail, or be lost, there."""

import os
import re
from collections.abc import Callable
from typing import Final, TypeVar

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud import pubsub_v1

from pipeline.errors import UsageError, no_credentials

EMULATOR: Final = "PUBSUB_EMULATOR_HOST"
MAKE_SUBSCRIPTION: Final = (
    "`gcloud pubsub subscriptions create NAME --topic=TOPIC --ack-deadline=600` "
    "makes one"
)
MAKE_TOPIC: Final = (
    "`gcloud pubsub topics create NAME` makes one, and `gcloud pubsub subscriptions "
    "create NAME --topic=NAME` keeps what is published on it"
)

_SUBSCRIPTION: Final = re.compile(r"projects/[^/\s]+/subscriptions/[^/\s]+")
_TOPIC: Final = re.compile(r"projects/[^/\s]+/topics/[^/\s]+")
_ANSWER_WITHIN_S: Final = 20.0

_T = TypeVar("_T")


def is_subscription(name: str) -> bool:
    """Whether it has the form of a subscription's name."""
    return _SUBSCRIPTION.fullmatch(name) is not None


def check_subscription(flag: str, name: str) -> str:
    """Make sure that it can be read.

    Args:
        flag: What named it, for the complaint.
        name: As projects/P/subscriptions/S.

    Returns:
        The topic that it is of, as projects/P/topics/T; "" if that may not be
        looked at from here.

    Raises:
        UsageError: It is no subscription or not there, or Pub/Sub is not.
    """
    if not is_subscription(name):
        raise UsageError(f"{flag} {name}: write projects/PROJECT/subscriptions/NAME")
    try:
        found = _ask(
            lambda: pubsub_v1.SubscriberClient().get_subscription(
                subscription=name, retry=None, timeout=_ANSWER_WITHIN_S
            )
        )
    except exceptions.NotFound as err:
        raise UsageError(
            f"{flag} {name}: there is no such subscription; {MAKE_SUBSCRIPTION}"
        ) from err
    return found.topic if found else ""


def check_topic(flag: str, name: str, read: str = "") -> None:
    """Make sure that nothing that is published on it is lost.

    Args:
        flag: What named it, for the complaint.
        name: As projects/P/topics/T.
        read: The topic that is read from, which this one must not be.

    Raises:
        UsageError: It is no topic or not there, is the one that is read, or nobody
            subscribes to it; or Pub/Sub is not there.
    """
    if not _TOPIC.fullmatch(name):
        raise UsageError(f"{flag} {name}: write projects/PROJECT/topics/NAME")
    if name == read:
        raise UsageError(
            f"{flag} {name} is the topic that is read from: what is published there "
            "would come back for ever"
        )
    try:
        subscriptions = _ask(lambda: _subscriptions_of(name))
    except exceptions.NotFound as err:
        raise UsageError(
            f"{flag} {name}: there is no such topic; {MAKE_TOPIC}"
        ) from err
    if subscriptions == []:
        raise UsageError(
            f"{flag} {name}: nobody subscribes to it, and what is published would be "
            f"lost; {MAKE_TOPIC}"
        )


def _subscriptions_of(topic: str) -> list[str]:
    client = pubsub_v1.PublisherClient()
    # The emulator has an empty list for a topic that is not there.
    client.get_topic(topic=topic, retry=None, timeout=_ANSWER_WITHIN_S)
    return list(
        client.list_topic_subscriptions(
            topic=topic, retry=None, timeout=_ANSWER_WITHIN_S
        )
    )


def _ask(request: Callable[[], _T]) -> _T | None:
    """Send a request; None if only the job may know the answer.

    Raises:
        NotFound: What is asked for is not there.
        UsageError: Pub/Sub can not be asked at all.
    """
    try:
        return request()
    except exceptions.NotFound:
        raise
    except exceptions.PermissionDenied:
        # It takes more to look at it than to use it.
        return None
    except GoogleAuthError as err:
        raise no_credentials(err) from err
    except exceptions.GoogleAPICallError as err:
        where = os.environ.get(EMULATOR, "")
        at = f" at {where} ({EMULATOR})" if where else ""
        raise UsageError(f"Pub/Sub{at} does not answer: {err.message}") from err
