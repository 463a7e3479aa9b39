"""`python -m demo` gives a person what the printed commands need."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore, storage

from demo.emulators import missing
from demo.pubsub import PubSub

ROOT: Final = Path(__file__).resolve().parents[2]


@contextmanager
def _commanded(**environment: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_what_is_printed_is_there_until_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with _commanded() as process:
        assert process.stdout is not None
        printed: list[str] = []
        while "Ctrl-C" not in (line := process.stdout.readline()):
            assert line, process.communicate()
            printed.append(line)
        for line in printed:
            if line.startswith("  export "):
                monkeypatch.setenv(*line.split()[1].split("=", 1))

        topic = "projects/piccl-demo/topics/uploads"
        subscription = "projects/piccl-demo/subscriptions/uploads"
        letters = "projects/piccl-demo/topics/dead-letters"
        text = "".join(printed)
        assert f"--subscription {subscription} " in text
        assert f"--dead-letter-topic {letters}\n" in text
        assert f"--topic {topic}\n" in text
        assert "--bucket photos " in text
        pubsub = PubSub("piccl-demo")
        pubsub.publish(topic, b"data")
        assert b"data" in [one.data for one in pubsub.pull_all(subscription)]
        pubsub.publish(letters, b"letter")
        (letter,) = pubsub.pull_all("projects/piccl-demo/subscriptions/dead-letters")
        assert letter.data == b"letter"
        anonymous = AnonymousCredentials()
        assert storage.Client("piccl-demo", anonymous).bucket("photos").exists()
        documents = firestore.Client("piccl-demo", anonymous)
        assert not documents.document("users/me").get().exists

        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.communicate() == ("\nStopped.\n", "")


def test_says_what_is_missing(tmp_path: Path) -> None:
    with _commanded(PATH=str(tmp_path)) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.startswith("demo: the firestore emulator needs Java")
