"""What an upload did, as a table for a person and as JSON for a program."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.print_list import print_list
from pipeline.uploading import Outcome


@dataclass
class UploadSummary:
    """What became of the files, so far.

    Attributes:
        files: How many were found.
        uploaded: Photos, the renamed ones among them.
        skipped: Photos that are there already.
        renamed: Photos whose name was taken.
        not_photos: Files that are none.
        failed: Files that could not be uploaded, and folders that could not be read.
        uploaded_bytes: Of the photos uploaded.
        seconds: Wall time.
    """

    files: int = 0
    uploaded: int = 0
    skipped: int = 0
    renamed: list[Outcome] = field(default_factory=list)
    not_photos: list[Outcome] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)
    uploaded_bytes: int = 0
    seconds: float = 0.0

    def add(self, outcome: Outcome) -> None:
        if outcome.kind == "skipped":
            self.skipped += 1
        elif outcome.kind == "not a photo":
            self.not_photos.append(outcome)
        elif outcome.kind == "failed":
            self.failed.append(outcome)
        else:
            self.uploaded += 1
            self.uploaded_bytes += outcome.size_bytes
            if outcome.kind == "renamed":
                self.renamed.append(outcome)

    @property
    def done(self) -> int:
        return self.uploaded + self.skipped + len(self.not_photos) + len(self.failed)

    @property
    def not_tried(self) -> int:
        return max(self.files - self.done, 0)

    @property
    def bytes_per_s(self) -> float:
        return self.uploaded_bytes / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "files": self.files,
            "uploaded": self.uploaded,
            "renamed": [{"path": o.path, "name": o.name} for o in self.renamed],
            "skipped": self.skipped,
            "not_photos": [{"path": o.path, "why": o.detail} for o in self.not_photos],
            "failed": [{"path": o.path, "why": o.detail} for o in self.failed],
            "not_tried": self.not_tried,
            "uploaded_bytes": self.uploaded_bytes,
            "seconds": round(self.seconds, 2),
            "bytes_per_s": round(self.bytes_per_s),
        }


def print_summary(console: Console, summary: UploadSummary) -> None:
    """A table, and which files it was that something is to be said of."""
    table = Table(title="This upload", title_justify="left", show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    table.add_row("files found", f"{summary.files:,}")
    table.add_row("  uploaded", f"{summary.uploaded:,}", style="bold")
    if summary.renamed:
        table.add_row("    their name was taken", f"{len(summary.renamed):,}")
    table.add_row("  skipped, there already", f"{summary.skipped:,}")
    reasons = Counter(o.detail.partition(":")[0] for o in summary.not_photos)
    for reason, number in sorted(reasons.items()):
        table.add_row(f"  {reason}", f"{number:,}")
    table.add_row("  failed", f"{len(summary.failed):,}")
    if summary.not_tried:
        table.add_row("  not tried", f"{summary.not_tried:,}")
    table.add_row("uploaded", f"{summary.uploaded_bytes / 1e6:,.1f} MB")
    table.add_row("time", f"{summary.seconds:,.1f} s")
    table.add_row("speed", f"{summary.bytes_per_s / 1e6:,.1f} MB/s")
    console.print(table)
    print_list("Uploaded under another name", _lines(summary.renamed))
    print_list("Not uploaded, because they are no photos", _lines(summary.not_photos))
    print_list("Could not be uploaded", _lines(summary.failed))


def _lines(outcomes: Sequence[Outcome]) -> list[str]:
    # They come as the threads are done with them.
    return sorted(f"{o.path}: {o.detail or o.name}" for o in outcomes)
