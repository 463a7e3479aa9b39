"""Run a network in one runtime, for as long and in batches as large as asked.

    python networks.py RUNTIME PRECISION WAY CORES FILE ...

RUNTIME is one of `RUNTIMES`, WAY one of its own. FILE ... is a .cfg and its .weights;
for "onnxruntime" and "openvino", which run in the environment of the peers, the .onnx
that `python networks.py onnx CFG WEIGHTS FILE.onnx` writes there. The repository has to
be in PYTHONPATH, to read Darknet's files. Each line of the input is a task, as JSON,
answered with a line:

{"images": A.npy, "heads": B.npz}: keep images, float32, (N, H, W, 3), RGB, 0 to 1, look
    at a batch of the first, and write the heads of some, float32, (n, h, w, channels),
    in order of the cfg.
{"batch": N, "calls": C, "seconds": S}: look at images in batches of N, each caller at
    least once, C times, and until S seconds are over.

The answer has "images_per_s"; "cores", how many of them it had on the average, fewer
where something else runs; and "peak_mb" of the process so far.
"""

import functools
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
# Images, float32, (N, H, W, 3) -> heads, float32, (N, h, w, channels).
Look = Callable[[Array], Sequence[Array]]
# Images whose heads are compared, out of a batch.
_CHECKED: Final = 2
_CHECKED_BATCH: Final = 4
# Ways of a runtime that can have its threads inside or outside.
INSIDE: Final = "one caller, all threads"
OUTSIDE: Final = "a caller of one thread for each core"
# Of matrices; the fastest depends on the processor and on the precision.
MATRIX_SIDES: Final = (2048, 3072)


def piccl(precision: Any, way: str, cores: int, *files: Path) -> list[Look]:
    """As the pipeline has it: a thread of Beam's for each core, and one network."""
    from models.yolov3.detector import load_detector

    cfg, weights = files
    detector = load_detector(cfg, weights, precision)
    return [lambda images: detector.run(images)[0]] * cores


def opencv(_: str, way: str, cores: int, *files: Path) -> list[Look]:
    """A network for each caller; Winograd's convolutions are on by default."""
    import cv2

    callers = 1 if way == INSIDE else cores
    cv2.setNumThreads(cores // callers)

    def look() -> Look:
        net = cv2.dnn.readNetFromDarknet(*map(str, files))
        # What a head reads, channels last.
        heads = [name for name in net.getLayerNames() if name.startswith("permute_")]

        def of(images: Array) -> Sequence[Array]:
            net.setInput(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
            outputs: Any = net.forward(heads)
            return list(outputs)

        return of

    return [look() for _ in range(callers)]


def onnxruntime(_: str, way: str, cores: int, onnx: Path) -> list[Look]:
    """A session that callers share; it has no bfloat16 on processors."""
    import onnxruntime as ort

    callers = 1 if way == INSIDE else cores
    options = ort.SessionOptions()
    options.intra_op_num_threads = cores // callers
    session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])

    def look(images: Array) -> Sequence[Array]:
        blob = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        outputs = session.run(None, {"images": blob})
        return [output.transpose(0, 2, 3, 1) for output in outputs]

    return [look] * callers


def openvino(precision: str, way: str, cores: int, onnx: Path) -> list[Look]:
    """As its hint for throughput has it: a stream and a request for each core."""
    import openvino as ov

    core = ov.Core()
    asked = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": cores,
        "NUM_STREAMS": cores,
    }
    compiling = threading.Lock()

    @functools.cache
    def compiled(shape: tuple[int, ...]) -> Any:
        """For batches of just this size, which it is faster at."""
        model = core.read_model(onnx)
        model.reshape(list(shape))
        return core.compile_model(model, "CPU", asked)

    def look() -> Look:
        requests: dict[tuple[int, ...], Any] = {}

        def of(images: Array) -> Sequence[Array]:
            blob = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
            if blob.shape not in requests:
                with compiling:
                    requests[blob.shape] = compiled(blob.shape).create_infer_request()
            outputs = requests[blob.shape].infer([blob])
            return [outputs[n].transpose(0, 2, 3, 1) for n in range(len(outputs))]

        return of

    return [look() for _ in range(cores)]


