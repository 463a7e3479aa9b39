"""Children that are measured: wall time, processor time, peak memory of all of them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from benchmarks.settings import ROOT

# What TensorFlow says at its start.
QUIET: Final = {"TF_CPP_MIN_LOG_LEVEL": "3"}
# As `piccl` sets them: its own threads are enough.
AS_PICCL: Final = {
    **QUIET,
    "OPENBLAS_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
}
_LOOK_EVERY_S: Final = 0.1
_LAST_LINES: Final = 3


class ChildError(Exception):
    """A child failed; the text is the last of what it said."""


@dataclass(frozen=True)
class Run:
    """What a child took.

    Attributes:
        wall_s: From its start to its end, imports and loading of models included.
        cpu_s: Of all cores, children included.
        peak_mb: Sum of the peaks of resident memory of it and its children.
        answer: What it said of itself, as JSON.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    answer: dict[str, Any]


def measure(
    command: Sequence[str | Path],
    *,
    answer: Path | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path = ROOT,
) -> Run:
    """Run a child to its end.

    Args:
        command: Its program and arguments.
        answer: The file that it writes JSON to; None if that is all it prints.
        environment: Variables it has beside ours.
        folder: Where it runs.

    Raises:
        ChildError: It failed, or said nothing that can be read.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        began_s = time.perf_counter()
        child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        try:
            with _watched(child.pid) as peaks:
                _, status, usage = os.wait4(child.pid, 0)
                wall_s = time.perf_counter() - began_s
        except BaseException:
            kill(child)
            raise
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said = _end(errors) or _end(out) or "nothing"
            raise ChildError(f"exit {child.returncode}, saying: {said}")
        try:
            if answer is None:
                out.seek(0)
                said = out.read()
            else:
                said = answer.read_text()
            answered = json.loads(said)
        except (OSError, ValueError) as err:
            raise ChildError(f"no answer: {_end(errors) or err}") from err
    peak_kb = sum(peaks.values()) or usage.ru_maxrss / _MAXRSS_UNITS_A_KB
    return Run(wall_s, usage.ru_utime + usage.ru_stime, peak_kb * 1024 / 1e6, answered)


def kill(child: "subprocess.Popen[Any]") -> None:
    """End a child that leads a session, and all that came of it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def piccl(*arguments: str | Path) -> list[str]:
    """The command that a person types as `piccl`, of this checkout."""
    return [sys.executable, "-m", "pipeline", *map(str, arguments)]


def module(name: str, *arguments: str | Path) -> list[str]:
    """A module of this package as a program of its own."""
    return [sys.executable, "-m", f"benchmarks.{name}", *map(str, arguments)]


# Bytes on macOS.
_MAXRSS_UNITS_A_KB: Final = 1024 if sys.platform == "darwin" else 1


class _watched:  # noqa: N801 - used as a function
    """Peaks by process, kB, of a process and its descendants; empty without /proc."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peaks: dict[int, int] = {}
        self._is_done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> dict[int, int]:
        self._thread.start()
        return self._peaks

    def __exit__(self, *_: object) -> None:
        self._is_done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_done.wait(_LOOK_EVERY_S):
            for pid in _family(self._pid):
                self._peaks[pid] = max(self._peaks.get(pid, 0), _peak_kb(pid))


def _family(pid: int) -> Iterator[int]:
    yield pid
    for listing in Path("/proc", str(pid), "task").glob("*/children"):
        try:
            children = listing.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _family(int(child))


def _peak_kb(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status") as status:
            return next(int(line.split()[1]) for line in status if "VmHWM" in line)
    except (OSError, StopIteration):
        return 0


def _end(stream: IO[str]) -> str:
    stream.seek(0)
    return " / ".join(stream.read().strip().splitlines()[-_LAST_LINES:])
