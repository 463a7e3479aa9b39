"""What the pages show, and in which order."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from console import cards, views, wording
from console.cards import Card
from store.search import TAGS, PhotoQuery
from store.sqlite import SqliteStore
from tests.console.rows import GOOD, row, shots
from tests.store.samples import write


def _cards(rows: Sequence[dict[str, Any]]) -> list[Card]:
    return [cards.card(one) for one in rows]


def _section(key: str, rows: Sequence[dict[str, Any]]) -> views.ReasonSection:
    sections = {one.key: one for one in views.reason_sections(_cards(rows))}
    return sections[key]


def _why(rows: Sequence[dict[str, Any]]) -> str:
    keeper, *others = _cards(rows)
    return views.why_kept(keeper, others)


def test_rows_of_these_tests_are_rows_of_a_store(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "piccl.db")
    write(store, "a")
    (found,) = store.search(PhotoQuery("ada"))
    assert set(GOOD) == set(found)


def test_the_surest_comes_first() -> None:
    shaken = {"shaken": 1, "delete": 1, "sharpness_threshold": 73.0}
    rows = [
        row("b", **shaken | {"sharpness": 60.0}),
        row("a", **shaken | {"sharpness": 12.0}),
        # Surer than b: another version has another scale.
        row("c", **shaken | {"sharpness": 70.0, "sharpness_threshold": 180.0}),
        *(
            row(f"d{sure}", dark=1, delete=1, dark_probability=sure)
            for sure in (0.95, 0.99, 0.97)
        ),
    ]
    assert [one.id for one in _section("shaken", rows).cards] == ["a", "c", "b"]
    assert [one.id for one in _section("dark", rows).cards] == [
        "d0.99",
        "d0.97",
        "d0.95",
    ]
    assert [one.key for one in views.reason_sections(_cards(rows))] == [
        *("shaken", "dark")
    ]


def test_what_stays_is_in_no_reason() -> None:
    rows = [
        row("kept", shaken=1, decision="keep"),
        row("damaged", dark=1, damaged=1),
        row("last", screenshot=1, kept_for=2),
    ]
    assert views.reason_sections(_cards(rows)) == []
    assert views.freed(_cards(rows)) == 0


def test_space_counts_once_for_two_reasons() -> None:
    rows = [*shots("k", "b", shaken=1, bytes=300), row("c", dark=1, delete=1, bytes=5)]
    sections = views.reason_sections(_cards(rows))
    assert {one.key: one.bytes for one in sections} == {
        "similar": 300,
        "shaken": 300,
        "dark": 5,
    }
    assert views.freed(_cards(rows)) == 305


def test_a_group_stands_with_the_photo_that_stays() -> None:
    (group,) = _section("similar", shots("k", "b", "c")).groups
    assert group.keeper is not None
    assert (group.keeper.id, [one.id for one in group.others]) == ("k", ["b", "c"])
    assert group.why == "the sharpest (200, the rest at most 100)"
    assert group.bytes == 2_000_000


def test_what_the_user_keeps_stays_in_its_group() -> None:
    rows = shots("k", "b", "c")
    rows[2] |= {"delete": 0, "decision": "keep"}
    section = _section("similar", rows)
    assert [one.id for one in section.groups[0].others] == ["b", "c"]
    assert [one.id for one in section.removable] == ["b"]
    assert section.bytes == 1_000_000


def test_copies_stand_apart_from_shots() -> None:
    rows = [
        *shots("k", "b"),
        *shots("k", "copy", kind="copy", bytes=7)[1:],
        *shots("m", "n", kind="copy", bytes=900),
    ]
    copies = _section("copies", rows)
    assert [one.id for one in copies.removable] == ["n", "copy"]
    assert copies.bytes == 907
    assert copies.reason == "similar"
    assert [one.id for one in _section("similar", rows).removable] == ["b"]


def test_groups_that_free_most_come_first() -> None:
    rows = [*shots("k", "b", bytes=5), *shots("m", "n", "o", bytes=4)]
    assert [one.id for one in _section("similar", rows).groups] == ["m", "k"]


def test_a_group_without_its_keeper_is_shown() -> None:
    (group,) = _section("similar", shots("k", "b")[1:]).groups
    assert (group.keeper, group.why) == (None, "")
    assert [one.id for one in group.others] == ["b"]


def test_what_the_user_trashed_is_told_apart() -> None:
    section = _section("decided", [row("a", decision="trash", bytes=9), row("b")])
    assert [one.id for one in section.cards] == ["a"]
    assert section.bytes == 9


@pytest.mark.parametrize(
    ("keeper", "other", "why"),
    [
        ({}, {}, "the sharpest (200, the rest 100)"),
        ({"decision": "keep"}, {}, "you decided to keep it"),
        ({}, {"decision": "trash"}, "you did not decide that it may go"),
        ({}, {"damaged": 1}, "the only one whose file is whole"),
        ({}, {"dark": 1}, "the only one without a fault"),
        ({"dark": 1}, {"dark": 1}, "the sharpest (200, the rest 100)"),
        # Another method or version has another scale.
        (
            {},
            {"fingerprint": "old"},
            "chosen among shots that were not scored alike",
        ),
        (
            {"width": 4000},
            {"fingerprint": "old", "sharpness": 900.0},
            "the one with most pixels",
        ),
        ({}, {"sharpness": 200.0}, "the best of sharpness, light and size together"),
        # No difference that the figures would not show.
        ({}, {"sharpness": 199.9999}, "the sharpest (200, the rest 199)"),
        ({}, {"sharpness": 300.0}, "the best of sharpness, light and size together"),
        ({}, {"sharpness": None}, "the best of sharpness, light and size together"),
        ({"sharpness": None}, {}, "the best of sharpness, light and size together"),
    ],
)
def test_why_a_photo_stays(
    keeper: dict[str, Any], other: dict[str, Any], why: str
) -> None:
    kept, another = shots("k", "b")
    assert _why([kept | keeper, another | other]) == why


def test_why_one_of_equal_files_stays() -> None:
    assert (
        _why(shots("k", "b", "c", kind="copy")) == "one of 3 files with the same bytes"
    )
    # A copy of the keeper is no rival of it.
    rows = [*shots("k", "b"), *shots("k", "copy", kind="copy")[1:]]
    assert _why(rows) == "the sharpest (200, the rest 100)"


def test_each_photo_has_one_subject() -> None:
    rows = [
        row("a", subject="food", food=1, person=1),
        row("b", person=1, bag=1),
        row("c"),
        row("d", subject=None, **dict.fromkeys(TAGS)),
        row("e", subject="person", person=1),
    ]
    sections = views.subject_sections(_cards(rows))
    assert [(one.key, [card.id for card in one.cards]) for one in sections] == [
        ("person", ["b", "e"]),
        ("food", ["a"]),
        ("nothing", ["c"]),
        ("unsearched", ["d"]),
    ]
    assert _cards(rows)[0].tags == ("food", "person")


def test_the_latest_day_comes_first() -> None:
    rows = [row("a"), row("b"), row("c", date="2024-07-15", shaken=1, delete=1)]
    sections = views.day_sections(_cards(rows))
    assert [(one.title, len(one.cards), one.may_go) for one in sections] == [
        ("Monday, 15 July 2024", 1, 1),
        ("Sunday, 14 July 2024", 2, 0),
    ]


def test_a_long_time_is_jumped_by_years() -> None:
    def titles(months: int) -> list[str]:
        rows = [
            row(f"{n}", date=f"{2000 + n // 12}-{n % 12 + 1:02}-02")
            for n in range(months)
        ]
        found = views.periods(
            views.day_sections(_cards([*rows, row("a", date="2000-01-01")]))
        )
        return [f"{one.title}: {one.key}" for one in found]

    assert titles(2) == ["February 2000: 2000-02-02", "January 2000: 2000-01-02"]
    assert titles(24) == ["2001: 2001-12-02", "2000: 2000-12-02"]


def test_a_name_goes_on_in_the_next_line_and_is_text() -> None:
    assert wording.breakable("a_<b>-1.jpg") == "a_<wbr>&lt;b&gt;-<wbr>1.<wbr>jpg"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("IMG 1.jpg", "IMG 1.jpg"),
        ("été 写真 صورة.jpg", "été 写真 صورة.jpg"),
        ("a\u202egpj.exe", "a\ufffdgpj.exe"),
        ("two\nlines\t.jpg", "two\ufffdlines\ufffd.jpg"),
        ("half \ud800.jpg", "half \ufffd.jpg"),
    ],
)
def test_a_name_is_legible(name: str, shown: str) -> None:
    assert cards.card(row("a", title=name)).title == shown


def test_sentences_are_legible_too() -> None:
    (_, other) = _cards(shots("k", "b", keeper_title="a\u202egpj.exe"))
    assert "a\ufffdgpj.exe" in other.sentences[0]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (499, "499 bytes"),
        (999, "1 kB"),
        (57_300, "57 kB"),
        (999_499, "999 kB"),
        (26_700_000, "26.7 MB"),
        (999_960_000, "1.0 GB"),
        (1_250_000_000_000, "1,250.0 GB"),
    ],
)
def test_sizes_are_written_as_a_person_does(count: int, text: str) -> None:
    assert wording.size(count) == text
