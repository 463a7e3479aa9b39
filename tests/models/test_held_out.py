"""Lists of held-out scores."""

from pathlib import Path

import pytest

from models.held_out import HeldOut, load


def test_reads_scores_by_digest(tmp_path: Path) -> None:
    path = tmp_path / "held_out.csv"
    path.write_text("sha256,score,threshold\nab,0.25,0.94\ncd,0.97,0.9\n")
    assert load(path) == {"ab": HeldOut(0.25, 0.94), "cd": HeldOut(0.97, 0.9)}


def test_a_detector_that_learned_from_nothing_has_no_list(tmp_path: Path) -> None:
    assert load(tmp_path / "held_out.csv") == {}


@pytest.mark.parametrize(
    "text", ["sha256,score\nab,1\n", "sha256,score,threshold\na,b,1"]
)
def test_something_else_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "held_out.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"held_out\.csv is not a list"):
        load(path)
