"""Each reason in one sentence, of nothing but what is stored."""

import re
from typing import Any

import pytest

from store.explanations import explain

GOOD = {
    "id": "a",
    "similar": 0,
    "shaken": 0,
    "dark": 0,
    "screenshot": 0,
    "sha256": "a's",
    "fingerprint": "today",
    "similar_group": None,
    "similar_kind": None,
    "keeper": None,
    "keeper_title": None,
    "keeper_sha256": None,
    "keeper_sharpness": None,
    "keeper_fingerprint": None,
    "similarity": None,
    "similarity_threshold": None,
    "grouped_by": "grouping 1",
    "sharpness": 61.73,
    "sharpness_threshold": 180.0,
    "dark_probability": 0.9731,
    "dark_threshold": 0.94,
    "screenshot_probability": 0.9999,
    "screenshot_threshold": 0.7,
    "version": "thresholds 1",
}
SHOT = GOOD | {
    "similar": 1,
    "similar_group": "k",
    "similar_kind": "shot",
    "keeper": "k",
    "keeper_title": "IMG_2.jpg",
    "keeper_sha256": "k's",
    "keeper_sharpness": 200.0,
    "keeper_fingerprint": "today",
    "similarity": 0.8371,
    "similarity_threshold": 0.4,
}


def sentence(row: dict[str, Any]) -> str:
    (explanation,) = explain(row)
    return explanation.sentence


def test_a_photo_without_a_fault_needs_no_words() -> None:
    assert explain(GOOD) == []
    assert explain(SHOT | {"id": "k", "similar": 0}) == []


@pytest.mark.parametrize(
    ("reason", "score", "threshold", "text"),
    [
        ("shaken", 61.73, 180.0, "shaken: sharpness 61, photos are kept from 180 on"),
        (
            "dark",
            0.9731,
            0.94,
            "dark: 97 % sure that it is too dark, recommended from 94 % on",
        ),
        (
            "screenshot",
            0.9999,
            0.7,
            "screenshot: 99 % sure that it is one, recommended from 70 % on",
        ),
    ],
)
def test_a_reason_comes_with_what_decided(
    reason: str, score: float, threshold: float, text: str
) -> None:
    (found,) = explain(GOOD | {reason: 1})
    assert (found.reason, found.score, found.threshold) == (reason, score, threshold)
    assert (found.version, found.sentence) == ("thresholds 1", text)


def test_every_reason_that_holds_is_told() -> None:
    reasons = explain(SHOT | {"shaken": 1, "dark": True, "screenshot": 1})
    assert [reason.reason for reason in reasons] == [
        *("similar", "shaken", "dark", "screenshot")
    ]
    assert reasons[0].version == "grouping 1"
    assert (reasons[0].score, reasons[0].threshold) == (0.8371, 0.4)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (
            {},
            "another shot of IMG_2.jpg, which is sharper; likeness 0.83, "
            "grouped from 0.40 on",
        ),
        (
            {"similar_group": "first"},
            "another shot of IMG_2.jpg, which is sharper; likeness 0.83 to the first "
            "shot, grouped from 0.40 on",
        ),
        (
            {"similar_group": "a", "similarity": 1.0},
            "another shot of IMG_2.jpg, which is sharper; the first shot of its group",
        ),
        (
            {"similarity": None, "similarity_threshold": None},
            "another shot of IMG_2.jpg, which is sharper; near in time and place, and "
            "not compared by look",
        ),
        (
            {"keeper_title": None, "keeper_fingerprint": None},
            "another shot of another photo of its group, which is kept; likeness 0.83, "
            "grouped from 0.40 on",
        ),
    ],
    ids=["of the first", "of a later", "itself the first", "paper", "keeper gone"],
)
def test_a_similar_shot(columns: dict[str, Any], text: str) -> None:
    assert sentence(SHOT | columns) == f"similar: {text}"


@pytest.mark.parametrize(
    "columns",
    [
        {"keeper_sharpness": 61.73},
        {"keeper_sharpness": 61.0},
        {"keeper_sharpness": None},
        {"sharpness": None},
        # One was scored by the paper's method, say.
        {"keeper_fingerprint": "other"},
    ],
    ids=["as sharp", "less sharp", "kept unjudged", "unjudged", "other method"],
)
def test_sharper_is_said_of_nothing_else(columns: dict[str, Any]) -> None:
    assert "IMG_2.jpg, which is kept" in sentence(SHOT | columns)


def test_a_copy_is_one_of_the_kept_or_of_another() -> None:
    copy = SHOT | {"similar_kind": "copy"}
    assert sentence(copy | {"keeper_sha256": "a's"}) == (
        "copy: same bytes as IMG_2.jpg, which is kept"
    )
    assert sentence(copy) == (
        "copy: same bytes as another photo of its group; IMG_2.jpg is kept"
    )


def test_the_papers_blur_reads_the_same() -> None:
    row = GOOD | {"shaken": 1, "sharpness": 399.99, "sharpness_threshold": 400.0}
    assert sentence(row) == "shaken: sharpness 399, photos are kept from 400 on"


@pytest.mark.parametrize("threshold", [0.29, 0.57, 0.945, 0.9, 1.0])
def test_a_score_never_reads_as_of_the_other_side(threshold: float) -> None:
    for score in {threshold, min(1.0, threshold + 0.0001), 1.0}:
        text = sentence(
            GOOD | {"dark": 1, "dark_probability": score, "dark_threshold": threshold}
        )
        sure, least = (float(number) for number in re.findall(r"[\d.]+(?= %)", text))
        assert least == pytest.approx(100 * threshold)
        assert least <= sure <= 100 * score + 1e-9
    for sharpness in (0.0, threshold - 0.01):
        text = sentence(
            GOOD
            | {"shaken": 1, "sharpness": sharpness, "sharpness_threshold": threshold}
        )
        seen, least = (float(number) for number in re.findall(r"\d[\d.]*", text))
        assert seen < least
