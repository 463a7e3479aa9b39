import base64
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transforms.announcements import (
    ARCHIVE,
    DELETE,
    FILE_TIME_KEY,
    FINALIZE,
    METADATA_UPDATE,
    AnnouncementError,
    build_announcement,
    file_time_s,
    message_from_json,
    message_to_json,
    owner,
    parse_announcement,
)
from transforms.elements import UploadEvent

_CREATED = datetime(2024, 5, 6, 7, 8, 9, 123000, UTC)

# What a bucket published, with the fields nothing here depends on.
_PUBLISHED = {
    "kind": "storage#object",
    "id": "roll/users/ann/photos/a b/ü.jpg/1714979289123456",
    "selfLink": "https://www.googleapis.com/storage/v1/b/roll/o/users%2Fann%2F...",
    "name": "users/ann/photos/a b/ü.jpg",
    "bucket": "roll",
    "generation": "1714979289123456",
    "metageneration": "1",
    "contentType": "image/jpeg",
    "timeCreated": "2024-05-06T07:08:09.123Z",
    "updated": "2024-05-06T07:08:09.123Z",
    "storageClass": "STANDARD",
    "timeStorageClassUpdated": "2024-05-06T07:08:09.123Z",
    "size": "2048",
    "md5Hash": "1B2M2Y8AsgTpgAmY7PhCfg==",
    "metadata": {"note": "mine", FILE_TIME_KEY: "1600000000"},
    "crc32c": "AAAAAA==",
    "etag": "CJCp8Y2DgIYDEAE=",
}
_ATTRIBUTES = {
    "notificationConfig": "projects/_/buckets/roll/notificationConfigs/3",
    "eventType": FINALIZE,
    "payloadFormat": "JSON_API_V1",
    "bucketId": "roll",
    "objectId": "users/ann/photos/a b/ü.jpg",
    "objectGeneration": "1714979289123456",
    "eventTime": "2024-05-06T07:08:09.200Z",
    "overwroteGeneration": "1714979289000000",
}


def _message(**changed: object) -> tuple[dict[str, str], bytes]:
    """The message above, with other values in its payload; None takes one out."""
    payload = {k: v for k, v in (_PUBLISHED | changed).items() if v is not None}
    return dict(_ATTRIBUTES), json.dumps(payload).encode()


