"""Lists of held-out scores."""

from pathlib import Path

import pytest

from models.held_out import PATHS, HeldOut, load, save


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


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "held_out.csv"
    photos = {"cd": HeldOut(124.0, 70.0), "ab": HeldOut(0.25, 0.9)}
    save(path, photos)
    assert path.read_bytes() == (
        b"sha256,score,threshold\nab,0.25,0.9\ncd,124.0,70.0\n"
    )
    assert load(path) == photos
    save(path, photos, score_format=".4f")
    assert path.read_text().splitlines()[1] == "ab,0.2500,0.9"


@pytest.mark.parametrize("verdict", PATHS)
def test_what_ships_has_a_list(verdict: str) -> None:
    assert len(load(PATHS[verdict])) > 500
