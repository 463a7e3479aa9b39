"""From objects that a detector saw to a photo's tags, and to its subject."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from models.yolov3.boxes import Detections

VERSION: Final = 2

# The paper's Table 1. No class of COCO is called "notebook", but one of a network
# trained on one's own photos may be.
CLASSES_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "person": ("person",),
    "animal": (
        *("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear"),
        *("zebra", "giraffe", "teddy bear"),
    ),
    "vehicle": (
        *("bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck"),
        *("boat", "traffic light", "stop sign", "parking meter", "fire hydrant"),
    ),
    "furniture": (
        *("chair", "couch", "bed", "refrigerator", "sink", "toilet"),
        *("dining table", "clock"),
    ),
    "book": ("notebook", "book"),
    "bag": ("handbag", "backpack", "suitcase"),
    "sports": (
        *("frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat"),
        *("baseball glove", "skateboard", "surfboard", "tennis racket"),
    ),
    "food": (
        *("wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple"),
        *("sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut"),
        *("cake", "bottle"),
    ),
    "device": (
        *("hair drier", "toaster", "oven", "microwave", "cell phone", "keyboard"),
        *("remote", "mouse", "laptop", "tv", "refrigerator"),
    ),
}
TAGS: Final = tuple(CLASSES_OF)

# COCO's 80 classes, in the order of Darknet's coco.names and in COCO's spelling.
COCO_NAMES: Final = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck"),
    *("boat", "traffic light", "fire hydrant", "stop sign", "parking meter", "bench"),
    *("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra"),
    *("giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee"),
    *("skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove"),
    *("skateboard", "surfboard", "tennis racket", "bottle", "wine glass", "cup"),
    *("fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange"),
    *("broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch"),
    *("potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse"),
    *("remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink"),
    *("refrigerator", "book", "clock", "vase", "scissors", "teddy bear"),
    *("hair drier", "toothbrush"),
)
# Darknet's coco.names has some classes as PASCAL VOC spells them.
SPELLINGS: Final[Mapping[str, str]] = {
    "aeroplane": "airplane",
    "motorbike": "motorcycle",
    "sofa": "couch",
    "pottedplant": "potted plant",
    "diningtable": "dining table",
    "tvmonitor": "tv",
}

# What is stored of a photo: enough to judge it again by lower thresholds, yet
# little. Of 673 COCO photos, 1 in 20 has 40 objects from this confidence on.
CONFIDENCE_FLOOR: Final = 0.1
MOST_OBJECTS: Final = 32
# The subject is the largest object; confidence decides between like ones. Compared
# were powers from 0 to 1, on half the sources of the COCO photos with an object of
# more than a quarter of the photo: a fourth is best on either half. Furniture was
# once weighted by a quarter, since tables are what meals stand on. People agreed,
# but the largest object was then the subject in 0.66 of 331 such photos, now in
# 0.79, as `piccl evaluate` prints.
_CONFIDENCE_POWER: Final = 0.25


@dataclass(frozen=True)
class DetectedObject:
    """An object in a photo.

    Attributes:
        name: Its class, in COCO's spelling.
        confidence: 0 to 1, 4 digits.
        left, top, right, bottom: Of its box, in pixels of the upright photo at
            full size.
    """

    name: str
    confidence: float
    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class TagThresholds:
    """From which confidence on an object counts.

    Attributes:
        default: Of all tags but these. The lowest, in steps of 0.05, at which 90
            of 100 tags are surely right, by Yolo-Fastest-xl on 673 COCO photos;
            Darknet's own is the same. `piccl evaluate --json` prints the curve, and
            what either half of the sources chooses and the other makes of it.
        overrides: (tag, threshold).
    """

    default: float = 0.25
    overrides: tuple[tuple[str, float], ...] = ()

    def of(self, tag: str) -> float:
        return dict(self.overrides).get(tag, self.default)


def parse_tag_thresholds(text: str) -> TagThresholds:
    """Read thresholds, as "0.3" or "0.3,person=0.5" or "person=0.5".

    Raises:
        ValueError: The text can not be read; the message says why.
    """
    default, overrides = TagThresholds().default, dict[str, float]()
    for n, part in enumerate(text.split(",")):
        tag, equals, value = (word.strip() for word in part.rpartition("="))
        if not equals and n == 0:
            default = _threshold(value)
        elif tag in CLASSES_OF and tag not in overrides:
            overrides[tag] = _threshold(value)
        elif tag in overrides:
            raise ValueError(f"two thresholds for {tag}")
        elif tag:
            raise ValueError(f"no tag is called {tag!r}: they are {', '.join(TAGS)}")
        else:
            raise ValueError(f"{part.strip()!r} should be TAG=THRESHOLD")
    # In order, so that what means the same is the same.
    return TagThresholds(default, tuple(sorted(overrides.items())))


def _threshold(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    if not CONFIDENCE_FLOOR <= value <= 1:
        raise ValueError(
            f"{text} is not between {CONFIDENCE_FLOOR:g}, below which no object is "
            "stored, and 1"
        )
    return value


def parse_names(text: str, classes: int) -> tuple[str, ...]:
    """Read a `.names` file: a class a line, in the order of the network.

    Args:
        text: The file's.
        classes: Number of classes of the network.

    Returns:
        The names, in COCO's spelling.

    Raises:
        ValueError: The names are more or fewer than the classes, or one is empty.
    """
    # An empty line at the end is no name; elsewhere it would shift the others.
    lines = [line.strip() for line in text.rstrip().splitlines()]
    names = tuple(SPELLINGS.get(name, name) for name in lines)
    if len(names) != classes:
        raise ValueError(f"{len(names)} names for a network of {classes} classes")
    if "" in names:
        raise ValueError(f"line {names.index('') + 1} has no name")
    return names


def objects_in(
    detections: "Detections", names: Sequence[str], width: int, height: int
) -> tuple[DetectedObject, ...]:
    """What is worth storing of what a detector saw.

    Args:
        detections: The most confident first.
        names: Of the classes, in COCO's spelling.
        width: Of the upright photo at full size, in pixels.
        height: The same.

    Returns:
        At most `MOST_OBJECTS`, from `CONFIDENCE_FLOOR` on: the best of each class,
        then the best of what is left; the most confident first.
    """
    objects = [
        DetectedObject(
            names[of_class],
            # Rounded, so that another processor comes to the same verdict.
            round(float(confidence), 4),
            *(
                round(float(edge) * side)
                for edge, side in zip(box, (width, height) * 2, strict=True)
            ),
        )
        for box, confidence, of_class in zip(
            detections.boxes, detections.confidences, detections.classes, strict=True
        )
    ]
    seen = set[str]()
    first, more = list[DetectedObject](), list[DetectedObject]()
    for found in objects:
        if found.confidence >= CONFIDENCE_FLOOR:
            (more if found.name in seen else first).append(found)
            seen.add(found.name)
    stored = (first + more)[:MOST_OBJECTS]
    return tuple(sorted(stored, key=lambda found: -found.confidence))


def judge_tags(
    objects: Iterable[DetectedObject], thresholds: TagThresholds
) -> dict[str, bool]:
    """Every tag, and whether an object that carries it is seen."""
    seen = {tag for _, tag in _seen(objects, thresholds)}
    return {tag: tag in seen for tag in TAGS}


def subject_of(objects: Iterable[DetectedObject], thresholds: TagThresholds) -> str:
    """The tag that dominates a photo; "" if none is seen.

    It is that of the object with the largest area, a little less if it is not sure.
    A maximum, unlike a sum, hardly changes with what comes and goes from shot to shot
    at the edge of being seen.
    """
    weights: dict[str, float] = {}
    for found, tag in _seen(objects, thresholds):
        area = (found.right - found.left) * (found.bottom - found.top)
        weight = found.confidence**_CONFIDENCE_POWER * area
        weights[tag] = max(weights.get(tag, 0.0), weight)
    # Of equals, the first in Table 1.
    order = sorted(weights, key=TAGS.index)
    return max(order, key=weights.__getitem__, default="")


def _seen(
    objects: Iterable[DetectedObject], thresholds: TagThresholds
) -> list[tuple[DetectedObject, str]]:
    """Each object that counts, with each of its tags."""
    return [
        (found, tag)
        for found in objects
        for tag in TAGS
        if found.name in CLASSES_OF[tag] and found.confidence >= thresholds.of(tag)
    ]
