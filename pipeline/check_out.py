"""Whether a file can be written, asked before the work is done."""

import os
from pathlib import Path

from pipeline.errors import UsageError


def check_out(out: Path, *suffixes: str, option: str = "--out") -> None:
    """Refuse a file that can not be written.

    Args:
        out: The file; what is there is written over.
        suffixes: Of which its name has one; the first is the usual one.
        option: That named it.

    Raises:
        UsageError: It can not be, or something else would be lost.
    """
    if out.suffix.lower() not in suffixes:
        raise UsageError(f"{option} must end in {suffixes[0]}: {out}")
    folder = out.resolve().parent
    if not folder.is_dir():
        raise UsageError(f"no such folder: {out.parent}")
    target = out if out.exists() else folder
    if out.is_dir() or not os.access(target, os.W_OK, effective_ids=True):
        raise UsageError(f"can not write {out}")
