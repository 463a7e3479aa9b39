"""The emulators start, are found, and never outlive whoever started them."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore, storage

from demo import emulators
from demo.emulators import EmulatorError, missing, running
from demo.pubsub import PubSub

ROOT: Final = Path(__file__).resolve().parents[2]

needs_emulators = pytest.mark.skipif(bool(missing()), reason=missing())


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _eventually(holds: Callable[[], bool], within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return held


def _use(name: str) -> None:
    """Write to an emulator and read it again, as its own clients do."""
    if name == "firestore":
        client = firestore.Client("used", credentials=AnonymousCredentials())
        client.document("users/u").set({"id": "u"})
        assert client.document("users/u").get().to_dict() == {"id": "u"}
    elif name == "pubsub":
        pubsub = PubSub("used")
        topic = pubsub.topic("uploads")
        subscription = pubsub.subscription(topic, "stream")
        pubsub.publish(topic, b"data", eventType="OBJECT_FINALIZE")
        (message,) = pubsub.pull_all(subscription)
        assert message.data == b"data"
        assert message.attributes == {"eventType": "OBJECT_FINALIZE"}
        assert pubsub.pull_all(subscription) == []
    else:
        buckets = storage.Client("used", credentials=AnonymousCredentials())
        blob = buckets.create_bucket("photos").blob("users/u/photos/a.jpg")
        blob.upload_from_string(b"bytes")
        assert blob.download_as_bytes() == b"bytes"


@needs_emulators
class TestRunning:
    @pytest.mark.parametrize("name", ["firestore", "pubsub", "storage"])
    def test_is_usable_within_and_gone_afterwards(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with running(name) as started:
            assert [*started.processes] == [name]
            for variable, value in started.environment.items():
                monkeypatch.setenv(variable, value)
            _use(name)
        assert not _alive(started.processes[name])

    def test_two_stand_beside_each_other(self) -> None:
        with running("storage") as one, running("storage") as other:
            assert one.environment != other.environment

    def test_a_frozen_one_ends_as_soon_as_another(self) -> None:
        with running("storage") as started:
            os.kill(started.processes["storage"], signal.SIGSTOP)
            began = time.monotonic()
        assert time.monotonic() - began < emulators._STOPPED_WITHIN_S / 2
        assert not _alive(started.processes["storage"])

    @pytest.mark.skipif(
        sys.platform != "linux" or not shutil.which("setpriv"),
        reason="needs Linux, where a child can end with its parent",
    )
    def test_none_outlives_one_who_is_killed(self) -> None:
        program = (
            "import signal\n"
            "from demo.emulators import running\n"
            "with running('storage') as started:\n"
            "    print(started.processes['storage'], flush=True)\n"
            "    signal.pause()\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            emulator = int(process.stdout.readline())
            assert _alive(emulator)
            process.kill()
        assert _eventually(lambda: not _alive(emulator))

    def test_an_error_within_ends_them(self) -> None:
        with pytest.raises(RuntimeError), running("storage") as started:
            raise RuntimeError
        assert not _alive(started.processes["storage"])


class TestFailing:
    @pytest.fixture
    def java(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A program that is found as Java, in place of any other."""
        for jar in (emulators._FIRESTORE_JAR, emulators._PUBSUB_JAR):
            path = tmp_path / "sdk" / "platform" / jar.replace("*", "1")
            path.parent.mkdir(parents=True)
            path.touch()
        monkeypatch.setenv("CLOUDSDK_ROOT_DIR", str(tmp_path / "sdk"))
        program = tmp_path / "bin" / "java"
        program.parent.mkdir()
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        program.touch(0o755)
        return program

    def test_one_that_ends_is_quoted(self, java: Path) -> None:
        java.write_text("#!/bin/sh\nseq 1000; echo no room >&2; exit 3\n")
        began = time.monotonic()
        with pytest.raises(EmulatorError) as raised, running("firestore"):
            pass
        assert time.monotonic() - began < emulators._READY_WITHIN_S / 2
        text = str(raised.value)
        assert text.startswith("the firestore emulator ended with 3; it said:\n")
        assert text.endswith("1000\nno room")
        assert len(text) < 3_000

    def test_one_that_is_never_ready_is_given_up(
        self, java: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        java.write_text("#!/bin/sh\necho $$; exec sleep 1000\n")
        monkeypatch.setattr(emulators, "_READY_WITHIN_S", 1.0)
        with pytest.raises(EmulatorError, match="was not ready in time") as raised:
            running("pubsub").__enter__()
        assert not _alive(int(str(raised.value).splitlines()[-1]))


class TestMissing:
    @pytest.fixture(autouse=True)
    def _bare(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(emulators, "_SDK_PLACES", ())
        monkeypatch.delenv("CLOUDSDK_ROOT_DIR", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))

    def _install(self, *files: Path) -> None:
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(0o755)

    def test_without_java(self) -> None:
        assert missing("firestore") == (
            "the firestore emulator needs Java 11 or newer on the PATH"
        )
        with pytest.raises(EmulatorError, match="Java"), running("firestore"):
            pass

    def test_without_the_sdk(self, tmp_path: Path) -> None:
        self._install(tmp_path / "java")
        assert "gcloud components install pubsub-emulator" in missing("pubsub")

    def test_storage_needs_no_java(self) -> None:
        assert missing("storage") == ""

    def test_sdk_is_found_behind_the_link_on_the_path(self, tmp_path: Path) -> None:
        sdk = tmp_path / "sdk"
        self._install(
            tmp_path / "java",
            sdk / "bin" / "gcloud",
            sdk / "platform" / emulators._FIRESTORE_JAR,
        )
        assert missing("firestore")
        (tmp_path / "gcloud").symlink_to(sdk / "bin" / "gcloud")
        assert missing("firestore") == ""


class TestFixtures:
    def test_project_is_empty(self, firestore_project: str) -> None:
        client = firestore.Client(firestore_project, credentials=AnonymousCredentials())
        assert not any(True for _ in client.collections())

    def test_many_messages_are_pulled(self, pubsub: PubSub) -> None:
        topic = pubsub.topic("uploads")
        subscription = pubsub.subscription(topic, "stream")
        sent = [
            pubsub.publisher.publish(topic, str(number).encode())
            for number in range(1_500)
        ]
        for message_id in sent:
            message_id.result(timeout=60)
        assert len(pubsub.pull_all(subscription)) == 1_500
