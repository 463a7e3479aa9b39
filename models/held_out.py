"""Scores of photos that a shipped detector has learned from, as if it had not.

A detector judges the photos it was made from too well. Beside what it learned lies
`held_out.csv`: each of those photos scored without its source, and the threshold
chosen without it. Figures on such photos go by these.
"""

import csv
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class HeldOut:
    """One photo, scored by a model that saw nothing of its source.

    Attributes:
        score: Rounded as the pipeline stores it.
        threshold: Chosen without the photo's fold.
    """

    score: float
    threshold: float


def load(path: Path) -> dict[str, HeldOut]:
    """By SHA-256 of the photo's bytes, hexadecimal; nothing if there is no file.

    Args:
        path: CSV of the columns sha256, score, threshold.

    Raises:
        ValueError: It holds something else.
    """
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as lines:
        try:
            return {
                row["sha256"]: HeldOut(float(row["score"]), float(row["threshold"]))
                for row in csv.DictReader(lines)
            }
        except (KeyError, TypeError, ValueError) as err:
            raise ValueError(f"{path} is not a list of held-out scores") from err
