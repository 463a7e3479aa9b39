"""What files in folders and objects in buckets have in common."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from store.records import TrashedFile


class MoveRefusedError(Exception):
    """A file or object stays where it is; the text is the reason, for a person."""


@dataclass(frozen=True)
class Entry:
    """A file or object that is there now.

    Attributes:
        generation: As `PhotoMeta` has it.
        bytes: Its size.
        changed_at_s: When the file was last changed, seconds since the Unix epoch.
    """

    path: str
    generation: int
    bytes: int
    changed_at_s: float


class Place(Protocol):
    """Where files are kept. Whatever was cut short is finished by asking again.

    Whatever is there and was not meant is left alone: nothing is overwritten.
    """

    def alone(self, path: str) -> AbstractContextManager[None]:
        """Keep other commands from moving what lies beside it, where that matters.

        Raises:
            MoveRefusedError: The folder is not there.
        """

    def list_folder(self, folder: str) -> Sequence[Entry]:
        """What lies in a folder, without what lies deeper.

        Raises:
            MoveRefusedError: It can not be listed.
        """

    def look(self, path: str) -> Entry | None:
        """What is there now; None if nothing or no file of its own.

        Raises:
            MoveRefusedError: It can not be found out.
        """

    def open_beginning(self, path: str) -> BinaryIO:
        """The file, or as much of an object as holds what a camera wrote of it.

        Raises:
            OSError: It can not be read.
        """

    def sha256(self, entry: Entry) -> str:
        """Of the content as it is now; "" where the generation alone tells it.

        Raises:
            MoveRefusedError: It can not be read.
        """

    def write_info(self, path: str, info: bytes) -> None:
        """Write beside what is in the trash how to put it back, so that it stays.

        Raises:
            MoveRefusedError: It can not be written.
        """

    def move(self, file: TrashedFile) -> None:
        """Move into the trash, if it is as it was judged.

        Raises:
            MoveRefusedError: It is not, or can not be moved.
        """

    def check_back(self, file: TrashedFile) -> None:
        """Look whether it can be moved back.

        Raises:
            MoveRefusedError: It is not in the trash, or its place is taken.
        """

    def move_back(self, file: TrashedFile) -> int:
        """Move out of the trash, unless it is back already or never left.

        Returns:
            Its generation now; the one it had if it was deleted by hand or other
            bytes are in its place.

        Raises:
            MoveRefusedError: Its place is taken, or it can not be moved, or its disk
                may be missing.
        """

    def check_delete(self, file: TrashedFile) -> None:
        """Look whether it can be deleted for good.

        Raises:
            MoveRefusedError: What is in the trash is not what was moved there.
        """

    def delete(self, path: str) -> None:
        """Delete something in the trash; it may be gone already.

        Raises:
            MoveRefusedError: It can not be deleted.
        """

    def tidy(self, trash_path: str) -> None:
        """Remove the folders of the trash that are empty now."""
