"""A report on three forms: all of it as JSON, tables, and bars."""

import json
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from benchmarks.plot import plot
from benchmarks.report import Ratio, Report, Row, joined, measured, number, verdict


def write(report: Report, folder: Path) -> None:
    """Write the three forms into a folder, over those of an earlier run."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report.as_json(), indent=2)
    folder.joinpath("results.json").write_text(text + "\n")
    folder.joinpath("results.md").write_text(_markdown(report))
    if report.rows:
        plot(report, folder / "results.png")


def show(report: Report, console: Console) -> None:
    """Print the tables."""
    table = Table(title="Measured", title_justify="left", box=SIMPLE_HEAD)
    for column in ("who", "median", "spread", "unit", "facts"):
        table.add_column(
            column, justify="right" if column in ("median", "spread") else "left"
        )
    told = ""
    for row in report.rows:
        case, *cells = _cells(row)
        if case != told:
            table.add_section()
            table.add_row(Text(case, "bold"))
            told = case
        table.add_row(*map(escape, cells))
    console.print(table)
    goals = Table(title="Ratios and goals", title_justify="left", box=SIMPLE_HEAD)
    for column in ("what", "measured", "goal", ""):
        goals.add_column(column, justify="right" if column != "what" else "left")
    style = {True: "green", False: "red", None: ""}
    for ratio in report.ratios:
        goals.add_row(
            ratio.name,
            measured(ratio),
            _goal(ratio),
            verdict(ratio),
            style=style[ratio.is_met],
        )
    console.print(goals)
    for missing in report.missings:
        console.print(f"Not measured: {missing.name}: {missing.why}", markup=False)
    for note in report.notes:
        console.print(note, markup=False)


def _markdown(report: Report) -> str:
    lines = ["| machine | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in report.machine.items()]
    lines += ["", "| what | measured | goal | |", "|---|---|---|---|"]
    lines += [
        f"| {ratio.name} | {measured(ratio)} | {_goal(ratio)} | {verdict(ratio)} |"
        for ratio in report.ratios
    ]
    lines += ["", "| case | who | median | spread | unit | facts |"]
    lines += ["|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in report.rows]
    lines += [""] if report.missings else []
    lines += [f"* not measured: {one.name}: {one.why}" for one in report.missings]
    lines += [""] if report.notes else []
    lines += [f"* {note}" for note in report.notes]
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    facts = joined(
        *(f"{name} {value}" for name, value in row.facts.items() if name != "is_limit")
    )
    spread = f"± {row.spread / 2:.0%}" if len(row.values) > 1 else ""
    case = joined(row.section, row.case)
    return case, row.name, number(row.median), spread, row.unit, facts


def _goal(ratio: Ratio) -> str:
    if ratio.goal is None:
        return ""
    return f"{'≤' if ratio.at_most else '≥'} {ratio.goal:g} {ratio.unit}"
