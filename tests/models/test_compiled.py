"""Compiling, where that can be kept and where it can not."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

_KERNEL = """\
from models.compiled import compiled

@compiled
def double(number):
    return number * 2
"""
_ASKED = "from kernel import double; print(double(21), double(4))"


def _no_room() -> None:
    """Files can be made, and nothing be written to them."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.mark.parametrize(
    ("limit", "keeps"), [(None, True), (_no_room, False)], ids=["kept", "no room"]
)
def test_what_is_compiled_is_kept_where_there_is_room(
    tmp_path: Path, limit: None, keeps: bool
) -> None:
    (tmp_path / "kernel.py").write_text(_KERNEL)
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-B", "-c", _ASKED],
        env={"PYTHONPATH": f"{tmp_path}:{root}"},
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "42 8\n", done.stderr
    kept = [file for file in tmp_path.rglob("*.nbc") if file.stat().st_size]
    assert bool(kept) == keeps
