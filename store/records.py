"""The rows of the four tables, as the transforms hand them over.

Names and meaning follow the paper's Figure 2; what stands beside its columns is
described where it is declared.
"""

import builtins
import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

Decision = Literal["keep", "trash"]
# What is going on with a photo that is taken out of the library.
TrashState = Literal["moving", "trashed", "restoring", "purging"]

# In the folder of the photos that lie in it, so that moving them is a rename. What
# is below it is no photo to anybody else.
TRASH_FOLDER: Final = ".piccl-trash"

# Pub/Sub keeps a message for at most 31 days, so no later event can arrive.
TOMBSTONE_LIFE: Final = timedelta(days=40)

# What Firestore allows in a path and Firebase as a user's id.
_USER_ID: Final = re.compile(r"(?!\.{1,2}$|__.*__$)[^/\s\x00-\x1f\x7f]{1,128}")


class StoreError(Exception):
    """The store can not be used as it is; the text says what to do."""


class TrashRefusedError(Exception):
    """A photo may not be trashed or purged; the text is the reason, for a person."""


def in_trash(name: str) -> bool:
    """Whether a path or the name of an object lies in a trash folder of ours."""
    return TRASH_FOLDER in name.split("/")[:-1]


def photo_id(bucket: str, name: str) -> str:
    """A photo's key: the same for the same object, and spread evenly.

    Sequential keys would make hot spots in Firestore. 128 bits keep a collision
    unlikely among 10^15 photos.
    """
    return hashlib.sha256(f"{bucket}\0{name}".encode()).hexdigest()[:32]


def valid_user_id(user_id: str) -> bool:
    """Whether it can be a user's id in every store."""
    return _USER_ID.fullmatch(user_id) is not None


@dataclass(frozen=True)
class PhotoMeta:
    """A row of `photos`, without what belongs to the user or to its day.

    Attributes:
        title: File name.
        path: Address that the photo was read from.
        date: YYYY-MM-DD, the local calendar date the camera showed.
        taken_at: ISO 8601, with the offset where it is known.
        time_source: Where `taken_at` comes from.
        latitude, longitude: Signed degrees.
        generation: Version of the object; orders the versions in a bucket.
        width, height: Upright, in pixels.
        bytes: Size of the encoded photo.
        sha256: Of the encoded photo, hexadecimal.
        damaged: A part could not be decoded; such a photo is never recommended.
        sharpness: Low means shaken; None where it can not be judged.
        exposure: 0 to 1, 1 means well exposed.
        descriptor: What the photo looks like, as far as it can be told without a
            detector; with the features of `Detected` at most 512 bytes.
        fingerprint: Of the weights, algorithms and precision behind the scores.
    """

    user_id: str
    id: str
    title: str
    path: str
    date: str
    latitude: float | None
    longitude: float | None
    taken_at: str
    time_source: Literal["exif", "file"]
    generation: int
    width: int
    height: int
    bytes: int
    sha256: str
    damaged: bool
    sharpness: float | None
    exposure: float
    descriptor: builtins.bytes
    fingerprint: str


@dataclass(frozen=True)
class Detected:
    """What a detector found in a photo.

    Attributes:
        objects: JSON, whatever the transforms make of it; tags are judged by it.
        detector: Fingerprint of weights, algorithm and precision.
        features: What its backbone saw, which follows the descriptor.
    """

    objects: str
    detector: str
    features: bytes


@dataclass(frozen=True)
class PhotoTags:
    """A row of `tags`; None where no detector ran.

    Attributes:
        subject: The tag that dominates; "" if none does.
        version: Of the thresholds that decided.
    """

    person: bool | None = None
    animal: bool | None = None
    vehicle: bool | None = None
    furniture: bool | None = None
    book: bool | None = None
    bag: bool | None = None
    sports: bool | None = None
    food: bool | None = None
    device: bool | None = None
    subject: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Verdicts:
    """A row of `deletions`, without what its day decides.

    Attributes:
        shaken, dark, screenshot: The paper's reasons.
        dark_probability, screenshot_probability: 0 to 1.
        *_threshold: What the scores were compared with.
        version: Of the thresholds that decided.
    """

    shaken: bool
    dark: bool
    screenshot: bool
    sharpness_threshold: float
    dark_probability: float
    dark_threshold: float
    screenshot_probability: float
    screenshot_threshold: float
    version: str


