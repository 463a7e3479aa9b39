"""What Cloud Storage publishes of its objects, read and written.

Source: https://cloud.google.com/storage/docs/pubsub-notifications (attributes and
payload) and https://cloud.google.com/storage/docs/json_api/v1/objects (payload).
"""

import base64
import binascii
import json
import re
import reprlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from store.records import in_trash, valid_user_id
from transforms.elements import UploadEvent

if TYPE_CHECKING:
    from google.cloud.storage import Blob

FINALIZE: Final = "OBJECT_FINALIZE"
DELETE: Final = "OBJECT_DELETE"
ARCHIVE: Final = "OBJECT_ARCHIVE"
METADATA_UPDATE: Final = "OBJECT_METADATA_UPDATE"
EVENT_TYPES: Final = (FINALIZE, DELETE, ARCHIVE, METADATA_UPDATE)

# Metadata of an object: when its file was last changed, POSIX seconds. `gcloud
# storage cp -P` writes it, and so does `piccl upload`.
FILE_TIME_KEY: Final = "goog-reserved-file-mtime"

_PAYLOAD_FORMAT: Final = "JSON_API_V1"
_OBJECT_NAME: Final = re.compile(
    r"users/(?P<user>[^/]+)/photos/(?P<file>.*[^/])", re.DOTALL
)
# Generations and sizes are stored in 64 bits.
_WHOLE_NUMBERS: Final = 2**63
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,19}")
_SECONDS: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,9})?")
_RFC_3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})"
)
# What can be written as a date, a day off either end for the offset of a zone.
_FIRST_S: Final = datetime(1, 1, 2, tzinfo=UTC).timestamp()
_LAST_S: Final = datetime(9999, 12, 30, tzinfo=UTC).timestamp()


