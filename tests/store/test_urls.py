from pathlib import Path

import pytest

from store.records import StoreError
from store.urls import DEFAULT_URL, open_store


def test_relative_address_means_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    open_store("sqlite:///photos.db").close()
    assert (tmp_path / "photos.db").is_file()


def test_absolute_address_has_four_slashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    open_store(f"sqlite:///{tmp_path}/photos.db").close()
    assert (tmp_path / "photos.db").is_file()


def test_default_address_is_a_file_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    open_store(DEFAULT_URL).close()
    assert (tmp_path / "piccl.db").is_file()


def test_memory_is_a_file_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each worker opens the store anew; in memory, each would have its own.
    monkeypatch.chdir(tmp_path)
    open_store("sqlite:///:memory:").close()
    assert (tmp_path / ":memory:").is_file()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "piccl.db",
        "sqlite:",
        "sqlite:///",
        "sqlite://piccl.db",
        "sqlite:/piccl.db",
        "postgres:///piccl.db",
        "file:///piccl.db",
        "///piccl.db",
    ],
)
def test_other_addresses_are_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match="sqlite:///FILE") as refused:
        open_store(url)
    assert repr(url) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_must_exist_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no database at"):
        open_store(f"sqlite:///{tmp_path}/photos.db", must_exist=True)
    assert list(tmp_path.iterdir()) == []
