"""Every type that crosses a step."""

import hashlib
from dataclasses import dataclass
from typing import Optional

from apache_beam.coders import registry

from models.images import DecodedPhoto
from models.tags import DetectedObject
from store.records import photo_id

# Local files count as objects of this bucket, named by their absolute path.
LOCAL_BUCKET = "file"

# (user id, YYYY-MM-DD): the key that similar photos are grouped by.
Day = tuple[str, str]


@registry.register_row
@dataclass(frozen=True)
class UploadEvent:
    """One version of one photo that is there, or is gone.

    Attributes:
        user_id: The owner; first half of every grouping key.
        bucket: Cloud Storage bucket, or `LOCAL_BUCKET`.
        name: Object name, or absolute path.
        generation: Version of the object; for files the mtime in nanoseconds.
        size_bytes: Of the encoded photo.
        updated_at_s: When this version was stored, seconds since the Unix epoch.
        removed: It is gone, this generation and all older ones.
        known_generation: What the store knew of the photo when it was looked
            up: the generation that is there or was removed. None if nothing.
        only_objects: It is analysed already, but for the objects in it.
        announced_at_s: When it was announced on Pub/Sub; None out of a listing.
        announcement: The original message as JSON, for a dead letter.
    """

    user_id: str
    bucket: str
    name: str
    generation: int
    size_bytes: int
    updated_at_s: float
    removed: bool = False
    known_generation: Optional[int] = None  # noqa: UP045 - row coders know no `|`
    only_objects: bool = False
    announced_at_s: Optional[float] = None  # noqa: UP045
    announcement: Optional[str] = None  # noqa: UP045

    @property
    def photo_id(self) -> str:
        return photo_id(self.bucket, self.name)

    @property
    def path(self) -> str:
        """Address of the photo."""
        if self.bucket == LOCAL_BUCKET:
            return self.name
        return f"gs://{self.bucket}/{self.name}"

    @property
    def replaces(self) -> int | None:
        """The generation that this one follows whatever its number.

        A bucket's generations only grow. A file's do not: an older file, or the
        removed one out of a backup, may take its place.
        """
        return self.known_generation if self.bucket == LOCAL_BUCKET else None


@dataclass(frozen=True)
class Photo:
    """A photo in memory; each step adds what it found out.

    It holds pixels, so it never crosses a shuffle: all steps between loading
    and writing are fused.

    Attributes:
        event: Where it is from.
        decoded: Working image, size and EXIF.
        sha256: Of the encoded photo, hexadecimal.
        size_bytes: Of the encoded photo.
        sharpness: Low means shaken; None where it can not be judged.
        exposure: 0 to 1.
        descriptor: What it looks like.
        objects: What a detector saw in it; None if none looked.
        features: What the detector's backbone saw; at most 512 bytes with the
            descriptor.
        screenshot_probability: 0 to 1.
        dark_probability: 0 to 1.
    """

    event: UploadEvent
    decoded: DecodedPhoto
    sha256: str
    size_bytes: int
    sharpness: float | None = None
    exposure: float = 0.0
    descriptor: bytes = b""
    screenshot_probability: float = 0.0
    dark_probability: float = 0.0
    objects: tuple[DetectedObject, ...] | None = None
    features: bytes = b""


@registry.register_row
@dataclass(frozen=True)
class DeadLetter:
    """An input that could not be processed, with what is needed to try again.

    Attributes:
        step: The step that refused it.
        reason: A few words, the same for all of a kind.
        detail: One line for a person.
        user_id: The owner; "" if it could not be found out.
        path: Address of the photo; "" if it could not be found out.
        generation: Of the photo; 0 if it could not be found out.
        exception: Name of the error's type; "" if there was none.
        announcement: The original message as JSON, see `announcements.py`; None
            out of a listing.
    """

    step: str
    reason: str
    detail: str
    user_id: str
    path: str
    generation: int
    exception: str = ""
    announcement: Optional[str] = None  # noqa: UP045

    @property
    def id(self) -> str:
        """The same at every retry of the same input, so that repeats can be told."""
        source = self.announcement or f"{self.path}\0{self.generation}"
        return hashlib.sha256(f"{self.step}\0{source}".encode()).hexdigest()[:32]
