"""What folders and manifests say of photos."""

import json
import os
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.evaluation.labels import LabelledPhoto, read_labels


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"?")


def _read(*addresses: Path, **flags: bool) -> dict[str, LabelledPhoto]:
    """By base name."""
    labels = read_labels([str(address) for address in addresses], **flags)
    return {Path(photo.path).name: photo for photo in labels.photos}


def _verdicts(photo: LabelledPhoto) -> tuple[bool | None, bool | None, bool | None]:
    return photo.shaken, photo.dark, photo.screenshot


@pytest.mark.parametrize(
    ("label", "verdicts", "presumed_sharp"),
    [
        ("blur", (True, None, False), False),
        ("Shaken", (True, None, False), False),
        ("sharp", (False, None, False), False),
        ("dark", (None, True, False), False),
        ("too_dark", (None, True, False), False),
        ("dark-on-purpose", (None, False, False), False),
        ("night, well lit", (None, False, False), False),
        ("low key on purpose", (None, False, False), False),
        ("bright", (None, False, False), True),
        ("unsure", (None, None, False), False),
        ("slightly under-exposed", (None, None, False), False),
        ("boxes", (None, None, False), True),
        ("photo", (None, None, False), True),
        ("exifsample", (None, None, False), True),
        ("screenshots", (None, None, True), False),
        ("zero byte", (None, None, None), False),
    ],
)
def test_folders_are_named_by_labels(label, verdicts, presumed_sharp, tmp_path) -> None:
    _touch(tmp_path, f"{label}/deep/a.jpg", f"{label}/.hidden.jpg")
    photos = _read(tmp_path)
    assert list(photos) == ["a.jpg"]
    assert _verdicts(photos["a.jpg"]) == verdicts
    assert photos["a.jpg"].presumed_sharp is presumed_sharp


def test_a_label_folder_can_be_named_alone(tmp_path) -> None:
    _touch(tmp_path, "blur/a.jpg", "sharp/b.jpg", "other/c.jpg")
    photos = _read(tmp_path / "blur", tmp_path / "sharp")
    assert [photos[name].shaken for name in ("a.jpg", "b.jpg")] == [True, False]


def test_series_are_folders_in_series(tmp_path) -> None:
    _touch(tmp_path, "series/cat/1.jpg", "series/cat/2.jpg", "series/dog/3.jpg")
    photos = _read(tmp_path)
    assert photos["1.jpg"].series == photos["2.jpg"].series != photos["3.jpg"].series
    assert photos["1.jpg"].presumed_sharp


