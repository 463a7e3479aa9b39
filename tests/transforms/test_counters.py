"""What the steps count and time, as a runner reports it."""

import time
from pathlib import Path

import apache_beam as beam
import cv2
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to

from models.darkness.network import SCORING_BATCH, WEIGHTS
from models.tags import TagThresholds
from transforms.counters import count, observe, timed, timed_each
from transforms.describe_photos import DescribePhotos
from transforms.detect_objects import DetectObjects, DetectorSettings
from transforms.elements import LOCAL_BUCKET, UploadEvent
from transforms.load_photos import LoadPhotos
from transforms.score_blur import ScoreBlur
from transforms.score_darkness import ScoreDarkness
from transforms.score_screenshots import ScoreScreenshots
from transforms.skip_analysed import REANALYSE_NOTHING, SkipAnalysed
from transforms.verdicts import Thresholds


def _photos(folder: Path, number: int) -> list[UploadEvent]:
    events = []
    for i in range(number):
        path = folder / f"{i}.jpg"
        pixels = np.random.default_rng(i).integers(0, 255, (600, 800, 3), np.uint8)
        cv2.imwrite(str(path), pixels)
        info = path.stat()
        events.append(
            UploadEvent(
                user_id="ann",
                bucket=LOCAL_BUCKET,
                name=str(path),
                generation=info.st_mtime_ns,
                size_bytes=info.st_size,
                updated_at_s=info.st_mtime,
            )
        )
    return events


def test_what_is_counted_and_observed_is_reported(measured) -> None:
    def work(by: int) -> None:
        count("events/a", by)
        observe("ms/b", by + 0.6)
        with timed("Sleep"):
            time.sleep(0.02)

    with measured() as (p, metrics):
        _ = p | beam.Create([1, 3]) | beam.Map(work)
    assert metrics.counters == {"events/a": 4}
    seen = metrics.distributions["ms/b"]
    assert (seen.count, seen.sum, seen.min, seen.max) == (2, 6, 2, 4)
    assert metrics.distributions["us/Sleep"].min >= 20_000


def test_what_takes_less_than_a_millisecond_is_measured(measured) -> None:
    def work(_: None) -> None:
        with timed("Short"):
            time.sleep(0.0002)

    with measured() as (p, metrics):
        _ = p | beam.Create([None]) | beam.Map(work)
    assert metrics.distributions["us/Short"].min >= 200


def test_a_listing_is_timed_without_what_is_done_to_its_elements(measured) -> None:
    def work(_: None) -> list[int]:
        elements = []
        for element in timed_each("List", range(3)):
            time.sleep(0.1)
            elements.append(element)
        return elements

    with measured() as (p, metrics):
        assert_that(p | beam.Create([None]) | beam.FlatMap(work), equal_to([0, 1, 2]))
    seen = metrics.distributions["us/List"]
    # The end is looked for too.
    assert seen.count == 4
    assert seen.max < 100_000


def test_a_step_that_fails_is_timed_too(measured) -> None:
    def work(_: None) -> None:
        try:
            with timed("Fails"):
                raise OSError
        except OSError:
            pass

    with measured() as (p, metrics):
        _ = p | beam.Create([None]) | beam.Map(work)
    assert metrics.distributions["us/Fails"].count == 1


@pytest.mark.parametrize("blur", ["default", "paper"])
def test_each_score_of_a_photo_is_timed(measured, tmp_path: Path, blur: str) -> None:
    number = 3
    assert number < SCORING_BATCH
    with measured() as (p, metrics):
        loaded = (
            p
            | beam.Create(_photos(tmp_path, number))
            | LoadPhotos(10**8, with_full_gray=blur == "paper")
        )
        _ = (
            loaded.photos
            | ScoreBlur(blur)
            | ScoreScreenshots()
            | DescribePhotos()
            | ScoreDarkness(WEIGHTS)
        )
    for step in ("ScoreBlur", "ScoreScreenshots", "DescribePhotos"):
        assert metrics.distributions[f"us/{step}"].count == number
    # Together, and not at all where the bundle was split.
    assert 1 <= metrics.distributions["us/ScoreDarkness/batch"].count <= number
    _check_against_beam(metrics, "ScoreDarkness")


def test_the_detector_is_timed(measured, tmp_path: Path, shared_models: Path) -> None:
    files = shared_models / "yolo-fastest-1.1"
    settings = DetectorSettings(
        cfg=files.with_name(f"{files.name}.cfg"),
        weights=files.with_name(f"{files.name}.weights"),
        names=None,
        precision="f32",
        resize="letterbox",
        fingerprint="d",
    )
    with measured() as (p, metrics):
        loaded = p | beam.Create(_photos(tmp_path, 2)) | LoadPhotos(10**8)
        _ = loaded.photos | DetectObjects(settings)
    assert metrics.distributions["us/DetectObjects/batch"].min > 0
    _check_against_beam(metrics, "DetectObjects")


def _check_against_beam(metrics, step: str) -> None:
    """What we time of a batch is about all that RunInference times of it.

    Beam takes for inference that the first batch waits for the model, if no job before
    this one had to.
    """
    ours_us = metrics.distributions[f"us/{step}/batch"]
    beams_us = metrics.distributions[f"{step}:inference_batch_latency_micro_secs"]
    assert ours_us.count == beams_us.count
    loading = metrics.distributions.get("us/LoadModels")
    loading_us = loading.sum if loading else 0
    assert ours_us.sum + loading_us == pytest.approx(beams_us.sum, rel=0.3, abs=3000)


def test_a_look_up_is_timed_without_the_steps_after_it(
    measured, tmp_path: Path
) -> None:
    thresholds = Thresholds(5.0, 0.5, 0.75, TagThresholds(), "v", "t")
    skip = SkipAnalysed(
        f"sqlite:///{tmp_path}/photos.db", "f", None, thresholds, "g", REANALYSE_NOTHING
    )
    slow_s = 0.5
    with measured() as (p, metrics):
        known = p | beam.Create(_photos(tmp_path, 2)) | skip
        _ = known.uploads | beam.Map(lambda _: time.sleep(slow_s))
    seen = metrics.distributions["us/SkipAnalysed"]
    assert seen.count == 2
    assert seen.max < slow_s * 1e6
