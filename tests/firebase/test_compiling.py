"""Rules compile, and what is broken does not.

Those of Storage are not tested beyond that: only the emulator of firebase-tools,
which is no part of the Cloud SDK, runs them.
"""

import json
from pathlib import Path
from typing import Final

import pytest

from demo.emulators import Emulators
from tests.firebase.callers import compile_rules

FOLDER: Final = Path(__file__).resolve().parents[2] / "firebase"


@pytest.mark.parametrize("name", ["firestore.rules", "storage.rules"])
class TestCompiling:
    def test_without_a_warning(
        self, firestore_emulator: Emulators, firestore_project: str, name: str
    ) -> None:
        rules = (FOLDER / name).read_text()
        answer = compile_rules(firestore_emulator, firestore_project, rules)
        assert (answer.status_code, answer.json()) == (200, {})

    def test_a_broken_one_is_refused(
        self, firestore_emulator: Emulators, firestore_project: str, name: str
    ) -> None:
        rules = (FOLDER / name).read_text().replace("isOwner() {", "isOwner( {")
        answer = compile_rules(firestore_emulator, firestore_project, rules)
        assert answer.status_code == 400
        assert "Error compiling rules" in answer.text

    def test_an_unknown_function_is_warned_of(
        self, firestore_emulator: Emulators, firestore_project: str, name: str
    ) -> None:
        rules = (FOLDER / name).read_text()
        rules = rules.replace("hasOnly", "hasOnli").replace("matches", "matchs", 1)
        answer = compile_rules(firestore_emulator, firestore_project, rules)
        (issue,) = answer.json()["issues"]
        assert "Invalid function name" in issue["description"]


def test_what_is_deployed_is_there() -> None:
    deployed = json.loads((FOLDER / "firebase.json").read_text())
    names = [name for part in deployed.values() for name in part.values()]
    assert sorted(names) == sorted(
        path.name for path in FOLDER.iterdir() if path.name != "firebase.json"
    )
