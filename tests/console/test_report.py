"""The report in Chromium: from the disk, whatever the photos are called."""

import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from markupsafe import escape
from PIL import Image
from PIL.ExifTags import IFD, Base
from playwright.sync_api import Page

from console import wording
from console.cards import card
from console.report import SIDE_PX, Thumbnail, choose, render, write_report
from console.thumbnails import thumbnail
from pipeline.__main__ import main
from store.search import TAGS
from store.sqlite import SqliteStore
from tests.console.conftest import DESKTOP, PHONE, Visit
from tests.console.rows import row, shots
from tests.store.samples import write

HOSTILE: Final = (
    "<img src=x onerror=hostile()>.jpg",
    "</script><script>hostile()</script>.jpg",
    "\"'><svg onload=hostile()>.jpg",
    "{{ 7 * 7 }}{% raw %}.jpg",
    "--><!--.jpg",
    "\u202egpj.exe",
    f"{'W' * 246}.jpg",
    "two\nlines\r\tof it.jpg",
    "javascript:hostile().jpg",
    "&lt;b&gt;.jpg",
    "写真 صورة 👩‍👩‍👧.jpg",
)
_WORDS: Final = {
    "user": "ada",
    "store": "sqlite:///piccl.db",
    "written": "2024-07-16 12:00",
}
VIEWS: Final = ("by-reason", "by-subject", "by-day")


def _jpeg(seed: int) -> bytes:
    image = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(image).resize((320, 240)).save(out, "JPEG")
    return out.getvalue()


def _detailed(seed: int) -> bytes:
    """A photo with as much in it as there is in real ones."""
    image = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(image).resize((640, 480), Image.Resampling.BICUBIC).save(out, "PNG")
    return out.getvalue()


