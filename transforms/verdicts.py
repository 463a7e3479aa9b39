"""Scores to verdicts and tags: the one place where thresholds are applied."""

import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass

from models.tags import DetectedObject, TagThresholds, judge_tags, subject_of
from store.records import Judgement, PhotoTags, StoredScores, Verdicts


@dataclass(frozen=True)
class Thresholds:
    """What the scores are compared with.

    Attributes:
        sharpness: Shaken below it.
        dark: Dark from this probability on.
        screenshot: A screenshot from this probability on.
        tags: An object is seen from this confidence on.
        version: Of those of verdicts; stored photos of another are judged again.
        tags_version: The same of those of tags.
    """

    sharpness: float
    dark: float
    screenshot: float
    tags: TagThresholds
    version: str
    tags_version: str

    def judge(self, scores: StoredScores) -> Judgement:
        """Scores as they are stored, that is rounded, to verdicts and tags."""
        return Judgement(self._verdicts(scores), self._tags(scores))

    def judge_verdicts(self, scores: StoredScores) -> Judgement:
        """The verdicts alone."""
        return Judgement(self._verdicts(scores), None)

    def judge_tags(self, scores: StoredScores) -> Judgement:
        """The tags alone."""
        return Judgement(None, self._tags(scores))

    def _verdicts(self, scores: StoredScores) -> Verdicts:
        return Verdicts(
            # What can not be judged is not shaken.
            shaken=scores.sharpness is not None and scores.sharpness < self.sharpness,
            dark=scores.dark_probability >= self.dark,
            screenshot=scores.screenshot_probability >= self.screenshot,
            sharpness_threshold=self.sharpness,
            dark_probability=scores.dark_probability,
            dark_threshold=self.dark,
            screenshot_probability=scores.screenshot_probability,
            screenshot_threshold=self.screenshot,
            version=self.version,
        )

    def _tags(self, scores: StoredScores) -> PhotoTags:
        if scores.objects is None:
            return PhotoTags()
        objects = objects_from_json(scores.objects)
        return PhotoTags(
            **judge_tags(objects, self.tags),
            subject=subject_of(objects, self.tags),
            version=self.tags_version,
        )


def objects_to_json(objects: Iterable[DetectedObject]) -> str:
    """Objects as they are stored: [name, confidence, left, top, right, bottom]."""
    return json.dumps([astuple(seen) for seen in objects], separators=(",", ":"))


def objects_from_json(text: str) -> list[DetectedObject]:
    return [DetectedObject(*values) for values in json.loads(text)]
