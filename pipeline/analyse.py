"""The graph that the stream and the backfill share."""

from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from models import blur, descriptors, images, screenshots, tags
from models.darkness import network as darkness
from models.similarity import SimilarOptions
from models.tags import parse_tag_thresholds
from pipeline.detector import detector_settings
from pipeline.errors import UsageError
from pipeline.fingerprints import fingerprint
from pipeline.options import (
    BlurOptions,
    DarknessOptions,
    DetectorOptions,
    PhotoOptions,
    ScreenshotOptions,
    SimilarityOptions,
    StoreOptions,
)
from transforms.day_outcomes import grouping_version
from transforms.dead_letters import DEAD
from transforms.describe_photos import DescribePhotos
from transforms.detect_objects import DetectObjects, DetectorSettings
from transforms.elements import Day, DeadLetter, UploadEvent
from transforms.load_photos import GONE, ONLY_OBJECTS, LoadPhotos
from transforms.score_blur import ScoreBlur
from transforms.score_darkness import ScoreDarkness
from transforms.score_screenshots import ScoreScreenshots
from transforms.skip_analysed import DAYS, REMOVED, SkipAnalysed
from transforms.verdicts import Thresholds
from transforms.write_photos import RemovePhotos, WriteObjects, WritePhotos


@dataclass(frozen=True)
class AnalysisSettings:
    """Plain values out of the options.

    Attributes:
        fingerprint: Of what the scores depend on, but for the detector's.
        detector: None if no weights are there.
    """

    store_url: str
    fingerprint: str
    thresholds: Thresholds
    similar: SimilarOptions
    blur_method: str
    dark_model: Path
    detector: DetectorSettings | None
    max_pixels: int
    reanalyse: str

    @property
    def versions(self) -> dict[str, str | None]:
        """What a photo is looked at by, for a dead letter to tell."""
        return {
            "piccl": metadata.version("piccl"),
            "analysis": self.fingerprint,
            "detector": self.detector.fingerprint if self.detector else None,
        }


def analysis_settings(options: PipelineOptions) -> AnalysisSettings:
    """Read the options once, and label what they lead to.

    Raises:
        UsageError: The model that was named is not there.
    """
    photos = options.view_as(PhotoOptions)
    blurred = options.view_as(BlurOptions)
    dark = options.view_as(DarknessOptions)
    shots = options.view_as(ScreenshotOptions)
    objects = options.view_as(DetectorOptions)
    tag_thresholds = parse_tag_thresholds(objects.tag_threshold)
    similar = options.view_as(SimilarityOptions).similar()
    dark_model = Path(dark.dark_model) if dark.dark_model else darkness.WEIGHTS
    if not dark_model.is_file():
        raise UsageError(f"--dark-model: no such file: {dark_model}")
    sharpness = blurred.blur_threshold
    if sharpness is None:
        sharpness = (
            blur.PAPER_THRESHOLD
            if blurred.blur_method == "paper"
            else blur.DEFAULT_THRESHOLD
        )
    scores = fingerprint(
        decode=[images.WORKING_SIDE_PX, images.VERSION],
        blur=[blurred.blur_method, blur.VERSION],
        dark=[darkness.weights_digest(dark_model), darkness.VERSION],
        screenshots=screenshots.VERSION,
        descriptors=descriptors.VERSION,
    )
    version = fingerprint(
        sharpness=sharpness,
        dark=dark.dark_threshold,
        screenshot=shots.screenshot_threshold,
    )
    tags_version = fingerprint(thresholds=asdict(tag_thresholds), version=tags.VERSION)
    return AnalysisSettings(
        store_url=options.view_as(StoreOptions).store,
        fingerprint=scores,
        thresholds=Thresholds(
            sharpness,
            dark.dark_threshold,
            shots.screenshot_threshold,
            tag_thresholds,
            version,
            tags_version,
        ),
        similar=similar,
        blur_method=blurred.blur_method,
        dark_model=dark_model,
        detector=detector_settings(objects, full_decode=blurred.blur_method == "paper"),
        max_pixels=round(photos.max_megapixels * 1e6),
        reanalyse=photos.reanalyse,
    )


class AnalysePhotos(beam.PTransform):
    """UploadEvent -> `days`: Day to regroup; `dead`: DeadLetter.

    Each step adds to the photo what it found out, so all steps from `LoadPhotos`
    to `WritePhotos` fuse into one stage: a photo is decoded once and its pixels
    never leave the worker.
    """

    def __init__(self, settings: AnalysisSettings) -> None:
        super().__init__()
        self._settings = settings

    def expand(
        self, events: beam.PCollection[UploadEvent]
    ) -> dict[str, beam.PCollection[Day | DeadLetter]]:
        settings, detector = self._settings, self._settings.detector
        known = events | "SkipAnalysed" >> SkipAnalysed(
            settings.store_url,
            settings.fingerprint,
            detector.fingerprint if detector else None,
            settings.thresholds,
            grouping_version(settings.similar),
            settings.reanalyse,
        )
        loaded = known.uploads | "LoadPhotos" >> LoadPhotos(
            settings.max_pixels, with_full_gray=settings.blur_method == "paper"
        )
        scored = (
            loaded.photos
            | "ScoreBlur" >> ScoreBlur(settings.blur_method)
            | "ScoreScreenshots" >> ScoreScreenshots()
            | "DescribePhotos" >> DescribePhotos()
            | "ScoreDarkness" >> ScoreDarkness(settings.dark_model)
        )
        if detector is not None:
            scored |= "DetectObjects" >> DetectObjects(detector)
        written = scored | "WritePhotos" >> WritePhotos(
            settings.store_url,
            settings.fingerprint,
            detector.fingerprint if detector else None,
            settings.thresholds,
        )
        removed = (
            (known[REMOVED], loaded[GONE])
            | "AllRemoved" >> beam.Flatten()
            | "RemovePhotos" >> RemovePhotos(settings.store_url)
        )
        days = [known[DAYS], written, removed]
        if detector is not None:
            # What was analysed without a detector goes its own way to the store: to
            # flatten photos would hand on their pixels.
            days.append(
                loaded[ONLY_OBJECTS]
                | "DetectOnlyObjects" >> DetectObjects(detector)
                | "WriteObjects"
                >> WriteObjects(
                    settings.store_url, detector.fingerprint, settings.thresholds
                )
            )
        days = days | "AllDays" >> beam.Flatten()
        return {DAYS: days, DEAD: loaded[DEAD]}
