"""How likely a photo is a screenshot."""

from dataclasses import replace

import apache_beam as beam

from models.screenshots import screenshot_probability
from transforms.counters import timed
from transforms.elements import Photo


class ScoreScreenshots(beam.PTransform):
    """Photo -> Photo with `screenshot_probability`."""

    def expand(self, photos: beam.PCollection[Photo]) -> beam.PCollection[Photo]:
        return photos | "Score" >> beam.Map(_score).with_output_types(Photo)


def _score(photo: Photo) -> Photo:
    decoded = photo.decoded
    with timed("ScoreScreenshots"):
        probability = screenshot_probability(
            decoded.rgb,
            width=decoded.width,
            height=decoded.height,
            image_format=decoded.format,
            by_camera=decoded.capture.by_camera,
        )
    return replace(photo, screenshot_probability=round(probability, 4))
