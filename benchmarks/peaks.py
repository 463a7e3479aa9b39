"""The machine's own peaks: matrices multiplied over TensorFlow, on all cores."""

import json
import sys
import time
from typing import TYPE_CHECKING, Final

from benchmarks.peers.networks import MATRIX_SIDES
from benchmarks.processes import QUIET, measure, module
from benchmarks.report import Report

if TYPE_CHECKING:
    import tensorflow as tf

SECTION: Final = "peaks"
F32: Final = "matrix product, f32"
BF16: Final = "matrix product, bf16"
ALL_CORES: Final = "all cores"
_ROUNDS: Final = 7
_QUICK_ROUNDS: Final = 3


def run(report: Report, quick: bool) -> None:
    command = module("peaks", str(_QUICK_ROUNDS if quick else _ROUNDS))
    answer = measure(command, environment=QUIET).answer
    for name in (F32, BF16):
        report.add(
            SECTION, name, "GFLOP/s", answer[name], case=ALL_CORES, is_limit=True
        )


def main(rounds: int) -> None:
    """In a process of its own: how many threads there are is settled once in each."""
    import tensorflow as tf

    speeds: dict[str, list[float]] = {F32: [], BF16: []}
    for name, dtype in ((F32, tf.float32), (BF16, tf.bfloat16)):
        matrices = [
            tf.random.stateless_normal((side, side), (0, 1), dtype=dtype)
            for side in MATRIX_SIDES
        ]
        # The first round prepares what is reused, and is not counted.
        for number in range(rounds + 1):
            fastest = max(map(_gflops, matrices))
            if number:
                speeds[name].append(fastest)
    print(json.dumps(speeds))


def _gflops(matrix: "tf.Tensor") -> float:
    import tensorflow as tf

    began_s = time.perf_counter()
    tf.matmul(matrix, matrix).numpy()
    return float(2 * matrix.shape[0] ** 3 / (time.perf_counter() - began_s) / 1e9)


if __name__ == "__main__":
    main(int(sys.argv[1]))