def _photos(*rows: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """The rows, of photos that are there, and the bytes of each by its path."""
    files = {one["path"]: _jpeg(seed) for seed, one in enumerate(rows)}
    first = {one["sha256"]: one["path"] for one in reversed(rows)}
    files |= {one["path"]: files[first[one["sha256"]]] for one in rows}
    for one in rows:
        one["sha256"] = hashlib.sha256(files[one["path"]]).hexdigest()
        keeper = next((two for two in rows if two["id"] == one["keeper"]), None)
        if keeper:
            one["keeper_sha256"] = hashlib.sha256(files[keeper["path"]]).hexdigest()
    return list(rows), files


def _write(
    out: Path, rows: Iterable[dict[str, Any]], read: Callable[[str], bytes], **more: Any
) -> Path:
    write_report(rows, out, read=read, **_WORDS | {"most": 5000} | more)
    return out


def _open(visit: Visit, out: Path, view: str = "") -> Page:
    visit.page.goto(f"{out.as_uri()}#{view}")
    return visit.page


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every reason, and every hostile name in every place where a name stands."""
    shaken = {"shaken": 1, "delete": 1, "sharpness": 12.0}
    rows, files = _photos(
        *shots("k", "b", "c", kept_for=2),
        *shots("m", "n", kind="copy"),
        row("d", dark=1, delete=1, dark_probability=0.99, subject="food", food=1),
        row("s", screenshot=1, delete=1, screenshot_probability=0.99),
        row("t", decision="trash"),
        row("u", date="2024-07-15", decision="keep", shaken=1),
        row("far", path="gs://bucket/far.jpg"),
        row("gone", shaken=1, delete=1),
        row("changed", shaken=1, delete=1),
        row("broken", damaged=1),
        *(
            one
            for place, title in enumerate(HOSTILE)
            for one in shots(
                f"hostile{place}",
                f"other{place}",
                **shaken | {"title": title, "keeper_title": title},
            )
        ),
    )
    for one in rows:
        if one["id"].startswith("hostile"):
            one["title"] = HOSTILE[int(one["id"].removeprefix("hostile"))]
    del files["/photos/gone.jpg"]
    files["/photos/changed.jpg"] = _jpeg(99)
    files["/photos/broken.jpg"] = b"no photo"
    for one in rows:
        if one["id"] == "broken":
            one["sha256"] = hashlib.sha256(b"no photo").hexdigest()

    def read(path: str) -> bytes:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    out = tmp_path_factory.mktemp("page") / "report.html"
    return _write(out, rows, read, user=HOSTILE[0])


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_nobody_is_shut_out(
    page: Path,
    view: str,
    width: int,
    page_at,
    assert_no_overflow,
    assert_accessible,
    tab_through,
) -> None:
    visit = page_at(width, dark=width == PHONE)
    opened = _open(visit, page, view)
    assert opened.locator(".view:visible").get_attribute("id") == view
    assert_no_overflow(opened)
    assert_accessible(opened)
    reached = tab_through(opened)
    assert reached[0] == "To the photos"
    assert {"By reason", "By subject", "By day"} <= set(reached)
    # Nothing but the page was asked for.
    assert {url.partition("#")[0] for url in visit.requests} == {page.as_uri()}


@pytest.mark.parametrize("title", HOSTILE, ids=range(len(HOSTILE)))
def test_a_name_is_text_wherever_it_stands(page: Path, title: str) -> None:
    html = page.read_text("utf-8")
    assert html.count("<script") == 2
    assert html.count("</script") == 2
    shown = wording.legible(title)
    if shown != str(escape(shown)):
        assert shown not in html
    assert str(escape(shown)) in html


def test_names_are_read_as_they_are(page: Path, page_at) -> None:
    opened = _open(page_at(DESKTOP), page, "by-day")
    names = opened.locator("#by-day .name").all_text_contents()
    assert set(map(wording.legible, HOSTILE)) <= {name.strip() for name in names}
    alts = opened.locator("#by-day img").evaluate_all("all => all.map(one => one.alt)")
    assert set(map(wording.legible, HOSTILE)) <= set(alts)
    assert opened.title() == f"Photos of {HOSTILE[0]} that may go"
    # Whoever had run would have complained of itself, there being no such function.
    assert opened.evaluate("typeof hostile") == "undefined"


def test_the_policy_stands_behind_that(page: Path, tmp_path: Path, page_at) -> None:
    html = page.read_text("utf-8")
    out = tmp_path / "page.html"
    attack = (
        "<script>window.ran = 1</script><img src=x onerror='window.ran = 1'>"
        "<style>body { display: none }</style><img src='https://example.com/a.png'>"
    )
    out.write_text(html.replace("<footer>", f"{attack}<footer>"))
    visit = page_at(DESKTOP)
    opened = _open(visit, out)
    assert opened.evaluate("window.ran") is None
    assert opened.locator("body").is_visible()
    told = "".join(visit.errors)
    visit.errors.clear()
    for refused in (
        "Executing inline script",
        "Executing inline event handler",
        "Applying inline style",
        "Loading the image 'https://example.com/a.png'",
    ):
        assert f"{refused} violates" in told


def test_thumbnails_come_into_sight(page: Path, page_at) -> None:
    opened = _open(page_at(PHONE), page)
    first = opened.locator("#by-reason img").first
    opened.wait_for_function("one => one.naturalWidth", arg=first.element_handle())
    assert first.evaluate("one => [one.naturalWidth, one.naturalHeight]") == [200, 150]
    last = opened.locator("#by-reason img").last
    assert last.get_attribute("src") is None
    last.scroll_into_view_if_needed()
    opened.wait_for_function("one => one.naturalWidth", arg=last.element_handle())
    # Each photo is in the file once, however often it is shown.
    assert opened.locator("img").count() > len(_table(page))


def test_all_of_a_view_is_printed(page: Path, page_at) -> None:
    opened = _open(page_at(PHONE), page)
    assert opened.locator("#by-reason img:not([src])").count() > 0
    opened.pdf()
    assert opened.locator("#by-reason img:not([src])").count() == 0
    # The other views are not.
    assert opened.locator("#by-day img:not([src])").count() > 0


def _table(page: Path) -> list[str]:
    (table,) = re.findall('id="thumbnails">(.*?)</script>', page.read_text("utf-8"))
    return [one for one in json.loads(table) if one]


def test_views_by_mouse_by_keyboard_and_by_address(page: Path, page_at) -> None:
    opened = _open(page_at(DESKTOP), page)
    assert _view(opened) == "by-reason"
    opened.get_by_role("link", name="By day").click()
    assert _view(opened) == "by-day"
    opened.get_by_role("link", name="By subject").focus()
    opened.keyboard.press("Enter")
    assert _view(opened) == "by-subject"
    current = opened.locator("[aria-current=true]").all_text_contents()
    assert current == ["By subject"]
    # The link for those who skip the rest leaves the view as it is.
    opened.locator(".skip").focus()
    opened.keyboard.press("Enter")
    assert _view(opened) == "by-subject"
    opened.go_back()
    opened.go_back()
    assert _view(opened) == "by-day"
    _open(Visit(opened), page, "shaken")
    assert _view(opened) == "by-reason"
    assert opened.locator("#shaken").evaluate(
        "one => Math.abs(one.getBoundingClientRect().top) < 120"
    )


def _view(page: Page) -> str | None:
    page.wait_for_function("document.readyState === 'complete'")
    return page.locator(".view:visible").get_attribute("id")


def test_without_scripts_all_can_be_read(page: Path, page_at) -> None:
    opened = _open(page_at(PHONE, java_script_enabled=False), page)
    assert opened.locator(".view:visible").count() == 3
    assert opened.get_by_text("The pictures need JavaScript").is_visible()


def test_each_reason_is_explained(page: Path, page_at) -> None:
    opened = _open(page_at(DESKTOP), page)
    kept = opened.locator("#similar .card.stays[data-id=k]")
    assert kept.locator(".mark").inner_text() == "Stays"
    assert "Stays the sharpest (200, the rest at most 100)" in kept.inner_text()
    for section, text in [
        ("copies", "Copy same bytes as m.jpg, which is kept"),
        ("dark", "Dark 99 % sure that it is too dark"),
        ("screenshot", "Screenshot 99 % sure that it is one"),
        ("decided", "t.jpg"),
    ]:
        assert text in (opened.locator(f"#{section}").text_content() or "")


def test_what_can_not_be_shown_is_named(page: Path, page_at) -> None:
    opened = _open(page_at(DESKTOP), page, "by-day")
    told = "".join(opened.locator("#by-day .missing").all_text_contents())
    assert "gone.jpg: no longer there" in told
    assert "changed.jpg: changed since it was analysed" in told
    assert "broken.jpg: can not be read" in told
    assert opened.locator("[href$='/gone.jpg']").count() == 0
    assert opened.locator("[href$='/broken.jpg']").count() > 0


def test_the_original_opens(tmp_path: Path, page_at) -> None:
    path = tmp_path / "100% #1? ä &amp; <b>.jpg"
    path.write_bytes(_jpeg(1))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    rows = [
        row("a", path=str(path), sha256=sha256),
        row("b", path="gs://bucket/b.jpg"),
    ]
    out = _write(tmp_path / "page.html", rows, lambda _: path.read_bytes())
    visit = page_at(DESKTOP)
    opened = _open(visit, out, "by-day")
    with opened.expect_popup() as popup:
        opened.locator("#by-day a.photo").click()
    assert popup.value.locator("img").evaluate("one => one.naturalWidth") == 320
    assert opened.locator("#by-day .photo").count() == 2


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], "piccl backfill ~/Pictures --user 'a b' --store sqlite:///piccl.db"),
        ([row("a")], "Nothing has to go"),
        ([row("a", **dict.fromkeys(TAGS), subject=None)], "piccl weights yolo"),
    ],
    ids=["no photo", "nothing to delete", "no tags"],
)
def test_an_empty_page_says_what_to_do(
    rows: list[dict[str, Any]], text: str, tmp_path: Path, page_at, assert_accessible
) -> None:
    out = _write(tmp_path / "page.html", rows, lambda _: b"", user="a b")
    opened = _open(page_at(PHONE), out, "by-subject")
    assert text in opened.locator("body").inner_text()
    assert_accessible(opened)


def test_what_may_go_is_shown_first_and_groups_whole() -> None:
    rows = [
        row("a"),
        *shots("k", "b", "c"),
        row("d", shaken=1, delete=1),
        row("e"),
    ]
    cards = [card(one) for one in rows]

    def shown(most: int) -> str:
        return "".join(one.id for one in choose(cards, most))

    # The group of three does not fit beside d.
    assert [shown(most) for most in (1, 3, 4, 5, 6)] == [
        *("d", "ade", "kbcd", "kbcde", "akbcde")
    ]


def test_figures_count_also_what_is_not_shown(tmp_path: Path, page_at) -> None:
    rows, files = _photos(*(row(f"{n}", shaken=1, delete=1) for n in range(9)))
    out = _write(tmp_path / "page.html", rows, files.__getitem__, most=4)
    opened = _open(page_at(DESKTOP), out)
    assert "9 of 9 photos may go" in opened.locator(".top").inner_text()
    assert "Shown are 4 of 9 photos" in opened.locator(".top").inner_text()
    assert len(_table(out)) == 4


def test_it_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    out.write_text("an older page")

    def read(_: str) -> bytes:
        raise MemoryError

    with pytest.raises(MemoryError):
        _write(out, [row("a")], read)
    assert out.read_text() == "an older page"
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(OSError, match=r"folder\.html"):
        _write(tmp_path / "folder.html", [row("a")], lambda _: b"")
    assert sorted(os.listdir(tmp_path)) == ["folder.html", "page.html"]


def test_5000_photos_load_within_two_seconds(tmp_path: Path, page_at) -> None:
    groups = [
        one
        for n in range(500)
        for one in shots(f"k{n}", f"b{n}", f"c{n}", date=f"2024-05-{n % 28 + 1:02}")
    ]
    faults = [
        row(f"{reason}{n}", **{reason: 1}, delete=1, date=f"2023-{n % 12 + 1:02}-01")
        for reason in ("shaken", "dark", "screenshot")
        for n in range(200)
    ]
    rest = [
        row(f"{n}", date=f"2022-{n % 12 + 1:02}-{n % 27 + 1:02}", person=n % 3 == 0)
        for n in range(2900)
    ]
    cards = [card(one) for one in [*groups, *faults, *rest]]
    assert len(cards) == 5000
    out = tmp_path / "page.html"
    # As large as those of real photos are on average.
    some = [Thumbnail(thumbnail(_detailed(seed), SIDE_PX)) for seed in range(20)]
    assert all(2_900 < len(one.webp) < 3_600 for one in some)
    out.write_text(
        render(cards, cards, [some[n % 20] for n in range(5000)], **_WORDS), "utf-8"
    )
    assert out.stat().st_size < 30e6
    for width in (PHONE, DESKTOP):
        _loads_soon(_open(page_at(width), out))


def _loads_soon(opened: Page) -> None:
    least = {"load": 1e9}
    assert opened.locator("img").count() > 10_000
    for _ in range(5):  # of which some may share the machine with other tests
        opened.reload()
        opened.wait_for_function("document.querySelector('img[src]')?.complete")
        times = opened.evaluate(
            """() => {
                const [page] = performance.getEntriesByType("navigation");
                const [paint] = performance.getEntriesByName("first-contentful-paint");
                return {load: page.loadEventEnd, content: paint.startTime};
            }"""
        )
        least = min(least, times, key=lambda one: one["load"])
        if least["load"] < 2000:
            break
    print(least)
    assert least["load"] < 2000
    assert least["content"] < 1000


def test_photos_of_strangers_run_nothing(tmp_path: Path, page_at) -> None:
    roll = tmp_path / "roll"
    roll.mkdir()
    exif = Image.Exif()
    for tag in (Base.Make, Base.Model, Base.Artist, Base.ImageDescription):
        exif[tag] = HOSTILE[0]
    # Not a time, and no end of the page either.
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "</script>{{ 7 * 7 }}"
    names = [name for name in HOSTILE if "/" not in name and len(name) < 200]
    store = SqliteStore(tmp_path / "piccl.db")
    for seed, name in enumerate(names):
        path = roll / name
        Image.open(io.BytesIO(_jpeg(seed))).save(path, "JPEG", exif=exif)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        write(store, f"{seed}", title=name, path=str(path), sha256=sha256)
    store.close()
    out = tmp_path / "page.html"
    url = f"sqlite:///{tmp_path / 'piccl.db'}"
    assert main(["report", "--user=ada", f"--store={url}", f"--out={out}"]) == 0
    visit = page_at(PHONE)
    opened = _open(visit, out, "by-day")
    titles = opened.locator("#by-day .name").all_text_contents()
    assert sorted(title.strip() for title in titles) == sorted(
        map(wording.legible, names)
    )
    assert len(_table(out)) == len(names)
    assert opened.evaluate("typeof hostile") == "undefined"
    links = opened.locator("#by-day a.photo").evaluate_all(
        "all => all.map((one) => one.href)"
    )
    assert sorted(links) == sorted((roll / name).as_uri() for name in names)
