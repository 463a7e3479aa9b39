"""A bare loop over PICCL's own functions: what bounds the job as they are, in threads.

    python -m benchmarks.bare FOLDER --threads N [--cfg F --weights F --precision P]

No Beam graph, no store, no listing, no summary. Each thread looks for something to do:
photos for the detector where a batch of them waits, else those for the darkness network
where a batch of them waits, else one to read, decode and score. So no core waits as
long as there is work.
"""

import argparse
import gc
import hashlib
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from apache_beam.ml.inference.base import ModelHandler

from models.blur import sharpness
from models.darkness import network as darkness
from models.descriptors import describe
from models.exposure import exposure
from models.images import decode
from models.screenshots import screenshot_probability
from models.yolov3.boxes import DEFAULT_RESIZE
from transforms.detect_objects import DetectorModelHandler, DetectorSettings
from transforms.elements import LOCAL_BUCKET, Photo, UploadEvent
from transforms.score_darkness import DarknessModelHandler


class _Stage:
    """What is done to photos, in batches.

    Args:
        run: Takes what waits, gives what the next stage takes; any thread may call it.
        batch: How many it takes at once, and fewer only at the end.
        waiting: What is there at the beginning.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Any]], Sequence[Photo]],
        batch: int,
        waiting: Iterable[Path] = (),
    ) -> None:
        self.run, self.batch = run, batch
        self.waiting: deque[Any] = deque(waiting)
        self.busy = 0


class _Loop:
    """Stages one after the other; `work` may be called by any number of threads.

    What is furthest is done first, so that few photos wait between two stages.
    """

    def __init__(self, stages: Sequence[_Stage]) -> None:
        self._stages = stages
        self._changed = threading.Condition()
        self._has_failed = False
        self.done = 0

    def work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_over() or self._next())
                stage = self._next()
                if stage is None or self._has_failed:
                    return
                number = min(stage.batch, len(stage.waiting))
                batch = [stage.waiting.popleft() for _ in range(number)]
                stage.busy += 1
            try:
                photos = stage.run(batch)
            except BaseException:
                with self._changed:
                    self._has_failed = True
                    self._changed.notify_all()
                raise
            with self._changed:
                stage.busy -= 1
                following = self._stages.index(stage) + 1
                if following < len(self._stages):
                    self._stages[following].waiting += photos
                else:
                    self.done += len(photos)
                self._changed.notify_all()

    def _next(self) -> _Stage | None:
        """The furthest one that has a batch, or what is left where no more comes."""
        for place in reversed(range(len(self._stages))):
            stage = self._stages[place]
            more = any(one.waiting or one.busy for one in self._stages[:place])
            if len(stage.waiting) >= (stage.batch if more else 1):
                return stage
        return None

    def _is_over(self) -> bool:
        is_idle = not any(one.waiting or one.busy for one in self._stages)
        return is_idle or self._has_failed


def _model(handler: ModelHandler[Photo, Photo, Any]) -> _Stage:
    """A model, run by the handler that the job has for it, without the job."""
    model = handler.load_model()

    def run(photos: Sequence[Photo]) -> list[Photo]:
        return list(handler.run_inference(photos, model))

    return _Stage(run, int(handler.batch_elements_kwargs()["max_batch_size"]))


def _scored(path: Path) -> Photo:
    data = path.read_bytes()
    decoded = decode(data)
    return Photo(
        event=UploadEvent("me", LOCAL_BUCKET, str(path), 1, len(data), 0.0),
        decoded=decoded,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        sharpness=sharpness(decoded.rgb),
        screenshot_probability=screenshot_probability(
            decoded.rgb,
            width=decoded.width,
            height=decoded.height,
            image_format=decoded.format,
            by_camera=decoded.capture.by_camera,
        ),
        descriptor=describe(decoded.rgb),
        exposure=exposure(decoded.rgb),
    )


def _run(loop: _Loop, threads: int) -> None:
    workers = [threading.Thread(target=loop.work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.bare", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--cfg", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--precision", default="f32")
    args = parser.parse_args()
    paths = sorted(args.folder.iterdir())
    stages = [
        _Stage(lambda batch: [_scored(path) for path in batch], 1, paths),
        _model(DarknessModelHandler(darkness.WEIGHTS)),
    ]
    if args.weights is not None:
        settings = DetectorSettings(
            args.cfg, args.weights, None, args.precision, DEFAULT_RESIZE, "bare"
        )
        stages.append(_model(DetectorModelHandler(settings)))
    # As the job does.
    gc.freeze()
    loop = _Loop(stages)
    _run(loop, args.threads)
    if loop.done != len(paths):
        raise RuntimeError(f"{loop.done} of {len(paths)} photos were looked at")
    print(json.dumps({"photos": loop.done}))


if __name__ == "__main__":
    main()
