"""The page of an evaluation: whole, safe to open, and readable by everybody."""

import base64
import dataclasses
import io
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from pipeline.evaluation import page
from pipeline.evaluation.figures import (
    BaselineFigures,
    CopyFigures,
    Evaluation,
    Judged,
    KindFigures,
    ObjectFigures,
    PairFigures,
    PairMistake,
    Share,
    SimilarFigures,
    SubjectMistake,
    TagFigures,
    Unreadable,
    VerdictFigures,
)
from pipeline.evaluation.judging import verdict_figures

HOSTILE = "\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}&amp;.jpg"
# Elements that end themselves.
VOID = {"meta", "img", "br", "hr", "link", "input"}


class _Page(HTMLParser):
    """What of a page a browser would build."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], "elements are left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, attribute: str) -> list[str]:
        return [
            value
            for _, attributes in self.elements
            if (value := attributes.get(attribute)) is not None
        ]


def _judged(path: Path, kind: str, truth: bool | None, score: float | None) -> Judged:
    called = score is not None and score < 180
    return Judged(
        str(path), kind, truth, truth is None, score, 180.0, called, True, kind
    )


def _verdict(*photos: Judged, verdict: str = "shaken") -> VerdictFigures:
    return verdict_figures(
        verdict, photos, score="sharpness", low_is_yes=True, threshold=180.0
    )


def _photo(path: Path) -> Path:
    """Stored lying, red where the upright photo has its top."""
    image = Image.new("RGB", (600, 400), "blue")
    image.paste("red", (0, 0, 300, 400))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(path, "JPEG", exif=exif)
    return path


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    folder = tmp_path_factory.mktemp("photos")
    sharp, blurred = _photo(folder / "sharp.jpg"), _photo(folder / "blurred.jpg")
    shaken = _verdict(
        _judged(sharp, "sharp", False, 61.0),
        _judged(blurred, "blur", True, 250.0),
        _judged(folder / "flat.jpg", "blur", True, None),
        _judged(folder / "found.jpg", "blur", True, 100.0),
        _judged(folder / "boxes.jpg", "boxes", None, 90.0),
    )
    tags = TagFigures("", 0.4, Share.of(8, 10), Share.of(7, 10))
    return Evaluation(
        command="piccl evaluate photos --html page.html",
        folder=str(folder),
        versions={"piccl": "0.1.0", "detector": None},
        settings={"--blur-threshold": 180.0},
        photos=5,
        kinds={"sharp": 1, "blur": 3, "": 1},
        unreadable=[Unreadable(str(folder / "empty.jpg"), "empty file")],
        verdicts=[shaken],
        objects=ObjectFigures(
            photos=1,
            overall=tags,
            tags=(dataclasses.replace(tags, name="animal"),),
            curve=(tags, dataclasses.replace(tags, threshold=0.6)),
            subject=Share.of(0, 1),
            mistakes=(SubjectMistake(str(sharp), ("animal",), ""),),
        ),
        similar=SimilarFigures(
            precision=Share.of(9, 10),
            recall=Share.of(9, 10),
            kinds=(KindFigures("resized", True, Share.of(9, 10)),),
            keeper=Share.of(1, 2),
            keeper_kinds=(KindFigures("noisy", None, Share.of(1, 2)),),
            made=10,
            mistakes=(PairMistake((str(sharp), str(blurred)), "resized", True),),
            sorts=(
                PairFigures("real series", 7, Share.of(1, 2), Share.of(1, 6)),
                PairFigures("made re-shots", 8, Share.of(8, 8), Share.of(8, 8)),
            ),
            subject_ignored=KindFigures("subject ignored", False, Share.of(3, 8)),
        ),
        copies=[CopyFigures("shaken", "smaller", Share.of(4, 5), Share.of(0, 0), ())],
        baselines=[BaselineFigures("another tool", shaken)],
    )


@pytest.fixture(scope="module")
def html(evaluation: Evaluation) -> str:
    return page.render(evaluation)


@pytest.fixture(scope="module")
def parsed(html: str) -> _Page:
    return _Page(html)


def test_page_tells_figures_with_intervals_and_counts(parsed: _Page) -> None:
    text = " ".join(parsed.text.split())
    # Recall of shaken photos, and the same of the other tool.
    assert text.count("33.3 % 6.1 to 79.2 1 of 3") >= 2
    assert "another tool" in text
    assert "100.0 % 20.7 to 100.0 1 of 1" in text, "by kind"
    assert "piccl evaluate photos --html page.html" in text
    assert "empty file" in text


def test_real_series_stand_beside_made_ones(parsed: _Page) -> None:
    text = " ".join(parsed.text.split())
    assert "Similar, real series 6 pairs of one series, 7 of two 50.0 %" in text
    assert "Similar, made re-shots 8 pairs of one series, 8 of two 100.0 %" in text
    # Its recall, in the table of all and in that of similar shots.
    assert text.count("16.7 % 3.0 to 56.4 1 of 6") == 2
    assert "subject ignored no 37.5 % 13.7 to 69.4 3 of 8" in text
    assert "depend on each other" in text


def test_mistakes_are_shown_upright_with_score_threshold_and_sentence(
    parsed: _Page,
) -> None:
    text = " ".join(parsed.text.split())
    assert "Wrongly called shaken: sharpness 61, called below 180." in text
    assert "Missed: not shaken by its sharpness 250, called below 180." in text
    assert "Not called shaken: there is too little in it to judge." in text
    assert "Called shaken, and nobody labelled it: sharpness 90" in text
    assert text.index("sharpness 61") < text.index("sharpness 250"), "the worst first"
    # Two of the photos are there: two mistakes, a subject, a pair.
    thumbnails = parsed.values("src")
    assert len(thumbnails) == 5
    for thumbnail in thumbnails:
        kind, _, data = thumbnail.partition(",")
        assert kind == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert image.size == (170, 256)
            red, _, blue = image.convert("RGB").getpixel((80, 20))
            assert red > 200 > 60 > blue


def test_page_asks_for_nothing_and_runs_nothing(html: str, parsed: _Page) -> None:
    rest = re.sub(r"data:image/jpeg;base64,[\w+/=]+", "", html)
    assert not re.search(r"https?:|//\w|@import|url\((?!#)|data:image", rest)
    assert not {"script", "link", "iframe", "object"} & {
        tag for tag, _ in parsed.elements
    }
    policies = [
        attributes["content"]
        for _, attributes in parsed.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    links = parsed.values("href") + parsed.values("xlink:href")
    assert {link[0] for link in links} == {"#"}


def test_what_files_and_labels_are_called_is_only_text(
    tmp_path: Path, evaluation: Evaluation
) -> None:
    photo = _photo(tmp_path / HOSTILE.replace("/", ""))
    unprintable = Path(os.fsdecode(b"/gone/\xff\xfe.jpg"))
    hostile = dataclasses.replace(
        evaluation,
        command=f"piccl evaluate {HOSTILE} {unprintable}",
        folder=f"{tmp_path}/{HOSTILE}",
        settings={"--blur-model": HOSTILE},
        kinds={HOSTILE: 1},
        unreadable=[Unreadable(str(unprintable), HOSTILE)],
        verdicts=[
            _verdict(
                _judged(photo, HOSTILE, False, 61.0),
                _judged(unprintable, HOSTILE, True, 250.0),
            )
        ],
    )
    harmless = dataclasses.replace(
        hostile,
        command="",
        folder="/",
        settings={"": ""},
        kinds={"": 1},
        unreadable=[Unreadable("", "")],
        verdicts=[
            _verdict(
                _judged(_photo(tmp_path / "a.jpg"), "b", False, 61.0),
                _judged(Path("c"), "b", True, 250.0),
            )
        ],
    )
    page.write_page(hostile, tmp_path / "page.html")
    parsed = _Page((tmp_path / "page.html").read_text("utf-8"))
    assert [tag for tag, _ in parsed.elements] == [
        tag for tag, _ in _Page(page.render(harmless)).elements
    ]
    assert parsed.text.count(HOSTILE) >= 7
    assert "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}.jpg" in parsed.text


def test_ids_are_unique_and_every_link_leads_somewhere(parsed: _Page) -> None:
    ids = parsed.values("id")
    assert len(ids) == len(set(ids))
    links = parsed.values("href") + parsed.values("xlink:href")
    clips = [path[5:-1] for path in parsed.values("clip-path")]
    assert len(clips) > 2, "plots have clip paths"
    assert {link.removeprefix("#") for link in [*links, *clips]} <= set(ids)


def test_plots_show_scores_and_curve_in_the_colours_of_the_page(
    html: str, parsed: _Page
) -> None:
    labels = [
        attributes.get("aria-label") or ""
        for tag, attributes in parsed.elements
        if tag == "svg"
    ]
    assert len(labels) == 2
    assert "threshold 180" in labels[0]
    assert "Precision of tags" in labels[1]
    drawn = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert "should be called shaken: 2" in drawn
    assert "should not be called shaken: 1" in drawn
    assert set(re.findall(r"#[0-9a-f]{6}\b", drawn)) == set(), "no colour of its own"
    assert {"var(--yes)", "var(--no)", "var(--ink)"} <= set(
        re.findall(r"var\(--\w+\)", drawn)
    )


def _luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    levels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_both_colour_schemes_are_whole_and_have_contrast(html: str) -> None:
    assert '<meta name="color-scheme" content="light dark">' in html
    light, dark = (
        dict(re.findall(r"--(\w+): (#\w+)", block))
        for block in re.findall(r":root \{(.*?)\}", html, re.DOTALL)
    )
    assert "@media (prefers-color-scheme: dark)" in html
    assert set(re.findall(r"var\(--(\w+)\)", html)) <= light.keys() == dark.keys()
    for scheme in (light, dark):
        for name in ("ink", "muted", "link", "yes", "no"):
            for behind in ("paper", "card"):
                pair = sorted(_luminance(scheme[n]) for n in (name, behind))
                ratio = (pair[1] + 0.05) / (pair[0] + 0.05)
                assert ratio >= (3 if name in ("yes", "no") else 4.5), (name, behind)


def test_cells_carry_their_heading_for_narrow_screens(html: str, parsed: _Page) -> None:
    cells = [attributes for tag, attributes in parsed.elements if tag == "td"]
    assert len(cells) > 20
    assert all("data-label" in attributes for attributes in cells)
    assert '<meta name="viewport" content="width=device-width' in html


def test_page_of_nothing_and_of_verdicts_without_scores(tmp_path: Path) -> None:
    nothing = Evaluation("", "/", {}, {}, 0, {}, [], [])
    assert "How right PICCL is" in _Page(page.render(nothing)).text
    unscored = dataclasses.replace(
        nothing, verdicts=[_verdict(_judged(tmp_path / "a.jpg", "blur", True, None))]
    )
    parsed = _Page(page.render(unscored))
    assert "svg" not in {tag for tag, _ in parsed.elements}
    assert "cannot be shown" in parsed.text


def test_only_the_worst_mistakes_are_shown(
    tmp_path: Path, evaluation: Evaluation
) -> None:
    many = _verdict(
        *(_judged(tmp_path / f"{n}.jpg", "sharp", False, n / 2) for n in range(99))
    )
    only = dataclasses.replace(
        evaluation, verdicts=[many], objects=None, similar=None, baselines=()
    )
    text = " ".join(_Page(page.render(only)).text.split())
    assert text.count("Wrongly called") == page.SHOWN
    assert f"The worst {page.SHOWN} of 99." in text


def test_same_evaluation_gives_the_same_page(evaluation: Evaluation, html: str) -> None:
    assert page.render(evaluation) == html


def test_page_is_written_whole_or_not_at_all(
    tmp_path: Path, evaluation: Evaluation
) -> None:
    out = tmp_path / "page.html"
    out.mkdir()
    with pytest.raises(OSError, match=r"page\.html"):
        page.write_page(evaluation, out)
    assert [path.name for path in tmp_path.glob("page*")] == ["page.html"]


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100.0"), (0.9996, "99.96"), (0.99999, "99.999"), (1 - 1e-16, "100.0")],
)
def test_what_is_not_always_right_is_never_all(share: float, text: str) -> None:
    assert page.percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (61.0, "61"),
        (0.94, "0.94"),
        (0.5, "0.5"),
        (0.0, "0"),
        (0.0004, "0.0004"),
        (12345.678, "12,345.68"),
        (-3.1, "-3.1"),
        (100.0, "100"),
    ],
)
def test_numbers_are_written_as_a_person_does(value: float, text: str) -> None:
    assert page.number(value) == text
