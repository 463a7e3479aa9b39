"""Networks in Darknet's format that can be fetched, and where they are kept here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Commits, which unlike a branch do not change.
_DARKNET: Final = (
    "https://raw.githubusercontent.com/pjreddie/darknet/"
    "f6afaabcdf85f77e7aff2ec55c020c0e297c77f9/cfg"
)
_YOLO_FASTEST: Final = (
    "https://raw.githubusercontent.com/dog-qiuqiu/Yolo-Fastest/{commit}/"
    "ModelZoo/yolo-fastest-1.1_coco"
)
_SMALL: Final = _YOLO_FASTEST.format(commit="99d03d0f26e2555275bdb30f43479d47cc19311f")
_XL: Final = _YOLO_FASTEST.format(commit="9c62b1c50e024fb73d29a651133b1d63548e63a1")
# The second is the address in the literature, which has answered with redirects to
# the first, with 403 and with a web page (pjreddie/darknet, issue 2655).
_PJREDDIE: Final = (
    "https://data.pjreddie.com/files",
    "https://pjreddie.com/media/files",
)


@dataclass(frozen=True)
class PublishedFile:
    """A file that is known before it is fetched.

    Attributes:
        name: What it is called here.
        urls: http(s) addresses it is published at, the best first.
        size_bytes: Its length.
        sha256: Its SHA-256, in lower hexadecimal digits.
    """

    name: str
    urls: tuple[str, ...]
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class KnownModel:
    """A detector of COCO's 80 classes.

    Attributes:
        purpose: What to take it for.
        side_px: Of the square input that its cfg asks for.
        map50: Mean average precision on COCO at that side and an IoU of 0.5, in
            percent, as its author published it.
        cfg: Its layers.
        weights: Their weights.
    """

    purpose: str
    side_px: int
    map50: float
    cfg: PublishedFile
    weights: PublishedFile

    @property
    def files(self) -> tuple[PublishedFile, PublishedFile]:
        return self.cfg, self.weights

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def _published(name: str, size_bytes: int, sha256: str, *folders: str) -> PublishedFile:
    urls = tuple(f"{folder}/{name}" for folder in folders)
    return PublishedFile(name, urls, size_bytes, sha256)


# By name, the small ones first. Figures: README of dog-qiuqiu/Yolo-Fastest;
# pjreddie.com/darknet/yolo; YOLOv3, Table 3.
KNOWN_MODELS: Final = {
    "yolo-fastest-1.1": KnownModel(
        "the fastest",
        320,
        24.4,
        _published(
            "yolo-fastest-1.1.cfg",
            9685,
            "f6df5775c1e862998cf69046eba9265be3ae84dfe8b2caab7529823f0795bf70",
            _SMALL,
        ),
        _published(
            "yolo-fastest-1.1.weights",
            1384268,
            "1c445c42bbd6df63edea2cc69f99667b5650d663ca11e34b116240740cd42890",
            _SMALL,
        ),
    ),
    "yolo-fastest-1.1-xl": KnownModel(
        "to begin with",
        320,
        34.3,
        _published(
            "yolo-fastest-1.1-xl.cfg",
            9696,
            "c458427acc4fbeabceff4528ef7b65b066c0308ce599460f8ba299eba63abad3",
            _XL,
        ),
        _published(
            "yolo-fastest-1.1-xl.weights",
            3693964,
            "fac5fb41786c1f38f04972a658443b189f48720d7d117f9a044100e98a35b0c5",
            _XL,
        ),
    ),
    "yolov3-tiny": KnownModel(
        "the original small one",
        416,
        33.1,
        _published(
            "yolov3-tiny.cfg",
            1915,
            "84eb7a675ef87c906019ff5a6e0effe275d175adb75100dcb47f0727917dc2c7",
            _DARKNET,
        ),
        _published(
            "yolov3-tiny.weights",
            35434956,
            "dccea06f59b781ec1234ddf8d1e94b9519a97f4245748a7d4db75d5b7080a42c",
            *_PJREDDIE,
        ),
    ),
    "yolov3": KnownModel(
        "the most exact",
        608,
        57.9,
        _published(
            "yolov3.cfg",
            8342,
            "22489ea38575dfa36c67a90048e8759576416a79d32dc11e15d2217777b9a953",
            _DARKNET,
        ),
        _published(
            "yolov3.weights",
            248007048,
            "523e4e69e1d015393a1b0a441cef1d9c7659e3eb2d7e15f793f060a21b32f297",
            *_PJREDDIE,
        ),
    ),
}

# What `piccl backfill` uses where it is there.
DEFAULT_MODEL: Final = "yolo-fastest-1.1-xl"


def weights_folder() -> Path:
    """Where `piccl weights` puts models, and `piccl backfill` finds them.

    One place for a user, whatever the working folder; under the cache, because
    what is there can be fetched again.
    """
    return Path.home() / ".cache" / "piccl"


def installed(model: str, folder: Path) -> tuple[Path, Path] | None:
    """The cfg and the weights of a model, if both are in the folder.

    They may be other ones than were published, as a cfg with another input side:
    whether they can be read and belong together, their loader says.
    """
    cfg, weights = folder / f"{model}.cfg", folder / f"{model}.weights"
    return (cfg, weights) if cfg.is_file() and weights.is_file() else None
