import pytest

from models.tags import TagThresholds
from store.records import StoredScores, Verdicts
from transforms.verdicts import Thresholds

THRESHOLDS = Thresholds(
    sharpness=5.0,
    dark=0.5,
    screenshot=0.75,
    tags=TagThresholds(),
    version="v1",
    tags_version="t1",
)


def _verdicts(
    thresholds: Thresholds, sharpness: float | None, dark: float, screenshot: float
) -> Verdicts:
    scores = StoredScores(sharpness, dark, screenshot)
    verdicts = thresholds.judge(scores).verdicts
    assert verdicts is not None
    return verdicts


@pytest.mark.parametrize(
    ("sharpness", "shaken"),
    [(None, False), (0.0, True), (4.9999, True), (5.0, False), (5.0001, False)],
    ids=["not judged", "none", "below", "at", "above"],
)
def test_shaken_is_below_its_threshold(sharpness: float | None, shaken: bool) -> None:
    verdicts = _verdicts(THRESHOLDS, sharpness, 0.0, 0.0)
    assert verdicts.shaken is shaken
    assert not verdicts.dark
    assert not verdicts.screenshot


@pytest.mark.parametrize(
    ("probability", "dark", "screenshot"),
    [
        (0.0, False, False),
        (0.4999, False, False),
        (0.5, True, False),
        (0.7499, True, False),
        (0.75, True, True),
        (1.0, True, True),
    ],
)
def test_dark_and_screenshot_are_from_their_thresholds_on(
    probability: float, dark: bool, screenshot: bool
) -> None:
    verdicts = _verdicts(THRESHOLDS, 9.0, probability, probability)
    assert verdicts.dark is dark
    assert verdicts.screenshot is screenshot
    assert not verdicts.shaken


def test_verdicts_carry_what_explains_them() -> None:
    verdicts = _verdicts(THRESHOLDS, 9.0, 0.25, 0.125)
    assert verdicts.sharpness_threshold == 5.0
    assert (verdicts.dark_probability, verdicts.dark_threshold) == (0.25, 0.5)
    assert (verdicts.screenshot_probability, verdicts.screenshot_threshold) == (
        0.125,
        0.75,
    )
    assert verdicts.version == "v1"


def test_judging_by_thresholds_of_nought_and_one() -> None:
    lenient = Thresholds(
        sharpness=0.0,
        dark=1.0,
        screenshot=1.0,
        tags=TagThresholds(),
        version="v",
        tags_version="t",
    )
    verdicts = _verdicts(lenient, 0.0, 0.9999, 0.9999)
    assert not verdicts.shaken
    assert not verdicts.dark
    assert not verdicts.screenshot
    strict = Thresholds(
        sharpness=1e9,
        dark=0.0,
        screenshot=0.0,
        tags=TagThresholds(),
        version="v",
        tags_version="t",
    )
    verdicts = _verdicts(strict, 1e6, 0.0, 0.0)
    assert verdicts.shaken
    assert verdicts.dark
    assert verdicts.screenshot
