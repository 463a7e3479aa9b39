"""Where a run's time went, as a table for a person and as JSON for a program."""

import time
from dataclasses import asdict, dataclass
from typing import Final

from rich.console import Console
from rich.table import Table

from transforms.step_times import StepTimes

# Imports, and a look at options and files.
_STARTING: Final = "starting"
_REST: Final = "Beam and the rest"
# Before the job, only one worker has anything to do.
_WAITING_BEFORE: Final = "waiting at the start"
# For disks, for one another, for the end.
_WAITING: Final = "waiting in the job"


@dataclass(frozen=True)
class Row:
    """What one thing took of the workers' time.

    Attributes:
        step: Its name.
        elements: How often it was done; None where that means nothing.
        seconds: That processors were busy with it, or idle for all there was to do.
        wall_s: From its beginnings to its ends, with what it waited there. None where
            it has none.
    """

    step: str
    elements: int | None
    seconds: float
    wall_s: float | None


@dataclass(frozen=True)
class Profile:
    """Where the time of a run went.

    The `seconds` of all rows together are `workers` times `wall_s`: what processors
    did is measured for the whole process, and what no step accounts for is a row too.

    Attributes:
        workers: Threads that work on photos.
        wall_s: Of the whole command.
        rows: Starting, the steps, what is left, and waiting.
    """

    workers: int
    wall_s: float
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


class Profiler:
    """Takes the time of a command, from when it is made.

    Attributes:
        steps: To be told what each step takes.
    """

    def __init__(self) -> None:
        self.steps = StepTimes()
        self._started_s = time.perf_counter()
        self._cpu_before_s = time.process_time()
        self.start_job()

    def start_job(self) -> None:
        """All before was to make ready."""
        self._starting_s = time.perf_counter() - self._started_s
        self._starting_busy_s = time.process_time() - self._cpu_before_s

    def profile(self, workers: int) -> Profile:
        """What it is until now."""
        wall_s = time.perf_counter() - self._started_s
        busy_s = time.process_time() - self._cpu_before_s
        steps = [
            Row(name, step.elements, step.cpu_ns / 1e9, step.wall_ns / 1e9)
            for name, step in self.steps.alone().items()
        ]
        rest_s = busy_s - self._starting_busy_s - sum(step.seconds for step in steps)
        before_s = workers * self._starting_s - self._starting_busy_s
        waiting_s = workers * wall_s - busy_s - before_s
        return Profile(
            workers,
            wall_s,
            (
                Row(_STARTING, None, self._starting_busy_s, None),
                *steps,
                Row(_REST, None, rest_s, None),
                Row(_WAITING_BEFORE, None, before_s, None),
                Row(_WAITING, None, waiting_s, None),
            ),
        )


def print_profile(console: Console, profile: Profile) -> None:
    """One row a step, and how they add up."""
    all_s = profile.workers * profile.wall_s
    table = Table(
        title=f"Where the time went: {profile.workers} x {profile.wall_s:,.2f} s",
        title_justify="left",
        show_footer=True,
    )
    table.add_column("step", "all workers")
    table.add_column("elements", justify="right")
    table.add_column("busy s", f"{all_s:,.2f}", justify="right")
    table.add_column("share", "100.0 %", justify="right")
    # Of one element: of a processor, and from its beginning to its end.
    table.add_column("busy ms", justify="right")
    table.add_column("wall ms", justify="right")
    for row in profile.rows:
        cells = ["", "", ""]
        if row.elements and row.wall_s is not None:
            each = (row.seconds / row.elements, row.wall_s / row.elements)
            cells = [f"{row.elements:,}", *(f"{each_s * 1e3:,.3f}" for each_s in each)]
        elements, busy_ms, wall_ms = cells
        share = f"{row.seconds / all_s:.1%}".replace("%", " %")
        table.add_row(
            row.step, elements, f"{row.seconds:,.2f}", share, busy_ms, wall_ms
        )
    console.print(table)
