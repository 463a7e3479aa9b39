"""What CleanVision and fastdup say of photos. A script for an environment of theirs.

fastdup needs a NumPy below 2, so neither can stand beside what PICCL runs on. This
file therefore imports nothing of PICCL, and nothing of PICCL imports it: `baselines`
runs it with the Python of that environment (requirements-baselines.txt).

    python peers.py PHOTOS.json VERDICTS.json

PHOTOS.json is a list of paths. VERDICTS.json is a list of peers, for each verdict one:
{"name", "verdict", "score", "threshold", "photos": [[score, called] or null, ...]}, the
photos in order. A low score means yes. Null is a photo that the peer could not read.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

# Otherwise fastdup reports runs and crashes to its makers, and asks PyPI for a newer
# version of itself. It reads these when it is imported.
os.environ |= {"SENTRY_OPT_OUT": "1", "FASTDUP_PRODUCTION": "1"}

# What `fastdup.summary()` calls blurry and dark by default, of its columns.
_FASTDUP = (("shaken", "blur", 150.0), ("dark", "mean", 4.0))
_CLEANVISION = (("shaken", "blurry"), ("dark", "dark"))


def ask_cleanvision(photos: Sequence[str]) -> list[dict[str, Any]]:
    """CleanVision with its defaults, which are part of its manager of issues."""
    from cleanvision import Imagelab
    from cleanvision.issue_managers.image_property_issue_manager import (
        ImagePropertyIssueManager,
    )

    readable = [photo for photo in photos if _opens(photo)]
    issues: dict[str, dict[str, Any]] = {}
    if readable:
        lab = Imagelab(filepaths=readable, verbose=False)
        lab.find_issues({issue: {} for _, issue in _CLEANVISION}, verbose=False)
        issues = lab.issues.to_dict("index")
    defaults = ImagePropertyIssueManager().get_default_params()
    return [
        {
            "name": f"CleanVision {version('cleanvision')}",
            "verdict": verdict,
            "score": f"{issue}_score",
            "threshold": defaults[issue]["threshold"],
            "photos": [
                [
                    float(issues[photo][f"{issue}_score"]),
                    bool(issues[photo][f"is_{issue}_issue"]),
                ]
                if photo in issues
                else None
                for photo in photos
            ],
        }
        for verdict, issue in _CLEANVISION
    ]


def ask_fastdup(photos: Sequence[str]) -> list[dict[str, Any]]:
    """The statistics of fastdup, judged as its summary does."""
    import fastdup

    with tempfile.TemporaryDirectory() as folder:
        run = fastdup.create(work_dir=folder, input_dir=list(photos))
        run.run(run_stats_only=True, run_sentry=False)
        stats = run.img_stats().set_index("filename").to_dict("index")
    return [
        {
            "name": f"fastdup {version('fastdup')}",
            "verdict": verdict,
            "score": column,
            "threshold": threshold,
            "photos": [
                [float(stats[photo][column]), bool(stats[photo][column] < threshold)]
                if photo in stats
                else None
                for photo in photos
            ],
        }
        for verdict, column, threshold in _FASTDUP
    ]


def _opens(photo: str) -> bool:
    """Whether Pillow reads it; one photo that it does not ends CleanVision."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(photo) as image:
            image.load()
    except Exception:
        return False
    return True


def _ending(photo: str) -> str:
    """What the name says of the format, which fastdup goes by."""
    ending = Path(photo).suffix.lower()
    return ending if ending[1:].isalnum() else ""


def main(listing: str, out: str) -> None:
    photos = [os.path.abspath(photo) for photo in json.loads(Path(listing).read_text())]
    asks: list[Callable[[Sequence[str]], list[dict[str, Any]]]] = [
        ask_cleanvision,
        ask_fastdup,
    ]
    with tempfile.TemporaryDirectory() as folder:
        # Both keep lists of names, fastdup as CSV, so no photo is named by its owner.
        links = [
            os.path.join(folder, f"{number:06}{_ending(photo)}")
            for number, photo in enumerate(photos)
        ]
        for photo, link in zip(photos, links, strict=True):
            os.symlink(photo, link)
        peers = [peer for ask in asks for peer in ask(links)]
    Path(out).write_text(json.dumps(peers))


if __name__ == "__main__":
    main(*sys.argv[1:])
