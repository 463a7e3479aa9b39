"""Memory is bounded, whatever the photos' number and size."""

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


def _peak_mib(folder: Path, *flags: str) -> tuple[int, dict]:
    """Backfills a folder in a process of its own; its peak and its summary."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pipeline",
            "backfill",
            folder,
            "--user=me",
            "--json",
            f"--store=sqlite:///{folder.parent}/piccl.db",
            f"--dead-letters={folder.parent}/dead.jsonl",
            *flags,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    summary = json.loads(done.stdout)
    return summary["peak_memory_mib"], summary


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def _save_large(path: Path, width: int, height: int) -> None:
    tile = np.random.default_rng(0).integers(0, 255, (500, 500, 3), np.uint8)
    tile[:, :250] = 120
    whole = np.tile(tile, (-(-height // 500), -(-width // 500), 1))
    Image.fromarray(whole[:height, :width]).save(path, quality=80)


@pytest.mark.parametrize("number", [8, 60])
def test_12_mp_photos_stay_below_2_gb_whatever_their_number(photos, number) -> None:
    _save_large(photos / "0.jpg", 4000, 3000)
    data = (photos / "0.jpg").read_bytes()
    for i in range(1, number):
        # Bytes after the end make it another photo.
        (photos / f"{i}.jpg").write_bytes(data + bytes([i]))
    peak, summary = _peak_mib(photos)
    assert summary["analysed"] == number
    print(f"{number} photos of 12 MP: peak {peak} MiB")
    assert peak < 2000


def test_yolo_fastest_stays_below_1_5_gb(photos, shared_models) -> None:
    _save_large(photos / "0.jpg", 4000, 3000)
    data = (photos / "0.jpg").read_bytes()
    for i in range(1, 40):
        (photos / f"{i}.jpg").write_bytes(data + bytes([i]))
    weights = shared_models / "yolo-fastest-1.1-xl.weights"
    peak, summary = _peak_mib(photos, f"--weights={weights}")
    assert summary["with_tags"] == 40
    print(f"40 photos of 12 MP with Yolo-Fastest 1.1-xl: peak {peak} MiB")
    assert peak < 1_500_000_000 >> 20


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_yolov3_stays_below_2_5_gb(photos, shared_models, tmp_path, precision) -> None:
    _save_large(photos / "0.jpg", 4000, 3000)
    data = (photos / "0.jpg").read_bytes()
    for i in range(1, 12):
        (photos / f"{i}.jpg").write_bytes(data + bytes([i]))
    published = (shared_models / "yolov3.cfg").read_text()
    (tmp_path / "yolov3.cfg").write_text(published.replace("=608", "=416"))
    # As large as the real ones; what is seen does not matter.
    weights = tmp_path / "yolov3.weights"
    values = np.random.default_rng(0).uniform(0, 0.02, 62_001_757)
    weights.write_bytes(
        struct.pack("<3iQ", 0, 2, 5, 0) + values.astype("<f4").tobytes()
    )
    flags = (f"--weights={weights}", f"--detect-precision={precision}")
    peak, summary = _peak_mib(photos, *flags)
    assert summary["with_tags"] == 12
    print(f"12 photos of 12 MP with YOLOv3-416 in {precision}: peak {peak} MiB")
    assert peak < 2_500_000_000 >> 20


def test_huge_photos_stay_below_3_5_gb(photos) -> None:
    _save_large(photos / "200mp.jpg", 16_000, 12_500)
    _save_large(photos / "100mp.png", 10_000, 10_000)
    for i in range(2):
        _save_large(photos / f"100mp-{i}.jpg", 12_000 + i, 8_300)
        _save_large(photos / f"100mp-{i}.bmp", 12_000 + i, 8_300)
    (photos / "bomb.png").write_bytes(_png_bomb(30_000))
    # All at once, however few cores there are.
    peak, summary = _peak_mib(
        photos, "--direct_running_mode=multi_threading", "--direct_num_workers=7"
    )
    assert summary["analysed"] == 6
    assert summary["dead_letters"] == {"too large": 1}
    print(f"200 MP, four of 100 MP and a bomb: peak {peak} MiB")
    assert peak < 3500


def _png_bomb(side: int) -> bytes:
    """A black square that is small in the file and 2.7 GB in memory."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = b"\0" * (1 + 3 * side)
    rows = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )
