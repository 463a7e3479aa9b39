"""Scores to verdicts: the one place where thresholds are applied."""

from dataclasses import dataclass

from store.records import StoredScores, Verdicts


@dataclass(frozen=True)
class Thresholds:
    """What the scores are compared with.

    Attributes:
        sharpness: Shaken below it.
        dark: Dark from this probability on.
        screenshot: A screenshot from this probability on.
        version: Of these thresholds; stored photos of another are judged again.
    """

    sharpness: float
    dark: float
    screenshot: float
    version: str

    def judge(self, scores: StoredScores) -> Verdicts:
        """Scores as they are stored, that is rounded, to verdicts."""
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
