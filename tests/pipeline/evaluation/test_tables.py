"""Figures as a person reads them."""

import dataclasses
import io

import pytest
from rich.console import Console

from pipeline.evaluation.figures import Auc, Evaluation, Judged, Share, SimilarFigures
from pipeline.evaluation.judging import verdict_figures
from pipeline.evaluation.similar import GroupedShot, similar_figures
from pipeline.evaluation.tables import (
    kind_rows,
    markdown,
    notes,
    print_tables,
    ranking,
    rows,
    share,
)

HOSTILE = "a|b\n`c` [d](javascript:e) <img> \x1b[31m\udcff"


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
        (Share.of(0, 19440), "0.000 (0.000–0.0002)"),
        (Share.of(0, 0), "–"),
        (None, "–"),
    ],
)
def test_share(value: Share | None, text: str) -> None:
    assert share(value) == text


def test_ranking() -> None:
    # An interval of few sources is rough, so it says how many.
    assert ranking(Auc(0.99996, 0.98, 1.0, 7)) == "0.99996 (0.980–1.000; 7 sources)"
    assert ranking(Auc(0.9, 0.8, 1.0, 1)) == "0.900 (0.800–1.000; 1 source)"
    assert ranking(None) == "–"


@pytest.fixture
def similar() -> SimilarFigures:
    """Two photos with a copy each, all four grouped; two walks, not grouped."""
    shots = [
        GroupedShot(f"/m/{id_}", id_[0], kind, True, "1", id_, "a0", "a0")
        for id_, kind in [
            ("a0", "original"),
            ("a1", "darker"),
            ("b0", "original"),
            ("b1", "darker"),
        ]
    ]
    shots += [
        GroupedShot(f"/r/{id_}", id_[0], "walk", False, "2", id_, None, None)
        for id_ in ("c0", "c1", "d0")
    ]
    figures = similar_figures(shots, [], shots[:4])
    assert figures is not None
    return figures


def test_made_pairs_do_not_hide_real_ones(
    evaluation: Evaluation, similar: SimilarFigures
) -> None:
    with_pairs = dataclasses.replace(evaluation, similar=similar)
    assert [row[:4] for row in rows(with_pairs) if "similar" in row[0]] == [
        ("similar, real series (pairs)", "1 / 2", "–", "0.000 (0.000–0.793)"),
        (
            "similar, made re-shots (pairs)",
            "2 / 4",
            "0.333 (0.097–0.700)",
            "1.000 (0.342–1.000)",
        ),
    ]
    kinds = [row[1:4] for row in kind_rows(with_pairs) if row[0] == "similar"]
    assert kinds[-1] == ("different photos, subject ignored", "no", "4 of 4")
    assert "depend on each other" in " ".join(notes(with_pairs))
    assert "depend on each other" not in " ".join(notes(evaluation))


def test_a_verdict_nobody_labelled_has_no_row(evaluation: Evaluation) -> None:
    (figures,) = evaluation.verdicts
    none = Share.of(0, 0)
    presumed = dataclasses.replace(figures, recall=none, false_alarms=none)
    assert [row[0] for row in rows(evaluation)] == ["shaken"]
    assert rows(dataclasses.replace(evaluation, verdicts=[presumed])) == []


def test_names_are_only_text(evaluation: Evaluation) -> None:
    (figures,) = evaluation.verdicts
    named = dataclasses.replace(
        evaluation,
        command=f"piccl evaluate {HOSTILE}",
        verdicts=[
            dataclasses.replace(
                figures,
                kinds=[
                    dataclasses.replace(kind, kind=HOSTILE)
                    for kind in figures.kinds[:2]
                ],
                mistakes=[
                    dataclasses.replace(one, path=f"/data/{HOSTILE}", kind=HOSTILE)
                    for one in figures.mistakes
                ],
            )
        ],
    )
    text = markdown(named)
    lines = text.splitlines()
    # More backticks around than within, so that the span of code ends there.
    assert lines[0].startswith("`` piccl")
    assert lines[0].endswith(" ``")
    row = next(line for line in lines if "img" in line and line[0] == "|")
    for markup in ("a\\|b", "\\`c\\`", "\\[d\\](", "\\<img\\>"):
        assert markup in row
    assert row.replace("\\|", "").count("|") == len("six cells") - 2
    out = io.StringIO()
    print_tables(Console(file=out, width=80), named)
    for shown in (text, out.getvalue()):
        assert "\x1b" not in shown
        # Names may be bytes of no encoding, which can not be printed.
        assert shown.encode()


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
