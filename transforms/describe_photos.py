"""What a photo looks like, for finding similar ones and choosing the best."""

from dataclasses import replace

import apache_beam as beam

from models.descriptors import describe
from models.exposure import exposure
from transforms.counters import timed
from transforms.elements import Photo


class DescribePhotos(beam.PTransform):
    """Photo -> Photo with `descriptor` and `exposure`."""

    def expand(self, photos: beam.PCollection[Photo]) -> beam.PCollection[Photo]:
        return photos | "Describe" >> beam.Map(_describe).with_output_types(Photo)


def _describe(photo: Photo) -> Photo:
    with timed("DescribePhotos"):
        return replace(
            photo,
            descriptor=describe(photo.decoded.rgb),
            exposure=exposure(photo.decoded.rgb),
        )
