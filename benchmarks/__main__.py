"""`python -m benchmarks`: measure, and write down what was measured."""

import argparse
import importlib
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks.backfill import CASES
from benchmarks.darknet import FASTEST, YOLOV3
from benchmarks.machine import machine
from benchmarks.report import Report
from benchmarks.results import show, write
from benchmarks.settings import ROOT, Settings

# In this order: what others need comes first.
SECTIONS: Final = {
    "peaks": "what the machine can do: matrix products in f32 and bf16 (always run)",
    "backfill": "the whole job, beside a bare loop, a plain script, CleanVision, "
    "fastdup, imagededup, and JPEG decoding alone",
    "networks": "YOLOv3-416 and Yolo-Fastest-xl beside OpenCV, onnxruntime, OpenVINO",
    "scaling": "two workers against one, of the job and of the bare loop",
    "skipping": "10,000 photos that were analysed before",
    "grouping": "days of 100 to 10,000 photos; a million records of 1,000 users",
    "memory": "peak with YOLOv3-416, over N and over 3 N photos",
    "streaming": "the same photos through the stream and through the backfill",
}
# Those that --quick leaves out, unless they are named.
_SLOW: Final = ("scaling", "memory", "streaming")
_DESCRIPTION: Final = """\
Measures PICCL beside what people would use instead and beside what this machine can
do at best, all in one run, in turns, so that a noisy minute hits all of them alike.

  python -m benchmarks                     all of it, about 40 minutes on two cores
  python -m benchmarks --quick             a first impression
  python -m benchmarks backfill --only '12 MP'
  python -m benchmarks backfill --photos ~/Pictures

Close what else runs: `load before` in the results tells who did not."""
_EPILOG: Final = """\
Results are in --out: results.json (every value), results.md (tables), results.png.
`make bench` installs whom we compare with; docs/benchmarks.md says how to read it."""
DONE, FAILED, MISUSED = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run sections.

    Returns:
        0 done, whatever was measured; 1 a section failed; 2 the command is wrong.
    """
    parser = _parser()
    args = parser.parse_args(argv)
    if args.photos is not None and not args.photos.is_dir():
        parser.error(f"--photos {args.photos}: no such folder")
    if args.rounds is not None and args.rounds < 1:
        parser.error("--rounds: at least 1")
    named = args.section or [
        name for name in SECTIONS if not (args.quick and name in _SLOW)
    ]
    names = [name for name in SECTIONS if name in ("peaks", *named)]
    cases = {"backfill": [case.name for case in CASES], "networks": [YOLOV3, FASTEST]}
    cases["scaling"] = cases["backfill"]
    if not any(args.only in case for name in names for case in cases.get(name, [""])):
        parser.error(f"--only {args.only!r}: no case of {', '.join(named)} has it")
    defaults = Settings()
    settings = replace(
        defaults,
        # Not resolved: the Python of an environment is a link out of it.
        peers=args.peers.absolute(),
        photos=args.photos and args.photos.resolve(),
        inputs=args.inputs.resolve(),
        rounds=args.rounds or (1 if args.quick else defaults.rounds),
        only=args.only,
        most_photos=args.most_photos,
        is_full=not args.quick and args.most_photos is None,
    )
    console = Console(stderr=True)
    report = Report(machine(), console, settings)
    failed = []
    try:
        for name in names:
            began_s = time.monotonic()
            report.doing(name)
            try:
                section = importlib.import_module(f"benchmarks.{name}")
                section.run(report, args.quick)
            except Exception as err:
                # The other sections are worth having all the same.
                failed.append(name)
                report.missing(name, name, f"{type(err).__name__}: {err}")
                if args.traceback:
                    console.print_exception()
            report.doing("")
            console.print(f"{name}: {time.monotonic() - began_s:.0f} s", style="dim")
            write(report, args.out)
    except KeyboardInterrupt:
        report.doing("")
        write(report, args.out)
        console.print(f"interrupted; what was measured is in {args.out}")
        return 130
    show(report, Console())
    print(f"Written: {args.out}/results.json, results.md, results.png")
    return FAILED if failed else DONE


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, SECTIONS))
    listed = "\n".join(f"  {name:{width}}  {what}" for name, what in SECTIONS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=f"{_DESCRIPTION}\n\nsections:\n{listed}",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "section",
        nargs="*",
        metavar="SECTION",
        help="which of them (default: all)",
        choices=[*SECTIONS, []],
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one round of fewer photos and fewer cases, and without "
        f"{', '.join(_SLOW)} unless you name them: the order of things, not figures",
    )
    parser.add_argument(
        "--only",
        default="",
        metavar="TEXT",
        help="cases whose name has this in it, as '0.3 MP' or 'no tags'",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        metavar="N",
        help="in turns, fewer where one takes long (default: 3; quick: 1)",
    )
    parser.add_argument(
        "--most-photos", type=int, metavar="N", help="in any case (default: no limit)"
    )
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="FOLDER",
        help="make the inputs of these real photos (default: ../shared/data/photos, "
        "else the few that come with scikit-image)",
    )
    parser.add_argument(
        "--inputs",
        type=Path,
        default=Settings.inputs,
        metavar="FOLDER",
        help="where they are kept for the next run, up to 2 GB (default: %(default)s)",
    )
    parser.add_argument(
        "--peers",
        type=Path,
        default=Settings.peers,
        metavar="PYTHON",
        help="that has what we compare with (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "benchmarks-results",
        metavar="FOLDER",
        help="for the results (default: %(default)s)",
    )
    parser.add_argument(
        "--traceback", action="store_true", help="of a section that fails"
    )
    return parser


if __name__ == "__main__":
    # Children end with it, however it is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
