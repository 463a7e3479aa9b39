"""What was measured: medians and their spread, ratios and their goals."""

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

from benchmarks.settings import ROOT, Settings

# Units in which less is better; of all others more is.
LOW_IS_GOOD: Final = ("s", "ms", "us", "MB", "GB")


def spread(values: Sequence[float]) -> float:
    """Of all values, around the median and relative to it; 0 of a single one."""
    median = statistics.median(values)
    return (max(values) - min(values)) / abs(median) if median else 0.0


@dataclass(frozen=True)
class Row:
    """One thing, measured several times.

    Attributes:
        section: Which part of the benchmark.
        case: What was done, as "12 MP, no tags"; rows of one case and unit are
            compared with each other.
        name: Who did it, as "CleanVision".
        unit: Of the values, as "photos/s".
        values: One of each round, in the order they came.
        facts: What else is worth knowing, as threads=2.
    """

    section: str
    case: str
    name: str
    unit: str
    values: Sequence[float]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        return spread(self.values)


@dataclass(frozen=True)
class Missing:
    """What could not be measured here, and why."""

    section: str
    name: str
    why: str


@dataclass(frozen=True)
class Ratio:
    """A measured ratio and what it has to be.

    Attributes:
        name: What it says, as "12 MP, no tags: of the bare loop".
        values: One of each pair of rounds.
        goal: None if it is only told.
        at_most: The goal is the highest it may be, not the lowest.
        unit: "x" of a ratio, or that of a value which a goal is given for.
    """

    name: str
    values: Sequence[float]
    goal: float | None
    at_most: bool = False
    unit: str = "x"

    @property
    def measured(self) -> float:
        return statistics.median(self.values)

    @property
    def is_met(self) -> bool | None:
        """None without a goal."""
        if self.goal is None:
            return None
        if self.at_most:
            return self.measured <= self.goal
        return self.measured >= self.goal


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The k of costs ~ sizes**k: the slope of a line through their logarithms.

    Args:
        sizes: Two or more, above 0, not all alike.
        costs: As many, above 0.
    """
    logs = [math.log(size) for size in sizes]
    return statistics.linear_regression(logs, [math.log(cost) for cost in costs]).slope


class Report:
    """All that one run of the benchmarks measured.

    Args:
        machine: What it ran on, by name.
        console: Rows are shown here as they come, and what is being done, if it is
            a terminal; None shows nothing.
        settings: What the sections go by.
    """

    def __init__(
        self,
        machine: Mapping[str, Any],
        console: Console | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.machine = machine
        self.settings = settings or Settings()
        self.rows: list[Row] = []
        self.ratios: list[Ratio] = []
        self.missings: list[Missing] = []
        self.notes: list[str] = []
        self._console = console
        self._status = console.status("") if console is not None else None

    def add(
        self,
        section: str,
        name: str,
        unit: str,
        values: Sequence[float],
        *,
        case: str = "",
        **facts: Any,
    ) -> Row:
        """Put down the values of all rounds; the arguments are those of `Row`."""
        row = Row(section, case, name, unit, [float(value) for value in values], facts)
        self.rows.append(row)
        self._say(f"{section}: {joined(case, name)}: {_value(row)} {unit}")
        return row

    def ratio(
        self,
        name: str,
        of: Row | Sequence[float] | float,
        to: Row | Sequence[float] | float,
        goal: float | None,
        *,
        at_most: bool = False,
        unit: str = "x",
    ) -> Ratio:
        """Put down `of` / `to`, round by round; of the rounds that both have.

        Args:
            name: What the ratio says.
            of: A row of `add`, values of all rounds, or a number for all of them.
            to: The same; 1 gives the value of `of` itself a goal.
            goal: The lowest it may be; None if there is none. A run that is not full
                has none.
            at_most: The goal is the highest instead.
            unit: "x", or the row's own where `to` is 1.
        """
        pairs = zip(_rounds(of), _rounds(to), strict=False)
        if isinstance(of, int | float) and isinstance(to, int | float):
            pairs = zip([of], [to], strict=True)
        values = [top / bottom for top, bottom in pairs]
        if not self.settings.is_full:
            goal = None
        ratio = Ratio(name, values, goal, at_most, unit)
        self.ratios.append(ratio)
        self._say(f"{name}: {measured(ratio)} ({verdict(ratio)})")
        return ratio

    def missing(self, section: str, name: str, why: str) -> None:
        """Put down what could not be measured, so that nobody takes it for done."""
        why = why.replace(f"{ROOT}/", "")
        self.missings.append(Missing(section, name, why))
        self._say(f"{section}: {name}: not measured: {why}")

    def note(self, text: str) -> None:
        """Put down what a reader has to know of the figures."""
        self.notes.append(text)
        self._say(text)

    def doing(self, text: str) -> None:
        """Tell who waits what is being done; "" for nothing any more."""
        if self._status is None:
            return
        self._status.update(escape(text))
        if text:
            self._status.start()
        else:
            self._status.stop()

    def row(self, section: str, name: str, *, case: str = "") -> Row | None:
        """What was put down before; None if it was not."""
        for row in self.rows:
            if (row.section, row.case, row.name) == (section, case, name):
                return row
        return None

    def as_json(self) -> dict[str, Any]:
        return {
            "machine": dict(self.machine),
            "notes": self.notes,
            "rows": [
                {**asdict(row), "median": row.median, "spread": row.spread}
                for row in self.rows
            ],
            "ratios": [
                {**asdict(ratio), "measured": ratio.measured, "is_met": ratio.is_met}
                for ratio in self.ratios
            ],
            "missing": [asdict(missing) for missing in self.missings],
        }

    def _say(self, text: str) -> None:
        if self._console is not None:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _rounds(values: Row | Sequence[float] | float) -> Iterable[float]:
    """A number is the same in all rounds, however many."""
    if isinstance(values, Row):
        return values.values
    return values if isinstance(values, Sequence) else itertools.repeat(values)


def number(value: float) -> str:
    """Three digits that count, for a person."""
    if value and abs(value) < 1000:
        digits = 2 - math.floor(math.log10(abs(value)))
        return f"{value:.{max(0, digits)}f}"
    return f"{value:,.0f}"


def joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _value(row: Row) -> str:
    if len(row.values) == 1:
        return number(row.median)
    return f"{number(row.median)} (± {row.spread / 2:.0%}, {len(row.values)} rounds)"


def measured(ratio: Ratio) -> str:
    """For a person: the median, and the spread where there are rounds."""
    told = f"{ratio.measured:.3g} {ratio.unit}".strip()
    if len(ratio.values) == 1:
        return told
    return f"{told} ± {spread(ratio.values) / 2:.0%}"


def verdict(ratio: Ratio) -> str:
    return {True: "met", False: "not met", None: "no goal"}[ratio.is_met]
