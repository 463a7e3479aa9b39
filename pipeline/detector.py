"""Which detector a job uses: the one that was named, or one that was fetched."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from models import images, tags
from models.yolov3 import boxes, features
from models.yolov3.cfg import CfgError, load_cfg
from models.yolov3.weights import WeightsError, read_weights
from pipeline.errors import UsageError
from pipeline.fingerprints import fingerprint, of_file
from pipeline.known_weights import (
    DEFAULT_MODEL,
    KNOWN_MODELS,
    installed,
    weights_folder,
)
from pipeline.options import NO_DETECTOR, DetectorOptions
from transforms.detect_objects import (
    DetectorModelHandler,
    DetectorSettings,
    class_names,
)


def detector_settings(
    options: DetectorOptions, *, full_decode: bool
) -> DetectorSettings | None:
    """Find the files of the detector.

    Args:
        options: Which were named.
        full_decode: Photos are decoded at full size, which makes the working image
            a little different.

    Returns:
        None if there is to be none, or if none was named and none was fetched.

    Raises:
        UsageError: What was named is not there.
    """
    if options.weights == NO_DETECTOR:
        return None
    if options.weights is None:
        if options.cfg:
            raise UsageError("--cfg belongs to a file of weights: name it by --weights")
        found = installed(DEFAULT_MODEL, weights_folder())
        if found is None:
            return None
        cfg, weights = found
    else:
        cfg, weights = network_files(options.weights, options.cfg)
    names = options.detect_names and Path(options.detect_names).expanduser()
    if names and not names.is_file():
        raise UsageError(f"--detect-names: no such file: {names}")
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
            working_side_px=images.WORKING_SIDE_PX,
            full_decode=full_decode,
            versions=[images.VERSION, boxes.VERSION, features.VERSION, tags.VERSION],
        ),
    )


def check(settings: DetectorSettings) -> None:
    """Refuse files that `load` would refuse, without TensorFlow, which takes seconds.

    Raises:
        UsageError: A file is not what it should be; the text names it.
    """
    with _naming_files(settings):
        network = load_cfg(settings.cfg)
        read_weights(settings.weights, network)
        class_names(settings.names, network.classes)


def load(settings: DetectorSettings) -> None:
    """Load the network, for all the steps of this process.

    Raises:
        UsageError: A file is not what it should be; the text names it.
    """
    with _naming_files(settings):
        DetectorModelHandler(settings).load_model()


@contextlib.contextmanager
def _naming_files(settings: DetectorSettings) -> Iterator[None]:
    """Tell the user which file is wrong, and what can be done about it."""
    cfg, weights, names = settings.cfg, settings.weights, settings.names
    try:
        yield
    except CfgError as err:
        raise UsageError(f"{cfg}: {err}") from err
    except WeightsError as err:
        hint = ""
        if weights.parent == weights_folder():
            hint = (
                f"; remove it and fetch it again with `piccl weights {weights.stem}`, "
                f"or go on without tags with --weights={NO_DETECTOR}"
            )
        raise UsageError(f"{weights}: {err}{hint}") from err
    except UnicodeDecodeError as err:
        raise UsageError(f"{names}: not a text of names, one a line") from err
    except ValueError as err:
        raise UsageError(f"{names or cfg}: {err}") from err
    except OSError as err:
        raise UsageError(f"can not read {err.filename}: {err.strerror}") from err


def hint_for_tags(options: DetectorOptions) -> str:
    """What to type for tags, if no detector is used and none is declined; else ""."""
    if options.weights == NO_DETECTOR:
        return ""
    fetched = [name for name in KNOWN_MODELS if installed(name, weights_folder())]
    if fetched:
        return f"For tags, run this again with --weights={fetched[-1]}.\n"
    return f"For tags, run `piccl weights {DEFAULT_MODEL}`, then this again.\n"


def network_files(name: str, cfg_name: str | None) -> tuple[Path, Path]:
    """Find the cfg and the weights.

    Args:
        name: Of a model that was fetched, or of a file of weights.
        cfg_name: Of a file; None for that beside the weights.

    Raises:
        UsageError: One is not there.
    """
    if name in KNOWN_MODELS:
        if cfg_name:
            raise UsageError(f"--weights {name} brings its own cfg: leave out --cfg")
        found = installed(name, weights_folder())
        if found is None:
            raise UsageError(
                f"--weights {name}: not fetched yet; `piccl weights {name}` does it"
            )
        return found
    weights = Path(name).expanduser()
    if not weights.is_file():
        raise UsageError(f"--weights: no such file: {weights}")
    cfg = Path(cfg_name).expanduser() if cfg_name else weights.with_suffix(".cfg")
    if not cfg.is_file():
        raise UsageError(f"--cfg: no such file: {cfg}")
    return cfg, weights
