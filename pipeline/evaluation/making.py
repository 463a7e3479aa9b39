"""Photos made of labelled ones, and scored: series of shots, and copies."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from models.blur_cases import CASES
from models.similarity import group_similar
from pipeline.evaluation.figures import CopyFigures, Share
from pipeline.evaluation.labels import LabelledPhoto
from pipeline.evaluation.made_changes import unevenness
from pipeline.evaluation.made_copies import (
    CROPPED,
    MadeCopy,
    different_photos,
    write_blur_cases,
    write_copies,
)
from pipeline.evaluation.made_shots import read_rgb, write_series
from pipeline.evaluation.scoring import SCORES, Scored, Scorer
from pipeline.evaluation.similar import GroupedShot
from store.search import PhotoQuery
from store.urls import open_store
from transforms.day_outcomes import to_shot

# Of these, photos of two names show two things, if they do not look the same.
_FOR_SERIES = ("boxes", "no boxes", "photo", "sharp")
_DARK = "too dark"
# Of dark photos, those that do not look the same are soon used up; and few photos
# have a part that is plain.
_FRAMES_SHARE = 0.2
# Of each are about eight times as many as copies are.
_CASES_SHARE = 1 / 3
# Of those, sizes below the full one can be made.
_LARGE_PIXELS = 1_500_000


def grouped_shot(
    photo: Scored,
    series: str,
    kind: str,
    *,
    made: bool = False,
    frame: str = "",
) -> GroupedShot:
    """A photo of a series, and where the store has it grouped."""
    row = photo.row
    return GroupedShot(
        path=row["path"],
        series=series,
        kind=kind,
        made=made,
        # Of different users, whose photos are never compared.
        day=f"{made} {frame} {row['date']}",
        id=row["id"],
        group=row["similar_group"],
        keeper=row["keeper"],
        frame=frame,
    )


def score_made_series(
    label_of: Mapping[str, LabelledPhoto],
    scored: Mapping[str, Scored],
    scorer: Scorer,
    most: int,
) -> dict[str, list[GroupedShot]]:
    """Make series of at most so many photos, and group them.

    Returns:
        "alike": those whose pairs are judged; "degraded": those for the keeper;
        "subject ignored": "alike", grouped as if nobody knew their subjects.
    """
    in_order = _by_content(scored)
    ordinary = different_photos(
        (path for path in in_order if label_of[path].kind in _FOR_SERIES), most
    )
    few = round(most * _FRAMES_SHARE)
    frames = {
        "dark": different_photos(
            (path for path in in_order if label_of[path].kind == _DARK), few
        ),
        "plain": sorted(ordinary, key=_unevenness)[:few],
    }
    alike = _score_series("alike", ordinary, scorer)
    for frame, photos in frames.items():
        alike.extend(_score_series(frame, photos, scorer))
    return {
        "alike": alike,
        "degraded": _score_series("degraded", ordinary, scorer),
        "subject ignored": _without_subject(
            alike, ("alike", *(frame for frame in frames if frames[frame])), scorer
        ),
    }


def _unevenness(path: str) -> float:
    return unevenness(read_rgb(Path(path).read_bytes()))


def _without_subject(
    shots: Sequence[GroupedShot], users: Sequence[str], scorer: Scorer
) -> list[GroupedShot]:
    """Group what is stored once more: different photos may well have one subject."""
    store = open_store(scorer.settings.store_url)
    groups: dict[str, str] = {}
    for user in users:
        rows = store.search(PhotoQuery(user))
        for date in sorted({row["date"] for row in rows}):
            day = [replace(to_shot(one), subject=None) for one in store.day(user, date)]
            members = group_similar(day, scorer.settings.similar)
            groups |= {id_: member.group for id_, member in members.items()}
    store.close()
    return [replace(shot, group=groups.get(shot.id), keeper=None) for shot in shots]


def _score_series(
    name: str, photos: Sequence[str], scorer: Scorer
) -> list[GroupedShot]:
    if not photos:
        return []
    folder = scorer.folder / name
    folder.mkdir()
    files = {
        str((folder / file.name).resolve()): file
        for file in write_series(
            map(Path, photos),
            folder,
            degraded=name == "degraded",
            plain=name == "plain",
        )
    }
    shots, _ = scorer.score([str(folder)], name)
    return [
        grouped_shot(
            photo,
            f"{name} {files[path].series}",
            files[path].kind,
            made=True,
            frame=name if name in ("dark", "plain") else "",
        )
        for path, photo in shots.items()
    ]


def score_made_copies(
    label_of: Mapping[str, LabelledPhoto],
    scored: Mapping[str, Scored],
    scorer: Scorer,
    most: int,
) -> tuple[CopyFigures, ...]:
    """Make copies of at most so many photos, and compare what they are called.

    Of a third as many, hard cases of sharp and of shaken photos are made too.
    """
    folder = scorer.folder / "copies"
    folder.mkdir()
    chosen = itertools.islice(_in_turn(label_of, scored), most)
    copies = {
        copy.path: copy
        for copy in write_copies(
            ((path, label_of[path].screenshot is True) for path in chosen), folder
        )
    }
    sharp = itertools.islice(_sharp(label_of, scored), round(most * _CASES_SHARE))
    copies.update((copy.path, copy) for copy in write_blur_cases(sharp, folder))
    if not copies:
        return ()
    again, _ = scorer.score([str(folder)], "copies")
    pairs: dict[str, list[tuple[MadeCopy, Scored]]] = defaultdict(list)
    for path, photo in again.items():
        pairs[copies[path].kind].append((copies[path], photo))
    return tuple(
        _copy_figures(verdict, kind, pairs[kind], label_of, scored)
        for verdict in SCORES
        for kind in sorted(pairs)
        # Only screenshots are cropped, and they are not judged by how sharp they are.
        if (verdict == "screenshot" or kind != CROPPED)
        and (verdict == "shaken" or kind not in CASES)
    )


def _copy_figures(
    verdict: str,
    kind: str,
    copies: Sequence[tuple[MadeCopy, Scored]],
    label_of: Mapping[str, LabelledPhoto],
    scored: Mapping[str, Scored],
) -> CopyFigures:
    def called(truth: bool) -> Share:
        of = [
            photo.row[verdict]
            for copy, photo in copies
            if _or_else(copy.shaken, getattr(label_of[copy.original], verdict)) is truth
        ]
        return Share.of(sum(map(bool, of)), len(of))

    changed = [
        copy.original
        for copy, photo in copies
        if bool(photo.row[verdict])
        # What was made shaken should have another verdict.
        != bool(_or_else(copy.shaken, scored[copy.original].row[verdict]))
    ]
    return CopyFigures(
        verdict=verdict,
        kind=kind,
        same=Share.of(len(copies) - len(changed), len(copies)),
        found=called(True),
        changed=tuple(sorted(changed)),
        false_alarms=called(False),
    )


def _or_else(made: bool | None, of_original: bool | None) -> bool | None:
    return of_original if made is None else made


def _by_content(scored: Mapping[str, Scored]) -> list[str]:
    """In an order that has to do with nothing, yet is the same wherever they are."""
    return sorted(scored, key=lambda path: (scored[path].sha256, path))


def _in_turn(
    label_of: Mapping[str, LabelledPhoto], scored: Mapping[str, Scored]
) -> Iterator[str]:
    """One photo in turn of those with the same verdicts, the large ones first."""
    sorts: dict[str, list[str]] = defaultdict(list)
    for path in _by_content(scored):
        label = label_of[path]
        if {label.shaken, label.dark, label.screenshot} != {None}:
            sorts[f"{label.shaken} {label.dark} {label.screenshot}"].append(path)
    lists = (
        sorted(paths, key=lambda path: scored[path].pixels < _LARGE_PIXELS)
        for _, paths in sorted(sorts.items())
    )
    for of_turn in itertools.zip_longest(*lists):
        yield from (path for path in of_turn if path is not None)


def _sharp(
    label_of: Mapping[str, LabelledPhoto], scored: Mapping[str, Scored]
) -> Iterator[str]:
    """Photos labelled or presumed sharp, and not called shaken."""
    for path in _by_content(scored):
        label = label_of[path]
        is_photo = not label.screenshot and not label.dark
        is_sharp = label.shaken is False or label.presumed_sharp
        if is_photo and is_sharp and not scored[path].row["shaken"]:
            yield path
