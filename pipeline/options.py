"""Every setting of a job, one class per concern; only `pipeline/` reads them."""

import argparse
from typing import Final, get_args

from apache_beam.options.pipeline_options import PipelineOptions

from models import blur, screenshots
from models.darkness import network as darkness
from models.images import DEFAULT_MAX_PIXELS
from models.similarity import SimilarOptions
from models.tags import TagThresholds, parse_tag_thresholds
from models.yolov3.boxes import DEFAULT_RESIZE, Resize
from models.yolov3.detector import Precision
from pipeline.arguments import add_store
from pipeline.known_weights import DEFAULT_MODEL
from transforms.skip_analysed import (
    REANALYSE_ALL,
    REANALYSE_NOTHING,
    REANALYSE_OUTDATED,
)

# In the place of a detector's weights.
NO_DETECTOR: Final = "none"


class StoreOptions(PipelineOptions):
    """Where the results are"""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        add_store(parser)


class BackfillOptions(PipelineOptions):
    """What a backfill does besides"""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--dead-letters",
            default="piccl-dead-letters.jsonl",
            metavar="FILE",
            help="list of the files that could not be analysed and why, one JSON "
            "object a line, made anew by each run (default: %(default)s)",
        )
        parser.add_argument(
            "--prune",
            action="store_true",
            help="forget photos that are no longer in the folders, but none of a "
            "folder that is missing or shows no photo, as of an unplugged disk",
        )
        parser.add_argument(
            "--prune-folders",
            action="store_true",
            help="the same, and believe that such folders are gone for good",
        )


class StreamOptions(PipelineOptions):
    """Where a stream reads, and how often it regroups"""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        # Needed, but of one command only: Beam reads the options of all groups.
        parser.add_argument(
            "--subscription",
            metavar="S",
            help="what the bucket announces, as projects/PROJECT/subscriptions/NAME",
        )
        parser.add_argument(
            "--dead-letter-topic",
            metavar="T",
            help="where announcements and photos go that can not be processed, with "
            "the reason, as projects/PROJECT/topics/NAME",
        )
        parser.add_argument(
            "--regroup-seconds",
            type=_whole_seconds,
            default=30,
            metavar="S",
            help="look for similar photos this often in a day to which photos are "
            "added; each time reads the day (default: %(default)s)",
        )
        parser.add_argument(
            "--id-label",
            metavar="ATTRIBUTE",
            help="attribute by which Dataflow drops copies of a message; only for a "
            "publisher that sets one that no two messages share. None of what Cloud "
            "Storage announces is: an object's upload and its removal are of the same "
            "objectGeneration, and one would be lost. Copies cost but two reads each",
        )


class PhotoOptions(PipelineOptions):
    """Which photos are looked at"""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--reanalyse",
            choices=[REANALYSE_NOTHING, REANALYSE_OUTDATED, REANALYSE_ALL],
            default=REANALYSE_NOTHING,
            help="photos that are analysed already are skipped; look again at those "
            "analysed by other models or settings (outdated), or at all of them "
            "(default: %(default)s)",
        )
        parser.add_argument(
            "--max-megapixels",
            type=_positive,
            default=DEFAULT_MAX_PIXELS / 1e6,
            metavar="MP",
            help="refuse larger photos before decoding them (default: %(default)g)",
        )


class BlurOptions(PipelineOptions):
    """What is shaken"""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--blur-method",
            choices=["default", "paper"],
            default="default",
            help="paper: the variance of the Laplacian of the grey photo at full "
            "size (Fig. 3), which depends on the size (default: %(default)s)",
        )
        parser.add_argument(
            "--blur-threshold",
            type=_positive,
            metavar="SHARPNESS",
            help="shaken below this sharpness (default: "
            f"{blur.DEFAULT_THRESHOLD:g}; with --blur-method=paper "
            f"{blur.PAPER_THRESHOLD:g}, grey levels squared)",
        )


class DarknessOptions(PipelineOptions):
    """What is too dark to be of use"""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--dark-threshold",
            type=_probability,
            default=darkness.DEFAULT_THRESHOLD,
            metavar="P",
            help="dark from this probability on, 0 to 1 (default: %(default)g)",
        )
        parser.add_argument(
            "--dark-model",
            metavar="FILE",
            help="a model that `piccl train-dark` wrote, in place of the shipped one",
        )


