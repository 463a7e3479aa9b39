"""`piccl review`: who it lets in by its options, and that it starts and ends."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
import requests

from pipeline.__main__ import MISUSED, main
from store.urls import open_store

TOKEN: Final = "0123456789abcdef"


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/photos.db"
    open_store(url).close()
    return url


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "--user is needed"),
        ("--user me --host 0.0.0.0", "would show the photos to whoever reaches it"),
        ("--user me --host 192.0.2.1", "would show the photos"),
        (f"--user me --token {TOKEN}", "unknown option"),
        ("--user me --token-file /none", "can not read --token-file"),
        ("--user me --port 70000", "can not listen"),
        ("--user me --runner X", "unknown option"),
        ("--store firestore://some-project --user me", "users sign in"),
        ("--store sqlite:////none/none.db --user me", "no database"),
    ],
)
def test_what_it_does_not_do(
    store: str, capsys: pytest.CaptureFixture[str], options: str, said: str
) -> None:
    given = [] if "--store" in options else ["--store", store]
    assert main(["review", *given, *options.split()]) == MISUSED
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("short", "at least 16"),
        (f"{TOKEN}?&", "letters and digits"),
        (TOKEN, "sign in"),
    ],
)
def test_token_is_long_and_part_of_a_link(
    store: str, tmp_path: Path, capsys, token: str, said: str
) -> None:
    (tmp_path / "token").write_text(token)
    whose = ["--user", "me", "--store", store]
    if token == TOKEN:
        whose = ["--store", "firestore://some-project"]
    argv = ["review", *whose, "--token-file", str(tmp_path / "token")]
    assert main(argv) == MISUSED
    assert said in capsys.readouterr().err


def test_tokens_that_nobody_signed_are_not_believed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", "127.0.0.1:9099")
    assert main(["review", "--store", "firestore://some-project"]) == MISUSED
    assert "would not be verified" in capsys.readouterr().err


def test_port_in_use_is_said(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        argv = ["review", "--store", store, "--user", "me", "--port", port]
        assert main(argv) == MISUSED
    assert f"127.0.0.1:{port}: Address already in use" in capsys.readouterr().err


def test_one_link_reaches_it_from_the_network(store: str, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text(TOKEN)
    command = [sys.executable, "-m", "pipeline", "review", "--store", store]
    options = ["--user", "me", "--host", "0.0.0.0", "--port", "0"]
    with subprocess.Popen(
        [*command, *options, "--token-file", str(secret)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        link = process.stdout.readline().removeprefix("The photos: ").strip()
        # Not an address that only this machine knows, if it has another one.
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way,
            contextlib.suppress(OSError),
        ):
            way.connect(("192.0.2.1", 9))
            assert f"//{way.getsockname()[0]}:" in link
        assert requests.get(link, timeout=30).status_code == 200
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_serves_until_it_is_interrupted(store: str, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text(f"{TOKEN}\n")
    command = [sys.executable, "-m", "pipeline", "review", "--store", store]
    options = ["--user", "me", "--port", "0", "--token-file", str(secret)]
    with subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(
            rf"The photos: (http://127.0.0.1:\d+/)\?token={TOKEN}\n", line
        )
        assert found is not None, line
        with requests.Session() as session:
            assert session.get(found[1], timeout=30).status_code == 401
            page = session.get(f"{found[1]}?token={TOKEN}", timeout=30)
            assert page.url == found[1]
            assert "No photos" in page.text
            assert "waitress" not in page.headers.get("Server", "").lower()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0
    # Refusals are written although the command keeps other logs still.
    (refused,) = stderr.splitlines()
    assert refused.endswith("refused 401: 'GET' '/' from '127.0.0.1': 'not signed in'")
    assert TOKEN not in stderr
