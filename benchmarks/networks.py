"""The networks alone: ours, OpenCV, onnxruntime and OpenVINO, from the same files.

All get the same images, ready to be read, and all cores. Each runtime is a process of
its own that stays loaded; they take turns, and only one works at a time.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.darknet import FASTEST, YOLOV3, DarknetFiles, darknet_files
from benchmarks.inputs import sources
from benchmarks.machine import cores, has_bf16
from benchmarks.peaks import ALL_CORES, BF16, F32
from benchmarks.peaks import SECTION as PEAKS
from benchmarks.peers.networks import INSIDE, MATRIX_SIDES, OUTSIDE
from benchmarks.processes import AS_PICCL, QUIET, ChildError, kill
from benchmarks.report import Report
from benchmarks.settings import ROOT
from models.images import decode
from models.yolov3.boxes import prepare
from models.yolov3.cfg import load_cfg
from models.yolov3.layers import Convolutional, Network

SECTION: Final = "networks"
_BATCHES: Final = (1, 4, 8)
# Where ways of a runtime are tried.
_TRIED_BATCH: Final = 4
# At least so many calls and seconds for a value.
_CALLS: Final = 3
_SECONDS: Final = 1.0
# Those of a large batch are long, and one is many photos.
_CALLS_OF_LARGE: Final = 1
_LARGE_IMAGES: Final = 4
_MOST_ROUNDS: Final = 2
# Of a head's range; in bf16, which keeps eight bits of a value, of the largest value if
# that is more: heads of random weights vary less than those bits.
_TOLERANCES: Final = {"f32": 1e-3, "bf16": 0.05}
_SCRIPT: Final = Path(__file__).parent / "peers" / "networks.py"
_MATRICES: Final = "matrix product"
_WAYS: Final = (INSIDE, OUTSIDE)


@dataclass(frozen=True)
class _Runtime:
    """Who runs a network.

    Attributes:
        name: For the report.
        kind: A runtime of peers/networks.py.
        precision: "f32" or "bf16".
        ways: Of which the fastest is measured.
        is_peer: It lives in the environment of the peers.
    """

    name: str
    kind: str
    precision: str
    ways: tuple[str, ...] = (OUTSIDE,)
    is_peer: bool = False

    @property
    def described(self) -> str:
        return f"{self.name}, {self.precision}"


_SIDES: Final = tuple(map(str, MATRIX_SIDES))
_RUNTIMES: Final = (
    _Runtime("PICCL", "piccl", "f32"),
    _Runtime("PICCL", "piccl", "bf16"),
    _Runtime("OpenCV", "opencv", "f32", _WAYS),
    _Runtime("onnxruntime", "onnxruntime", "f32", _WAYS, is_peer=True),
    _Runtime("OpenVINO", "openvino", "f32", is_peer=True),
    _Runtime("OpenVINO", "openvino", "bf16", is_peer=True),
    _Runtime(_MATRICES, "matrices", "f32", _SIDES),
    _Runtime(_MATRICES, "matrices", "bf16", _SIDES),
)


@dataclass
class _Running:
    """A runtime that is loaded.

    Attributes:
        child: Its process.
        way: How it has its threads, or how large its matrices are.
        peak_mb: Of batches of `_TRIED_BATCH`.
        speeds: Images/s by batch, a value of each round; GFLOP/s of matrices.
    """

    child: "_Child"
    way: str
    peak_mb: float
    speeds: dict[int, list[float]] = field(default_factory=dict)

    @property
    def best(self) -> list[float]:
        """Of each round, that of its fastest batch."""
        return [max(values) for values in zip(*self.speeds.values(), strict=False)]


def run(report: Report, quick: bool) -> None:
    for name in (YOLOV3, FASTEST):
        if report.settings.only not in name:
            continue
        files = darknet_files(name, report.settings)
        if files is None:
            report.missing(SECTION, name, "`piccl weights` has not fetched it")
            continue
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            _measure(report, name, files, Path(folder), stack, quick=quick)


def _measure(
    report: Report,
    name: str,
    files: DarknetFiles,
    folder: Path,
    stack: ExitStack,
    *,
    quick: bool,
) -> None:
    network = load_cfg(files.cfg)
    np.save(folder / "images.npy", _images(network, report, max(_BATCHES)))
    running = _start(report, name, files, folder, stack)
    batches = [_TRIED_BATCH] if quick else _BATCHES
    for number in range(min(_MOST_ROUNDS, report.settings.rounds)):
        for runtime, one in list(running.items()):
            report.doing(f"{SECTION}: {name}: round {number + 1}: {runtime.described}")
            try:
                for batch in batches:
                    if not number and batch != _TRIED_BATCH:
                        # What is prepared and then reused is not counted.
                        one.child.ask(batch=batch, calls=1, seconds=0)
                    calls = _CALLS_OF_LARGE if batch >= _LARGE_IMAGES else _CALLS
                    answer = one.child.ask(batch=batch, calls=calls, seconds=_SECONDS)
                    speed = answer["images_per_s"]
                    if runtime.kind == "matrices":
                        speed *= 2 * int(one.way) ** 3 / 1e9
                    one.speeds.setdefault(batch, []).append(speed)
            except ChildError as err:
                del running[runtime]
                report.missing(SECTION, f"{name}, {runtime.described}", str(err))
    for batch in batches:
        for runtime, one in running.items():
            _add(report, name, runtime, one, batch)
    for runtime, one in running.items():
        if runtime.kind != "matrices":
            case = f"{name}, peak memory, batch {_TRIED_BATCH}"
            report.add(SECTION, runtime.described, "MB", [one.peak_mb], case=case)
    _compare(report, name, network, running)


def _start(
    report: Report, name: str, files: DarknetFiles, folder: Path, stack: ExitStack
) -> dict[_Runtime, _Running]:
    """All that can run here and see what ours sees, each in the fastest of its ways."""
    peers = report.settings.peers
    darknet = [files.cfg, files.weights]
    onnx = folder / "network.onnx"
    missing: dict[bool, str] = {}
    if not peers.is_file():
        missing[True] = "requirements-benchmarks.txt is not installed"
    else:
        # By a process of its own: what that takes is not the memory of a runtime.
        command = [str(peers), str(_SCRIPT), "onnx", *map(str, darknet), str(onnx)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            missing[True] = " / ".join(done.stderr.strip().splitlines()[-1:])
    running: dict[_Runtime, _Running] = {}
    truth: list[NDArray[np.float32]] = []
    for runtime in _RUNTIMES:
        report.doing(f"{SECTION}: {name}: loading {runtime.described}")
        described = f"{name}, {runtime.described}"
        why = missing.get(runtime.is_peer, "")
        if runtime.precision == "bf16" and not has_bf16():
            why = "this processor has no bf16"
        if why:
            report.missing(SECTION, described, why)
            continue
        program = str(peers) if runtime.is_peer else sys.executable
        network = [onnx] if runtime.is_peer else darknet
        tried: list[tuple[float, _Running]] = []
        for way in runtime.ways:
            child = stack.enter_context(_Child(program, runtime, way, network, folder))
            try:
                heads = child.heads(folder)
                truth = truth or heads
                if runtime.kind != "matrices":
                    _check(heads, truth, runtime.precision)
                answer = child.ask(batch=_TRIED_BATCH, calls=1, seconds=0)
                if len(runtime.ways) > 1:
                    answer = child.ask(batch=_TRIED_BATCH, calls=1, seconds=_SECONDS)
            except ChildError as err:
                child.end()
                report.missing(SECTION, f"{described}, {way}", str(err))
                continue
            speed = answer["images_per_s"]
            if runtime.kind == "matrices":
                speed *= int(way) ** 3
            tried.append((speed, _Running(child, way, answer["peak_mb"])))
        tried.sort(key=lambda one: one[0])
        for _, slower in tried[:-1]:
            slower.child.end()
        if tried:
            running[runtime] = tried[-1][1]
    return running


def _check(
    heads: Sequence[NDArray[np.float32]],
    truth: Sequence[NDArray[np.float32]],
    precision: str,
) -> None:
    """Who computes something else does not take part.

    Raises:
        ChildError: It does.
    """
    largest = 1.0 if precision == "bf16" else 0.0
    error = max(
        float(np.abs(one - true).max())
        / max(float(np.ptp(true)), largest * float(np.abs(true).max()))
        for one, true in zip(heads, truth, strict=True)
    )
    # Neither is a number that is none.
    if not error <= _TOLERANCES[precision]:
        raise ChildError(f"its heads differ by {error:.1e}")


def _add(
    report: Report, name: str, runtime: _Runtime, one: _Running, batch: int
) -> None:
    """Put down what one runtime did in all rounds."""
    is_limit = runtime.kind == "matrices"
    facts: dict[str, Any] = {"is_limit": True} if is_limit else {}
    if len(runtime.ways) > 1:
        facts["by"] = f"side {one.way}" if is_limit else one.way
    report.add(
        SECTION,
        runtime.described,
        "GFLOP/s" if is_limit else "images/s",
        one.speeds[batch],
        case=f"{name}, batch {batch}",
        **facts,
    )


def _compare(
    report: Report, name: str, network: Network, running: dict[_Runtime, _Running]
) -> None:
    """Each at the best batch of the round. Goals are those of YOLOv3-416."""
    has_goals = name == YOLOV3
    best = {runtime.described: one.best for runtime, one in running.items()}
    bf16, f32 = best.get("PICCL, bf16"), best.get("PICCL, f32")
    if bf16 is not None:
        for other in ("OpenCV, f32", "onnxruntime, f32", "OpenVINO, bf16"):
            goal = 2.0 if has_goals and other.endswith("f32") else None
            if other in best:
                label = f"{name}: PICCL bf16, of {other}"
                report.ratio(label, bf16, best[other], goal)
    others = [
        one.best
        for runtime, one in running.items()
        if runtime.precision == "f32" and runtime.kind not in ("piccl", "matrices")
    ]
    if f32 is not None and others:
        label = f"{name}: PICCL f32, of the fastest f32 runtime"
        fastest = [max(values) for values in zip(*others, strict=True)]
        report.ratio(label, f32, fastest, 0.9 if has_goals else None)
    for precision, ours, measured in (("f32", f32, F32), ("bf16", bf16, BF16)):
        products = best.get(f"{_MATRICES}, {precision}")
        if ours is None or products is None:
            continue
        before = report.row(PEAKS, measured, case=ALL_CORES)
        peak = max([*products, *(before.values if before is not None else ())])
        goal = 0.9 if has_goals and precision == "bf16" else None
        label = f"{name}: PICCL {precision}, of what the matrix product reaches"
        report.ratio(label, [_gflop(network) * one for one in ours], peak, goal)


def _gflop(network: Network) -> float:
    """Of one image: two for each product of a convolution."""
    return sum(
        2 * height * width * layer.filters * layer.size**2
        * layer.in_channels / layer.groups / 1e9
        for layer, (height, width, _) in zip(
            network.layers, network.shapes, strict=True
        )
        if isinstance(layer, Convolutional)
    )  # fmt: skip


def _images(network: Network, report: Report, number: int) -> NDArray[np.float32]:
    """Real photos as the pipeline gives them to a network."""
    paths = sources(report.settings)
    some = [paths[place % len(paths)] for place in range(number)]
    rgbs = [decode(path.read_bytes()).rgb for path in some]
    return np.stack([prepare(rgb, network, "stretch") for rgb in rgbs])


class _Child:
    """A runtime in a process of its own; see peers/networks.py.

    Args:
        program: Its Python.
        runtime: Which.
        way: One of the runtime's.
        network: Its files.
        folder: Where it may leave files.
    """

    def __init__(
        self,
        program: str,
        runtime: _Runtime,
        way: str,
        network: Sequence[Path],
        folder: Path,
    ) -> None:
        files = map(str, network)
        arguments = [runtime.kind, runtime.precision, way, str(cores()), *files]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - until it ends
        self._child = subprocess.Popen(
            [program, str(_SCRIPT), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={
                **os.environ,
                **(AS_PICCL if runtime.kind == "piccl" else QUIET),
                "PYTHONPATH": str(ROOT),
                "TMPDIR": str(folder),
            },
            start_new_session=True,
        )

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """It may have ended already."""
        if self._errors.closed:
            return
        kill(self._child)
        self._child.communicate()
        self._errors.close()

    def ask(self, **task: Any) -> dict[str, float]:
        """Give it a task and wait for its answer.

        Raises:
            ChildError: It has ended instead.
        """
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write(json.dumps(task) + "\n")
            self._child.stdin.flush()
            line = self._child.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._errors.seek(0)
            said = self._errors.read().strip().splitlines()
            raise ChildError(f"it ended, saying: {' / '.join(said[-1:])}")
        answer: dict[str, float] = json.loads(line)
        return answer

    def heads(self, folder: Path) -> list[NDArray[np.float32]]:
        """What it puts out for the first images of the folder."""
        images, heads = folder / "images.npy", folder / "heads.npz"
        self.ask(images=str(images), heads=str(heads))
        with np.load(heads) as arrays:
            return [arrays[key] for key in arrays.files]
