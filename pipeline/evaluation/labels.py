"""What people say of photos: folders named by labels, manifests, boxes.

The format is described in docs/evaluate.md.
"""

import csv
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from mimetypes import guess_type
from pathlib import Path
from typing import Any, Final

from models.tags import CLASSES_OF, COCO_NAMES, TAGS
from pipeline.errors import UsageError
from pipeline.evaluation.vocabulary import COLLECTIONS, KNOWN, SHARP, says_of

MANIFEST: Final = "manifest.csv"
BOXES: Final = "boxes.json"
# In a folder of this name each folder is a series.
SERIES: Final = "series"


@dataclass(frozen=True)
class LabelledPhoto:
    """What is known of one photo; None where nobody said.

    Attributes:
        path: Absolute, without links.
        kind: What its label calls it; figures are given by kind.
        shaken, dark, screenshot: What the verdicts should be.
        presumed_sharp: Nobody said that it is shaken, and it was not taken for it.
        group: What its photos have in common, as the source; "" if unknown.
        series: Photos of one series are shots of one thing, those of two are not.
        tags: What is in it.
        subject: Tags of which one should be the subject.
    """

    path: str
    kind: str = ""
    shaken: bool | None = None
    dark: bool | None = None
    screenshot: bool | None = None
    presumed_sharp: bool = False
    group: str = ""
    series: str | None = None
    tags: frozenset[str] | None = None
    subject: frozenset[str] | None = None


@dataclass(frozen=True)
class Labels:
    """All that was read.

    Attributes:
        photos: By path, each once.
        ignored: Labels that are not known, and how many photos have them.
        unnamed: Files whose names are no UTF-8, as Python prints them.
    """

    photos: tuple[LabelledPhoto, ...]
    ignored: Mapping[str, int]
    unnamed: tuple[str, ...] = ()


_ANSWERS: Final = {"yes": True, "true": True, "1": True} | {
    **{"no": False, "false": False, "0": False},
    **{"": None, "unsure": None, "?": None},
}
_VERDICTS: Final = ("shaken", "dark", "screenshot")
_COLUMNS: Final = (*_VERDICTS, "tags", "subject", "series")
_SUBJECT_SHARE: Final = 0.25


def data_set(photo: LabelledPhoto) -> str:
    """What photos come from together: none is judged by what learned from another."""
    # Several repositories hand on photos of COCO, some of them the same.
    return "COCO" if "COCO" in photo.group else photo.group or photo.path


def read_labels(addresses: Sequence[str], *, ignore_unknown: bool = False) -> Labels:
    """Read all that is said, and check that the photos are there.

    Args:
        addresses: Folders and manifests.
        ignore_unknown: Leave out photos whose label is not known.

    Raises:
        UsageError: Something can not be read or understood; the text says what.
    """
    unknown: Counter[str] = Counter()
    missing: list[str] = []
    unnamed: list[str] = []
    photos: dict[str, LabelledPhoto] = {}
    for address in addresses:
        for photo in _read(Path(address).expanduser(), unknown):
            if not _is_utf8(photo.path):
                unnamed.append(ascii(photo.path))
            elif not os.path.isfile(photo.path):
                missing.append(photo.path)
            elif photo.path in photos:
                photos[photo.path] = _both(photos[photo.path], photo)
            else:
                photos[photo.path] = photo
    if missing:
        shown = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
        raise UsageError(f"{len(missing)} photos of the manifests are missing: {shown}")
    if unknown and not ignore_unknown:
        counts = ", ".join(f"{label!r} ({n})" for label, n in unknown.most_common())
        raise UsageError(
            f"unknown labels: {counts}; known are {', '.join(KNOWN)}; "
            "--ignore-unknown leaves these photos out"
        )
    if not photos:
        raise UsageError(f"no labelled photos in {', '.join(addresses)}")
    return Labels(
        tuple(photos[path] for path in sorted(photos)),
        dict(unknown),
        tuple(sorted(unnamed)),
    )


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read(path: Path, unknown: Counter[str]) -> Iterator[LabelledPhoto]:
    if path.is_dir():
        yield from _read_folder(path, unknown)
    elif not path.is_file():
        raise UsageError(f"no such file or folder: {path}")
    elif path.suffix.lower() in (".csv", ".json"):
        yield from _read_manifest(path, unknown)
    else:
        raise UsageError(f"{path} is no folder, and no manifest (.csv or .json)")