class TestParse:
    def test_what_cloud_storage_publishes(self) -> None:
        assert parse_announcement(*_message()) == UploadEvent(
            user_id="ann",
            bucket="roll",
            name="users/ann/photos/a b/ü.jpg",
            generation=1714979289123456,
            size_bytes=2048,
            updated_at_s=1_600_000_000.0,
        )

    def test_without_a_file_time_the_object_s_counts(self) -> None:
        event = parse_announcement(*_message(metadata=None))
        assert event is not None
        assert event.updated_at_s == _CREATED.timestamp()

    @pytest.mark.parametrize("event_type", [DELETE, ARCHIVE])
    def test_removals(self, event_type: str) -> None:
        attributes, data = _message()
        event = parse_announcement(attributes | {"eventType": event_type}, data)
        assert event is not None
        assert (event.removed, event.generation) == (True, 1714979289123456)

    @pytest.mark.parametrize("event_type", [METADATA_UPDATE, "OBJECT_SOMETHING"])
    def test_what_makes_and_removes_nothing(self, event_type: str) -> None:
        assert parse_announcement({"eventType": event_type}, b"{") is None

    def test_attributes_that_nothing_depends_on_may_be_missing(self) -> None:
        attributes, data = _message()
        for name in (
            "notificationConfig",
            "payloadFormat",
            "eventTime",
            "overwroteGeneration",
        ):
            del attributes[name]
        assert parse_announcement(attributes, data) is not None

    @pytest.mark.parametrize(
        "name", ["eventType", "bucketId", "objectId", "objectGeneration"]
    )
    @pytest.mark.parametrize("value", [None, ""], ids=["missing", "empty"])
    def test_missing_attribute(self, name: str, value: str | None) -> None:
        attributes, data = _message()
        del attributes[name]
        if value is not None:
            attributes[name] = value
        with pytest.raises(AnnouncementError, match=f"^malformed .*{name}"):
            parse_announcement(attributes, data)

    @pytest.mark.parametrize(
        "generation",
        ["-1", "1.0", "1e3", " 1", "+1", "1_0", "٣", "x", str(2**63), "9" * 5000],
    )
    def test_generation_that_is_no_number(self, generation: str) -> None:
        attributes, data = _message(generation=generation)
        attributes["objectGeneration"] = generation
        with pytest.raises(AnnouncementError, match=r"^malformed .*objectGeneration"):
            parse_announcement(attributes, data)

    @pytest.mark.parametrize("generation", ["0", "1", str(2**63 - 1)])
    def test_generation_of_64_bits(self, generation: str) -> None:
        attributes, data = _message(generation=generation)
        attributes["objectGeneration"] = generation
        event = parse_announcement(attributes, data)
        assert event is not None
        assert event.generation == int(generation)

    @pytest.mark.parametrize(
        ("data", "detail"),
        [
            (b"{", "no JSON"),
            (_message()[1][:-1], "no JSON"),
            (b"\xff\xfe", "no JSON"),
            (b'"\xe9"', "no JSON"),
            (b"[" * 100_000, "no JSON"),
            (base64.b64encode(_message()[1]), "no JSON"),
            (b"[]", "describes no object"),
            (b"null", "describes no object"),
            (b"{}", "describes no object"),
            (_message(kind="storage#bucket")[1], "describes no object"),
            (_message(bucket="other")[1], "different objects"),
            (_message(name="users/eve/photos/a.jpg")[1], "different objects"),
            (_message(generation="17")[1], "different objects"),
            (_message(generation=1714979289123456)[1], "different objects"),
            (_message(generation=None)[1], "different objects"),
            (_message(size=None)[1], "size None"),
            (_message(size="-1")[1], "size '-1'"),
            (_message(size="much")[1], "size 'much'"),
            (_message(size=2048)[1], "size 2048"),
            (_message(size="x" * 10**6)[1], "size 'x"),
            (_message(timeCreated=None)[1], "timeCreated None"),
            (_message(timeCreated="2024-05-06")[1], "timeCreated"),
            (_message(timeCreated="2024-05-06T07:08:09")[1], "timeCreated"),
            (_message(timeCreated="2024-13-06T07:08:09Z")[1], "timeCreated"),
            (_message(timeCreated="0001-01-01T00:00:00+23:00")[1], "timeCreated"),
            (_message(timeCreated=17)[1], "timeCreated 17"),
            (_message(metadata=["a"])[1], "metadata"),
        ],
    )
    def test_malformed_payload(self, data: bytes, detail: str) -> None:
        with pytest.raises(AnnouncementError) as caught:
            parse_announcement(_ATTRIBUTES, data)
        assert caught.value.reason == "malformed announcement"
        assert str(caught.value).startswith("malformed announcement: ")
        assert detail in str(caught.value)
        assert len(str(caught.value)) < 300

    def test_no_payload_says_what_to_do(self) -> None:
        attributes = _ATTRIBUTES | {"payloadFormat": "NONE"}
        with pytest.raises(AnnouncementError, match="--payload-format=json") as caught:
            parse_announcement(attributes, b"")
        assert caught.value.reason == "no payload"

    @pytest.mark.parametrize("name", ["users/ann/photos/", "users/ann/photos/trip/"])
    def test_what_consoles_make_of_a_folder_does_not_matter(self, name: str) -> None:
        attributes, data = _message(name=name)
        attributes["objectId"] = name
        assert parse_announcement(attributes, data) is None

    @pytest.mark.parametrize("event_type", [FINALIZE, DELETE, ARCHIVE])
    def test_what_lies_in_the_trash_does_not_matter(self, event_type: str) -> None:
        name = "users/ann/photos/trip/.piccl-trash/run/a.jpg"
        attributes, data = _message(name=name)
        attributes |= {"objectId": name, "eventType": event_type}
        assert parse_announcement(attributes, data) is None

    @pytest.mark.parametrize(
        "name",
        [
            "a.jpg",
            "users/ann/a.jpg",
            "users/ann/photos",
            "users//photos/a.jpg",
            "/users/ann/photos/a.jpg",
            "users/../photos/a.jpg",
            "users/__ann__/photos/a.jpg",
            "users/ann lee/photos/a.jpg",
            "users/ann\n/photos/a.jpg",
            f"users/{'a' * 129}/photos/a.jpg",
            "users/ann/photos/\ud800.jpg",
        ],
    )
    def test_foreign_object_name(self, name: str) -> None:
        attributes, data = _message(name=name)
        attributes["objectId"] = name
        with pytest.raises(AnnouncementError) as caught:
            parse_announcement(attributes, data)
        # The last one is no text at all.
        assert caught.value.reason in ("foreign object name", "malformed announcement")
        with pytest.raises(AnnouncementError, match=r"^foreign object name: "):
            owner(name)

    @pytest.mark.parametrize(
        "name",
        [
            "users/ann/photos/a.jpg",
            "users/ann/photos/2024/05/a.jpg",
            "users/ann/photos/users/eve/photos/a.jpg",
            "users/ann/photos/a\nb.jpg",
            "users/ann/photos//a.jpg",
        ],
    )
    def test_owner(self, name: str) -> None:
        assert owner(name) == "ann"

    @given(
        attributes=st.dictionaries(
            st.sampled_from([*_ATTRIBUTES, "x"]),
            st.text() | st.text(st.characters()) | st.sampled_from([FINALIZE, DELETE]),
        ),
        data=st.binary()
        | st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ).map(lambda value: json.dumps(value).encode()),
    )
    def test_anything_is_an_event_nothing_or_an_error(
        self, attributes: dict[str, str], data: bytes
    ) -> None:
        try:
            event = parse_announcement(attributes, data)
        except AnnouncementError:
            return
        assert event is None or isinstance(event, UploadEvent)

    @given(
        changed=st.dictionaries(
            st.sampled_from(
                ["kind", "name", "bucket", "generation", "size", "timeCreated"]
            ),
            st.none() | st.text() | st.integers() | st.floats() | st.just([]),
        ),
        metadata=st.none()
        | st.text()
        | st.dictionaries(
            st.just(FILE_TIME_KEY), st.text("0123456789.-e") | st.none() | st.integers()
        ),
        attributes=st.dictionaries(st.sampled_from([*_ATTRIBUTES]), st.text()),
    )
    def test_nearly_right_is_an_event_nothing_or_an_error(
        self,
        changed: dict[str, object],
        metadata: object,
        attributes: dict[str, str],
    ) -> None:
        right, data = _message(**changed, metadata=metadata)
        try:
            event = parse_announcement(right | attributes, data)
        except AnnouncementError:
            return
        if event is not None:
            assert len(event.photo_id) == 32
            assert event.path.encode()
            # What the photo is dated by, if it has no EXIF.
            assert datetime.fromtimestamp(event.updated_at_s, UTC).year > 0


