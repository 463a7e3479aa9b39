"""The figures as a person reads them: on a terminal, and in Markdown."""

import os
import re
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.evaluation.figures import (
    Auc,
    Evaluation,
    KindFigures,
    Share,
    SimilarFigures,
    VerdictFigures,
)
from pipeline.printable import printable

HEADINGS = ("verdict", "yes / no", "precision", "recall", "accuracy", "AUC")
KIND_HEADINGS = ("verdict", "kind", "should be", "called", "share", "AUC")
COPY_HEADINGS = ("verdict", "copies", "n", "right verdict", "found", "false alarms")
_FIGURES = ("precision", "recall", "accuracy", "AUC", "called", "share")
_MISTAKES = 5
# More kinds than these of which none is called are told in one line.
_KINDS = 4


def share(value: Share | None) -> str:
    """As "0.967 (0.891–0.992)"; a dash for a share of nothing."""
    if value is None or value.value is None:
        return "–"
    return _interval(value.value, value.low, value.high)


def ranking(value: Auc | None) -> str:
    """As "0.987 (0.971–0.999; 7 sources)": of few sources an interval is rough."""
    if value is None:
        return "–"
    sources = f"{value.groups:,} source{'s' if value.groups != 1 else ''}"
    shown = _interval(value.value, value.low, value.high)
    return f"{shown[:-1]}; {sources})"


def _interval(value: float, low: float, high: float) -> str:
    # What is not always right is never shown as 1.
    shown = f"{value:.3f}" if value == 1 or value < 0.9995 else f"{value:.5f}"
    # Nor what is not always wrong as 0: ends of Wilson's intervals miss it by bits.
    ends = (
        f"{end:.1g}" if 1e-6 < end < 0.0005 else f"{end:.3f}" for end in (low, high)
    )
    return f"{shown} ({'–'.join(ends)})"


def rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """The main table, as `HEADINGS` says."""
    table = [
        _verdict_row(one.verdict, one)
        for one in evaluation.verdicts
        # Else all of its photos are only presumed to be a no.
        if one.yes or one.no
    ]
    for baseline in evaluation.baselines:
        figures = baseline.figures
        name = f"{figures.verdict}: {baseline.name}, {figures.score}"
        table.append(_verdict_row(name, figures))
    if (objects := evaluation.objects) is not None:
        there = objects.overall.recall.n
        table.append(
            (
                "tags",
                f"{there:,} tags on {objects.photos:,} photos",
                share(objects.overall.precision),
                share(objects.overall.recall),
                "–",
                "–",
            )
        )
        subject = objects.subject
        table.append(
            ("subject", f"{subject.n:,}", "–", "–", share(subject), "–"),
        )
    if (similar := evaluation.similar) is not None:
        table.extend(_similar_rows(similar))
    return table


def _verdict_row(name: str, one: VerdictFigures) -> tuple[str, ...]:
    return (
        name,
        f"{one.yes:,} / {one.no:,}",
        share(one.precision),
        share(one.recall),
        share(one.accuracy),
        ranking(one.auc),
    )


def _similar_rows(similar: SimilarFigures) -> Iterator[tuple[str, ...]]:
    for sort in similar.sorts:
        yield (
            f"similar, {sort.name} (pairs)",
            f"{sort.recall.n:,} / {sort.different:,}",
            share(sort.precision),
            share(sort.recall),
            "–",
            "–",
        )
    if similar.keeper is not None:
        yield (
            "keeper (groups)",
            f"{similar.keeper.n:,}",
            *("–", "–"),
            share(similar.keeper),
            "–",
        )


def kind_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """What each kind of photo was called, as `KIND_HEADINGS` says."""
    table: list[tuple[str, ...]] = []
    for one in evaluation.verdicts:
        # What concerns no label and was never called is no news.
        told = [
            kind
            for kind in one.kinds
            if kind.truth is not None or kind.presumed or kind.called.hits
        ]
        table.extend(_kind_row(one.verdict, kind) for kind in _joined(told))
        if one.presumed is not None:
            every = KindFigures("all presumed no", None, one.presumed, presumed=True)
            table.append(_kind_row(one.verdict, every))
    if (similar := evaluation.similar) is not None:
        table.extend(_kind_row("similar", kind) for kind in similar.kinds)
        if similar.subject_ignored is not None:
            table.append(_kind_row("similar", similar.subject_ignored))
        table.extend(
            _kind_row("original kept, not the copy", kind)
            for kind in similar.keeper_kinds
        )
    return table


def _joined(kinds: Sequence[KindFigures]) -> list[KindFigures]:
    """Kinds that are rightly not called, in one if they are many."""
    fine = [kind for kind in kinds if kind.truth is False and not kind.called.hits]
    if len(fine) <= _KINDS:
        return list(kinds)
    n = sum(kind.called.n for kind in fine)
    rest = KindFigures(f"all {len(fine)} other kinds", False, Share.of(0, n))
    return [*(kind for kind in kinds if kind not in fine), rest]


def _kind_row(verdict: str, kind: KindFigures) -> tuple[str, ...]:
    should = {True: "yes", False: "no", None: "not said"}[kind.truth]
    called = kind.called
    return (
        verdict,
        kind.kind,
        "presumed no" if kind.presumed else should,
        f"{called.hits:,} of {called.n:,}",
        share(called),
        ranking(kind.auc),
    )


