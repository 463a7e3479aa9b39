"""What a summary says one by one, but not all of it if it is much."""

from collections.abc import Sequence
from typing import Final

from pipeline.printable import printable

_SHOWN: Final = 20


def print_list(title: str, lines: Sequence[str]) -> None:
    """Print the first lines under a title; nothing if there is none."""
    if not lines:
        return
    print(f"{title}:")
    for line in lines[:_SHOWN]:
        print(f"  {printable(line)}")
    if len(lines) > _SHOWN:
        print(f"  and {len(lines) - _SHOWN:,} more, which --json lists")
