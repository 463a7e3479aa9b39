"""What came of an attempt to move photos."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from store.records import Trashed


@dataclass(frozen=True)
class Refusal:
    """A photo that stays where it is.

    Attributes:
        id: Of the photo.
        title: File name.
        path: Where it is, or was before it was trashed.
        why: For a person.
    """

    id: str
    title: str
    path: str
    why: str

    @classmethod
    def of_row(cls, row: Mapping[str, Any], why: str) -> "Refusal":
        """Of a photo in the library."""
        return cls(row["id"], row["title"], row["path"], why)

    @classmethod
    def of_record(cls, record: Trashed, why: str) -> "Refusal":
        """Of a photo in the trash."""
        return cls(record.id, record.title, record.files[0].path, why)


@dataclass(frozen=True)
class Outcome:
    """What was moved or deleted, and what was not.

    Attributes:
        stays: In the trash, where somebody began to delete it: that nothing more was
            done is right, and no failure of who came upon it.
    """

    photos: list[Trashed] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    stays: list[Refusal] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return size_of(self.photos)


def size_of(records: list[Trashed]) -> int:
    """Bytes of all their files."""
    return sum(file.bytes for record in records for file in record.files)
