"""Starting a job: runner, workers, and what the user sees when it fails."""

import argparse
import contextlib
import gc
import io
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, TextIO

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    DirectOptions,
    PipelineOptions,
    StandardOptions,
)

from models.darkness import network as darkness
from pipeline.errors import Parser, UsageError
from transforms.counters import NAMESPACE

if TYPE_CHECKING:
    from pipeline.analyse import AnalysisSettings

# "DirectRunner" tries a binary from the network first; this one is in the wheel.
_LOCAL_RUNNER: Final = "FnApiRunner"
_LOCAL_STREAM_RUNNER: Final = "pipeline.local_runner.LocalStreamRunner"
# Those of Beam that lose messages, see local_runner.py.
_LOCAL_IN_BEAM: Final = ("directrunner", "bundlebaseddirectrunner")
# Their workers are other machines.
_ELSEWHERE: Final = ("dataflowrunner", "flinkrunner", "sparkrunner", "portablerunner")


def add_job_options(
    parser: argparse.ArgumentParser, groups: Sequence[type[PipelineOptions]]
) -> None:
    """Add the flags of the groups to a command, each under its own heading."""
    for group in groups:
        group._add_argparse_args(parser.add_argument_group(group.__doc__))


def pipeline_options(
    beam_args: Sequence[str],
    args: argparse.Namespace,
    groups: Sequence[type[PipelineOptions]],
    *,
    streaming: bool = False,
) -> PipelineOptions:
    """Join our options with Beam's own, and pin what a local run uses.

    Args:
        beam_args: Flags that the command does not know.
        args: The parsed flags of the command.
        groups: Those of the command's flags that are options of the job.
        streaming: The job does not end by itself.

    Raises:
        UsageError: A flag that Beam does not know either, or a store that workers
            can not reach.
    """
    _check_known(beam_args)
    ours = argparse.ArgumentParser(add_help=False)
    for group in groups:
        group._add_argparse_args(ours)
    values = {action.dest: getattr(args, action.dest) for action in ours._actions}
    runner = PipelineOptions(list(beam_args)).view_as(StandardOptions).runner
    # Beam does not mind the case either.
    kind = str(runner).lower()
    if kind in _ELSEWHERE and values["store"].startswith("sqlite:"):
        raise UsageError(
            f"--store {values['store']}: with --runner={runner} each worker would "
            "write a file of its own, which goes with it; use firestore://PROJECT"
        )
    if streaming:
        values["streaming"] = True
        if runner in (None, _LOCAL_STREAM_RUNNER) or kind in _LOCAL_IN_BEAM:
            values["runner"] = _LOCAL_STREAM_RUNNER
    elif runner in (None, _LOCAL_RUNNER):
        values["runner"] = _LOCAL_RUNNER
        if not any(arg.startswith("--direct_") for arg in beam_args):
            # Threads share the models and decode beside one another, because
            # Pillow, OpenCV and TensorFlow let go of the interpreter.
            values["direct_running_mode"] = "multi_threading"
            values["direct_num_workers"] = os.cpu_count() or 1
    return PipelineOptions(list(beam_args), **values)


def streams_here(options: PipelineOptions) -> bool:
    """Whether a stream runs in this process, not on Dataflow or elsewhere."""
    return options.view_as(StandardOptions).runner == _LOCAL_STREAM_RUNNER


def threads_here(options: PipelineOptions) -> int:
    """How many threads of this process are the workers; 0 if they are elsewhere."""
    direct = options.view_as(DirectOptions)
    if options.view_as(StandardOptions).runner != _LOCAL_RUNNER:
        return 0
    if direct.direct_running_mode == "multi_processing":
        return 0
    # Beam's own default, and what it takes 0 for.
    wanted = direct.direct_num_workers
    return (os.cpu_count() or 1) if wanted == 0 else (wanted or 1)


