"""Splits that leak nothing, variants that stay photos, figures that are right."""

import keras
import numpy as np
import pytest

from models import accuracy
from models.darkness import network, train, variants


def _examples(groups_per_kind: int = 4, seed: int = 0) -> train.Examples:
    """Two photos a group: even gray, light gray, and a lamp before black."""
    rng = np.random.default_rng(seed)
    count = 2 * groups_per_kind
    pixels = rng.uniform(0, 0.05, (3 * count, 64, 64, 3))
    pixels[count : 2 * count] += 0.6
    pixels[2 * count :, 20:40, 20:40] += 0.8
    kinds = np.repeat(np.arange(3), count)
    return train.Examples(
        pixels.astype(np.float32),
        kinds == 0,
        kinds == 1,
        [f"{kind}_{i // 2}" for kind in range(3) for i in range(count)],
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sice_012_79.jpg", "sice_012_80.jpg"),
        ("amos_640x372_20151101_233123.jpg", "amos_20151102_082046.jpg"),
        ("dicm_18.jpg", "dicm_19.jpg"),
        ("zdce_real_1021_0.jpg", "zdce_real_11_0.jpg"),
    ],
    ids=["exposure series", "webcam", "one scene twice", "one camera"],
)
def test_photos_of_one_source_stay_together(one: str, other: str) -> None:
    assert train.source_group(one) == train.source_group(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sice_012_79.jpg", "sice_013_79.jpg"),
        ("sice_012_79.jpg", "sice_0123_79.jpg"),
        ("coco_000000023899.jpg", "coco_000000035062.jpg"),
        ("IMG_0001.jpg", "IMG_0002.jpg"),
    ],
    ids=["two series", "a longer number", "two photos", "a phone's photos"],
)
def test_photos_of_two_sources_may_part(one: str, other: str) -> None:
    assert train.source_group(one) != train.source_group(other)


@pytest.mark.parametrize("parts", [2, 5])
@pytest.mark.parametrize("seed", range(4))
def test_split_never_parts_a_group(parts: int, seed: int) -> None:
    examples = _examples(groups_per_kind=7)
    mixed = [*examples.groups]
    mixed[0] = mixed[20] = mixed[30] = mixed[5]  # a series with photos of each kind
    examples = train.Examples(
        examples.pixels, examples.too_dark, examples.bright, mixed
    )
    part_of = train.split_groups(examples, parts, seed)
    for group in set(mixed):
        assert len({part_of[i] for i, g in enumerate(mixed) if g == group}) == 1
    for part in range(parts):
        assert set(examples.kinds[part_of == part]) == {0, 1, 2}
    np.testing.assert_array_equal(part_of, train.split_groups(examples, parts, seed))


def test_validation_sees_no_group_that_teaches() -> None:
    learned, held_out = train._hold_out(_examples(), seed=0)
    assert not set(learned.groups) & set(held_out.groups)
    assert len(learned.groups) + len(held_out.groups) == 24
    assert set(held_out.kinds) == set(learned.kinds) == {0, 1, 2}


@pytest.mark.parametrize(
    "variant",
    [variants.vary, variants.make_too_dark, variants.make_meant],
    ids=lambda f: f.__name__,
)
def test_variants_are_photos_and_repeat(variant) -> None:
    photo = np.random.default_rng(0).uniform(0.1, 1, (64, 64, 3)).astype(np.float32)
    for seed in range(20):
        made = variant(photo, np.random.default_rng(seed))
        assert made.shape == (64, 64, 3)
        assert made.dtype == np.float32
        assert made.min() >= 0
        assert made.max() <= 1
        again = variant(photo, np.random.default_rng(seed))
        np.testing.assert_array_equal(made, again)


def test_what_is_made_too_dark_is_dark_and_what_is_meant_keeps_light() -> None:
    photo = np.random.default_rng(0).uniform(0.3, 1, (64, 64, 3)).astype(np.float32)
    rng = np.random.default_rng(1)
    too_dark = [variants.make_too_dark(photo, rng) for _ in range(60)]
    meant = [variants.make_meant(photo, rng) for _ in range(60)]
    assert max(np.median(made) for made in too_dark) < 0.3
    # A lamp lifts the brightest pixel of some, which must not help them.
    assert max(made.max() for made in too_dark) > 0.6
    # A lit subject may be small, and an evening's sky dim.
    assert np.quantile([made.max() for made in meant], 0.1) > 0.3
    assert min(np.median(made) for made in meant) < 0.2


