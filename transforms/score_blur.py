"""How sharp a photo is."""

from dataclasses import replace

import apache_beam as beam

from models.blur import laplacian_variance, sharpness
from transforms.counters import timed
from transforms.elements import Photo


class ScoreBlur(beam.PTransform):
    """Photo -> Photo with `sharpness`.

    Args:
        method: "default", or "paper" for the variance of the Laplacian of the
            grey photo at full size (Fig. 3), which `LoadPhotos` has to keep.
    """

    def __init__(self, method: str) -> None:
        super().__init__()
        self._score = _paper_sharpness if method == "paper" else _sharpness

    def expand(self, photos: beam.PCollection[Photo]) -> beam.PCollection[Photo]:
        return photos | "Score" >> beam.Map(self._score).with_output_types(Photo)


def _sharpness(photo: Photo) -> Photo:
    with timed("ScoreBlur"):
        return replace(photo, sharpness=sharpness(photo.decoded.rgb))


def _paper_sharpness(photo: Photo) -> Photo:
    gray = photo.decoded.full_gray
    if gray is None:
        raise ValueError("the paper's method needs the photo at full size")
    with timed("ScoreBlur"):
        return replace(
            photo,
            sharpness=round(laplacian_variance(gray), 2),
            # The full frame goes no further.
            decoded=replace(photo.decoded, full_gray=None),
        )
