"""Imports run one way, from the job down to the pure core and the store."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]

# What each package may import beside itself, of one another and of Beam.
BELOW: Final = {
    "pipeline": {
        "console",
        "trash",
        "transforms",
        "models",
        "store",
        "apache_beam",
    },
    "console": {"trash", "models", "store"},
    "trash": {"models", "store"},
    "transforms": {"models", "store", "apache_beam"},
    "models": set[str](),
    "store": set[str](),
    # What runs the stream on one's own machine stands beside it.
    "demo": {"pipeline", "transforms", "store", "apache_beam"},
    # And what measures all of them, which none of them knows.
    "benchmarks": {
        "demo",
        "pipeline",
        "console",
        "trash",
        "transforms",
        "models",
        "store",
        "apache_beam",
    },
}


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES: Final = {
    _name(path): path
    for package in BELOW
    for path in sorted((ROOT / package).rglob("*.py"))
}


def _imports(path: Path) -> Iterator[str]:
    """Full names of what a file imports, also within its functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in MODULES else node.module


def _top(name: str) -> str:
    return name.partition(".")[0]


@pytest.mark.parametrize("package", BELOW)
def test_package_imports_only_what_is_below(package: str) -> None:
    forbidden = {*BELOW, "apache_beam"} - BELOW[package] - {package}
    modules = [name for name in MODULES if _top(name) == package]
    assert len(modules) > 1, f"{package} has moved"
    assert [
        f"{module} imports {name}"
        for module in modules
        for name in _imports(MODULES[module])
        if _top(name) in forbidden
    ] == []


def test_modules_have_no_cycles() -> None:
    graph = {
        module: {name for name in _imports(path) if name in MODULES}
        for module, path in MODULES.items()
    }
    assert any(graph.values())
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


def test_command_line_starts_without_heavy_imports() -> None:
    heavy = ["tensorflow", "keras", "apache_beam", "cv2", "numpy"]
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, pipeline.__main__\n"
            f"print([name for name in {heavy} if name in sys.modules])",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert found.stdout == "[]\n"
