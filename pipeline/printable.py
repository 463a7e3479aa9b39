"""Names of strangers, as a terminal may see them."""

import unicodedata
from typing import Final

_UNKNOWN: Final = "\N{REPLACEMENT CHARACTER}"


def printable(words: str) -> str:
    """What can be printed and is no command of a terminal, on one line."""
    # The spaces of other scripts, as in the screenshots of a Mac, do no harm.
    return "".join(
        c if c.isprintable() or unicodedata.category(c) == "Zs" else _UNKNOWN
        for c in words
    )
