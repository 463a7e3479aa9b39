"""`--no-skips`, by which CI notices that tests were skipped, can fail."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]

_TESTS: Final = """\
import pytest

@pytest.fixture
def emulator():
    pytest.skip("needs Java")

def test_skipped_by_a_fixture(emulator): ...

@pytest.mark.skipif(True, reason="needs Java")
def test_skipped_by_a_mark(): ...

def test_skipped_within():
    pytest.skip("needs Java")

def test_skipped_for_want_of_data():
    pytest.skip("needs the labelled photos in ../shared/data/photos")

@pytest.mark.xfail
def test_expected_to_fail():
    assert False

def test_run(): ...
"""


def _run(folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-ra", *options]
    return subprocess.run(
        [*command, str(folder)],
        cwd=ROOT,
        # CI itself asks for --no-skips by this variable.
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_what_is_skipped_fails(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(_TESTS)
    assert _run(tmp_path).returncode == 0
    refused = _run(tmp_path, "--no-skips")
    assert refused.returncode == 1
    failed = re.findall(r"^(?:FAILED|ERROR) .*::(\w+)", refused.stdout, re.M)
    assert sorted(failed) == [
        "test_skipped_by_a_fixture",
        "test_skipped_by_a_mark",
        "test_skipped_within",
    ]
    assert "needs Java" in refused.stdout


def test_a_file_that_is_skipped_fails(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import pytest\npytest.importorskip('none')\n")
    refused = _run(tmp_path, "--no-skips")
    assert refused.returncode not in (0, 5)  # 5: no test was collected
    assert "--no-skips: " in refused.stdout
