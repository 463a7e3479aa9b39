"""A store that does not answer is a clear line at once, not a job that waits."""

import socket
import time
from typing import Final

import pytest

from pipeline.__main__ import main


@pytest.fixture(autouse=True)
def _in_a_folder_with_a_photo(tmp_path, jpeg, monkeypatch) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(jpeg(1))
    monkeypatch.chdir(tmp_path)


def _complaint(capsys, argv: list[str]) -> str:
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.strip().splitlines()
    return line


_COMMANDS: Final = [
    ["settle"],
    ["search", "--user=me"],
    ["backfill", "photos", "--user=me", "--weights=none"],
]


@pytest.mark.parametrize("words", _COMMANDS, ids=lambda words: words[0])
def test_firestore_that_is_not_there(words, monkeypatch, capsys) -> None:
    # Nobody listens on a port that was just given back.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", address)
    started_s = time.monotonic()
    line = _complaint(capsys, [*words, "--store=firestore://some-project"])
    assert f"Firestore at {address} (FIRESTORE_EMULATOR_HOST)" in line
    assert "does not answer" in line
    assert time.monotonic() - started_s < 30


def test_firestore_that_says_nothing(monkeypatch, capsys) -> None:
    monkeypatch.setattr("store.firestore_database._ANSWER_WITHIN_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", address)
        line = _complaint(capsys, ["settle", "--store=firestore://some-project"])
    assert "does not answer" in line


@pytest.mark.parametrize("words", _COMMANDS, ids=lambda words: words[0])
def test_firestore_without_credentials(words, tmp_path, monkeypatch, capsys) -> None:
    for name in ("FIRESTORE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    # Nor those of a machine of Google's.
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    line = _complaint(capsys, [*words, "--store=firestore://without-credentials"])
    assert "gcloud auth application-default login" in line