def test_manifest_beside_the_photos(tmp_path) -> None:
    folder = tmp_path / "photos"
    _touch(folder, "a.jpg", "b.jpg", "not listed.jpg")
    (folder / "manifest.csv").write_text(
        "file,label,source,note\na.jpg,blur,camera,x\nb.jpg,bright,,x\n"
    )
    for address in (tmp_path, folder, folder / "manifest.csv"):
        photos = _read(address)
        assert sorted(photos) == ["a.jpg", "b.jpg"]
        assert photos["a.jpg"].shaken is True
        assert photos["a.jpg"].group == "camera"
        assert photos["b.jpg"].group == ""


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_columns_tell_more_than_labels(suffix, tmp_path) -> None:
    _touch(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    rows = [
        {"file": "a.jpg", "label": "party", "shaken": "yes", "tags": "person; bag"},
        {"file": "b.jpg", "label": "bright", "dark": "yes", "subject": "food"},
        {"file": "c.jpg", "screenshot": "No", "series": "s", "tags": "none"},
    ]
    path = tmp_path / f"truth.{suffix}"
    if suffix == "json":
        rows[0] |= {"shaken": True, "tags": ["person", "bag"]}
        path.write_text(json.dumps(rows))
    else:
        names = ["file", "label", "shaken", "dark", "screenshot", "tags", "subject"]
        names += ["series"]
        lines = [",".join(row.get(name, "") for name in names) for row in rows]
        path.write_text("\n".join([",".join(names), *lines]))
    photos = _read(path)
    assert _verdicts(photos["a.jpg"]) == (True, None, None)
    assert photos["a.jpg"].kind == "party"
    assert photos["a.jpg"].tags == {"person", "bag"}
    # The label's other words stand.
    assert _verdicts(photos["b.jpg"]) == (None, True, False)
    assert photos["b.jpg"].subject == {"food"}
    assert _verdicts(photos["c.jpg"]) == (None, None, False)
    assert photos["c.jpg"].tags == frozenset()
    assert photos["c.jpg"].series == str(tmp_path / "s")


def test_boxes_tell_tags_and_subject(tmp_path) -> None:
    names = ["small.jpg", "large.jpg", "both.jpg", "untagged.jpg", "crowd.jpg"]
    _touch(tmp_path, *names)
    lines = "".join(f"{name},boxes\n" for name in names)
    (tmp_path / "manifest.csv").write_text(f"file,label\n{lines}")
    boxes = {
        "small.jpg": [[0, 0, 50, 50, "dog"]],
        "large.jpg": [[0, 0, 51, 50, "dog"], [0, 0, 9, 9, "chair"]],
        "both.jpg": [[0, 0, 90, 90, "refrigerator"]],
        "untagged.jpg": [[0, 0, 90, 90, "umbrella"], [0, 0, 60, 60, "dog"]],
        "crowd.jpg": [[0, 0, 90, 90, "person", "crowd"], [0, 0, 60, 60, "dog"]],
    }
    (tmp_path / "boxes.json").write_text(
        json.dumps(
            {
                file: {"width": 100, "height": 100, "boxes": of}
                for file, of in boxes.items()
            }
        )
    )
    photos = _read(tmp_path)
    assert photos["small.jpg"].subject is None  # not over a quarter
    assert photos["large.jpg"].subject == {"animal"}
    assert photos["large.jpg"].tags == {"animal", "furniture"}
    assert photos["both.jpg"].subject == {"furniture", "device"}
    assert photos["untagged.jpg"].subject is None
    assert photos["crowd.jpg"].subject == {"animal"}
    assert photos["crowd.jpg"].tags == {"person", "animal"}


@pytest.mark.parametrize(
    ("files", "manifest", "complaint"),
    [
        (["a.jpg"], "file,label\na.jpg,fuzzy\n", "unknown labels: 'fuzzy' (1); known"),
        ([], "file,label\na.jpg,blur\n", "1 photos of the manifests are missing: /"),
        (["a.jpg"], "name,label\na.jpg,blur\n", "no column 'file'"),
        (["a.jpg"], "file,note\na.jpg,blur\n", "says nothing of its photos"),
        (["a.jpg"], "file,shaken\na.jpg,perhaps\n", "'perhaps', not yes or no"),
        (["a.jpg"], "file,tags\na.jpg,cat\n", "no tag is called cat"),
        (["a.jpg"], "file,label\n,blur\n", "a row without file"),
        (["a.jpg"], "file,label\na.jpg,blur\na.jpg,sharp\n", "labelled twice"),
    ],
)
def test_what_is_wrong_is_said(files, manifest, complaint, tmp_path) -> None:
    _touch(tmp_path, *files)
    (tmp_path / "manifest.csv").write_text(manifest)
    with pytest.raises(UsageError) as caught:
        _read(tmp_path)
    assert complaint in str(caught.value)


def test_unknown_labels_can_be_left_out(tmp_path) -> None:
    _touch(tmp_path, "fuzzy/a.jpg", "blur/b.jpg")
    with pytest.raises(UsageError, match="unknown labels: 'fuzzy'"):
        _read(tmp_path)
    labels = read_labels([str(tmp_path)], ignore_unknown=True)
    assert [Path(photo.path).name for photo in labels.photos] == ["b.jpg"]
    assert labels.ignored == {"fuzzy": 1}


def test_two_labels_of_one_photo_are_joined(tmp_path) -> None:
    _touch(tmp_path, "bright/a.jpg", "sharp/b.jpg")
    (tmp_path / "sharp" / "link.jpg").symlink_to(tmp_path / "bright" / "a.jpg")
    photo = _read(tmp_path)["a.jpg"]
    assert _verdicts(photo) == (False, False, False)
    # Now somebody said so.
    assert not photo.presumed_sharp


def test_all_of_the_development_photos_are_understood(shared_photos) -> None:
    photos = read_labels([str(shared_photos)]).photos
    assert sum(photo.shaken is True for photo in photos) == 24
    assert sum(photo.dark is True for photo in photos) == 60
    assert sum(photo.screenshot is True for photo in photos) == 67
    assert sum(photo.subject is not None for photo in photos) > 300
    series = {Path(p.path).name: p.series for p in photos if p.series is not None}
    assert series["hdrpair_canon_hdr_NO.jpg"] == series["hdrpair_canon_hdr_YES.jpg"]
    assert series["arezzo_DSCN0010.jpg"] != series["arezzo_DSCN0012.jpg"]
    assert "ukbench_mixed_images__ukbench00120_hflip.jpg" not in series
    assert len(series) == 37


def test_a_folder_that_a_label_names_is_read_to_any_depth(tmp_path: Path) -> None:
    for name in ("blur/2024/a.jpg", "blur/b.jpg", "blur/.thumbnails/c.jpg"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    labels = read_labels([str(tmp_path / "blur")])
    assert [Path(photo.path).name for photo in labels.photos] == ["a.jpg", "b.jpg"]
    assert all(photo.shaken for photo in labels.photos)


def test_loose_photos_beside_labelled_folders_are_not_forgotten(tmp_path: Path) -> None:
    (tmp_path / "bright").mkdir()
    for name in ("bright/a.jpg", "loose.jpg", "README.txt"):
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match=r"unknown labels: '.*' \(1\)"):
        read_labels([str(tmp_path)])
    assert len(read_labels([str(tmp_path)], ignore_unknown=True).photos) == 1


@pytest.mark.parametrize(
    "text",
    ['[{"file": "a.jpg", "tags": 5}]', '[{"file": "a\\u0000", "label": "blur"}]'],
    ids=["tags", "name"],
)
def test_what_no_manifest_says_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "truth.json").write_text(text)
    with pytest.raises(UsageError, match=r"truth\.json"):
        read_labels([str(tmp_path / "truth.json")])


def test_a_name_in_no_encoding_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "blur"
    folder.mkdir()
    (folder / "a.jpg").touch()
    Path(os.fsdecode(os.fsencode(folder) + b"/\xe9.jpg")).touch()
    labels = read_labels([str(folder)])
    assert len(labels.photos) == 1
    assert len(labels.unnamed) == 1
