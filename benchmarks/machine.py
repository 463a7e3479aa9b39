"""What the benchmarks run on."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.settings import ROOT

# What decides how fast networks run.
_FLAGS: Final = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "bf16",
)
_PACKAGES: Final = (
    "apache-beam",
    "tensorflow",
    "opencv-python-headless",
    "numba",
    "numpy",
    "pillow",
)


def cores() -> int:
    """Those that this process may use."""
    return (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else (os.cpu_count() or 1)
    )


def has_bf16() -> bool:
    """Whether this processor multiplies in bf16, which others only imitate."""
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(_flags())


def machine() -> dict[str, str | int]:
    """What a reader of the figures has to know, by name."""
    cpu = _cpu()
    flags = _flags()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": cpu.get("model name", platform.processor() or platform.machine()),
        "cores": cores(),
        "instructions": ", ".join(flag for flag in _FLAGS if flag in flags)
        or "unknown",
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "commit": _commit(),
    }


def _flags() -> list[str]:
    cpu = _cpu()
    return cpu.get("flags", cpu.get("Features", "")).split()


def _cpu() -> dict[str, str]:
    """The first processor that Linux lists; nothing elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    lines = text.split("\n\n")[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _commit() -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", ROOT, *arguments], capture_output=True, text=True
        )
        return done.stdout.strip()

    try:
        changed = " and changes" if git("status", "--porcelain") else ""
        return (git("rev-parse", "--short", "HEAD") or "none") + changed
    except OSError:
        return "unknown"
