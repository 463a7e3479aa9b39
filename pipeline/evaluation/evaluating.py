"""Labelled photos to figures: score them, score what is made of them, compare."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence

from models.tags import TAGS
from pipeline.analyse import AnalysisSettings
from pipeline.errors import UsageError
from pipeline.evaluation.figures import (
    CopyFigures,
    Evaluation,
    Judged,
    ObjectFigures,
    Unreadable,
)
from pipeline.evaluation.judging import verdict_figures
from pipeline.evaluation.labels import LabelledPhoto, Labels
from pipeline.evaluation.making import (
    grouped_shot,
    score_made_copies,
    score_made_series,
)
from pipeline.evaluation.objects import Seen, object_figures
from pipeline.evaluation.scoring import (
    SCORES,
    Scored,
    Scorer,
    judged,
    photos_learned_from,
)
from pipeline.evaluation.similar import GroupedShot, similar_figures
from pipeline.progress import say
from transforms.verdicts import objects_from_json

# Most photos are small or of kinds that no verdict is about.
_COPIED = 3


def evaluate(
    labels: Labels, scorer: Scorer, *, made: int, command: str
) -> tuple[Evaluation, Mapping[str, Sequence[Judged]]]:
    """Score the photos and compare with their labels.

    Args:
        labels: Of the photos.
        scorer: The graph.
        made: Of so many photos shots and copies are made; 0 for none.
        command: What was typed.

    Returns:
        The figures; and by verdict every photo as it was judged.
    """
    say(scorer.console, f"Scoring {len(labels.photos):,} labelled photos")
    settings = scorer.settings
    label_of = {label.path: label for label in labels.photos}
    scored, unreadable = scorer.score(
        list(label_of),
        "labelled",
        {
            path
            for path, label in label_of.items()
            if label.tags is not None or label.subject is not None
        },
    )
    unreadable += [Unreadable(name, "its name is no UTF-8") for name in labels.unnamed]
    if not scored:
        raise UsageError(f"none of the {len(unreadable):,} files is a photo")
    learned = photos_learned_from(settings)
    of_verdict = {
        verdict: [
            judged(verdict, photo, label_of[path], learned[verdict])
            for path, photo in scored.items()
        ]
        for verdict in SCORES
    }
    verdicts = [
        verdict_figures(
            verdict,
            photos,
            score=SCORES[verdict][0].replace("_", " "),
            low_is_yes=verdict == "shaken",
            threshold=_thresholds(settings)[verdict],
        )
        for verdict, photos in of_verdict.items()
        if any(photo.truth is not None or photo.presumed for photo in photos)
    ]
    shots = [
        grouped_shot(photo, series, label_of[path].kind)
        for path, photo in scored.items()
        if (series := label_of[path].series) is not None
    ]
    degraded: list[GroupedShot] = []
    subject_ignored: list[GroupedShot] = []
    copies: tuple[CopyFigures, ...] = ()
    if made:
        say(scorer.console, "Making shots and copies of some, and scoring these")
        series_of = score_made_series(label_of, scored, scorer, made)
        shots.extend(series_of["alike"])
        degraded = series_of["degraded"]
        subject_ignored = series_of["subject ignored"]
        copies = score_made_copies(label_of, scored, scorer, made * _COPIED)
    return (
        Evaluation(
            command=command,
            folder=os.path.commonpath([os.path.dirname(path) for path in label_of]),
            versions=settings.versions,
            settings={**_by_option(settings), "made": made},
            photos=len(scored),
            kinds=dict(sorted(Counter(p.kind for p in labels.photos).items())),
            unreadable=tuple(unreadable),
            verdicts=tuple(verdicts),
            objects=_objects(label_of, scored, scorer),
            similar=similar_figures(shots, degraded, subject_ignored),
            copies=copies,
            made_folder=str(scorer.folder),
        ),
        of_verdict,
    )


def _thresholds(settings: AnalysisSettings) -> dict[str, float]:
    used = settings.thresholds
    return {
        "shaken": used.sharpness,
        "dark": used.dark,
        "screenshot": used.screenshot,
    }


def _by_option(settings: AnalysisSettings) -> dict[str, object]:
    """What was set, as the options of the command are called."""
    thresholds = _thresholds(settings)
    return {
        "blur_method": settings.blur_method,
        "blur_threshold": thresholds["shaken"],
        "dark_threshold": thresholds["dark"],
        "screenshot_threshold": thresholds["screenshot"],
        "tag_threshold": settings.thresholds.tags.default,
        "weights": settings.detector and settings.detector.weights.name,
        "similar_method": settings.similar.method,
        "similar_threshold": settings.similar.similarity,
    }


def _objects(
    label_of: Mapping[str, LabelledPhoto], scored: Mapping[str, Scored], scorer: Scorer
) -> ObjectFigures | None:
    thresholds = scorer.settings.thresholds.tags
    return object_figures(
        [
            Seen(
                path,
                label_of[path].tags,
                label_of[path].subject,
                objects_from_json(photo.row["objects"]),
                {tag: bool(photo.row[tag]) for tag in TAGS},
                photo.row["subject"],
                label_of[path].group or path,
            )
            for path, photo in scored.items()
            if photo.row["objects"] is not None
        ],
        thresholds,
    )
