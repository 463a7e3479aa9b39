"""Where the time of this process goes, by step."""

import threading
from collections import defaultdict
from dataclasses import dataclass


@dataclass
class StepTime:
    """What one step took of all threads together.

    Attributes:
        elements: How often it ran.
        wall_ns: From its beginnings to its ends, whatever else ran meanwhile.
        cpu_ns: That it kept a processor busy.
    """

    elements: int = 0
    wall_ns: int = 0
    cpu_ns: int = 0


class StepTimes:
    """Adds up what steps took. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: defaultdict[str, StepTime] = defaultdict(StepTime)

    def add(self, step: str, wall_ns: int, cpu_ns: int) -> None:
        """One element more."""
        with self._lock:
            time = self._steps[step]
            time.elements += 1
            time.wall_ns += wall_ns
            time.cpu_ns += cpu_ns

    def alone(self) -> dict[str, StepTime]:
        """What each step took without its parts, `STEP/PART`, which stand beside it."""
        with self._lock:
            steps = {name: StepTime(**vars(time)) for name, time in self._steps.items()}
        for name, part in steps.items():
            whole = steps.get(name.rpartition("/")[0])
            if whole is not None:
                whole.wall_ns -= part.wall_ns
                whole.cpu_ns -= part.cpu_ns
        return steps