@dataclass(frozen=True)
class PhotoState:
    """What is known of one photo, alive or removed, before it is looked at.

    Attributes:
        removed: A tombstone: the photo was there and is gone.
        bytes: Size of the encoded photo.
        fingerprint, version: Of the analysis and of the verdicts.
        detector, tags_version: Of the detector that looked at it, if one did, and
            of its tags.
        grouped_by: Version of the options its day was last grouped by.
        pending_dates: Days that still have to be regrouped because of it.
    """

    generation: int
    removed: bool
    bytes: int | None
    fingerprint: str | None
    version: str | None
    detector: str | None
    tags_version: str | None
    grouped_by: str | None
    pending_dates: frozenset[str]


@dataclass(frozen=True)
class StoredScores:
    """What a photo is judged by, and judged again without being decoded.

    Attributes:
        objects: Of `Detected`; None where no detector ran.
    """

    sharpness: float | None
    dark_probability: float
    screenshot_probability: float
    objects: str | None = None


@dataclass(frozen=True)
class Judgement:
    """What the scores of a photo lead to; None where nothing is to change."""

    verdicts: Verdicts | None
    tags: PhotoTags | None


@dataclass(frozen=True)
class DayOutcome:
    """What a day decides about one of its photos.

    Attributes:
        delete: The recommendation.
        similar: In a group, and not its keeper.
        similar_group: Name of the group; None outside of groups.
        similar_kind: "copy" for the same bytes, "shot" for another shot.
        keeper: Id of the photo of the group that stays.
        similarity: To the group's first photo, 0 to 1.
        similarity_threshold: What it was compared with.
        grouped_by: Version of the options that decided.
    """

    delete: bool = False
    similar: bool = False
    similar_group: str | None = None
    similar_kind: str | None = None
    keeper: str | None = None
    similarity: float | None = None
    similarity_threshold: float | None = None
    grouped_by: str | None = None


@dataclass(frozen=True)
class DayPhoto:
    """One photo of a user's day, with all that regrouping needs.

    Attributes:
        descriptor: With the features of a detector, if one looked.
        fingerprint: Of what scored it; scores of two are not on one scale.
        kept_for: How many photos were trashed because this one stays.
        outcome: What was decided when the day was last grouped.
    """

    id: str
    taken_at: str
    time_source: str
    latitude: float | None
    longitude: float | None
    generation: int
    sha256: str
    damaged: bool
    pixels: int
    subject: str | None
    sharpness: float | None
    exposure: float
    descriptor: bytes
    fingerprint: str
    decision: Decision | None
    shaken: bool
    dark: bool
    screenshot: bool
    outcome: DayOutcome
    kept_for: int = 0


@dataclass(frozen=True)
class TrashedFile:
    """One file or object in the trash, and all it takes to put it back.

    Attributes:
        path: Where it was.
        trash_path: Where it lies.
        generation, bytes: As it was, see `PhotoMeta`.
        sha256: Of its content, hexadecimal.
    """

    path: str
    trash_path: str
    generation: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Trashed:
    """A row of `trash`: a photo that is out of the library, and may come back.

    Attributes:
        run: What it was trashed by; restored together.
        id: Of the photo.
        unit: Id of the photo that it goes with, often its own: a RAW beside its
            JPEG is trashed and restored as one.
        state: "moving": decided, and perhaps not moved yet; "trashed"; "restoring":
            perhaps not moved back yet; "purging": perhaps not deleted yet.
        trashed_at: ISO 8601, UTC, to the second.
        reason: One of `store.search.REASONS`, "decided" or "user".
        title: File name.
        date: Its day, YYYY-MM-DD.
        files: The photo's file first, then what goes with it and is no photo of the
            store, such as the film of a live photo.
        kept: Id of the photo of its group that stays; None outside of groups.
        kept_sha256: Of the bytes of that photo.
    """

    user_id: str
    run: str
    id: str
    unit: str
    state: TrashState
    trashed_at: str
    reason: str
    title: str
    date: str
    files: Sequence[TrashedFile]
    kept: str | None = None
    kept_sha256: str | None = None


@dataclass(frozen=True)
class TrashRequest:
    """A photo to trash, as it was when that was decided.

    Attributes:
        run, unit, trashed_at, reason, files: As in `Trashed`; the first of the files
            says which generation and bytes of the photo are meant.
        reasons: The photo has to be recommended, for one of these reasons, and the
            user must not have decided. "decided" stands for the decision `trash`.
            None: the user says so now, whatever was recommended or decided.
    """

    run: str
    id: str
    unit: str
    trashed_at: str
    reason: str
    files: Sequence[TrashedFile]
    reasons: Collection[str] | None
