"""Which detector a job uses, and what its fingerprint covers."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from models import tags
from models.yolov3 import boxes, features
from pipeline.detector import detector_settings
from pipeline.options import DetectorOptions
from transforms.detect_objects import DetectorModelHandler, DetectorSettings


def _settings(*flags: str, full_decode: bool = False) -> DetectorSettings:
    options = PipelineOptions(list(flags)).view_as(DetectorOptions)
    settings = detector_settings(options, full_decode=full_decode)
    assert settings is not None
    return settings


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("a.cfg", "a.weights", "a.names"):
        (tmp_path / name).write_text(name)
    return tmp_path


def _write(name: str) -> Callable[[Path, pytest.MonkeyPatch], None]:
    return lambda folder, _: (folder / name).write_text("other")


@pytest.mark.parametrize(
    ("change", "flags", "full_decode"),
    [
        (_write("a.cfg"), (), False),
        (_write("a.weights"), (), False),
        (_write("a.names"), (), False),
        (None, ("--detect-precision=bf16",), False),
        (None, ("--detect-resize=letterbox",), False),
        (None, (), True),
        *[
            (lambda _, patch, of=of: patch.setattr(of, "VERSION", 99), (), False)
            for of in (boxes, features, tags)
        ],
    ],
    ids=[
        "cfg",
        "weights",
        "names",
        "precision",
        "resize",
        "decode",
        "boxes",
        "features",
        "tags",
    ],
)
def test_fingerprint_covers(files, monkeypatch, change, flags, full_decode) -> None:
    always = (f"--weights={files}/a.weights", f"--detect-names={files}/a.names")
    before = _settings(*always).fingerprint
    if change is not None:
        change(files, monkeypatch)
    after = _settings(*always, *flags, full_decode=full_decode).fingerprint
    assert after != before


def test_fingerprint_is_the_same_wherever_the_files_are(files: Path) -> None:
    before = _settings(f"--weights={files}/a.weights").fingerprint
    (files / "b").mkdir()
    for name in ("a.cfg", "a.weights"):
        (files / name).rename(files / "b" / name)
    assert _settings(f"--weights={files}/b/a.weights").fingerprint == before


def test_threads_share_one_network(tiny_weights: str) -> None:
    settings = _settings(tiny_weights, "--detect-precision=bf16")
    with ThreadPoolExecutor(4) as threads:
        loaded = threads.map(
            lambda _: DetectorModelHandler(settings).load_model(), range(4)
        )
        assert len({id(model) for model in loaded}) == 1