def matrices(precision: str, way: str, cores: int, *_: Path) -> list[Look]:
    """No network: for each image a product of matrices of side `way`, on all cores."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(cores)
    dtype = tf.float32 if precision == "f32" else tf.bfloat16
    matrix = tf.random.stateless_normal((int(way), int(way)), (0, 1), dtype=dtype)

    def look(images: Array) -> Sequence[Array]:
        for _ in images:
            tf.matmul(matrix, matrix).numpy()
        return [images[:, :1, :1]]

    return [look]


RUNTIMES: Final = (piccl, opencv, onnxruntime, openvino, matrices)


def _write_onnx(cfg: Path, weights: Path, path: Path) -> None:
    """The network as ONNX: channels first, batch normalization folded as ours is."""
    from onnx import TensorProto, helper, numpy_helper

    from models.yolov3.cfg import load_cfg
    from models.yolov3.layers import (
        Convolutional,
        Dropout,
        MaxPool,
        Route,
        Shortcut,
        Upsample,
        Yolo,
    )
    from models.yolov3.weights import read_weights

    network = load_cfg(cfg)
    convolutions = iter(read_weights(weights, network).convolutions)
    nodes: list[Any] = []
    constants: list[Any] = []
    outputs: list[Any] = []
    names: list[str] = []

    def constant(name: str, value: NDArray[Any]) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(kind: str, *reads: str, **attributes: Any) -> str:
        name = f"{kind}_{len(nodes)}"
        nodes.append(helper.make_node(kind, reads, [name], **attributes))
        return name

    x = "images"
    for n, layer in enumerate(network.layers):
        match layer:
            case Convolutional(activation="linear" | "leaky"):
                kernel, bias = next(convolutions).folded()
                x = node(
                    "Conv",
                    x,
                    constant(f"kernel_{n}", kernel.transpose(3, 2, 0, 1)),
                    constant(f"bias_{n}", bias),
                    pads=[layer.padding] * 4,
                    strides=[layer.stride] * 2,
                    group=layer.groups,
                )
                if layer.activation == "leaky":
                    x = node("LeakyRelu", x, alpha=0.1)
            case Shortcut(activation="linear", layers=(other,)):
                x = node("Add", x, names[other])
            case Route(groups=1):
                parts = [names[other] for other in layer.layers]
                x = node("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
            case Upsample():
                scales = np.array([1, 1, layer.stride, layer.stride], np.float32)
                x = node(
                    "Resize",
                    x,
                    "",
                    constant(f"scales_{n}", scales),
                    mode="nearest",
                    coordinate_transformation_mode="asymmetric",
                    nearest_mode="floor",
                )
            case MaxPool():
                before = layer.padding // 2
                after = layer.padding - before
                x = node(
                    "MaxPool",
                    x,
                    kernel_shape=[layer.size] * 2,
                    strides=[layer.stride] * 2,
                    pads=[before, before, after, after],
                )
            case Dropout():
                pass
            case Yolo():
                height, width, channels = network.shapes[n]
                shape = ["N", channels, height, width]
                outputs.append(
                    helper.make_tensor_value_info(x, TensorProto.FLOAT, shape)
                )
            case _:
                raise ValueError(f"no ONNX is written for {layer}")
        names.append(x)
    shape = ["N", 3, network.height, network.width]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "network", [images], outputs, constants)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10
    )
    path.write_bytes(model.SerializeToString())


def look_for(
    looks: Sequence[Look], batch: Array, calls: int, seconds: float
) -> dict[str, float]:
    """All callers at once, each in a thread of its own, each at least once."""
    images = 0
    cpu_s = time.process_time()
    lock = threading.Lock()
    began_s = time.perf_counter()

    def work(look: Look) -> None:
        nonlocal images
        done = 0
        while True:
            look(batch)
            done += 1
            with lock:
                images += len(batch)
            if done >= calls and time.perf_counter() - began_s >= seconds:
                return

    threads = [threading.Thread(target=work, args=(look,)) for look in looks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent_s = time.perf_counter() - began_s
    cpu_s = time.process_time() - cpu_s
    return {"images_per_s": images / spent_s, "cores": cpu_s / spent_s}


def _peak_mb() -> float:
    try:
        with open("/proc/self/status") as status:
            # Unlike `ru_maxrss`, without that of the process this one came from.
            lines = [line for line in status if line.startswith("VmHWM")]
            return int(lines[0].split()[1]) * 1024 / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS


def main(runtime: str, precision: str, way: str, cores: str, *files: str) -> None:
    # Whatever the runtimes print, the answers are lines of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    make: Any = {each.__name__: each for each in RUNTIMES}[runtime]
    looks = make(precision, way, int(cores), *map(Path, files))
    images = np.zeros((0, 0, 0, 3), np.float32)
    for line in sys.stdin:
        task = json.loads(line)
        answer: dict[str, float] = {}
        if "images" in task:
            images = np.load(task["images"])
            heads = looks[0](images[:_CHECKED_BATCH])
            np.savez(task["heads"], *(head[:_CHECKED] for head in heads))
        else:
            batch = images[np.arange(task["batch"]) % len(images)]
            answer = look_for(looks, batch, task["calls"], task["seconds"])
        print(json.dumps(answer | {"peak_mb": _peak_mb()}), file=answers, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "onnx":
        _write_onnx(*map(Path, sys.argv[2:]))
    else:
        main(*sys.argv[1:])
