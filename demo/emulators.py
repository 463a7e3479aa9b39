"""Google's emulators of Firestore, Pub/Sub and Cloud Storage, on this machine.

Only the standard library is imported, so that any Python can ask what is missing.
"""

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

HOST: Final = "127.0.0.1"
# Below the ports that Linux gives to connections (32768 and up), one of which could
# take a free port before a JVM is ready to.
_PORTS: Final = range(20_000, 32_768)
# They take 3 to 5 s on two idle cores.
_READY_WITHIN_S: Final = 90.0
_STOPPED_WITHIN_S: Final = 5.0
_LOG_END_BYTES: Final = 2_000
# Whatever proxy the environment names does not lead to this machine.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))

# Where the SDK's packages and its archive are unpacked.
_SDK_PLACES: Final = (
    "/usr/lib/google-cloud-sdk",
    "/usr/share/google-cloud-sdk",
    "/opt/google-cloud-sdk",
    "/snap/google-cloud-cli/current",
    "/opt/homebrew/share/google-cloud-sdk",
    "/usr/local/share/google-cloud-sdk",
    # As it is now: tests have a home of their own later.
    os.path.expanduser("~/google-cloud-sdk"),
)


class EmulatorError(Exception):
    """An emulator is not installed, or did not start."""


@dataclass(frozen=True)
class Emulators:
    """Those that run.

    Attributes:
        environment: What clients find them by, as FIRESTORE_EMULATOR_HOST.
        processes: Process id of each, by its name.
    """

    environment: Mapping[str, str]
    processes: Mapping[str, int]


@dataclass(frozen=True)
class _Kind:
    """How one emulator is found, started and asked whether it is ready.

    Attributes:
        variable: Of the environment, where clients look for it.
        scheme: What the variable's value begins with.
        command: Port to the command that runs it.
        missing: Why it can not run; nothing if it can.
        request: Path of a request that only the emulator itself can answer.
    """

    variable: str
    scheme: str
    command: Callable[[int], Sequence[str]]
    missing: Callable[[], str]
    request: str


@dataclass(frozen=True)
class _Started:
    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: IO[bytes]


def _sdk_roots() -> Iterator[Path]:
    if named := os.environ.get("CLOUDSDK_ROOT_DIR"):
        yield Path(named)
    if gcloud := shutil.which("gcloud"):
        yield Path(gcloud).resolve().parents[1]
    yield from map(Path, _SDK_PLACES)


def _jar(pattern: str) -> Path | None:
    """The newest file of an SDK's platform/ that fits."""
    for root in _sdk_roots():
        if found := sorted((root / "platform").glob(pattern)):
            return found[-1]
    return None


_FIRESTORE_JAR: Final = "cloud-firestore-emulator/cloud-firestore-emulator.jar"
_PUBSUB_JAR: Final = "pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar"


def _missing_java(jar: str, component: str) -> str:
    if not shutil.which("java"):
        return "needs Java 11 or newer on the PATH"
    if not _jar(jar):
        return (
            "needs the Google Cloud SDK with its emulator: "
            f"gcloud components install {component}"
        )
    return ""


def _missing_storage() -> str:
    if not importlib.util.find_spec("gcp_storage_emulator"):
        return "needs gcp-storage-emulator of requirements-dev.txt"
    return ""


# The JVMs are started themselves: one that gcloud starts outlives gcloud.
def _firestore(port: int) -> Sequence[str]:
    main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
    jar = str(_jar(_FIRESTORE_JAR))
    where = (f"--host={HOST}", f"--port={port}")
    return ("java", "-Xmx2g", "-cp", jar, main, "start", *where)


def _pubsub(port: int) -> Sequence[str]:
    where = (f"--host={HOST}", f"--port={port}")
    return ("java", "-Xmx512m", "-jar", str(_jar(_PUBSUB_JAR)), *where)


def _storage(port: int) -> Sequence[str]:
    where = (f"--host={HOST}", f"--port={port}")
    quietly = ("--quiet", "--in-memory")
    return (sys.executable, "-m", "gcp_storage_emulator", "start", *where, *quietly)


_KINDS: Final[Mapping[str, _Kind]] = {
    "firestore": _Kind(
        "FIRESTORE_EMULATOR_HOST",
        "",
        _firestore,
        lambda: _missing_java(_FIRESTORE_JAR, "cloud-firestore-emulator"),
        "/v1/projects/ready/databases/(default)/documents/ready",
    ),
    "pubsub": _Kind(
        "PUBSUB_EMULATOR_HOST",
        "",
        _pubsub,
        lambda: _missing_java(_PUBSUB_JAR, "pubsub-emulator"),
        "/v1/projects/ready/topics",
    ),
    "storage": _Kind(
        "STORAGE_EMULATOR_HOST",
        "http://",
        _storage,
        _missing_storage,
        "/storage/v1/b?project=ready",
    ),
}


def missing(*names: str) -> str:
    """Why emulators can not run here; nothing if they can.

    Args:
        names: Of firestore, pubsub and storage; all of them if none is named.
    """
    reasons = ((name, _KINDS[name].missing()) for name in names or _KINDS)
    return "; ".join(f"the {name} emulator {why}" for name, why in reasons if why)


@contextlib.contextmanager
def running(*names: str) -> Iterator[Emulators]:
    """Start emulators on free ports; they are ready within, and gone afterwards.

    To be called by a thread that stays: where Linux ends them with who started
    them, that is the thread.

    Args:
        names: Of firestore, pubsub and storage; all of them if none is named.

    Raises:
        EmulatorError: One is not installed, or was not ready in time.
    """
    if why := missing(*names):
        raise EmulatorError(why)
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(_process(name, _free_port()))
            for name in names or _KINDS
        ]
        deadline = time.monotonic() + _READY_WITHIN_S
        for one in started:
            _await_ready(one, deadline)
        yield Emulators(
            environment={
                _KINDS[one.name].variable: f"{_KINDS[one.name].scheme}{HOST}:{one.port}"
                for one in started
            },
            processes={one.name: one.process.pid for one in started},
        )


def _free_port() -> int:
    # Chance of its own: a test may have seeded the common one.
    chance = random.SystemRandom()
    while True:
        port = chance.choice(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port


@contextlib.contextmanager
def _process(name: str, port: int) -> Iterator[_Started]:
    command = [*_KINDS[name].command(port)]
    # Tests that are killed shall leave nothing behind.
    if sys.platform == "linux" and (setpriv := shutil.which("setpriv")):
        command = [setpriv, "--pdeathsig=KILL", "--", *command]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # The interrupt of a person is for the parent, which then stops this.
            start_new_session=True,
        )
        try:
            yield _Started(name, port, process, log)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    # One that was frozen hears of it only when it goes on.
    process.send_signal(signal.SIGCONT)
    try:
        process.wait(_STOPPED_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _await_ready(one: _Started, deadline: float) -> None:
    url = f"http://{HOST}:{one.port}{_KINDS[one.name].request}"
    while one.process.poll() is None and time.monotonic() < deadline:
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            _OPENER.open(url, timeout=5.0),
        ):
            return
        time.sleep(0.1)
    code = one.process.poll()
    ended = "was not ready in time" if code is None else f"ended with {code}"
    size = one.log.seek(0, os.SEEK_END)
    one.log.seek(max(0, size - _LOG_END_BYTES))
    said = one.log.read().decode("utf-8", "replace").strip()
    raise EmulatorError(f"the {one.name} emulator {ended}; it said:\n{said}")
