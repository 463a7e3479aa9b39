import json
from dataclasses import astuple, fields
from pathlib import Path

import numpy as np
import pytest

from models.tags import (
    CLASSES_OF,
    COCO_NAMES,
    CONFIDENCE_FLOOR,
    MOST_OBJECTS,
    TAGS,
    DetectedObject,
    TagThresholds,
    judge_tags,
    objects_in,
    parse_names,
    parse_tag_thresholds,
    subject_of,
)
from models.yolov3.boxes import Detections
from store.records import PhotoTags

DEFAULT = TagThresholds()


def tags_of(name: str, confidence: float = 1.0) -> set[str]:
    seen = [DetectedObject(name, confidence, 0, 0, 9, 9)]
    return {tag for tag, is_seen in judge_tags(seen, DEFAULT).items() if is_seen}


def test_tags_are_the_columns_of_the_store() -> None:
    columns = [field.name for field in fields(PhotoTags)]
    assert [name for name in columns if name in TAGS] == list(TAGS)
    assert len(TAGS) == 9


def test_table_1_gives_73_of_80_classes_a_tag() -> None:
    assert len(set(COCO_NAMES)) == 80
    assert [name for name in COCO_NAMES if not tags_of(name)] == [
        *("bench", "umbrella", "tie", "potted plant", "vase", "scissors"),
        "toothbrush",
    ]
    # The paper's one class that COCO lacks.
    known = {name for names in CLASSES_OF.values() for name in names}
    assert known - set(COCO_NAMES) == {"notebook"}


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("person", {"person"}),
        ("teddy bear", {"animal"}),
        ("fire hydrant", {"vehicle"}),
        ("clock", {"furniture"}),
        ("refrigerator", {"furniture", "device"}),
        ("book", {"book"}),
        ("suitcase", {"bag"}),
        ("kite", {"sports"}),
        ("wine glass", {"food"}),
        ("laptop", {"device"}),
        ("vase", set()),
        ("unicorn", set()),
    ],
)
def test_a_class_has_the_tags_of_table_1(name: str, tags: set[str]) -> None:
    assert tags_of(name) == tags
    assert tags_of(name, confidence=0.2499) == set()


def test_both_spellings_of_coco_are_known(shared_models: Path) -> None:
    darknet = (shared_models / "coco.names").read_text()
    assert "aeroplane" in darknet
    assert parse_names(darknet, 80) == COCO_NAMES
    assert parse_names("\r\n".join(COCO_NAMES) + "\r\n\r\n", 80) == COCO_NAMES


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cat\ndog\n", "2 names for a network of 3 classes"),
        ("", "0 names"),
        ("cat\n\ndog\n", "line 2 has no name"),
    ],
)
def test_names_that_do_not_fit_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_names(text, 3)


@pytest.mark.parametrize(
    ("text", "thresholds"),
    [
        ("0.25", DEFAULT),
        ("0.4", TagThresholds(0.4)),
        ("1", TagThresholds(1.0)),
        ("person=0.5", TagThresholds(overrides=(("person", 0.5),))),
        (
            " 0.3, person = 0.5,food=0.2",
            TagThresholds(0.3, (("food", 0.2), ("person", 0.5))),
        ),
    ],
)
def test_thresholds_are_read(text: str, thresholds: TagThresholds) -> None:
    assert parse_tag_thresholds(text) == thresholds


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'' is not a number"),
        ("much", "'much' is not a number"),
        ("nan", "nan is not between 0.1"),
        ("0.05", "0.05 is not between 0.1, below which no object is stored, and 1"),
        ("1.5", "1.5 is not between"),
        ("0.3,0.4", "'0.4' should be TAG=THRESHOLD"),
        ("0.3,", "'' should be TAG=THRESHOLD"),
        ("=0.3", "'=0.3' should be TAG=THRESHOLD"),
        ("0.3,cat=0.4", "no tag is called 'cat': they are person, animal"),
        ("food=0.3,food=0.4", "two thresholds for food"),
        ("food=", "'' is not a number"),
    ],
)
def test_other_thresholds_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_tag_thresholds(text)