def new_pipeline(options: PipelineOptions) -> beam.Pipeline:
    """An empty pipeline.

    Raises:
        UsageError: Beam does not accept the options.
    """
    try:
        return beam.Pipeline(options=options)
    except ValueError as err:
        raise UsageError(" ".join(str(err).split())) from err


def _check_known(beam_args: Sequence[str]) -> None:
    parser = Parser(add_help=False, allow_abbrev=False)
    # By name: Beam imports some of its own twice. Ours belong to the commands
    # that know them.
    for group in {str(c): c for c in PipelineOptions.__subclasses__()}.values():
        if group.__module__ != "pipeline.options":
            group._add_argparse_args(parser)
    _, unknown = parser.parse_known_args(list(beam_args))
    if unknown:
        raise UsageError(
            f"unknown option: {' '.join(unknown)}; --help lists the options"
        )


@contextlib.contextmanager
def without_native_stderr() -> Iterator[None]:
    """Keep stderr for Python: drop what is written there from below it.

    TensorFlow greets and comments there, whatever its log level is set to, and libpng
    warns. It is so for the whole process, so this comes before any thread starts.
    """
    sys.stderr.flush()
    with contextlib.ExitStack() as stack:
        native = os.dup(2)
        stack.callback(os.close, native)
        if _is_native(sys.stderr):
            encoding, errors = sys.stderr.encoding, sys.stderr.errors
            shown = open(  # noqa: SIM115 - the stack closes it
                os.dup(2), "w", buffering=1, encoding=encoding, errors=errors
            )
            stack.enter_context(shown)
            stack.enter_context(contextlib.redirect_stderr(shown))
        with open(os.devnull, "wb") as devnull:
            os.dup2(devnull.fileno(), 2)
        stack.callback(os.dup2, native, 2)
        yield


def _is_native(file: TextIO) -> bool:
    try:
        return file.fileno() == 2
    except io.UnsupportedOperation:
        return False


def check_models(settings: "AnalysisSettings") -> None:
    """Refuse files that hold no models, without TensorFlow, which takes seconds.

    Raises:
        UsageError: A file is not what it should be; the text names it.
    """
    from pipeline.detector import check

    try:
        darkness.check_file(settings.dark_model)
    except (ValueError, OSError) as err:
        raise UsageError(f"--dark-model: no model in {settings.dark_model}") from err
    if settings.detector is not None:
        check(settings.detector)


def load_models(settings: "AnalysisSettings") -> None:
    """Load what a job looks for, so that it starts at once, or not at all.

    Raises:
        UsageError: A model can not be loaded.
    """
    from pipeline.detector import load
    from transforms.score_darkness import DarknessModelHandler

    with without_native_stderr(), contextlib.redirect_stderr(io.StringIO()):
        import_tensorflow()
        try:
            DarknessModelHandler(settings.dark_model).load_model()
        except (ValueError, OSError) as err:
            raise UsageError(
                f"--dark-model: no model in {settings.dark_model}"
            ) from err
        if settings.detector is not None:
            load(settings.detector)


def import_tensorflow() -> None:
    """Import TensorFlow, with all that it does and says at its first use."""
    import tensorflow as tf

    # It looks for a GPU, and says that there is none.
    tf.config.list_physical_devices()


def run_job(pipeline: beam.Pipeline, *, show_errors: bool = False) -> dict[str, int]:
    """Run to the end.

    Args:
        pipeline: All steps of the job.
        show_errors: Let the runner print where in the code a step failed.

    Returns:
        Our counters by name.
    """
    # Beam's modules stay, and need not be searched for garbage.
    gc.freeze()
    # It prints what it then raises, once for every worker that failed.
    shown = sys.stderr if show_errors else io.StringIO()
    with contextlib.redirect_stderr(shown):
        result = pipeline.run()
        result.wait_until_finish()
    return {
        counter.key.metric.name: counter.committed
        for counter in result.metrics().query()["counters"]
        if counter.key.metric.namespace == NAMESPACE
    }