def _read_folder(folder: Path, unknown: Counter[str]) -> Iterator[LabelledPhoto]:
    if (folder / MANIFEST).is_file():
        yield from _read_manifest(folder / MANIFEST, unknown)
        return
    inside = sorted(path for path in folder.iterdir() if path.name[0] != ".")
    folders = [path for path in inside if path.is_dir()]
    if not any(_is_labelled(below) for below in folders):
        # Its own name is the label, and what is below are parts of it.
        yield from _read_label_folder(folder, _photos_below(folder), unknown)
        return
    for file in inside:
        if (guess_type(file)[0] or "").startswith("image/"):
            unknown[folder.resolve().name] += 1
    for below in folders:
        files = _photos_below(below)
        if (below / MANIFEST).is_file():
            yield from _read_manifest(below / MANIFEST, unknown)
        elif below.name == SERIES:
            for path in files:
                series = os.path.join(below, path.relative_to(below).parts[0])
                says: dict[str, Any] = {"kind": SERIES, "series": series, **SHARP}
                yield LabelledPhoto(os.path.realpath(path), **says)
        else:
            yield from _read_label_folder(below, files, unknown)


def _is_labelled(folder: Path) -> bool:
    is_known = folder.name == SERIES or says_of(folder.name) is not None
    return is_known or (folder / MANIFEST).is_file()


def _photos_below(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.name != BOXES
        and not any(part[0] == "." for part in path.relative_to(folder).parts)
    )


def _read_label_folder(
    folder: Path, files: Sequence[Path], unknown: Counter[str]
) -> Iterator[LabelledPhoto]:
    label = folder.resolve().name
    for path in files:
        says = says_of(label)
        if says is None:
            unknown[label] += 1
        else:
            yield LabelledPhoto(os.path.realpath(path), **says)


def _read_manifest(manifest: Path, unknown: Counter[str]) -> Iterator[LabelledPhoto]:
    rows = _rows(manifest)
    explicit = any(column in row for row in rows for column in _COLUMNS)
    boxes = _read_boxes(manifest.parent / BOXES)
    for row in rows:
        file, label = str(row.get("file") or ""), str(row.get("label") or "").strip()
        if not file:
            raise UsageError(f"{manifest} has a row without file")
        if "\0" in file:
            raise UsageError(f"{manifest} has a name that no file has: {file!a}")
        path = os.path.realpath(manifest.parent / file)
        says = says_of(label)
        if label in COLLECTIONS:
            series = COLLECTIONS[label].search(Path(file).stem)
            says = {"kind": label, "series": series and series[1], **SHARP}
        elif says is None and explicit:
            # The columns say what the label means to say.
            says = {"kind": label or "photo"}
        elif says is None:
            unknown[label] += 1
            continue
        photo = LabelledPhoto(path, **says)
        group = str(row.get("group") or row.get("source") or "")
        told = _told(row, manifest)
        yield replace(photo, group=group, **{**boxes.get(file, {}), **told})


