"""What a user's day decides about its photos; pure, and without Beam."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from models.keeper import Shot
from models.similarity import (
    VERSION,
    SimilarOptions,
    group_similar,
    least_similarity,
    recommend_deletion,
)
from store.records import DayOutcome, DayPhoto


def day_outcomes(
    photos: Sequence[DayPhoto], options: SimilarOptions
) -> dict[str, DayOutcome]:
    """What a day decides about each of its photos."""
    shots = {photo.id: to_shot(photo) for photo in photos}
    members = group_similar(list(shots.values()), options)
    grouped_by = grouping_version(options)
    outcomes = {}
    for shot in shots.values():
        member = members.get(shot.id)
        delete = recommend_deletion(shot, member)
        if member is None:
            outcomes[shot.id] = DayOutcome(delete=delete, grouped_by=grouped_by)
        else:
            outcomes[shot.id] = DayOutcome(
                delete=delete,
                similar=member.keeper != shot.id,
                similar_group=member.group,
                similar_kind=member.kind,
                keeper=member.keeper,
                similarity=member.similarity,
                similarity_threshold=least_similarity(
                    shot, shots[member.group], options
                ),
                grouped_by=grouped_by,
            )
    return outcomes


def grouping_version(options: SimilarOptions) -> str:
    """Label what a day is grouped by."""
    parts = json.dumps([VERSION, asdict(options)], sort_keys=True)
    return hashlib.sha256(parts.encode()).hexdigest()[:12]


def to_shot(photo: DayPhoto) -> Shot:
    """What the pure grouping needs of a stored photo."""
    return Shot(
        id=photo.id,
        taken_at=datetime.fromisoformat(photo.taken_at),
        timed=photo.time_source == "exif",
        latitude=photo.latitude,
        longitude=photo.longitude,
        subject=photo.subject,
        sha256=photo.sha256,
        descriptor=photo.descriptor,
        sharpness=photo.sharpness,
        exposure=photo.exposure,
        fingerprint=photo.fingerprint,
        shaken=photo.shaken,
        dark=photo.dark,
        screenshot=photo.screenshot,
        damaged=photo.damaged,
        pixels=photo.pixels,
        decision=photo.decision,
        kept_for=photo.kept_for,
    )