def copy_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    return [
        (
            one.verdict,
            one.kind,
            f"{one.same.n:,}",
            share(one.same),
            share(one.found),
            share(one.false_alarms),
        )
        for one in evaluation.copies
    ]


def markdown(evaluation: Evaluation) -> str:
    """The tables for a README or a model card, and what prints them."""
    blocks = [_code(evaluation.command)]
    blocks.append(_markdown_table(HEADINGS, rows(evaluation)))
    blocks.append(_markdown_table(KIND_HEADINGS, kind_rows(evaluation)))
    if evaluation.copies:
        blocks.append(_markdown_table(COPY_HEADINGS, copy_rows(evaluation)))
    blocks.extend(notes(evaluation))
    return "\n\n".join(blocks) + "\n"


def _markdown_table(headings: Sequence[str], table: Sequence[Sequence[str]]) -> str:
    cells = [headings, *([_text(cell) for cell in line] for line in table)]
    cells.insert(1, ["---"] * len(headings))
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def _text(words: str) -> str:
    """Names are only text in Markdown, and no end of a cell."""
    return re.sub(r"([\\`*_{}\[\]<>|#~&$])", r"\\\1", printable(words))


def _code(words: str) -> str:
    """A span of code, which ends at as many backticks as it begins with."""
    words = printable(words)
    runs = re.findall("`+", words)
    fence = "`" * (1 + max(map(len, runs), default=0))
    return f"{fence} {words} {fence}" if runs else f"{fence}{words}{fence}"


def notes(evaluation: Evaluation) -> list[str]:
    """What the figures mean, in sentences."""
    said = [
        "In brackets 95 % intervals: Wilson's of shares; of an AUC by drawing whole "
        "sources, which is rough where they are few. Precision goes with the mix of "
        "the photos."
    ]
    held_out = [
        f"{n:,} of the {of:,} {what} for {one.verdict}"
        for one in evaluation.verdicts
        for n, of, what in (
            (one.held_out, one.yes + one.no, "labelled"),
            (one.presumed_held_out, one.presumed.n if one.presumed else 0, "presumed"),
        )
        if n
    ]
    if held_out:
        said.append(
            "A detector learned from some of the photos; these are judged by scores "
            "and thresholds of one that saw nothing of their source: "
            f"{', '.join(held_out)}."
        )
    if evaluation.objects is not None:
        said.extend(
            f"Tags on half of the sources, at {half.threshold:g}, which the other half "
            f"chooses: precision {share(half.precision)}, recall "
            f"{share(half.recall)}."
            for half in evaluation.objects.halves
        )
    if any((evaluation.objects, evaluation.similar, evaluation.copies)):
        said.append(
            "Other constants were only compared: on copies, tags, subject, similar and "
            "keeper, expect a little less of photos that nothing was chosen on."
        )
    if evaluation.similar is not None:
        said.extend(_similar_notes(evaluation.similar))
    if evaluation.unreadable:
        said.append(f"{len(evaluation.unreadable):,} files could not be read.")
    return said


def _similar_notes(similar: SimilarFigures) -> Iterator[str]:
    yield (
        "Of similar, yes / no are pairs of one series and of two. Pairs of one series "
        "depend on each other, so their intervals are too narrow."
    )
    if similar.made:
        yield (
            f"{similar.made:,} shots for similar and keeper were made by code out of "
            "labelled photos; real series are harder."
        )


def print_tables(console: Console, evaluation: Evaluation) -> None:
    """Everything for a person at a terminal."""
    console.print(_table("How right it is", HEADINGS, rows(evaluation)))
    console.print(_table("By kind of photo", KIND_HEADINGS, kind_rows(evaluation)))
    if evaluation.copies:
        console.print(_table("Of copies", COPY_HEADINGS, copy_rows(evaluation)))
    for text in _mistakes(evaluation):
        console.print(text, soft_wrap=True)
    for note in notes(evaluation):
        console.print(note, highlight=False)


def _table(
    title: str, headings: Sequence[str], table: Sequence[Sequence[str]]
) -> Table:
    shown = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for heading in headings:
        shown.add_column(heading, no_wrap=heading in _FIGURES, overflow="fold")
    for row in table:
        shown.add_row(*(Text(_stacked(cell)) for cell in row))
    return shown


def _stacked(cell: str) -> str:
    """An interval below its value, since a terminal is narrow; else as it is."""
    figure = re.fullmatch(r"([\d.]+) \(([\d.]+–[\d.]+)(?:; (.*))?\)", cell)
    return "\n".join(filter(None, figure.groups())) if figure else printable(cell)


def _mistakes(evaluation: Evaluation) -> Iterator[Text]:
    for one in evaluation.verdicts:
        wrong = [*one.mistakes[:_MISTAKES], *one.presumed_called[:_MISTAKES]]
        if wrong:
            yield Text(f"Worst mistakes, {one.verdict}:")
        for photo in wrong:
            score = "none" if photo.score is None else f"{photo.score:g}"
            called = one.verdict if photo.called else f"not {one.verdict}"
            path = os.path.relpath(photo.path, evaluation.folder)
            said = (
                f"{path}: {called}, {one.score} {score} against "
                f"{photo.threshold:g}; labelled {photo.kind}"
            )
            yield Text(f"  {printable(said)}")
