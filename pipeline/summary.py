"""What a run did, as a table for a person and as JSON for a program."""

import collections
import contextlib
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

_DEAD = "dead_letters/"


@dataclass(frozen=True)
class Summary:
    """One run, and how the user's photos stand after it.

    `read` is the sum of `analysed`, `tagged`, `skipped`, `gone`, `superseded`
    and the dead letters.

    Attributes:
        read: Files found.
        analysed: Photos decoded, scored and stored.
        tagged: Analysed by an earlier run, now searched for objects.
        skipped: Analysed by an earlier run.
        rejudged: Of the skipped and tagged, judged again by other thresholds.
        outdated: Of these, analysed by other models or settings.
        gone: Removed between listing and reading.
        superseded: A newer version is stored already, or took its place meanwhile.
        removed: Stored photos that were forgotten.
        kept: Stored photos that are gone, in folders that may be unplugged.
        days_grouped: Days whose similar photos were looked for.
        dead_letters: Number by reason.
        photos: The user's photos in the store, after the run.
        with_tags: Of these photos, how many a detector has looked at.
        shaken, dark, screenshot, similar: Of these photos; one may be several.
        groups: Groups of similar photos.
        recommended: Photos that may be deleted, each counted once.
        recommended_bytes: Their size.
        seconds: Wall time.
        photos_per_s: Files read a second.
        peak_memory_mib: Largest resident size of this process.
    """

    read: int
    analysed: int
    tagged: int
    skipped: int
    rejudged: int
    outdated: int
    gone: int
    superseded: int
    removed: int
    kept: int
    days_grouped: int
    photos: int
    with_tags: int
    shaken: int
    dark: int
    screenshot: int
    similar: int
    groups: int
    recommended: int
    recommended_bytes: int
    seconds: float
    photos_per_s: float
    peak_memory_mib: int
    dead_letters: dict[str, int] = field(default_factory=dict)

    @property
    def dead(self) -> int:
        return sum(self.dead_letters.values())

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def summarise(
    counters: Mapping[str, int], stored: Mapping[str, int], seconds: float
) -> Summary:
    """Join a job's counters with the counts of the store.

    Args:
        counters: By name, as `run_job` returns them.
        stored: As the store counts a user's photos.
        seconds: Wall time of the job.
    """

    def of(name: str) -> int:
        return counters.get(name, 0)

    return Summary(
        read=of("photos_read"),
        analysed=of("photos_analysed"),
        tagged=of("photos_tagged"),
        skipped=of("photos_skipped"),
        rejudged=of("photos_rejudged"),
        outdated=of("photos_outdated"),
        gone=of("photos_gone"),
        superseded=of("photos_superseded"),
        removed=of("photos_removed"),
        kept=of("photos_kept"),
        days_grouped=of("days_grouped"),
        **stored,
        seconds=round(seconds, 2),
        photos_per_s=round(of("photos_read") / seconds, 2) if seconds else 0.0,
        peak_memory_mib=_peak_memory_mib(),
        dead_letters=_by_reason(counters),
    )


def _by_reason(counters: Mapping[str, int]) -> dict[str, int]:
    """Dead letters of all steps together, by name `dead_letters/STEP/REASON`."""
    reasons: collections.Counter[str] = collections.Counter()
    for name, number in counters.items():
        if name.startswith(_DEAD):
            _, _, reason = name.split("/", 2)
            reasons[reason] += number
    return dict(sorted(reasons.items()))


def print_summary(console: Console, summary: Summary) -> None:
    """Two tables: this run, and the photos as they stand now."""
    run = Table(title="This run", title_justify="left", show_header=False)
    run.add_column(justify="left")
    run.add_column(justify="right")
    run.add_row("files read", f"{summary.read:,}")
    run.add_row("  analysed", f"{summary.analysed:,}")
    if summary.tagged:
        run.add_row("  analysed before, now given tags", f"{summary.tagged:,}")
    run.add_row("  skipped, analysed before", f"{summary.skipped:,}")
    for name, number in [
        ("    of these judged by new thresholds", summary.rejudged),
        ("    of these analysed by other settings", summary.outdated),
        ("  gone while the run looked at them", summary.gone),
        ("  older than what is stored", summary.superseded),
    ]:
        if number:
            run.add_row(name, f"{number:,}")
    run.add_row("  dead letters", f"{summary.dead:,}")
    for reason, number in summary.dead_letters.items():
        run.add_row(f"    {reason}", f"{number:,}")
    if summary.removed:
        run.add_row("photos forgotten", f"{summary.removed:,}")
    run.add_row("days grouped", f"{summary.days_grouped:,}")
    run.add_row("time", f"{summary.seconds:,.1f} s")
    run.add_row("speed", f"{summary.photos_per_s:,.1f} photos/s")
    run.add_row("peak memory", f"{summary.peak_memory_mib:,} MiB")
    console.print(run)

    photos = Table(title="Photos now", title_justify="left", show_header=False)
    photos.add_column(justify="left")
    photos.add_column(justify="right")
    photos.add_row("photos", f"{summary.photos:,}")
    photos.add_row("  searched for objects", f"{summary.with_tags:,}")
    photos.add_row("  shaken", f"{summary.shaken:,}")
    photos.add_row("  dark", f"{summary.dark:,}")
    photos.add_row("  screenshots", f"{summary.screenshot:,}")
    photos.add_row("  similar to a better one", f"{summary.similar:,}")
    photos.add_row("groups of similar photos", f"{summary.groups:,}")
    photos.add_row(
        "recommended for deletion",
        f"{summary.recommended:,} ({summary.recommended_bytes / 1e6:,.1f} MB)",
        style="bold",
    )
    console.print(photos)


def _peak_memory_mib() -> int:
    with contextlib.suppress(OSError, StopIteration):
        # Of this program alone: what Linux tells of resource usage begins with the
        # peak of the program that started this one.
        lines = Path("/proc/self/status").read_text().splitlines()
        high = next(line for line in lines if line.startswith("VmHWM"))
        return round(int(high.split()[1]) / 2**10)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes, but bytes on macOS.
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))
