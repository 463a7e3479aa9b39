"""What an evaluation found: plain values that tables, JSON and a page are made of.

Every share and every AUC carries its 95 % interval. Paths are absolute, so that a
page can show the photos; `Evaluation.folder` is what they have in common.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from models.accuracy import wilson_interval


@dataclass(frozen=True)
class Share:
    """So many of so many, with the Wilson interval.

    Attributes:
        value, low, high: 0 to 1; of none, value is None and the rest (0, 1).
    """

    hits: int
    n: int
    value: float | None
    low: float
    high: float

    @classmethod
    def of(cls, hits: int, n: int) -> "Share":
        low, high = wilson_interval(hits, n)
        return cls(int(hits), int(n), hits / n if n else None, low, high)


@dataclass(frozen=True)
class Auc:
    """Share of pairs of a yes and a no that are ranked right, bootstrapped.

    Attributes:
        value, low, high: 0 to 1.
        groups: How many groups (sources) the bootstrap drew from.
    """

    value: float
    low: float
    high: float
    groups: int


@dataclass(frozen=True)
class Judged:
    """One photo as one verdict saw it: what all figures of a verdict come from.

    Attributes:
        path: Absolute.
        kind: What the labels call it, as "dark on purpose".
        truth: What the labels say of the verdict; None if nothing.
        presumed: Nobody said so, but it is presumed to be a no.
        score: Rounded, as stored; None where the photo can not be judged.
        threshold: What the score was compared with.
        called: The verdict.
        held_out: The shipped detector learned from this very photo, so score and
            threshold are of one that saw nothing of its source.
        group: Its source, whose photos agree; the path where none is known.
    """

    path: str
    kind: str
    truth: bool | None
    presumed: bool
    score: float | None
    threshold: float
    called: bool
    held_out: bool
    group: str


@dataclass(frozen=True)
class KindFigures:
    """How many photos of one kind a verdict was given.

    Attributes:
        kind: What the labels call it.
        truth: Whether it should be; None where the labels do not say.
        called: The share that was.
        auc: Of all yes photos against this kind, if it is a no.
        presumed: Nobody said so, but it is presumed to be a no.
    """

    kind: str
    truth: bool | None
    called: Share
    auc: Auc | None = None
    presumed: bool = False


@dataclass(frozen=True)
class VerdictFigures:
    """How right one verdict is.

    Attributes:
        verdict: shaken, dark or screenshot.
        score: The name of its score, as "sharpness".
        low_is_yes: The verdict is given below the threshold, not from it on.
        threshold: The one that ships, or that was asked for.
        precision: Right among those called. It goes with the mix of the photos.
        recall: Called among the yes photos.
        accuracy: Right among all that are labelled.
        false_alarms: Called among the no photos.
        presumed: Called among photos nobody labelled, presumed to be no; None if
            there are none. No part of the other figures.
        auc: None where yes or no photos are missing.
        kinds: Every kind of photo, those that are a yes first.
        yes_scores, no_scores: Of the labelled photos; those without are left out.
        held_out: How many labelled photos were judged by held-out scores.
        presumed_held_out: The same of the presumed ones.
        mistakes: The wrong ones, as `worst_first` orders them, all of them.
        presumed_called: Of `presumed`, those called, for a person to look at.
    """

    verdict: str
    score: str
    low_is_yes: bool
    threshold: float
    precision: Share
    recall: Share
    accuracy: Share
    false_alarms: Share
    presumed: Share | None
    auc: Auc | None
    kinds: tuple[KindFigures, ...]
    yes_scores: tuple[float, ...]
    no_scores: tuple[float, ...]
    held_out: int
    mistakes: tuple[Judged, ...]
    presumed_called: tuple[Judged, ...] = ()
    presumed_held_out: int = 0

    @property
    def yes(self) -> int:
        """How many labelled photos should be called."""
        return self.recall.n

    @property
    def no(self) -> int:
        return self.false_alarms.n


@dataclass(frozen=True)
class BaselineFigures:
    """The same of another tool, on the same photos.

    Attributes:
        name: As "CleanVision 0.3.7, defaults".
        figures: Its verdict; `held_out` is 0, as it learned from none of them.
    """

    name: str
    figures: VerdictFigures


@dataclass(frozen=True)
class TagFigures:
    """How right one tag, or all of them at one threshold, are.

    Attributes:
        name: A tag; "" for all together.
        threshold: An object counted from this confidence on.
        precision: Of the tags given, those of a labelled object.
        recall: Of the tags that labelled objects carry, those given.
    """

    name: str
    threshold: float
    precision: Share
    recall: Share


@dataclass(frozen=True)
class SubjectMistake:
    """A photo whose subject is another.

    Attributes:
        expected: Tags of its largest labelled object.
        seen: The subject given; "" for none.
    """

    path: str
    expected: tuple[str, ...]
    seen: str


@dataclass(frozen=True)
class ObjectFigures:
    """How right tags and subject are, on photos whose objects are labelled.

    Attributes:
        photos: How many there are.
        overall: All tags together, at the thresholds in use.
        tags: The same, tag by tag.
        curve: All tags together, by rising threshold, one for all tags.
        subject: Right among photos whose largest labelled object covers over a
            quarter of them and carries a tag.
        mistakes: The others.
        halves: All tags together on each half of the sources, at the threshold that
            the other half chooses; empty where one chooses none.
    """

    photos: int
    overall: TagFigures
    tags: tuple[TagFigures, ...]
    curve: tuple[TagFigures, ...]
    subject: Share
    mistakes: tuple[SubjectMistake, ...]
    halves: tuple[TagFigures, ...] = ()


@dataclass(frozen=True)
class PairMistake:
    """Two photos that were wrongly put into one group, or wrongly were not.

    Attributes:
        paths: Of both, absolute; of made photos, below a temporary folder that is
            there until the command ends.
        kind: As "slight rotation".
        truth: Whether they are similar shots.
    """

    paths: tuple[str, str]
    kind: str
    truth: bool


@dataclass(frozen=True)
class PairFigures:
    """How right groups are, of one sort of series.

    Attributes:
        name: As "real series".
        different: How many pairs are of two series.
        precision: Right among the pairs called similar.
        recall: Called among the pairs of one series.
    """

    name: str
    different: int
    precision: Share
    recall: Share


@dataclass(frozen=True)
class SimilarFigures:
    """How right groups of similar shots, and the photo kept of each, are.

    A pair is two photos of one user and day; it is called similar if both are in
    one group.

    Attributes:
        precision, recall, kinds: Of all pairs; see `VerdictFigures`.
        keeper: Groups of a photo and its degraded copies that keep the photo.
        keeper_kinds: The same by what was done to the copies; `called` is right.
        made: How many of the photos were made by code out of the labelled ones.
        mistakes: Wrong pairs, those wrongly called first.
        keeper_mistakes: The photo that should have been kept, then the one kept.
        sorts: Pairs of real series, and of made ones, which are easier.
        subject_ignored: Pairs of different made photos that are called similar where
            the subject can not tell them apart; no part of the other figures.
    """

    precision: Share
    recall: Share
    kinds: tuple[KindFigures, ...]
    keeper: Share | None
    keeper_kinds: tuple[KindFigures, ...]
    made: int
    mistakes: tuple[PairMistake, ...]
    keeper_mistakes: tuple[PairMistake, ...] = ()
    sorts: tuple[PairFigures, ...] = ()
    subject_ignored: KindFigures | None = None


@dataclass(frozen=True)
class CopyFigures:
    """Whether a verdict stays when a photo is stored smaller or compressed again.

    Attributes:
        verdict: shaken, dark or screenshot.
        kind: What was done, as "at most 1024 pixels".
        same: Copies that got the verdict of their original, or the one that they
            were made for.
        found: Of the copies of photos that are a yes, those called.
        changed: Originals of the others.
        false_alarms: Of the copies of photos that are a no, those called.
    """

    verdict: str
    kind: str
    same: Share
    found: Share
    changed: tuple[str, ...]
    false_alarms: Share | None = None


@dataclass(frozen=True)
class Unreadable:
    """A photo that the backfill put among its dead letters, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """Everything one run of `piccl evaluate` found.

    Attributes:
        command: What was typed, to print the same figures again.
        folder: Absolute; what the photos' paths have in common.
        versions: What the photos were looked at by: piccl, analysis, detector, ...
        settings: Thresholds and methods, by option.
        photos: How many were scored.
        kinds: How many of each kind.
        unreadable: What could not be decoded; part of no other figure.
        verdicts: shaken, dark and screenshot, those of which labels say anything.
        objects: None without labelled objects or without a detector.
        similar: None without series and made photos.
        copies: Empty if no copies were made.
        baselines: Of other tools, if asked for.
        made_folder: Absolute; photos below it were made, and go with the command.
    """

    command: str
    folder: str
    versions: Mapping[str, str | None]
    settings: Mapping[str, object]
    photos: int
    kinds: Mapping[str, int]
    unreadable: Sequence[Unreadable]
    verdicts: Sequence[VerdictFigures]
    objects: ObjectFigures | None = None
    similar: SimilarFigures | None = None
    copies: Sequence[CopyFigures] = field(default_factory=tuple)
    baselines: Sequence[BaselineFigures] = field(default_factory=tuple)
    made_folder: str = ""
