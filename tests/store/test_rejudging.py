import pytest

from store.interface import Store
from store.records import Detected, Judgement, PhotoTags, StoredScores
from tests.store.samples import (
    CAT,
    FOOD,
    MAY_1,
    SCORES,
    make_judge,
    make_meta,
    make_verdicts,
    nothing,
    pending,
    write,
)
from tests.store.tables import Tables


def test_rejudging_sees_the_stored_scores(store: Store, tables: Tables) -> None:
    write(store)
    store.settle("ada", MAY_1, nothing)
    before = tables.row("photos"), tables.row("tags")
    seen = []

    def judge(scores: StoredScores) -> Judgement:
        seen.append(scores)
        return Judgement(
            make_verdicts(dark=True, dark_threshold=0.2, version="v2"), FOOD
        )

    assert store.rejudge("ada", "a", 10, judge) == {MAY_1}
    assert seen == [SCORES]
    row = tables.row("deletions")
    assert (row["dark"], row["dark_threshold"], row["version"]) == (1, 0.2, "v2")
    assert row["sharpness"] == 7.5
    assert pending(store) == {MAY_1}
    assert (
        tables.row("photos") | {"pending_dates": []},
        tables.row("tags"),
    ) == before


def _judge_objects(scores: StoredScores) -> Judgement:
    return Judgement(make_verdicts(), PhotoTags(subject=scores.objects))


def _detected(tables: Tables) -> Detected | None:
    """What is stored; the subject is the judge's, that is the objects."""
    tags, photo = tables.row("tags"), tables.row("photos")
    assert tags["subject"] == photo["subject"] == tags["objects"]
    if tags["detector"] is None:
        return None
    return Detected(tags["objects"], tags["detector"], photo["features"])


def test_what_a_detector_found_is_written_with_the_photo(
    store: Store, tables: Tables
) -> None:
    store.write(make_meta(), SCORES, _judge_objects, detected=CAT)
    assert _detected(tables) == CAT
    state = store.state("ada", "a")
    assert state is not None
    assert state.detector == "d1"


def test_what_a_detector_found_is_filled_in_alone(store: Store, tables: Tables) -> None:
    store.write(make_meta(), SCORES, _judge_objects)
    store.settle("ada", MAY_1, nothing)
    before = tables.row("deletions"), tables.row("photos")["analysed_at"]
    assert store.rejudge("ada", "a", 10, _judge_objects, CAT) == {MAY_1}
    assert _detected(tables) == CAT
    assert (tables.row("deletions"), tables.row("photos")["analysed_at"]) == before
    assert pending(store) == {MAY_1}


def test_what_is_not_judged_stays(store: Store, tables: Tables) -> None:
    write(store)
    before = tables.row("tags"), tables.row("photos")["subject"]
    store.rejudge(
        "ada",
        "a",
        10,
        lambda _: Judgement(make_verdicts(dark=True, version="v2"), None),
    )
    assert (tables.row("tags"), tables.row("photos")["subject"]) == before
    verdicts = tables.row("deletions")
    assert (verdicts["dark"], verdicts["version"]) == (1, "v2")
    store.rejudge("ada", "a", 10, lambda _: Judgement(None, PhotoTags(subject="bag")))
    assert tables.row("deletions") == verdicts
    assert tables.row("tags")["subject"] == tables.row("photos")["subject"] == "bag"


def test_day_has_the_features_behind_the_descriptor(store: Store) -> None:
    write(store, detected=CAT)
    write(store, "b")
    with_cat, without = store.day("ada", MAY_1)
    assert with_cat.descriptor == without.descriptor + b"cat"
    # An analysis without a detector has another descriptor, not other features.
    write(store, descriptor=b"new")
    assert store.day("ada", MAY_1)[0].descriptor == b"newcat"


def test_another_generation_is_not_filled_in(store: Store, tables: Tables) -> None:
    store.write(make_meta(), SCORES, _judge_objects)
    store.rejudge("ada", "a", 9, _judge_objects, CAT)
    assert _detected(tables) is None


@pytest.mark.parametrize("generation", [10, 11], ids=["again", "touched"])
def test_run_without_a_detector_keeps_what_one_found(
    store: Store, tables: Tables, generation: int
) -> None:
    store.write(make_meta(), SCORES, _judge_objects, detected=CAT)
    store.write(make_meta(generation=generation), SCORES, _judge_objects)
    assert _detected(tables) == CAT


def test_other_bytes_are_not_what_a_detector_saw(store: Store, tables: Tables) -> None:
    store.write(make_meta(), SCORES, _judge_objects, detected=CAT)
    store.write(make_meta(generation=11, sha256="11"), SCORES, _judge_objects)
    assert _detected(tables) is None


@pytest.mark.parametrize("generation", [9, 11])
def test_rejudging_leaves_another_generation_alone(
    store: Store, tables: Tables, generation: int
) -> None:
    write(store)
    before = tables.everything()
    changed = store.rejudge(
        "ada", "a", generation, make_judge(make_verdicts(dark=True))
    )
    assert changed == {MAY_1}
    assert tables.everything() == before


def test_rejudging_what_is_not_there_does_nothing(store: Store, tables: Tables) -> None:
    assert store.rejudge("ada", "a", 10, make_judge()) == set()
    write(store)
    store.remove("ada", "a", 10)
    before = tables.everything()
    assert store.rejudge("ada", "a", 10, make_judge()) == {MAY_1}
    assert tables.everything() == before
