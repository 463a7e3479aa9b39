"""`piccl`: parse what was typed, choose the command, run it."""

import argparse
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from pipeline.errors import Parser, UsageError

DONE: Final = 0
FAILED: Final = 1
MISUSED: Final = 2
INTERRUPTED: Final = 130  # 128 + SIGINT, as a shell has it

# Named here, so that `piccl --help` imports none of them.
COMMANDS: Final = {
    "backfill": "find the photos in a folder or bucket that nobody needs to keep",
    "stream": "the same for each photo as it is uploaded to a bucket",
    "upload": "back photos up to a bucket",
    "replay": "announce again the photos that could not be analysed",
    "settle": "regroup the days that an interrupted run left unsettled",
    "report": "write a page of what was found, to look at in a browser",
    "review": "look at it and decide, photo by photo, in a browser",
    "search": "find analysed photos by day, place, reason or likeness",
    "cleanup": "move what is recommended for deletion into the trash",
    "restore": "bring back what is in the trash",
    "purge": "delete for good what has been in the trash for long",
    "evaluate": "tell how often the verdicts are right, on labelled photos",
    "train-dark": "train the model that tells photos too dark to be of use",
    "train-screenshots": "learn what tells screenshots",
    "calibrate-blur": "choose the sharpness below which a photo is called shaken",
    "finetune-yolo": "adjust the network that sees what is in a photo to your own",
    "weights": "fetch the networks that see what is in a photo",
}

_GOES_ON: Final = (
    "backfill",
    "stream",
    "upload",
    "replay",
    "settle",
    "cleanup",
    "restore",
    "purge",
    "weights",
)

_DESCRIPTION: Final = """\
PICCL finds the photos that nobody needs to keep: shaken, too dark, screenshots,
and all but the best of several similar shots. It recommends; what you agree with
goes into a trash and comes back from there, and only `piccl purge` deletes."""

_EPILOG: Final = """\
start with:
  piccl backfill ~/Pictures --user me
  piccl report --user me
  piccl review --user me

`piccl COMMAND --help` explains a command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 1 the job failed, 2 the command line is wrong.
    """
    argv = _joined(sys.argv[1:] if argv is None else argv)
    command = argparse.ArgumentParser(
        prog="piccl",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="piccl COMMAND [option ...]",
    )
    names = command.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, text in COMMANDS.items():
        names.add_parser(name, help=text, add_help=False)
    if not argv:
        command.print_help()
        return MISUSED
    if argv[0] in ("-h", "--help"):
        command.print_help()
        return DONE
    if argv[0] not in COMMANDS:
        known = ", ".join(COMMANDS)
        return _complain(MISUSED, f"no command {argv[0]!r}; there are {known}")
    # A job's workers share the processors. Threads of OpenBLAS beside them made the
    # regrouping of a large day four times as long; numpy reads this when it loads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Those of OpenCV spin while they wait: a quarter of all processor time.
    os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")
    # What Beam logs is for its developers; ours is counted and printed.
    logging.getLogger().setLevel(logging.CRITICAL)
    module = importlib.import_module(f"pipeline.commands.{argv[0].replace('-', '_')}")
    parser = Parser(
        prog=f"piccl {argv[0]}",
        description=module.DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--traceback",
        action="store_true",
        help="if the command fails, show where in the code",
    )
    module.add_arguments(parser)
    return _run(module.run, parser, argv[1:])


def _joined(argv: Sequence[str]) -> list[str]:
    """Tie negative values to their options: argparse takes `-33.8,151.2` for one."""
    joined: list[str] = []
    for word in argv:
        last = joined[-1] if joined else ""
        if word[:1] == "-" and word[1:2].isdigit() and last[:2] == "--":
            joined[-1] = f"{last}={word}"
        else:
            joined.append(word)
    return joined


def _run(
    run: Callable[[argparse.Namespace, Sequence[str]], int],
    parser: Parser,
    argv: Sequence[str],
) -> int:
    try:
        args, beam_args = parser.parse_known_args(argv)
        return run(args, beam_args)
    except UsageError as err:
        return _complain(MISUSED, str(err))
    except KeyboardInterrupt:
        goes_on = parser.prog.removeprefix("piccl ") in _GOES_ON
        hint = "; the same command goes on where it stopped" if goes_on else ""
        return _complain(INTERRUPTED, f"interrupted{hint}")
    except BrokenPipeError:
        # The reader, as in `| head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as err:
        if args.traceback:
            traceback.print_exc()
        last = str(err).strip().splitlines() or [type(err).__name__]
        return _complain(FAILED, f"failed: {last[-1]} (--traceback shows where)")


def _complain(code: int, message: str) -> int:
    print(f"piccl: {message}", file=sys.stderr)
    return code


def entry() -> NoReturn:
    """The console command: `main`, and out."""
    code = main()
    if code in (FAILED, INTERRUPTED):
        # Workers may still be at it, and tearing the interpreter down under
        # their native threads crashes. What they write survives a kill.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    entry()
