"""Learn the weights that tell screenshots, and say how good they are."""

import argparse
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from models import held_out
from pipeline.check_out import check_out
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from models.train_screenshots import Example

DESCRIPTION: Final = """\
Learns from labelled photos what tells screenshots, and says how good that is. DATA
is read as `piccl evaluate` reads it, as folders named by labels, or with a
manifest.csv of the columns file, label and source.

  piccl train-screenshots data/photos
  piccl train-screenshots my-photos --held-out my-scores.csv

Every screenshot and some of the photos are altered too: sent by messengers, cropped,
scanned, written on, photographed from a screen. Sources are dealt to folds whole, and
each fold is judged by weights and a threshold that saw nothing of it: those verdicts
are the figures, and those scores are written, for `piccl evaluate`. What is printed
last, learned from everything, goes by hand into models/screenshots.py. Of 1,500
photos it takes three minutes."""

# Every n-th photo is altered too, in each way; and every n-th lent to a page.
_ALTERED_STRIDE: Final = 8
_PAGES_STRIDE: Final = 24
_FEWEST_SOURCES: Final = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data", metavar="DATA", help="folder of labelled photos, or a manifest"
    )
    parser.add_argument(
        "--held-out",
        type=Path,
        metavar="FILE",
        default=held_out.PATHS["screenshot"],
        help="where the held-out scores go (default: those that ship)",
    )


def run(args: argparse.Namespace, beam_args: Sequence[str]) -> int:
    """Learn, print the figures, write the held-out scores.

    Raises:
        UsageError: An unknown option, or data that cannot be learned from.
    """
    if beam_args:
        raise UsageError(f"unknown option: {beam_args[0]}")
    check_out(args.held_out, ".csv", option="--held-out")

    from models import train_screenshots as training

    examples = list(read_examples(args.data))
    blind = training.hold_out(examples)
    _print_figures(examples, blind)
    held_out.save(
        args.held_out,
        {
            example.sha256: held_out.HeldOut(
                0.0 if example.cleared else one.score, one.threshold
            )
            for example, one in zip(examples, blind, strict=True)
            if example.sha256
        },
        score_format="g",
    )
    weights, intercept = training.fit(examples)
    threshold = training.choose_threshold(examples, [one.score for one in blind])
    print(f"scores in {args.held_out}")
    print(f"{weights=}, {intercept=}, {threshold=}")
    return 0


def read_examples(data: str) -> Iterator["Example"]:
    """All labelled pictures; all screenshots and some photos altered in each way.

    Raises:
        UsageError: The data can not be read, or are too few.
    """
    import numpy as np
    from PIL import Image

    from models import screenshot_copies as copies
    from pipeline.evaluation.labels import data_set, read_labels

    # Awkward files, some of them drawn, are neither one nor the other.
    labelled = [p for p in read_labels([data]).photos if p.screenshot is not None]
    shots = [photo for photo in labelled if photo.screenshot]
    photos = [photo for photo in labelled if not photo.screenshot]
    for what, some in (("screenshots", shots), ("photos", photos)):
        sources = len({data_set(photo) for photo in some})
        if sources < _FEWEST_SOURCES:
            raise UsageError(
                f"too few {what}: they have {sources} sources, and held-out figures "
                f"need {_FEWEST_SOURCES}"
            )
    for photo in labelled:
        path = Path(photo.path)
        encoded = path.read_bytes()
        sha256 = hashlib.sha256(encoded).hexdigest()
        is_shot = bool(photo.screenshot)
        group = data_set(photo)
        yield _example(path, encoded, path.parent.name, is_shot, group, sha256)
    for ways, some, is_shot in (
        (copies.SCREENSHOTS, shots, True),
        (copies.PHOTOS_OF_SCREENS, shots, False),
        (copies.PHOTOS, photos[::_ALTERED_STRIDE], False),
        (copies.PAGES, photos[::_PAGES_STRIDE], False),
    ):
        for kind, copy in ways.items():
            for photo in some:
                path = Path(photo.path)
                rng = np.random.default_rng(zlib.crc32(f"{kind}/{path.name}".encode()))
                encoded = copy(copies.flattened(Image.open(path)), rng)
                yield _example(path, encoded, kind, is_shot, data_set(photo))


def _example(
    path: Path,
    encoded: bytes,
    kind: str,
    is_screenshot: bool,
    group: str,
    sha256: str = "",
) -> "Example":
    from models.images import BadPhotoError, decode
    from models.screenshots import is_cleared, screen_features
    from models.train_screenshots import Example

    try:
        picture = decode(encoded)
    except BadPhotoError as err:
        raise UsageError(f"cannot read {path}: {err}") from err
    cleared = is_cleared(
        picture.width, picture.height, picture.format, picture.capture.by_camera
    )
    features = screen_features(picture.rgb)
    return Example(kind, is_screenshot, group, sha256, features, cleared)


def _print_figures(
    examples: Sequence["Example"], blind: Sequence[held_out.HeldOut]
) -> None:
    from models.accuracy import wilson_interval

    counts: dict[tuple[bool, str], list[bool]] = {}
    for example, one in zip(examples, blind, strict=True):
        called = one.score >= one.threshold
        counts.setdefault((example.is_screenshot, example.kind), []).append(called)
    for (is_screenshot, kind), those in sorted(counts.items()):
        low, high = wilson_interval(sum(those), len(those))
        label = "found" if is_screenshot else "called a screenshot"
        print(
            f"{kind}: {sum(those)} of {len(those)} {label}, "
            f"{sum(those) / len(those):.1%} ({low:.1%} to {high:.1%})"
        )
    print(f"thresholds of the folds: {sorted({one.threshold for one in blind})}")
