"""Figures as a person reads them."""

import io

import pytest
from rich.console import Console

from pipeline.evaluation.figures import Auc, Evaluation, Judged, Share
from pipeline.evaluation.judging import verdict_figures
from pipeline.evaluation.tables import kind_rows, markdown, print_tables, ranking, share


@pytest.fixture
def evaluation() -> Evaluation:
    """Five kinds of bright photos, of which none is called, and one mistake."""
    photos = [
        Judged("/data/a.jpg", "blur", True, False, 100.0, 200.0, True, True, "a"),
        Judged("/data/[b].jpg", "sharp", False, False, 90.0, 200.0, True, False, "b"),
    ]
    for kind in "12345":
        path = f"/data/{kind}.jpg"
        photos.append(
            Judged(path, kind, False, False, 900.0, 200.0, False, False, path)
        )
    photos.append(
        Judged("/data/p.jpg", "boxes", None, True, 150.0, 200.0, True, False, "p")
    )
    figures = verdict_figures(
        "shaken", photos, score="sharpness", low_is_yes=True, threshold=200.0
    )
    return Evaluation(
        command="piccl evaluate data",
        folder="/data",
        versions={},
        settings={},
        photos=8,
        kinds={},
        unreadable=(),
        verdicts=(figures,),
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Share.of(5, 10), "0.500 (0.237–0.763)"),
        (Share.of(10, 10), "1.000 (0.722–1.000)"),
        # What is not always right is not shown as if it were.
        (Share.of(9999, 10000), "0.99990 (0.999–1.000)"),
        (Share.of(0, 0), "–"),
        (None, "–"),
    ],
)
def test_share(value: Share | None, text: str) -> None:
    assert share(value) == text


def test_ranking() -> None:
    assert ranking(Auc(0.99996, 0.98, 1.0, 7)) == "0.99996 (0.980–1.000)"
    assert ranking(None) == "–"


def test_kinds_that_are_fine_share_a_line(evaluation: Evaluation) -> None:
    assert [row[1:4] for row in kind_rows(evaluation)] == [
        ("blur", "yes", "1 of 1"),
        ("sharp", "no", "1 of 1"),
        ("boxes", "presumed no", "1 of 1"),
        ("all 5 other kinds", "no", "0 of 5"),
        ("all presumed no", "presumed no", "1 of 1"),
    ]


def test_markdown_names_the_command(evaluation: Evaluation) -> None:
    text = markdown(evaluation)
    assert text.startswith("`piccl evaluate data`\n\n| verdict | yes / no |")
    row = "| shaken | 1 / 6 | 0.500 (0.095–0.905) | 1.000 (0.207–1.000) |"
    assert row in text
    assert "source: 1 of the 7 labelled for shaken." in text


def test_a_terminal_shows_whole_figures_and_the_worst_mistakes(
    evaluation: Evaluation,
) -> None:
    out = io.StringIO()
    print_tables(Console(file=out, width=80), evaluation)
    text = out.getvalue()
    assert "…" not in text
    assert max(map(len, text.split("Worst")[0].splitlines())) <= 80
    # A name that looks like markup is a name.
    assert (
        "  [b].jpg: shaken, sharpness 90 against 200; labelled sharp\n"
        "  p.jpg: shaken, sharpness 150 against 200; labelled boxes\n"
    ) in text