_NAMES = st.text(min_size=1).filter(lambda name: not name.endswith("/"))
_TIMES = st.datetimes(
    datetime(1, 1, 3),
    datetime(9999, 12, 28),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]),
)


class TestBuild:
    @given(
        event_type=st.sampled_from([FINALIZE, DELETE, ARCHIVE]),
        user=st.text("abcXYZ019._-é", min_size=3, max_size=128).filter(
            lambda user: user != "..."
        ),
        file=_NAMES,
        generation=st.integers(0, 2**63 - 1),
        size=st.integers(0, 2**63 - 1),
        created_at=_TIMES,
        file_time=st.none() | st.integers(-(10**9), 10**11),
    )
    @example(FINALIZE, "ann", "a.jpg", 1, 0, datetime(1, 1, 2, tzinfo=UTC), None)
    def test_what_is_built_is_parsed(
        self,
        event_type: str,
        user: str,
        file: str,
        generation: int,
        size: int,
        created_at: datetime,
        file_time: int | None,
    ) -> None:
        if user.startswith("__"):
            return
        name = f"users/{user}/photos/{file}"
        metadata = {} if file_time is None else {FILE_TIME_KEY: str(file_time)}
        data, attributes = build_announcement(
            event_type,
            "roll",
            name,
            generation,
            size_bytes=size,
            created_at=created_at,
            metadata=metadata,
        )
        time_s = created_at.timestamp() if file_time is None else float(file_time)
        assert parse_announcement(attributes, data) == UploadEvent(
            user_id=user,
            bucket="roll",
            name=name,
            generation=generation,
            size_bytes=size,
            updated_at_s=time_s,
            removed=event_type != FINALIZE,
        )

    def test_built_twice_is_the_same(self) -> None:
        def build() -> str:
            data, attributes = build_announcement(
                FINALIZE, "b", "users/u/photos/a", 7, size_bytes=1, created_at=_CREATED
            )
            return message_to_json(attributes, data)

        assert build() == build()


class TestFileTime:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("1600000000", 1_600_000_000.0),
            ("1600000000.125", 1_600_000_000.125),
            ("-86400", -86_400.0),
            ("0", 0.0),
        ],
    )
    def test_number(self, text: str, seconds: float) -> None:
        assert file_time_s(_CREATED, {FILE_TIME_KEY: text}) == seconds

    @pytest.mark.parametrize(
        "text",
        ["", "nan", "inf", "1e9", "1_000", " 1", "yesterday", "999999999999", "9" * 99],
    )
    def test_nonsense(self, text: str) -> None:
        time_s = _CREATED.timestamp()
        assert file_time_s(_CREATED, {FILE_TIME_KEY: text}) == time_s

    def test_no_metadata(self) -> None:
        for metadata in (None, {}, {"other": "1"}, {FILE_TIME_KEY: 1}):
            assert file_time_s(_CREATED, metadata) == _CREATED.timestamp()


class TestJson:
    @given(attributes=st.dictionaries(st.text(), st.text()), data=st.binary())
    def test_round_trip(self, attributes: dict[str, str], data: bytes) -> None:
        text = message_to_json(attributes, data)
        assert message_from_json(text) == (attributes, data)

    def test_order_of_attributes_does_not_matter(self) -> None:
        one = message_to_json({"a": "1", "b": "2"}, b"x")
        assert one == message_to_json({"b": "2", "a": "1"}, b"x")

    @given(text=st.text())
    @example("{}")
    @example("null")
    @example("[" * 100_000)
    @example('{"attributes": {}, "data": "YQ"}')
    @example('{"attributes": {}, "data": "Y*Q=="}')
    @example('{"attributes": {}, "data": "ü"}')
    @example('{"attributes": {}, "data": null}')
    @example('{"attributes": {"a": 1}, "data": ""}')
    @example('{"attributes": [], "data": ""}')
    @example('{"attributes": {"a": "\\ud800"}, "data": ""}')
    def test_anything_else_is_an_error(self, text: str) -> None:
        with pytest.raises(AnnouncementError, match=r"^malformed announcement: "):
            message_from_json(text)
