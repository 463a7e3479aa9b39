"""The steps that add a score to a photo, on real files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import cv2
import numpy as np
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that

from models.blur import DEFAULT_THRESHOLD
from models.darkness.network import SCORING_BATCH, WEIGHTS
from models.descriptors import DESCRIPTOR_BYTES
from transforms.describe_photos import DescribePhotos
from transforms.elements import LOCAL_BUCKET, Photo, UploadEvent
from transforms.load_photos import LoadPhotos
from transforms.score_blur import ScoreBlur
from transforms.score_darkness import DarknessModelHandler, ScoreDarkness
from transforms.score_screenshots import ScoreScreenshots


def _save(path: Path, light: float = 1.0) -> UploadEvent:
    """A photo with edges everywhere, larger than the working image."""
    blocks = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    large = cv2.resize(blocks, (1200, 900), interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(path), (large * light).astype(np.uint8))
    info = path.stat()
    return UploadEvent(
        user_id="ann",
        bucket=LOCAL_BUCKET,
        name=str(path),
        generation=info.st_mtime_ns,
        size_bytes=info.st_size,
        updated_at_s=info.st_mtime,
    )


def _check(
    events: list[UploadEvent],
    step: beam.PTransform,
    see: Callable[[Photo], Any],
    check: Callable[[list[Any]], None],
    *,
    with_full_gray: bool = False,
) -> None:
    """Load the photos, score them, and check what is to see of them."""
    with TestPipeline(runner="FnApiRunner") as p:
        loaded = (
            p | beam.Create(events) | LoadPhotos(10**8, with_full_gray=with_full_gray)
        )
        seen = loaded.photos | step | "See" >> beam.Map(see).with_output_types(Any)
        assert_that(seen, lambda found: check(list(found)))


def test_paper_blur_is_that_of_figure_3(tmp_path: Path) -> None:
    event = _save(tmp_path / "a.jpg")
    gray = cv2.cvtColor(cv2.imread(event.name), cv2.COLOR_BGR2GRAY)
    expected = float(cv2.Laplacian(gray, cv2.CV_64F).var())

    def check(found: list[tuple[float, bool]]) -> None:
        ((sharpness, is_dropped),) = found
        # Decoders may differ in the last bit of a pixel.
        assert sharpness == pytest.approx(expected, rel=1e-3)
        assert is_dropped

    _check(
        [event],
        ScoreBlur("paper"),
        lambda photo: (photo.sharpness, photo.decoded.full_gray is None),
        check,
        with_full_gray=True,
    )


def test_a_sharp_photo_is_sharp(tmp_path: Path) -> None:
    def check(found: list[float]) -> None:
        assert found[0] >= DEFAULT_THRESHOLD

    event = _save(tmp_path / "a.jpg")
    _check([event], ScoreBlur("default"), lambda photo: photo.sharpness, check)


def test_a_photo_is_described(tmp_path: Path) -> None:
    def check(found: list[tuple[int, float]]) -> None:
        ((length, exposure),) = found
        assert length == DESCRIPTOR_BYTES <= 512
        assert 0 < exposure <= 1

    event = _save(tmp_path / "a.jpg")
    see = lambda photo: (len(photo.descriptor), photo.exposure)  # noqa: E731
    _check([event], DescribePhotos(), see, check)


def test_a_photo_is_scored_for_a_screenshot(tmp_path: Path) -> None:
    def check(found: list[float]) -> None:
        assert 0 <= found[0] <= 1

    event = _save(tmp_path / "a.jpg")
    see = lambda photo: photo.screenshot_probability  # noqa: E731
    _check([event], ScoreScreenshots(), see, check)


def test_darkness_of_more_photos_than_a_batch(tmp_path: Path) -> None:
    number = SCORING_BATCH + 3
    events = [
        _save(tmp_path / f"{i}.png", 0.03 if i % 2 else 1.0) for i in range(number)
    ]

    def check(found: list[tuple[str, float]]) -> None:
        assert len(found) == number
        for name, probability in found:
            is_dark = int(Path(name).stem) % 2 == 1
            assert (probability > 0.5) == is_dark
            assert probability == round(probability, 4)

    see = lambda photo: (photo.event.name, photo.dark_probability)  # noqa: E731
    _check(events, ScoreDarkness(WEIGHTS), see, check)


def test_the_model_is_loaded_once_however_often_it_is_asked_for() -> None:
    one = DarknessModelHandler(WEIGHTS).load_model()
    assert DarknessModelHandler(WEIGHTS).load_model() is one