class AnnouncementError(ValueError):
    """A message that can not be an announcement; its text is "reason: detail"."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


def parse_announcement(
    attributes: Mapping[str, str], data: bytes
) -> UploadEvent | None:
    """Read a message that Cloud Storage published.

    Attributes that nothing depends on may be missing.

    Args:
        attributes: Of the message.
        data: Its payload.

    Returns:
        What happened to which photo, or None if it does not matter: only
        `FINALIZE` makes a photo, only `DELETE` and `ARCHIVE` remove one, and none
        is in a trash folder.

    Raises:
        AnnouncementError: It is no announcement, or none of a user's photo.
    """
    event_type = _attribute(attributes, "eventType")
    if event_type not in (FINALIZE, DELETE, ARCHIVE):
        return None
    bucket = _attribute(attributes, "bucketId")
    name = _attribute(attributes, "objectId")
    if name.endswith("/") or in_trash(name):
        # Consoles make an empty object to show a folder. What comes and goes in a
        # trash folder is told to the store by whoever moves it.
        return None
    generation = _whole_number(
        _attribute(attributes, "objectGeneration"), "objectGeneration"
    )
    user_id = owner(name)
    payload = _payload(attributes, data)
    told = (payload.get("bucket"), payload.get("name"), payload.get("generation"))
    if told != (bucket, name, attributes["objectGeneration"]):
        raise _malformed("attributes and payload are of different objects")
    metadata = payload.get("metadata", {})
    if not isinstance(metadata, dict):
        raise _malformed("the object's metadata are no mapping")
    return UploadEvent(
        user_id=user_id,
        bucket=bucket,
        name=name,
        generation=generation,
        size_bytes=_whole_number(payload.get("size"), "size"),
        updated_at_s=file_time_s(_time(payload.get("timeCreated")), metadata),
        removed=event_type != FINALIZE,
    )


def build_announcement(
    event_type: str,
    bucket: str,
    name: str,
    generation: int,
    *,
    size_bytes: int,
    created_at: datetime,
    metadata: Mapping[str, str] = {},
) -> tuple[bytes, dict[str, str]]:
    """Write what Cloud Storage publishes; the same for the same arguments.

    Args:
        event_type: One of `EVENT_TYPES`.
        bucket: Of the object.
        name: Of the object.
        generation: Of the object.
        size_bytes: Of the object.
        created_at: When this generation was made; with a time zone.
        metadata: Of the object, as far as the uploader set them.

    Returns:
        Payload and attributes.
    """
    time = created_at.astimezone(UTC).isoformat(timespec="microseconds")
    time = time.replace("+00:00", "Z")
    payload: dict[str, Any] = {
        "kind": "storage#object",
        "id": f"{bucket}/{name}/{generation}",
        "name": name,
        "bucket": bucket,
        "generation": str(generation),
        "size": str(size_bytes),
        "timeCreated": time,
        "updated": time,
    }
    if metadata:
        payload["metadata"] = dict(metadata)
    attributes = {
        "eventType": event_type,
        "payloadFormat": _PAYLOAD_FORMAT,
        "bucketId": bucket,
        "objectId": name,
        "objectGeneration": str(generation),
        "eventTime": time,
    }
    return json.dumps(payload).encode(), attributes


def announcement_of(
    blob: "Blob", event_type: str = FINALIZE
) -> tuple[bytes, dict[str, str]]:
    """Write what Cloud Storage publishes of an object.

    Args:
        blob: With what an upload or a look at it told.
        event_type: One of `EVENT_TYPES`.

    Returns:
        Payload and attributes.
    """
    return build_announcement(
        event_type,
        blob.bucket.name,
        blob.name,
        blob.generation,
        size_bytes=blob.size,
        created_at=blob.time_created,
        metadata=blob.metadata or {},
    )


def owner(name: str) -> str:
    """The user whose photo an object is, by its name.

    Raises:
        AnnouncementError: It is no user's photo.
    """
    match = _OBJECT_NAME.fullmatch(name)
    if match is None or not valid_user_id(match["user"]) or not _is_text(name):
        raise AnnouncementError(
            "foreign object name", f"{name!r} is not users/USER/photos/FILE"
        )
    return match["user"]


def file_time_s(created_at: datetime, metadata: Mapping[str, Any] | None) -> float:
    """When a photo without EXIF was taken, as well as its object tells.

    Args:
        created_at: When the object was made.
        metadata: What the uploader set; nonsense is passed over.

    Returns:
        Seconds since the Unix epoch: of the file, else of the object.
    """
    text = (metadata or {}).get(FILE_TIME_KEY)
    if isinstance(text, str) and _SECONDS.fullmatch(text):
        seconds = float(text)
        if _FIRST_S <= seconds <= _LAST_S:
            return seconds
    return created_at.timestamp()


def message_to_json(attributes: Mapping[str, str], data: bytes) -> str:
    """A message as text, the same for the same message."""
    encoded = base64.b64encode(data).decode()
    return json.dumps({"attributes": dict(attributes), "data": encoded}, sort_keys=True)


def message_from_json(text: str) -> tuple[dict[str, str], bytes]:
    """Attributes and data of what `message_to_json` wrote.

    Raises:
        AnnouncementError: It is nothing of the kind.
    """
    try:
        message = json.loads(text)
        attributes, data = message["attributes"], message["data"]
        items = [*attributes.keys(), *attributes.values(), data]
        if not all(isinstance(item, str) and _is_text(item) for item in items):
            raise TypeError("attributes and data are texts")
        return attributes, base64.b64decode(data, validate=True)
    except (
        ValueError,  # no JSON, no base64
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
        binascii.Error,
    ) as err:
        raise _malformed(f"no message as JSON: {err!r}") from err


def _payload(attributes: Mapping[str, str], data: bytes) -> dict[str, Any]:
    if not data:
        raise AnnouncementError(
            "no payload", "create the notification with --payload-format=json"
        )
    try:
        payload = json.loads(data.decode())
    except (ValueError, RecursionError) as err:
        raise _malformed(f"the payload is no JSON: {err}") from err
    if not isinstance(payload, dict) or payload.get("kind") != "storage#object":
        raise _malformed("the payload describes no object of Cloud Storage")
    return payload


def _attribute(attributes: Mapping[str, str], name: str) -> str:
    value = attributes.get(name)
    if not value or not _is_text(value):
        raise _malformed(f"no attribute {name}")
    return value


def _whole_number(value: object, name: str) -> int:
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        number = int(value)
        if number < _WHOLE_NUMBERS:
            return number
    raise _malformed(f"{name} {reprlib.repr(value)} is no whole number of 64 bits")


def _time(value: object) -> datetime:
    if isinstance(value, str) and _RFC_3339.fullmatch(value):
        try:
            time = datetime.fromisoformat(value)
        except ValueError as err:
            raise _malformed(f"timeCreated: {err}") from err
        if _FIRST_S <= time.timestamp() <= _LAST_S:
            return time
    raise _malformed(f"timeCreated {reprlib.repr(value)} is no time as RFC 3339 has it")


def _is_text(value: str) -> bool:
    """Whether it can be written: half of a surrogate pair can not."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _malformed(detail: str) -> AnnouncementError:
    return AnnouncementError("malformed announcement", detail)
