"""The threshold of shaken photos, out of scores."""

import math

from models.blur_threshold import choose_by_source, choose_threshold


def test_a_hundredth_may_be_below() -> None:
    scores = [20.5, *(80.5 + n for n in range(200))]
    assert choose_threshold(scores) == 81
    assert sum(score < 81 for score in scores) == 2
    # What can not be judged is not called.
    assert choose_threshold([math.inf] * 9 + scores) == 81


def test_a_source_has_no_say_in_its_own_threshold() -> None:
    scores = [10.0] * 50 + [90.0] * 50
    sources = ["soft"] * 50 + ["sharp"] * 50
    assert choose_by_source(scores, sources) == {"sharp": 10, "soft": 90}