def test_a_tag_has_its_own_threshold() -> None:
    seen = [
        DetectedObject("person", 0.4, 0, 0, 9, 9),
        DetectedObject("pizza", 0.4, 0, 0, 5, 5),
    ]
    tags = judge_tags(seen, TagThresholds(overrides=(("person", 0.5),)))
    assert list(tags) == list(TAGS)
    assert [tag for tag in tags if tags[tag]] == ["food"]
    assert subject_of(seen, DEFAULT) == "person"
    assert subject_of(seen, TagThresholds(overrides=(("person", 0.5),))) == "food"
    assert subject_of(seen, TagThresholds(0.41)) == ""


@pytest.mark.parametrize(
    ("subject", "objects"),
    [
        ("", []),
        ("", [("vase", 1.0, 400, 400)]),
        ("furniture", [("person", 0.9, 100, 200), ("couch", 0.9, 400, 300)]),
        ("person", [("person", 0.9, 400, 300), ("couch", 0.9, 400, 280)]),
        ("furniture", [("dining table", 0.9, 400, 400), ("pizza", 0.8, 150, 150)]),
        # The box of a table that is hardly seen is not worth much more.
        ("food", [("dining table", 0.3, 200, 200), ("pizza", 0.9, 190, 180)]),
        ("furniture", [("dining table", 0.3, 300, 300), ("pizza", 0.9, 190, 180)]),
        ("furniture", [("bed", 0.9, 400, 300), ("book", 0.5, 20, 20)]),
        ("furniture", [("refrigerator", 0.9, 200, 400)]),
        ("person", [("person", 0.9, 100, 200), ("tennis racket", 0.9, 40, 60)]),
        ("vehicle", [("person", 0.3, 100, 200), ("bus", 0.9, 120, 200)]),
        # A seen tag dominates, however small.
        ("animal", [("bird", 0.3, 0, 0)]),
        # Of equals, the first in Table 1.
        ("animal", [("pizza", 0.5, 10, 10), ("cat", 0.5, 10, 10)]),
    ],
)
def test_the_subject_is_what_dominates(
    subject: str, objects: list[tuple[str, float, int, int]]
) -> None:
    seen = [DetectedObject(name, c, 0, 0, w, h) for name, c, w, h in objects]
    assert subject_of(seen, DEFAULT) == subject
    assert subject_of(reversed(seen), DEFAULT) == subject
    if subject:
        assert judge_tags(seen, DEFAULT)[subject]


def detections(rows: list[tuple[float, float, float, float, float, int]]) -> Detections:
    found = np.array(sorted(rows, key=lambda row: -row[4]), np.float32).reshape(-1, 6)
    return Detections(found[:, :4], found[:, 4], found[:, 5].astype(np.int64))


def test_objects_are_in_pixels_of_the_photo() -> None:
    found = detections([(0.25, 0.5, 1.0, 1.0, 0.123456, 5), (0, 0, 0.5, 0.1, 0.9, 0)])
    objects = objects_in(found, COCO_NAMES, 4000, 3000)
    assert objects == (
        DetectedObject("person", 0.9, 0, 0, 2000, 300),
        DetectedObject("bus", 0.1235, 1000, 1500, 4000, 3000),
    )
    # They are stored as JSON, which numpy's numbers are not.
    stored = json.loads(json.dumps([astuple(found) for found in objects]))
    assert tuple(DetectedObject(*values) for values in stored) == objects


def test_what_is_stored_of_a_crowd_keeps_every_class() -> None:
    crowd = [(0.1, 0.1, 0.2, 0.2, 0.99 - n / 1000, 0) for n in range(100)]
    others = [(0.1, 0.1, 0.2, 0.2, 0.3, 7), (0.1, 0.1, 0.2, 0.2, 0.15, 2)]
    unsure = [(0.1, 0.1, 0.2, 0.2, CONFIDENCE_FLOOR - 0.001, 9)]
    stored = objects_in(detections(crowd + others + unsure), COCO_NAMES, 640, 480)
    assert len(stored) == MOST_OBJECTS
    assert [found.name for found in stored[-2:]] == ["truck", "car"]
    confidences = [found.confidence for found in stored]
    assert confidences == sorted(confidences, reverse=True)
    assert confidences[0] == 0.99


def test_nothing_seen_is_nothing_stored() -> None:
    assert objects_in(detections([]), COCO_NAMES, 640, 480) == ()
    assert not any(judge_tags([], DEFAULT).values())
