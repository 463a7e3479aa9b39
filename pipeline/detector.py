"""Which detector a job uses: the one that was named, or one that was fetched."""

from pathlib import Path

from models.images import WORKING_SIDE_PX
from models.yolov3 import boxes, features
from pipeline.errors import UsageError
from pipeline.fingerprints import fingerprint, of_file
from pipeline.known_weights import (
    DEFAULT_MODEL,
    KNOWN_MODELS,
    installed,
    weights_folder,
)
from pipeline.options import NO_DETECTOR, DetectorOptions
from transforms.detect_objects import DetectorSettings


def detector_settings(options: DetectorOptions) -> DetectorSettings | None:
    """Find the files of the detector.

    Returns:
        None if there is to be none, or if none was named and none was fetched.

    Raises:
        UsageError: What was named is not there.
    """
    if options.weights == NO_DETECTOR:
        return None
    found = _files(options)
    if found is None:
        return None
    cfg, weights = found
    names = Path(options.detect_names) if options.detect_names else None
    for flag, file in [
        ("--weights", weights),
        ("--cfg", cfg),
        ("--detect-names", names),
    ]:
        if file is not None and not file.is_file():
            raise UsageError(f"{flag}: no such file: {file}")
    return DetectorSettings(
        cfg=cfg,
        weights=weights,
        names=names,
        precision=options.detect_precision,
        resize=options.detect_resize,
        fingerprint=fingerprint(
            cfg=of_file(cfg),
            weights=of_file(weights),
            names=of_file(names) if names else None,
            precision=options.detect_precision,
            resize=options.detect_resize,
            working_side_px=WORKING_SIDE_PX,
            versions=[boxes.VERSION, features.VERSION],
        ),
    )


def _files(options: DetectorOptions) -> tuple[Path, Path] | None:
    """The cfg and the weights."""
    name = options.weights
    if name is None or name in KNOWN_MODELS:
        if options.cfg:
            raise UsageError("--cfg belongs to a file of weights: name it by --weights")
        found = installed(name or DEFAULT_MODEL, weights_folder())
        if name is not None and found is None:
            raise UsageError(
                f"--weights {name}: not fetched yet; `piccl weights {name}` does it"
            )
        return found
    weights = Path(name).expanduser()
    cfg = Path(options.cfg).expanduser() if options.cfg else weights.with_suffix(".cfg")
    return cfg, weights
