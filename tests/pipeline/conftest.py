"""Small photos made in the test, and a look into the tables."""

import io
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from gcp_storage_emulator import server as emulator
from gcp_storage_emulator.settings import UPLOAD_API_ENDPOINT
from PIL import Image
from PIL.ExifTags import IFD, Base

from models.yolov3.cfg import parse_cfg
from models.yolov3.weights import ConvolutionWeights, Weights, write_weights
from pipeline.__main__ import main
from tests.pipeline.uploads import Cloud, command, put
from transforms.buckets import storage_client

_TINY_CFG = """\
[net]
width=64
height=64
channels=3

[convolutional]
filters=8
size=3
stride=4
pad=1
activation=leaky

[convolutional]
filters=8
size=3
stride=4
pad=1
activation=leaky

[convolutional]
filters=255
size=1
activation=linear

[yolo]
mask=0,1,2
anchors=10,14, 23,27, 40,40
classes=80
num=3
"""

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="session")
def jpeg() -> Callable[..., bytes]:
    """Makes a JPEG: scenes differ, shots of one scene are alike."""

    def make(
        scene: int, shot: int = 0, taken_at: str | None = None, light: float = 1.0
    ) -> bytes:
        # Scenes tell apart by where their shapes are and by their colours.
        random = np.random.default_rng(scene)
        image = np.full((240, 320, 3), random.integers(60, 200, 3), np.uint8)
        for _ in range(40):
            x, y = (int(v) for v in random.integers((0, 0), (320, 240)))
            colour = tuple(int(v) for v in random.integers(0, 255, 3))
            size = int(random.integers(8, 50))
            cv2.rectangle(image, (x, y), (x + size, y + size), colour, -1)
            cv2.circle(image, (y, x), size // 2, colour[::-1], 2)
        image = np.roll(image, shot * 2, axis=1)
        image = (image * light).astype(np.uint8)
        exif = Image.Exif()
        if taken_at is not None:
            exif[Base.Make] = "test"
            exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = taken_at
        out = io.BytesIO()
        Image.fromarray(image).save(out, "JPEG", quality=90, exif=exif)
        return out.getvalue()

    return make


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A flag that names a small network; what it sees is made up, but always that."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tiny.cfg").write_text(_TINY_CFG)
    network = parse_cfg(_TINY_CFG)
    random = np.random.default_rng(0)
    convolutions = [
        ConvolutionWeights(
            random.normal(
                0, 1, (layer.size, layer.size, layer.in_channels, layer.filters)
            ).astype(np.float32),
            random.normal(0, 1, layer.filters).astype(np.float32),
        )
        for layer in network.convolutions
    ]
    write_weights(folder / "tiny.weights", network, Weights(convolutions))
    return f"--weights={folder / 'tiny.weights'}"


@pytest.fixture
def backfill(tmp_path: Path) -> Callable[..., int]:
    """Runs `piccl backfill` in this process; returns its exit code."""

    def run(*photos: Path, db: Path, user: str = "me", flags: tuple[str, ...] = ()):
        return main(
            [
                "backfill",
                *map(str, photos),
                f"--user={user}",
                f"--store=sqlite:///{db}",
                f"--dead-letters={tmp_path / 'dead.jsonl'}",
                *flags,
            ]
        )

    return run


@pytest.fixture(scope="session")
def rows() -> Callable[[Path], Rows]:
    """The four tables, but for the clock of the run."""

    def read(path: Path) -> Rows:
        db = sqlite3.connect(path)
        db.row_factory = sqlite3.Row
        tables = {}
        for table in ("users", "photos", "tags", "deletions"):
            order = "id" if table == "users" else "user_id, id"
            tables[table] = [
                {k: v for k, v in dict(row).items() if k != "analysed_at"}
                for row in db.execute(f"SELECT * FROM {table} ORDER BY {order}")
            ]
        db.close()
        return tables

    return read


@pytest.fixture
def cloud(monkeypatch) -> Iterator[Cloud]:
    """A bucket that uploads go to, in an emulator of Cloud Storage of its own."""
    server = emulator.create_server("127.0.0.1", 0, in_memory=True)
    server.start()
    port = server._api._httpd.server_port
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    storage_client.cache_clear()
    cloud = Cloud(storage_client(), "photos-of-all")
    cloud.client.create_bucket(cloud.name)
    (uploads,) = (h for path, h in emulator.HANDLERS if UPLOAD_API_ENDPOINT in path)
    monkeypatch.setitem(uploads, "POST", cloud.begin)
    monkeypatch.setitem(uploads, "PUT", cloud.go_on)
    yield cloud
    server.stop()
    storage_client.cache_clear()


@pytest.fixture
def upload(tmp_path, monkeypatch, capsys) -> Callable[..., dict[str, Any]]:
    """Runs `piccl upload`; returns its summary, with its exit code as `code`."""
    monkeypatch.chdir(tmp_path)

    def run(*files: object, flags: tuple[str, ...] = ()) -> dict[str, Any]:
        capsys.readouterr()
        code = main(command(*files, flags=flags))
        return json.loads(capsys.readouterr().out) | {"code": code}

    return run


@pytest.fixture
def roll(tmp_path, jpeg) -> Path:
    """A folder of three photos: two in it, one below."""
    folder = tmp_path / "roll"
    for number, name in enumerate(["a.jpg", "b ä.jpg", "day/c.jpg"]):
        put(folder / name, jpeg(number), mtime_s=1_500_000_000 + number)
    return folder