def _rows(manifest: Path) -> list[Mapping[str, Any]]:
    try:
        if manifest.suffix.lower() == ".json":
            rows = json.loads(manifest.read_text("utf-8"))
            if not (isinstance(rows, list) and all(isinstance(r, dict) for r in rows)):
                raise UsageError(f"{manifest} should be a list of objects")
        else:
            with manifest.open(newline="", encoding="utf-8-sig") as lines:
                rows = list(csv.DictReader(lines))
    except (OSError, ValueError, RecursionError, csv.Error) as err:
        raise UsageError(f"can not read {manifest}: {err}") from err
    known = {"file", "label", *_COLUMNS}
    columns = set[str]().union(*rows)
    if rows and "file" not in columns:
        raise UsageError(f"{manifest} has no column 'file'")
    if rows and not (known - {"file"}) & columns:
        raise UsageError(
            f"{manifest} says nothing of its photos: it has none of the columns "
            f"label, {', '.join(_COLUMNS)}"
        )
    return rows


def _told(row: Mapping[str, Any], manifest: Path) -> dict[str, Any]:
    """What the columns of a row say, but for the empty ones."""
    told: dict[str, Any] = {}
    for verdict in _VERDICTS:
        answer = str("" if row.get(verdict) is None else row[verdict]).strip().lower()
        if answer not in _ANSWERS:
            raise UsageError(
                f"{manifest}: {verdict} of {row['file']} is {answer!r}, not yes or no"
            )
        if _ANSWERS[answer] is not None:
            told[verdict] = _ANSWERS[answer]
    if series := str(row.get("series") or "").strip():
        told["series"] = os.path.join(manifest.parent, series)
    for column in ("tags", "subject"):
        values = row.get(column) or ""
        # "person; bag" in CSV, a list in JSON; "none" where nothing is.
        names = values.split(";") if isinstance(values, str) else values
        if not isinstance(names, list):
            raise UsageError(
                f"{manifest}: {column} of {row['file']} is neither text nor a list"
            )
        tags = {str(name).strip().lower() for name in names} - {""}
        if strange := tags - {*TAGS, "none"}:
            raise UsageError(
                f"{manifest}: {column} of {row['file']}: no tag is called "
                f"{', '.join(sorted(strange))}; they are {', '.join(TAGS)}, or none"
            )
        if tags:
            told[column] = frozenset(tags - {"none"})
    return told


def _read_boxes(path: Path) -> dict[str, dict[str, frozenset[str] | None]]:
    """Tags and subject by file, out of the boxes of the objects."""
    if not path.is_file():
        return {}
    from models.yolov3 import labels

    names = [*COCO_NAMES, "notebook"]
    try:
        labelled = labels.read_labels(path, names)
    except (labels.LabelsError, OSError) as err:
        raise UsageError(str(err)) from err
    found = {}
    for photo in labelled:
        carried = [_tags_of(names[row]) for row in photo.truth.classes]
        sides = photo.truth.boxes[:, 2:] - photo.truth.boxes[:, :2]
        # A crowd is a region of many objects, of which none need be large.
        areas = sides.prod(axis=1) * ~photo.truth.crowd
        largest = int(areas.argmax()) if len(areas) else None
        subject = None
        if largest is not None and areas[largest] > _SUBJECT_SHARE:
            subject = carried[largest] or None
        tags = frozenset[str]().union(*carried)
        found[photo.file] = {"tags": tags, "subject": subject}
    return found


def _tags_of(name: str) -> frozenset[str]:
    return frozenset(tag for tag in TAGS if name in CLASSES_OF[tag])


def _both(one: LabelledPhoto, other: LabelledPhoto) -> LabelledPhoto:
    """What two labels of one photo say together.

    Raises:
        UsageError: They contradict each other.
    """
    more = {}
    for field in fields(LabelledPhoto):
        if field.name in ("path", "kind", "group", "presumed_sharp"):
            continue
        first, second = getattr(one, field.name), getattr(other, field.name)
        if None not in (first, second) and first != second:
            raise UsageError(f"{one.path} is labelled twice, by {field.name} otherwise")
        more[field.name] = second if first is None else first
    more["group"] = one.group or other.group
    presumed = (one.presumed_sharp or other.presumed_sharp) and more["shaken"] is None
    return replace(one, presumed_sharp=presumed, **more)
