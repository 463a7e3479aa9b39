"""What others say of the same photos: CleanVision, fastdup, and rules of one number.

CleanVision and fastdup run in an environment of their own, see `peers.py`, with their
defaults. The paper's rule for shaken photos has its own threshold. Of the plain
statistics nobody has published one, so each photo gets the threshold that the photos
of the other sources choose: the highest that calls at most `_FALSE_ALARMS` of those
that are a no. Figures of a rule are therefore never in-sample either.
"""

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from models import blur
from models.darkness import network
from models.darkness.thresholds import plain_statistics
from models.images import BadPhotoError, decode
from pipeline.errors import UsageError
from pipeline.evaluation.figures import BaselineFigures, Judged
from pipeline.evaluation.judging import verdict_figures

# Where `make baselines` puts it.
DEFAULT_PYTHON: Final = Path(__file__).parents[2] / ".venv-baselines/bin/python"

# What the shipped verdicts are allowed: photos meant to be dark are a third of those
# that are no, and the shipped threshold calls at most 3 % of them.
_FALSE_ALARMS: Final = 0.01
_FOLDS: Final = 5
_SCRIPT: Final = Path(__file__).with_name("peers.py")
_VERSIONS: Final = (
    "from importlib.metadata import version as v; v('cleanvision'), v('fastdup')"
)
# The statistics, and their thresholds where one is published. Low is yes.
_RULES: Final[Mapping[str, Mapping[str, float | None]]] = {
    "shaken": {
        "variance of Laplacian, full size": blur.PAPER_THRESHOLD,
        "variance of Laplacian, 512 px": None,
    },
    "dark": {
        "mean of luma": None,
        "spread of luma": None,
        "99th percentile of luma": None,
        "maximum of luma": None,
    },
}


@dataclass(frozen=True)
class Peer:
    """What one peer says of all photos for one verdict.

    Attributes:
        name: With its version.
        verdict: shaken or dark.
        score: What the peer calls it; low is yes.
        threshold: Its default.
        photos: Score and verdict by path; None where it could not read the photo.
    """

    name: str
    verdict: str
    score: str
    threshold: float
    photos: Mapping[str, tuple[float, bool] | None]


def check_python(python: Path) -> None:
    """Refuse an environment without the peers before any work is done.

    Raises:
        UsageError: It is not there or they are not in it; the text says what to do.
    """
    try:
        subprocess.run([python, "-I", "-c", _VERSIONS], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as err:
        raise UsageError(
            f"--baseline needs CleanVision and fastdup, and {python} has not got them: "
            "`make baselines` installs them into .venv-baselines, or name the Python "
            "that has them with --baseline-python"
        ) from err


def measure(
    judged: Mapping[str, Sequence[Judged]],
    python: Path,
    *,
    on_photo: Callable[[], None] = lambda: None,
) -> Iterator[BaselineFigures]:
    """Judge by other means what was judged, verdict by verdict.

    Args:
        judged: By verdict, as PICCL judged them; those with a peer are shaken and dark.
        python: Of the peers' environment, from `check_python`.
        on_photo: Called after each photo that the plain rules have seen. The peers
            come before, and take about 50 ms a photo.

    Raises:
        RuntimeError: The peers failed; the text ends with what they say.
    """
    wanted = {verdict: judged[verdict] for verdict in _RULES if judged.get(verdict)}
    paths = sorted({photo.path for photos in wanted.values() for photo in photos})
    if not paths:
        return
    peers = ask_peers(paths, python)
    scores = {}
    for path in paths:
        scores[path] = plain_scores(Path(path).read_bytes())
        on_photo()
    for verdict, photos in wanted.items():
        for peer in peers:
            if peer.verdict == verdict:
                again = [_by_peer(photo, peer) for photo in photos]
                yield _figures(peer.name, peer.score, verdict, again)
        for rule, threshold in _RULES[verdict].items():
            by_rule = [scores[photo.path].get(rule) for photo in photos]
            again = judge_plainly(photos, by_rule, threshold)
            name = "plain rule" if threshold is None else "the paper's rule"
            yield _figures(name, rule, verdict, again)


def plain_scores(encoded: bytes) -> dict[str, float]:
    """Numbers that are low if a photo is shaken or dark; none of an unreadable one."""
    try:
        photo = decode(encoded, with_full_gray=True)
    except BadPhotoError:
        return {}
    assert photo.full_gray is not None
    small = cv2.cvtColor(photo.rgb, cv2.COLOR_RGB2GRAY).astype(np.uint8)
    dark = plain_statistics(network.prepare(photo.rgb)[np.newaxis])
    scores = {
        "variance of Laplacian, full size": blur.laplacian_variance(photo.full_gray),
        "variance of Laplacian, 512 px": blur.laplacian_variance(small),
        # Theirs are high for dark.
        **{f"{name} of luma": -values[0] for name, values in dark.items()},
    }
    return {rule: round(float(score), 2) for rule, score in scores.items()}


def judge_plainly(
    photos: Sequence[Judged], scores: Sequence[float | None], threshold: float | None
) -> list[Judged]:
    """The photos judged by one number each; None: at a threshold others choose."""
    scored = [
        replace(photo, score=score, held_out=False)
        for photo, score in zip(photos, scores, strict=True)
    ]
    if threshold is None:
        limits = choose_thresholds(scored)
    else:
        limits = [threshold] * len(scored)
    return [
        replace(photo, threshold=limit, called=_is_below(photo.score, limit))
        for photo, limit in zip(scored, limits, strict=True)
    ]


def choose_thresholds(photos: Sequence[Judged]) -> list[float]:
    """For each photo the threshold that those of other folds choose.

    Groups are dealt to folds whole. Where the other folds have no photo that is a no,
    nothing is called: no score is below 0.
    """
    groups = sorted({photo.group for photo in photos})
    np.random.default_rng(0).shuffle(groups)
    fold_of = {group: number % _FOLDS for number, group in enumerate(groups)}
    limits = []
    for fold in range(_FOLDS):
        no = sorted(
            photo.score
            for photo in photos
            if photo.truth is False
            and photo.score is not None
            and fold_of[photo.group] != fold
        )
        limits.append(no[int(_FALSE_ALARMS * len(no))] if no else 0.0)
    return [limits[fold_of[photo.group]] for photo in photos]


def ask_peers(paths: Sequence[str], python: Path) -> list[Peer]:
    """Run `peers.py`; see there what goes in and comes out."""
    with tempfile.TemporaryDirectory() as folder:
        listing, out = Path(folder, "photos.json"), Path(folder, "verdicts.json")
        listing.write_text(json.dumps(list(paths)))
        # Isolated, so that nothing of this environment is found in theirs.
        done = subprocess.run(
            [python, "-I", _SCRIPT, listing, out],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
            raise RuntimeError(f"the peers of --baseline failed: {said[-1]}")
        answers = json.loads(out.read_text())
    return [
        Peer(**{**answer, "photos": dict(zip(paths, answer["photos"], strict=True))})
        for answer in answers
    ]


def _by_peer(photo: Judged, peer: Peer) -> Judged:
    score, called = peer.photos[photo.path] or (None, False)
    return replace(
        photo, score=score, threshold=peer.threshold, called=called, held_out=False
    )


def _is_below(score: float | None, threshold: float) -> bool:
    return score is not None and score < threshold


def _figures(
    name: str, score: str, verdict: str, photos: Sequence[Judged]
) -> BaselineFigures:
    threshold = float(np.median([photo.threshold for photo in photos]))
    return BaselineFigures(
        name,
        verdict_figures(
            verdict, photos, score=score, low_is_yes=True, threshold=threshold
        ),
    )