def test_one_seed_trains_one_network(monkeypatch) -> None:
    monkeypatch.setattr(train, "_BATCHES_PER_EPOCH", 1)
    epochs: list[int] = []
    one, same = (
        train.train(_examples(), seed=3, epochs=2, on_epoch=epochs.append)
        for _ in range(2)
    )
    assert epochs == [0, 1] * 2
    for a, b in zip(one.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    learned = network.Scorer(one).score(_examples().pixels)
    keras.utils.set_random_seed(3)
    fresh = network.Scorer(network.build()).score(_examples().pixels)
    assert not np.array_equal(learned, fresh)


def test_a_batch_of_variants_is_balanced_and_the_papers_is_not_varied() -> None:
    examples = _examples()
    rng = np.random.default_rng(0)
    pixels, answers = next(train._draw_varied(examples, rng))
    assert pixels.shape == (train.BATCH_SIZE, 64, 64, 3)
    assert answers.mean() == 0.5
    pixels, answers = next(train._draw_plain(examples, rng))
    originals = {photo.tobytes() for photo in examples.pixels}
    assert {photo.tobytes() for photo in pixels} == originals
    assert answers.sum() == examples.too_dark.sum()


def test_a_kind_of_one_group_cannot_be_validated() -> None:
    with pytest.raises(ValueError, match="two groups"):
        train.train(_examples(groups_per_kind=1), seed=0, epochs=1)


def test_no_fold_is_scored_by_a_network_that_saw_it(monkeypatch) -> None:
    examples = _examples()
    taught: list[set[str]] = []

    def remember(part, **_) -> int:
        taught.append(set(part.groups))
        return len(taught)  # in place of a network

    monkeypatch.setattr(train, "train", remember)

    class Constant:
        def __init__(self, model: int) -> None:
            self.score = lambda pixels: np.full(len(pixels), model)

    monkeypatch.setattr(train.network, "Scorer", Constant)
    folds = train.train_folds(examples, folds=3, seed=0)
    scores = folds.score(examples.pixels, np.arange(24))
    np.testing.assert_array_equal(scores, folds.fold_of + 1)
    for group, fold in zip(examples.groups, folds.fold_of, strict=True):
        assert group not in taught[fold]
    # What is made of a photo is scored as the photo is.
    rows = np.array([5, 5, 20, 0])
    made = folds.score(examples.pixels[rows], rows)
    np.testing.assert_array_equal(made, scores[rows])


@pytest.mark.parametrize(
    ("positive", "negative", "expected"),
    [
        ([3, 4], [1, 2], 1),
        ([1, 2], [3, 4], 0),
        ([1, 3], [2], 0.5),
        ([2, 2], [2], 0.5),
        ([2, 3], [1, 2], 0.875),
    ],
    ids=["right", "wrong", "half", "ties", "one tie in four"],
)
def test_auc_counts_pairs(positive, negative, expected: float) -> None:
    value = accuracy.auc(np.array(positive, float), np.array(negative, float))
    assert value == pytest.approx(expected)


def test_auc_interval_holds_the_auc_and_is_wider_for_groups() -> None:
    rng = np.random.default_rng(0)
    positive, negative = rng.normal(1, 1, 60), rng.normal(0, 1, 60)
    # Six groups of ten photos that agree.
    positive = np.repeat(positive[:6], 10)
    single = [str(i) for i in range(60)]
    ten = [str(i // 10) for i in range(60)]
    alone = accuracy.auc_interval(positive, negative, single, [f"n{i}" for i in single])
    grouped = accuracy.auc_interval(positive, negative, ten, [f"n{i}" for i in single])
    value = accuracy.auc(positive, negative)
    assert alone[0] < value < alone[1]
    assert grouped[0] < value < grouped[1]
    assert grouped[1] - grouped[0] > 1.3 * (alone[1] - alone[0])


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (0, 10, 0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1),
        # Newcombe, Statistics in Medicine 17, 1998, Table I.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 0, 0, 1),
    ],
)
def test_wilson_interval(hits: int, n: int, low: float, high: float) -> None:
    assert accuracy.wilson_interval(hits, n) == pytest.approx((low, high), abs=2e-4)
