"""`piccl evaluate`: how often the verdicts are right, on labelled photos."""

import argparse
import json
import os
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from pipeline.check_out import check_out
from pipeline.errors import UsageError

DESCRIPTION: Final = """\
Looks at photos of which people said what they are, just as `piccl backfill` does,
and says how often it is right: precision, recall, accuracy and AUC of each verdict
with 95 % intervals, the worst mistakes, and a page with those photos. It changes no
photo and leaves nothing but the page.

DATA are folders whose sub-folders are named by labels (blur, sharp, too dark, dark
on purpose, bright, screenshot, photo, series/NAME); folders with a manifest.csv of
the columns file and label; or such a manifest, CSV or JSON, that may also tell
shaken, dark, screenshot, tags, subject, series and source. docs/evaluate.md has all.

  piccl evaluate my-photos
  piccl evaluate blur sharp --blur-method=paper
  piccl evaluate truth.csv --weights yolov3 --json > figures.json
  piccl evaluate my-photos --markdown > accuracy.md

Photos that a shipped detector learned from are judged by scores of one that had not
seen their source. Shots and copies are made of some photos, in a temporary folder,
to judge what is called similar, which photo is kept, and whether verdicts stay."""

_MADE: Final = 60
_PAGE: Final = "evaluation.html"
# Options that change no figure.
_ONLY_SHOWN: Final = ("out", "json", "markdown", "baseline_python")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pipeline.launch import add_job_options

    parser.add_argument(
        "data", nargs="+", metavar="DATA", help="labelled folders, or manifests"
    )
    parser.add_argument(
        "--out",
        default=_PAGE,
        metavar="FILE",
        help="where the page goes (default: %(default)s)",
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--json", action="store_true", help="print all figures as JSON on stdout"
    )
    shown.add_argument(
        "--markdown", action="store_true", help="print the tables as Markdown"
    )
    parser.add_argument(
        "--made",
        type=_whole,
        default=_MADE,
        metavar="N",
        help="make shots and copies of about so many photos; 0 for none (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--ignore-unknown",
        action="store_true",
        help="leave out photos whose label is not known",
    )
    parser.add_argument(
        "--baseline",
        action="store_true",
        help="judge the photos by CleanVision, fastdup and the paper's rules as well",
    )
    parser.add_argument(
        "--baseline-python",
        type=Path,
        metavar="FILE",
        help="the Python that has CleanVision and fastdup (default: that of "
        "`make baselines`)",
    )
    add_job_options(parser, _groups())


def run(args: argparse.Namespace, beam_args: Sequence[str]) -> int:
    if beam_args:
        raise UsageError(f"unknown option: {' '.join(beam_args)}")
    check_out(Path(args.out), ".html", ".htm")

    from rich.console import Console

    from pipeline.analyse import analysis_settings
    from pipeline.detector import hint_for_tags
    from pipeline.evaluation import baselines
    from pipeline.evaluation.evaluating import evaluate
    from pipeline.evaluation.labels import read_labels
    from pipeline.evaluation.page import write_page
    from pipeline.evaluation.scoring import Scorer
    from pipeline.evaluation.tables import markdown, print_tables
    from pipeline.launch import load_models, pipeline_options
    from pipeline.options import DetectorOptions, StoreOptions
    from pipeline.progress import say, stderr_console

    python = args.baseline_python or baselines.DEFAULT_PYTHON
    if args.baseline:
        baselines.check_python(python)
    labels = read_labels(args.data, ignore_unknown=args.ignore_unknown)
    console = stderr_console()
    if labels.ignored:
        left_out = sum(labels.ignored.values())
        say(console, f"Leaving out {left_out:,} photos of unknown labels")
    with tempfile.TemporaryDirectory() as temporary:
        # The store is the evaluation's own, so nobody names it.
        folder = Path(os.path.realpath(temporary))
        args.store = f"sqlite:///{folder / 'evaluation.db'}"
        options = pipeline_options([], args, (StoreOptions, *_groups()))
        settings = analysis_settings(options)
        say(console, "Loading the models")
        load_models(settings)
        scorer = Scorer(settings, options, folder, console, args.traceback)
        evaluation, judged = evaluate(
            labels, scorer, made=args.made, command=_typed(args)
        )
        if args.baseline:
            say(console, "Asking the others")
            others = tuple(baselines.measure(judged, python))
            evaluation = replace(evaluation, baselines=others)
        # While what was made is still there to be shown.
        write_page(evaluation, Path(args.out))
    if args.json:
        text = json.dumps(asdict(evaluation), ensure_ascii=False, indent=2)
        # What is gone needs no path that is another each time.
        print(text.replace(evaluation.made_folder, "made"))
    elif args.markdown:
        print(markdown(evaluation), end="")
    else:
        print_tables(Console(), evaluation)
        print(f"The page: {args.out}")
    if settings.detector is None:
        say(console, hint_for_tags(options.view_as(DetectorOptions)))
    return 0


def _typed(args: argparse.Namespace) -> str:
    """What prints the same figures again: the data, and what is not as by default."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["piccl", "evaluate", *args.data]
    for action in parser._actions:
        value = getattr(args, action.dest, None)
        if action.dest in ("data", "help", *_ONLY_SHOWN) or value == action.default:
            continue
        flag = action.option_strings[0]
        words.append(flag if value is True else f"{flag}={value}")
    return shlex.join(words)


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0 on")
    return int(text)


def _groups() -> tuple[type, ...]:
    from pipeline.options import ANALYSIS_OPTIONS, PhotoOptions

    # All is analysed anew.
    return tuple(group for group in ANALYSIS_OPTIONS if group is not PhotoOptions)
