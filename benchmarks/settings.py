"""How a run of the benchmarks was asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Settings:
    """What every section needs to know.

    Attributes:
        peers: The Python that has those we compare with (requirements-benchmarks.txt);
            it may not be there, and each section says so of what it then leaves out.
        photos: Folder of real photos to make inputs from; None to look for some.
        inputs: Folder where what is made is kept for the next run.
        rounds: How often everything is measured, in turns.
        only: Cases are left out that this is no part of, as "12 MP".
        most_photos: No case takes more than this; None for as many as make a round
            long enough to be measured.
        is_full: Nothing is left out or shortened, so that goals mean something.
    """

    peers: Path = ROOT / ".venv-benchmarks" / "bin" / "python"
    photos: Path | None = None
    inputs: Path = ROOT / "benchmarks-inputs"
    rounds: int = 3
    only: str = ""
    most_photos: int | None = None
    is_full: bool = True
