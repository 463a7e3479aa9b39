"""Names, numbers and days as a person reads them."""

import datetime
import re
from typing import Final

from markupsafe import Markup

# What changes how the text around it is read: control characters, overrides of the
# direction of writing, halves of characters.
_ILLEGIBLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def legible(text: str) -> str:
    """The text, with a mark for each character that would upset what is around it."""
    return _ILLEGIBLE.sub("\ufffd", text)


def size(count: int) -> str:
    """Bytes for a person, in units of 1,000."""
    # From where the smaller unit would be rounded up to 1,000.
    if count >= 999_950_000:
        return f"{count / 1e9:,.1f} GB"
    if count >= 999_500:
        return f"{count / 1e6:.1f} MB"
    return f"{count / 1e3:.0f} kB" if count >= 500 else f"{count} bytes"


def number(count: int) -> str:
    return f"{count:,}"


def day(date: str) -> str:
    """A date for a person: Monday, 15 July 2024."""
    parsed = datetime.date.fromisoformat(date)
    return f"{parsed:%A}, {parsed.day} {parsed:%B} {parsed.year}"


def breakable(name: str) -> Markup:
    """The name as HTML, which goes on in the next line where a person would do so."""
    return Markup("<wbr>").join(re.split("(?<=[-_.])", name))
