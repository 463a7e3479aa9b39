"""The lists of metrics in the docs, and those in the code, are the same."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
# What they are called with is a parameter there.
DEFINITIONS: Final = ROOT / "transforms" / "counters.py"

# Function, the heading in the docs, and what it puts before the name.
CALLS: Final = {
    "count": ("Counters", ""),
    "_count": ("Counters", ""),
    "observe": ("Distributions", ""),
    "timed": ("Distributions", "us/"),
    "timed_each": ("Distributions", "us/"),
}


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Name):
        return node.func.id
    # A store counts by what it was given; str and list have a `count` too.
    is_own = isinstance(node.func, ast.Attribute) and node.func.attr == "_count"
    return "_count" if is_own else ""


def _names(argument: ast.expr) -> Iterator[str]:
    """What an argument may be; `*` for what is only known at run time."""
    match argument:
        case ast.Constant(value=str(name)):
            yield name
        case ast.IfExp(body=body, orelse=orelse):
            yield from _names(body)
            yield from _names(orelse)
        case ast.JoinedStr(values=parts):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "*"
                for part in parts
            )
        case _:
            raise AssertionError(f"no literal name: {ast.unparse(argument)}")


def _in_code(kind: str) -> set[str]:
    found = set()
    for package in ("transforms", "store"):
        for path in (ROOT / package).rglob("*.py"):
            if path == DEFINITIONS:
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and _called(node) in CALLS:
                    heading, prefix = CALLS[_called(node)]
                    if heading == kind:
                        found |= {prefix + name for name in _names(node.args[0])}
    return found


def _in_docs(kind: str) -> list[str]:
    """The first cell of each row; words in capitals stand for anything."""
    text = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    _, _, section = text.partition(f"\n## {kind}\n")
    rows = re.findall(r"^\| (`.*?) \|", section.partition("\n## ")[0], re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    return [re.sub(r"\b[A-Z]{2,}\b", "*", name) for name in names]


@pytest.mark.parametrize("kind", ["Counters", "Distributions"])
def test_docs_list_each_metric_once(kind: str) -> None:
    listed = _in_docs(kind)
    assert set(listed) == _in_code(kind)
    assert len(listed) == len(set(listed))
