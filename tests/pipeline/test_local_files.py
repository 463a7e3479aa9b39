"""Every file has one name in the bucket, and the same one again."""

from pipeline.local_files import LocalFile, named_files
from tests.pipeline.uploads import put
from transforms.buckets import ListingError


def _names(*addresses: object) -> list[str]:
    found = list(named_files([str(address) for address in addresses], "me"))
    assert not any(isinstance(one, ListingError) for one in found)
    return [one.name for one in found if isinstance(one, LocalFile)]


def test_folders_and_files(roll, monkeypatch) -> None:
    inside = ["roll/a.jpg", "roll/b ä.jpg", "roll/day/c.jpg"]
    assert _names(roll) == _names(f"{roll}/") == inside
    assert _names(roll / "day" / "c.jpg") == ["c.jpg"]
    monkeypatch.chdir(roll)
    assert _names(".") == inside
    assert _names("day/..") == inside


def test_globs_are_named_as_if_typed(roll, monkeypatch) -> None:
    assert _names(f"{roll}/*") == ["a.jpg", "b ä.jpg", "day/c.jpg"]
    assert _names(f"{roll}/*.jpg") == ["a.jpg", "b ä.jpg"]
    assert sorted(_names(f"{roll}/**/*.jpg")) == [
        "a.jpg",
        "b ä.jpg",
        "c.jpg",
    ]


def test_trash_is_not_backed_up(roll) -> None:
    before = _names(roll)
    put(roll / "day" / ".piccl-trash" / "run" / "x.jpg", b"photo")
    assert _names(roll) == before
    for pattern in ("*", "**/*", "day/.*", "day/.piccl-trash/run/*"):
        assert not any("x.jpg" in name for name in _names(f"{roll}/{pattern}"))


def test_each_file_once(roll) -> None:
    (roll / "zz.jpg").symlink_to(roll / "a.jpg")
    names = _names(roll, roll / "a.jpg", roll / "day")
    assert names == ["roll/a.jpg", "roll/b ä.jpg", "roll/day/c.jpg"]


def test_link_to_a_file_elsewhere(roll, tmp_path, jpeg) -> None:
    elsewhere = put(tmp_path / "elsewhere" / "x.jpg", jpeg(5))
    (roll / "day" / "link.jpg").symlink_to(elsewhere)
    assert "roll/x.jpg" in _names(roll)
