"""Looking at Pub/Sub before a job starts that would fail, or lose something, there."""

import os
from collections.abc import Callable
from typing import Final, TypeVar

from apache_beam.io.gcp import pubsub as beam_pubsub
from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError
from google.cloud import pubsub_v1

from pipeline.errors import UsageError

_ANSWER_WITHIN_S: Final = 20.0
_EMULATOR: Final = "PUBSUB_EMULATOR_HOST"

_T = TypeVar("_T")


def check_subscription(name: str | None) -> str:
    """Make sure that it can be read.

    Args:
        name: As projects/P/subscriptions/S.

    Returns:
        The topic that it is of, as projects/P/topics/T; "" if that may not be
        looked at from here.

    Raises:
        UsageError: It is not named or not there, or Pub/Sub is not.
    """
    create = (
        "`gcloud pubsub subscriptions create NAME --topic=TOPIC --ack-deadline=600` "
        "makes one, of a topic that a bucket announces its objects on"
    )
    if name is None:
        raise UsageError(f"--subscription is needed; {create}")
    try:
        beam_pubsub.parse_subscription(name)
    except ValueError as err:
        raise UsageError(
            f"--subscription {name}: write projects/PROJECT/subscriptions/NAME"
        ) from err
    try:
        found = _ask(
            lambda: pubsub_v1.SubscriberClient().get_subscription(
                subscription=name, retry=None, timeout=_ANSWER_WITHIN_S
            )
        )
    except exceptions.NotFound as err:
        raise UsageError(f"no subscription {name}; {create}") from err
    return found.topic if found else ""


def check_dead_letter_topic(name: str | None, source: str) -> None:
    """Make sure that nothing that is published on it is lost.

    Args:
        name: As projects/P/topics/T.
        source: The topic that is read from.

    Raises:
        UsageError: It is not named or not there, is the one that is read, or nobody
            subscribes to it.
    """
    create = (
        "`gcloud pubsub topics create NAME` makes one, and `gcloud pubsub "
        "subscriptions create NAME --topic=NAME` keeps what is published on it"
    )
    if name is None:
        raise UsageError(
            f"--dead-letter-topic is needed, for what can not be processed; {create}"
        )
    try:
        beam_pubsub.parse_topic(name)
    except ValueError as err:
        raise UsageError(
            f"--dead-letter-topic {name}: write projects/PROJECT/topics/NAME"
        ) from err
    if name == source:
        raise UsageError(
            f"--dead-letter-topic {name} is what the subscription reads: dead letters "
            "would come back for ever"
        )
    try:
        subscriptions = _ask(
            lambda: list(
                pubsub_v1.PublisherClient().list_topic_subscriptions(
                    topic=name, retry=None, timeout=_ANSWER_WITHIN_S
                )
            )
        )
    except exceptions.NotFound as err:
        raise UsageError(f"no topic {name}; {create}") from err
    if subscriptions == []:
        raise UsageError(
            f"--dead-letter-topic {name}: nobody subscribes to it, and what is "
            f"published would be lost; {create}"
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
        raise UsageError(
            "Pub/Sub: no credentials; run `gcloud auth application-default login`, or "
            f"name an emulator in {_EMULATOR}"
        ) from err
    except exceptions.GoogleAPICallError as err:
        where = os.environ.get(_EMULATOR, "")
        at = f" at {where} ({_EMULATOR})" if where else ""
        raise UsageError(f"Pub/Sub{at} does not answer: {err.message}") from err
