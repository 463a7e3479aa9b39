"""Scores of photos that a shipped detector has learned from, as if it had not.

A detector judges the photos it was made from too well. So a list lies beside what
it learned: each of those photos scored without its source, and the threshold chosen
without it. Figures on such photos go by these. `PATHS` says where the lists are.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# By verdict. `piccl calibrate-blur`, `train-dark` and `train-screenshots` write them.
PATHS: Final[Mapping[str, Path]] = {
    "shaken": Path(__file__).parent / "held_out_scores" / "blur.csv",
    "dark": Path(__file__).parent / "darkness" / "held_out.csv",
    "screenshot": Path(__file__).parent / "held_out_scores" / "screenshots.csv",
}
_COLUMNS: Final = ("sha256", "score", "threshold")


@dataclass(frozen=True)
class HeldOut:
    """One photo, scored by a model that saw nothing of its source.

    Attributes:
        score: Rounded as the pipeline stores it.
        threshold: Chosen without the photo's fold.
    """

    score: float
    threshold: float


def save(path: Path, photos: Mapping[str, HeldOut], *, score_format: str = "") -> None:
    """Write what `load` reads, by rising SHA-256.

    Args:
        path: Written over.
        photos: By SHA-256 of the photo's bytes, hexadecimal.
        score_format: As of `format`; by default all digits.
    """
    with path.open("w", newline="", encoding="utf-8") as lines:
        rows = csv.writer(lines, lineterminator="\n")
        rows.writerow(_COLUMNS)
        rows.writerows(
            (sha256, format(photo.score, score_format), photo.threshold)
            for sha256, photo in sorted(photos.items())
        )


def load(path: Path) -> dict[str, HeldOut]:
    """Read a list, by SHA-256 of the photo's bytes; nothing if there is no file.

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
