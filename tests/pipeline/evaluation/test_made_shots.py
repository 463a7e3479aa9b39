"""Made series: what is done to a photo, and that the files say when and where."""

import io
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import Base

from models.blur import laplacian_variance
from models.images import decode
from pipeline.evaluation import made_shots
from pipeline.evaluation.made_changes import (
    CLIPPED_SHARE,
    DEGRADED,
    DIM_LUMA,
    plainest_part,
    unevenness,
)
from pipeline.evaluation.made_shots import (
    LONGEST_SIDE_PX,
    PHOTOS_A_MINUTE,
    alike_shots,
    degraded_copies,
    read_rgb,
    write_series,
)

MINUTE = datetime(2024, 5, 4, 23, 59)


def scene(seed: int = 0, height: int = 300, width: int = 400) -> NDArray[np.uint8]:
    patches = np.random.default_rng(seed).integers(40, 220, (60, 80, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(patches, (width, height)), np.uint8)


def jpeg(rgb: NDArray[np.uint8], **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("make", [alike_shots, degraded_copies])
def test_every_shot_is_of_the_minute_and_the_place(make) -> None:
    shots = list(make(scene(), 3, MINUTE))
    assert shots[0].kind == "original"
    assert len({shot.kind for shot in shots}) == len(shots) >= 8
    captures = [decode(shot.encoded).capture for shot in shots]
    for capture in captures:
        assert capture.taken_at is not None
        assert timedelta(0) <= capture.taken_at - MINUTE < timedelta(minutes=1)
        assert capture.latitude == captures[0].latitude is not None
        assert capture.longitude == captures[0].longitude is not None
    assert len({capture.taken_at for capture in captures}) > 1
    # Another time the same, by another seed not.
    assert list(make(scene(), 3, MINUTE)) == shots
    assert list(make(scene(), 4, MINUTE)) != shots


def test_what_is_done_to_shots_that_are_alike() -> None:
    shots = {shot.kind: shot.encoded for shot in alike_shots(scene(), 1, MINUTE)}
    seen = {kind: decode(encoded).rgb for kind, encoded in shots.items()}
    original = seen["original"]
    assert len(shots["recompressed"]) < len(shots["original"]) / 1.5
    assert seen["resized"].shape[0] < 0.85 * original.shape[0]
    assert 0.8 * original.size < seen["cropped"].size < original.size
    assert seen["brighter"].mean() > original.mean() * 1.1
    assert seen["darker"].mean() < original.mean() * 0.9
    corners = [seen[kind][:2, :2].mean() for kind in seen if "black" in kind]
    assert corners == pytest.approx([0], abs=12)
    assert seen["rotated"].min(axis=2).min() > 0


def test_what_degraded_copies_lack() -> None:
    shots = {shot.kind: shot.encoded for shot in degraded_copies(scene(), 1, MINUTE)}
    seen = {kind: decode(encoded).rgb for kind, encoded in shots.items()}
    sharp = {
        kind: laplacian_variance(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
        for kind, rgb in seen.items()
    }
    for kind in ("blurred", "shaken"):
        assert sharp[kind] < sharp["original"] / 2
    assert sharp["noisy"] > sharp["original"] * 2
    assert seen["under-exposed"].mean() < 0.7 * seen["original"].mean()
    assert (
        (seen["over-exposed"] == 255).mean() > 0.02 > (seen["original"] == 255).mean()
    )
    assert seen["half size"].shape[0] == 150
    assert len(shots["quality 20"]) < len(shots["original"]) / 3


@pytest.mark.parametrize("light", [0.1, 0.3, 1.0, 1.15])
@pytest.mark.parametrize("seed", range(3))
def test_a_copy_of_any_light_is_worse_than_its_original(
    light: float, seed: int
) -> None:
    rgb = np.clip(scene(seed) * light, 0, 255).astype(np.uint8)
    rng = np.random.default_rng(seed)
    over, under = (
        DEGRADED[kind](rgb, rng).astype(float)
        for kind in ("over-exposed", "under-exposed")
    )
    # A quarter of all pixels are looked at in each direction.
    white = [(each.min(axis=2) == 255).mean() for each in (over, rgb)]
    assert white[0] - white[1] > CLIPPED_SHARE - 0.03
    luma = [
        cv2.cvtColor(each.astype(np.uint8), cv2.COLOR_RGB2GRAY).mean()
        for each in (under, rgb, over)
    ]
    # As far from the middle as the original, on the other side, and farther.
    assert luma[2] > max(255 - luma[1], luma[1]) - 2
    assert luma[0] < min(DIM_LUMA, 255 - luma[1], luma[1] * 0.65) + 2


def test_black_and_white_frames_have_copies() -> None:
    for level in (0, 255):
        rgb = np.full((20, 30, 3), level, np.uint8)
        for make in DEGRADED.values():
            assert make(rgb, np.random.default_rng(0)).size


def test_the_plainest_part_is_the_wall() -> None:
    rgb = scene(5, 300, 450)
    rgb[180:290, 290:445] = (90, 120, 150)
    # What is white all over shows nothing, though nothing is plainer.
    rgb[:120, :160] = 255
    part = plainest_part(rgb)
    assert part.shape == (200, 300, 3)
    assert (part == (90, 120, 150)).all()
    assert unevenness(rgb) == pytest.approx(0, abs=0.01)
    assert unevenness(scene(5, 300, 450)) > 5
    assert plainest_part(np.full((300, 450, 3), 255, np.uint8)).shape == part.shape


def test_plain_series_are_of_the_plainest_parts(tmp_path: Path) -> None:
    rgb = scene(5, 300, 450)
    rgb[180:290, 290:445] = (90, 120, 150)
    (tmp_path / "photo.jpg").write_bytes(jpeg(rgb))
    out = tmp_path / "out"
    out.mkdir()
    first, *_ = write_series([tmp_path / "photo.jpg"], out, degraded=False, plain=True)
    seen = decode((out / first.name).read_bytes()).rgb
    assert seen.shape[:2] == (200, 300)
    assert seen.std(axis=(0, 1)).max() < 3


def test_a_photo_is_read_upright_and_not_too_large() -> None:
    exif = Image.Exif()
    exif[Base.Orientation] = 6
    rgb = read_rgb(jpeg(scene(0, 1500, 2000), exif=exif))
    assert rgb.shape == (LONGEST_SIDE_PX, round(LONGEST_SIDE_PX * 0.75), 3)


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (16, 16)])
def test_the_smallest_photos_have_a_series(shape: tuple[int, int]) -> None:
    rgb = scene(0, *shape)
    for make in (alike_shots, degraded_copies):
        assert all(decode(shot.encoded).rgb.size for shot in make(rgb, 0, MINUTE))


def test_so_many_photos_are_of_one_minute(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(made_shots, "PHOTOS_A_MINUTE", 2)
    assert PHOTOS_A_MINUTE > 2
    photos = [tmp_path / f"{n}.jpg" for n in range(3)]
    for n, photo in enumerate(photos):
        photo.write_bytes(jpeg(scene(n)))
    out = tmp_path / "out"
    out.mkdir()
    made = list(write_series(photos, out, degraded=False))
    assert sorted(file.name for file in made) == sorted(p.name for p in out.iterdir())
    dates: dict[str, set[object]] = {}
    for file in made:
        taken_at = decode((out / file.name).read_bytes()).capture.taken_at
        assert taken_at is not None
        assert not file.degraded
        dates.setdefault(file.series, set()).add(taken_at.date())
    first, second, third = dates.values()
    assert first == second != third
    assert len(third) == 1
