"""Days that a person types."""

import argparse
import datetime


def days(text: str) -> tuple[str | None, str | None]:
    """The first and the last day of `D`, `D..D`, `D..` or `..D`, each YYYY-MM-DD.

    Raises:
        argparse.ArgumentTypeError: There is no such day, or none between them.
    """
    first, separator, last = text.partition("..")
    try:
        dates = [
            datetime.date.fromisoformat(date).isoformat() if date else None
            for date in (first, last if separator else first)
        ]
    except ValueError as err:
        raise argparse.ArgumentTypeError(
            f"{text} is not YYYY-MM-DD or YYYY-MM-DD..YYYY-MM-DD"
        ) from err
    if dates == [None, None] or (dates[0] and dates[1] and dates[0] > dates[1]):
        raise argparse.ArgumentTypeError(f"{text} contains no day")
    return dates[0], dates[1]
