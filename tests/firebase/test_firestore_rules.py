"""The rules of Firestore: the owner of documents, another user, and anonymous."""

import uuid
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from demo.emulators import Emulators
from store.urls import open_store
from tests.firebase.callers import Caller, Callers, Value, compile_rules, unsigned_token
from tests.store.samples import CAT, MAY_1, all_similar, write
from tests.store.trash_requests import request_of

RULES: Final = (
    Path(__file__).resolve().parents[2] / "firebase" / "firestore.rules"
).read_text()
DENY_ALL: Final = """
service cloud.firestore {
  match /databases/{database}/documents {
    match /{path=**} { allow read, write: if false; }
  }
}
"""
ALLOW_ALL: Final = DENY_ALL.replace("if false", "if true")

READABLE: Final = [
    "users/ada",
    "users/ada/photos/a",
    "users/ada/tags/a",
    "users/ada/deletions/a",
    "users/ada/trash/run.b",
]
PHOTO: Final = "users/ada/photos/a"
HIDDEN: Final = "users/ada/tombstones/gone"
LISTS: Final = ["photos", "tags", "deletions", "trash"]


def _filled(emulators: Emulators, project: str) -> Callers:
    """Photos of two users, and tombstones, as the store writes them."""
    with closing(open_store(f"firestore://{project}")) as store:
        for user_id in ("ada", "bob"):
            store.register(user_id, f"{user_id}@example.org")
            for photo in ("a", "b", "gone"):
                write(store, photo, user_id=user_id, detected=CAT)
            store.remove(user_id, "gone", 10)
            store.settle(user_id, MAY_1, all_similar)
            store.trash(user_id, [request_of("b")])
    host = emulators.environment["FIRESTORE_EMULATOR_HOST"]
    documents = f"projects/{project}/databases/(default)/documents"

    def caller(token: str | None) -> Caller:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return Caller(f"http://{host}/v1/{documents}", headers)

    return Callers(
        caller("owner"),
        caller(unsigned_token("ada")),
        caller(unsigned_token("bob")),
        caller(None),
    )


@pytest.fixture(scope="module")
def callers(firestore_emulator: Emulators) -> Callers:
    """They ask for documents of one project, in which only decisions change."""
    project = f"piccl-{uuid.uuid4().hex[:12]}"
    filled = _filled(firestore_emulator, project)
    compile_rules(firestore_emulator, project, RULES).raise_for_status()
    return filled


class TestReading:
    @pytest.mark.parametrize("path", READABLE)
    def test_documents(self, callers: Callers, path: str) -> None:
        assert callers.owner.get(path) == 200
        assert [caller.get(path) for caller in callers.strangers()] == [403, 403]

    def test_tombstones_are_hidden(self, callers: Callers) -> None:
        assert callers.admin.get(HIDDEN) == 200
        assert callers.owner.get(HIDDEN) == 403
        assert callers.owner.query("users/ada", "tombstones") == 403

    def test_what_is_not_there(self, callers: Callers) -> None:
        assert callers.owner.get("users/ada/photos/none") == 404
        assert callers.other.get("users/ada/photos/none") == 403

    @pytest.mark.parametrize("name", LISTS)
    def test_own_lists(self, callers: Callers, name: str) -> None:
        for ask in (
            lambda caller: caller.get(f"users/ada/{name}"),
            lambda caller: caller.query("users/ada", name),
            lambda caller: caller.count("users/ada", name),
        ):
            assert ask(callers.owner) == 200
            assert [ask(caller) for caller in callers.strangers()] == [403, 403]

    def test_nobody_lists_users(self, callers: Callers) -> None:
        assert callers.admin.get("users") == 200
        for caller in (callers.owner, *callers.strangers()):
            assert caller.get("users") == 403

    @pytest.mark.parametrize("name", [*LISTS, "tombstones"])
    def test_nobody_searches_all_users(self, callers: Callers, name: str) -> None:
        own = {
            "fieldFilter": {
                "field": {"fieldPath": "user_id"},
                "op": "EQUAL",
                "value": {"stringValue": "ada"},
            }
        }
        assert callers.admin.query("", name, where=own) == 200
        for caller in (callers.owner, *callers.strangers()):
            assert caller.query("", name, where=own) == 403


KEEP: Final[Value] = {"stringValue": "keep"}
TRASH: Final[Value] = {"stringValue": "trash"}
NONE: Final[Value] = {"nullValue": None}