class DetectorOptions(PipelineOptions):
    """What is in the photos"""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--weights",
            metavar="MODEL",
            help="a model that `piccl weights` fetched, or a file of Darknet weights; "
            f"{NO_DETECTOR} for no tags (default: {DEFAULT_MODEL}, if it was fetched)",
        )
        parser.add_argument(
            "--cfg",
            metavar="FILE",
            help="the Darknet cfg of the weights (default: the file beside them, of "
            "the same name)",
        )
        parser.add_argument(
            "--detect-names",
            metavar="FILE",
            help="names of the classes, one a line (default: those of COCO)",
        )
        parser.add_argument(
            "--detect-precision",
            choices=get_args(Precision),
            default="f32",
            help="bf16 is twice as fast and sees the same: take it where all workers "
            "of a deployment have it (avx512_bf16 or amx_bf16 in /proc/cpuinfo); "
            "elsewhere it is slow (default: %(default)s)",
        )
        parser.add_argument(
            "--detect-resize",
            choices=get_args(Resize),
            default=DEFAULT_RESIZE,
            help="how a photo is fitted to the network's input: with bars, or out of "
            "its shape (default: %(default)s)",
        )
        parser.add_argument(
            "--tag-threshold",
            type=_tag_thresholds,
            default=f"{TagThresholds().default:g}",
            metavar="P[,TAG=P...]",
            help="a tag is given from this confidence on, 0 to 1, as 0.3 or "
            "0.3,person=0.5 (default: %(default)s)",
        )


class ScreenshotOptions(PipelineOptions):
    """What is a screenshot"""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--screenshot-threshold",
            type=_probability,
            default=screenshots.DEFAULT_THRESHOLD,
            metavar="P",
            help="a screenshot from this probability on, 0 to 1 (default: %(default)g)",
        )


class SimilarityOptions(PipelineOptions):
    """Which photos of a day are similar shots"""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        default = SimilarOptions()
        parser.add_argument(
            "--similar-method",
            choices=["pixels", "paper"],
            default=default.method,
            help="pixels: near in time and place and alike to look at; paper: near "
            "in time and place alone (Fig. 4) (default: %(default)s)",
        )
        parser.add_argument(
            "--similar-seconds",
            type=_positive,
            default=default.time_s,
            metavar="S",
            help="alpha of Fig. 4: at most this far apart in time (default: "
            "%(default)g)",
        )
        parser.add_argument(
            "--similar-longitude",
            type=_positive,
            default=default.longitude_deg,
            metavar="DEG",
            help="beta of Fig. 4, in degrees at the equator (default: %(default)g)",
        )
        parser.add_argument(
            "--similar-latitude",
            type=_positive,
            default=default.latitude_deg,
            metavar="DEG",
            help="gamma of Fig. 4, in degrees (default: %(default)g)",
        )
        parser.add_argument(
            "--similar-threshold",
            type=_probability,
            default=default.similarity,
            metavar="S",
            help="as alike as this at least, 0 to 1 (default: %(default)g)",
        )
        parser.add_argument(
            "--similar-threshold-untimed",
            type=_probability,
            default=default.untimed_similarity,
            metavar="S",
            help="the same for photos without a time from a camera: their files may "
            "all be of the minute they were copied in (default: %(default)g)",
        )

    def similar(self) -> SimilarOptions:
        return SimilarOptions(
            method=self.similar_method,
            time_s=self.similar_seconds,
            latitude_deg=self.similar_latitude,
            longitude_deg=self.similar_longitude,
            similarity=self.similar_threshold,
            untimed_similarity=self.similar_threshold_untimed,
        )


# What an analysis depends on.
ANALYSIS_OPTIONS: Final = (
    PhotoOptions,
    BlurOptions,
    DarknessOptions,
    ScreenshotOptions,
    DetectorOptions,
    SimilarityOptions,
)


def _whole_seconds(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 on")
    return int(text)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _tag_thresholds(text: str) -> str:
    try:
        parse_tag_thresholds(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err
    # As text: Beam hands on options as JSON.
    return text


def _probability(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value
