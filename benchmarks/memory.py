"""Peak memory of the whole job with YOLOv3-416, over few photos and over more."""

from typing import Final

from benchmarks.backfill import made_photos
from benchmarks.contestants import Network, run_piccl
from benchmarks.darknet import YOLOV3, darknet_files
from benchmarks.inputs import first
from benchmarks.report import Report

SECTION: Final = "memory"
_PHOTOS: Final = 16
_QUICK_PHOTOS: Final = 8
_TIMES: Final = 3
_GOAL_GB: Final = 2.5
# The allocator's own ups and downs are a twentieth.
_FLAT: Final = 1.1


def run(report: Report, quick: bool) -> None:
    files = darknet_files(YOLOV3, report.settings)
    if files is None:
        raise RuntimeError("YOLOv3's own shape is always here")
    number = _QUICK_PHOTOS if quick else _PHOTOS
    made = made_photos("12 MP", quick, report.settings)
    number = min(number, len(made) // _TIMES)
    rows = []
    for times in (1, _TIMES):
        photos = first(made, times * number, report.settings)
        report.doing(f"{SECTION}: {len(photos)} photos")
        done = run_piccl(photos.folder, len(photos), Network(files))
        rows.append(
            report.add(
                SECTION,
                f"piccl backfill, {len(photos)} photos",
                "GB",
                [done.peak_mb / 1000],
                case=f"12 MP, {YOLOV3}, f32",
            )
        )
    few, many = rows
    name = f"12 MP, {YOLOV3}: peak memory"
    report.ratio(name, many, 1, _GOAL_GB, at_most=True, unit="GB")
    name = f"{name}, {_TIMES} times the photos"
    report.ratio(name, many, few, _FLAT, at_most=True)
