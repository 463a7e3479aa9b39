"""What a job does to the process that it runs in."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_only_what_python_writes_reaches_stderr_meanwhile() -> None:
    code = """if True:
        import os, sys
        from pipeline.launch import without_native_stderr
        os.write(2, b"before\\n")
        with without_native_stderr():
            os.write(2, b"from below\\n")
            print("from Python", file=sys.stderr)
        os.write(2, b"after\\n")
        print("from Python again", file=sys.stderr)
        try:
            with without_native_stderr():
                raise OSError
        except OSError:
            os.write(2, b"after an error\\n")
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.splitlines() == [
        "before",
        "from Python",
        "after",
        "from Python again",
        "after an error",
    ]
