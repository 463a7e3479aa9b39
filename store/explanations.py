"""Why a photo is recommended for deletion, in words for a person.

All of it is read from the stored row, so a verdict is explained by what decided
it then, whatever the models and thresholds are now.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Explanation:
    """One reason that holds for a photo.

    Attributes:
        reason: One of `store.search.REASONS`.
        score: What was measured, rounded as it is stored; None where pixels were
            not compared.
        threshold: What the score was compared with; None with the score.
        version: Of the options that decided.
        sentence: The same for a person.
    """

    reason: str
    score: float | None
    threshold: float | None
    version: str | None
    sentence: str


def explain(photo: Mapping[str, Any]) -> list[Explanation]:
    """Each reason that holds for a photo; none for one that has no fault.

    A reason may hold for a photo that is not recommended: the user decided to keep
    it, it is the best of its group, or it is damaged.

    Args:
        photo: A row of `Store.search`.
    """
    found = []
    if photo["similar"]:
        found.append(
            Explanation(
                "similar",
                photo["similarity"],
                photo["similarity_threshold"],
                photo["grouped_by"],
                _similar(photo),
            )
        )
    for reason, score, sentence in (
        ("shaken", "sharpness", _shaken),
        ("dark", "dark_probability", _dark),
        ("screenshot", "screenshot_probability", _screenshot),
    ):
        if photo[reason]:
            threshold = f"{score.removesuffix('_probability')}_threshold"
            found.append(
                Explanation(
                    reason,
                    photo[score],
                    photo[threshold],
                    photo["version"],
                    sentence(photo[score], photo[threshold]),
                )
            )
    return found


def _shaken(score: float, threshold: float) -> str:
    sharpness, least = _texts(score, threshold)
    return f"shaken: sharpness {sharpness}, photos are kept from {least} on"


def _dark(score: float, threshold: float) -> str:
    sure, least = _texts(100 * score, 100 * threshold)
    return f"dark: {sure} % sure that it is too dark, recommended from {least} % on"


def _screenshot(score: float, threshold: float) -> str:
    sure, least = _texts(100 * score, 100 * threshold)
    return f"screenshot: {sure} % sure that it is one, recommended from {least} % on"


def _similar(photo: Mapping[str, Any]) -> str:
    kept = photo["keeper_title"] or "another photo of its group"
    if photo["similar_kind"] == "copy":
        if _alike(photo, "sha256"):
            return f"copy: same bytes as {kept}, which is kept"
        return f"copy: same bytes as another photo of its group; {kept} is kept"
    sharper = (
        # Sharpness of another method or version is on another scale.
        _alike(photo, "fingerprint")
        and None not in (photo["sharpness"], photo["keeper_sharpness"])
        and photo["keeper_sharpness"] > photo["sharpness"]
    )
    shot = (
        f"similar: another shot of {kept}, which is {'sharper' if sharper else 'kept'}"
    )
    if photo["similarity_threshold"] is None:
        return f"{shot}; near in time and place, and not compared by look"
    if photo["similar_group"] == photo["id"]:
        return f"{shot}; the first shot of its group"
    likeness, least = _texts(photo["similarity"], photo["similarity_threshold"], 2)
    first = "" if photo["similar_group"] == photo["keeper"] else " to the first shot"
    return f"{shot}; likeness {likeness}{first}, grouped from {least} on"


def _alike(photo: Mapping[str, Any], column: str) -> bool:
    """Whether photo and keeper have the same there; not, if the keeper is gone."""
    return bool(photo[column] == photo[f"keeper_{column}"])


def _texts(score: float, threshold: float, digits: int = 0) -> tuple[str, str]:
    """A score and what it was compared with, with as many digits as the second has.

    The score is cut off, not rounded: so it stands on the side of the threshold on
    which it is, and nobody is told of more than was measured.
    """
    while round(threshold, digits) != round(threshold, 6):
        digits += 1
    # 100 * 0.29 is a little less than 29.
    cut = math.floor(round(score * 10**digits, 6)) / 10**digits
    return f"{cut:.{digits}f}", f"{threshold:.{digits}f}"