class TestDeciding:
    @pytest.mark.parametrize("decision", [KEEP, TRASH, NONE], ids=str)
    def test_the_owner_may(self, callers: Callers, decision: Value) -> None:
        before = callers.admin.fields(PHOTO)
        for first in (KEEP, TRASH, NONE):
            assert callers.owner.update(PHOTO, {"decision": first}) == 200
            assert callers.owner.update(PHOTO, {"decision": decision}) == 200
            assert callers.admin.fields(PHOTO) == before | {"decision": decision}

    def test_strangers_may_not(self, callers: Callers) -> None:
        for caller in callers.strangers():
            assert caller.update(PHOTO, {"decision": TRASH}) == 403

    @pytest.mark.parametrize(
        "decision",
        [
            {"stringValue": "perhaps"},
            {"stringValue": ""},
            {"booleanValue": True},
            {"integerValue": "1"},
            {"arrayValue": {"values": [KEEP]}},
            {"mapValue": {"fields": {"keep": KEEP}}},
        ],
        ids=str,
    )
    def test_nothing_else_is_a_decision(
        self, callers: Callers, decision: Value
    ) -> None:
        assert callers.owner.update(PHOTO, {"decision": decision}) == 403

    def test_a_decision_is_not_taken_away(self, callers: Callers) -> None:
        assert callers.owner.clear(PHOTO, "decision") == 403

    @pytest.mark.parametrize("name", ["tags", "deletions", "tombstones", "trash"])
    def test_only_photos_are_decided_about(self, callers: Callers, name: str) -> None:
        (path,) = (it for it in (*READABLE, HIDDEN) if it.split("/")[2:3] == [name])
        assert callers.owner.update(path, {"decision": KEEP}) == 403


class TestWriting:
    @pytest.mark.parametrize("path", [*READABLE, HIDDEN])
    def test_no_other_field(self, callers: Callers, path: str) -> None:
        fields = callers.admin.fields(path)
        others = [
            name for name in (*fields, "new") if path != PHOTO or name != "decision"
        ]
        assert len(others) > 2
        decision = TRASH if fields.get("decision") == KEEP else KEEP
        for name in others:
            value = NONE if fields.get(name) != NONE else KEEP
            assert callers.owner.update(path, {name: value}) == 403, name
            both = {name: value, "decision": decision}
            assert callers.owner.update(path, both) == 403, name
            if name in fields:
                assert callers.owner.clear(path, name) == 403, name
        assert callers.admin.fields(path) == fields

    def test_a_photo_is_not_replaced(self, callers: Callers) -> None:
        assert callers.owner.replace(PHOTO, {"decision": KEEP}) == 403

    @pytest.mark.parametrize(
        "path",
        [
            "users/eve",
            "users/ada/photos/new",
            "users/ada/tags/new",
            "users/ada/deletions/new",
            "users/ada/tombstones/new",
            "users/ada/trash/new",
            "users/ada/other/new",
            "users/ada/photos/a/notes/new",
            "other/new",
        ],
    )
    def test_nobody_creates(self, callers: Callers, path: str) -> None:
        for caller in (callers.owner, *callers.strangers()):
            assert caller.create(path, {"decision": KEEP}) == 403
            assert caller.update(path, {"decision": KEEP}) == 403
        assert callers.admin.get(path) == 404

    @pytest.mark.parametrize("path", [*READABLE, HIDDEN])
    def test_nobody_deletes(self, callers: Callers, path: str) -> None:
        for caller in (callers.owner, *callers.strangers()):
            assert caller.delete(path) == 403
        assert callers.admin.get(path) == 200


class TestControl:
    """What is refused above is refused by the rules, and by nothing else."""

    def test_other_rules_refuse_the_owner(
        self, firestore_emulator: Emulators, firestore_project: str
    ) -> None:
        callers = _filled(firestore_emulator, firestore_project)
        compile_rules(firestore_emulator, firestore_project, DENY_ALL)
        assert callers.owner.get(PHOTO) == 403
        assert callers.owner.update(PHOTO, {"decision": KEEP}) == 403
        assert callers.admin.get(PHOTO) == 200
        compile_rules(firestore_emulator, firestore_project, RULES)
        assert callers.owner.get(PHOTO) == 200

    def test_other_rules_allow_everybody(
        self, firestore_emulator: Emulators, firestore_project: str
    ) -> None:
        callers = _filled(firestore_emulator, firestore_project)
        compile_rules(firestore_emulator, firestore_project, ALLOW_ALL)
        for caller in (callers.owner, *callers.strangers()):
            assert caller.get(HIDDEN) == 200
            assert caller.query("", "photos") == 200
            assert caller.count("users/ada", "photos") == 200
            assert caller.create("users/eve", {"id": KEEP}) == 200
            assert caller.replace(PHOTO, {"decision": KEEP}) == 200
            assert caller.clear(PHOTO, "decision") == 200
            assert caller.delete("users/eve") == 200
