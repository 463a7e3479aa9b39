"""What the pages show and what their buttons do, on real files in real stores."""

import datetime
import io
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from typing import Any, Final

import pytest
from flask.testing import FlaskClient
from PIL import Image

from console import finding
from console.auth import FirebaseUser
from console.firebase import token_verifier
from store.records import TrashedFile, TrashRequest
from store.search import PhotoQuery
from tests.console.firebase_tokens import Signer, certificates_of
from tests.console.library import HOSTILE, SHAKEN, Library, clone, csrf
from trash.bin import TrashBin, new_run
from trash.places import Places


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path}/photos.db"
    return f"firestore://{request.getfixturevalue('firestore_project')}"


@pytest.fixture
def library(url: str, tmp_path: Path) -> Iterator[Library]:
    folder = tmp_path / "photos"
    folder.mkdir()
    library = Library(url, folder)
    yield library
    library.store.close()


@pytest.fixture
def client(library: Library) -> FlaskClient:
    return library.app().test_client()


in_firestore = pytest.mark.parametrize("url", ["firestore"], indirect=True)
in_both = pytest.mark.parametrize("url", ["sqlite", "firestore"], indirect=True)


def act(client: FlaskClient, do: str, **fields: str) -> Any:
    """What the script gets for a button."""
    form = {"csrf_token": csrf(client.get("/").text), "do": do, **fields}
    return client.post("/act", data=form, headers={"Accept": "application/json"})


def said(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    part = answer.json["status"].partition('class="said">')[2].partition("</div>")[0]
    return [unescape(text) for text in re.findall("<p>(.*?)</p>", part)]


_BUTTON: Final = (
    r'<button[^>]*name="do" value="([^"]*)"(?: aria-label="([^"]*)")?[^>]*>([^<]*)<'
)


def buttons(client: FlaskClient, path: str) -> dict[str, str]:
    """What the buttons of a page say, by their label."""
    found = re.findall(_BUTTON, client.get(path).text)
    return {unescape(label or text): value for value, label, text in found}


def shown(client: FlaskClient, path: str) -> list[str]:
    page = client.get(path)
    assert page.status_code == 200
    return re.findall(r'data-id="([^"]*)"', page.text)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """All files of the library with their bytes and times, those in the trash too."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class TestViews:
    @in_both
    def test_each_photo_is_where_it_belongs(
        self, client: FlaskClient, library: Library
    ) -> None:
        ids = library.ids
        assert shown(client, "/reasons/similar") == [
            ids[f"shot{number}.jpg"] for number in range(3)
        ]
        assert set(shown(client, "/reasons/shaken")) == {
            ids[f"shaken{number}.jpg"] for number in range(SHAKEN)
        }
        assert shown(client, "/reasons/dark") == [ids[HOSTILE]]
        assert shown(client, "/reasons/screenshot") == []
        assert len(shown(client, "/subjects/food")) == SHAKEN + 5
        assert shown(client, "/subjects/animal") == []
        days = shown(client, "/days")
        assert (days[0], len(days)) == (ids["good.jpg"], SHAKEN + 5)
        assert shown(client, "/trash") == []
        front = client.get("/").text
        assert f"{SHAKEN + 3} of {SHAKEN + 5} photos may go" in front

    def test_hostile_name_is_text(self, client: FlaskClient, library: Library) -> None:
        paths = ["/reasons/dark", "/subjects/food", "/days"]
        pages = [client.get(path).text for path in paths]
        answer = act(client, f"trash {library.named(HOSTILE)}")
        pages += [answer.json["status"], client.get("/trash").text]
        for page in pages:
            assert "&lt;img src=x onerror" in page
            assert "<img src=x" not in page
            assert "\u202e" not in page

    def test_pages_hold_so_many_photos(
        self, client: FlaskClient, library: Library, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(finding, "PAGE", 4)
        pages = [shown(client, f"/reasons/shaken?page={number}") for number in (1, 2)]
        assert [len(page) for page in pages] == [4, SHAKEN - 4]
        assert len({*pages[0], *pages[1]}) == SHAKEN
        # A button is for what its page shows.
        assert (
            len(buttons(client, "/reasons/shaken?page=2")["Trash these 2"].split()) == 3
        )
        subjects = [shown(client, f"/subjects/food?page={n}") for n in (1, 2, 3)]
        assert [len(page) for page in subjects] == [4, 4, 3]
        # Days are whole.
        days = shown(client, "/days")
        assert len(days) == 2 + SHAKEN
        assert "before=2024-05-02" in client.get("/days").text
        assert len(shown(client, "/days?before=2024-05-02")) == 3
        assert "Earlier" not in client.get("/days?before=2024-05-02").text

    def test_days_are_looked_for_from_tomorrow_on(
        self, library: Library, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[str | None, str | None]] = []
        search = library.store.search

        def watch(query: PhotoQuery) -> Iterator[dict[str, Any]]:
            asked.append((query.first_date, query.last_date))
            return search(query)

        monkeypatch.setattr(library.store, "search", watch)
        today = datetime.date.today()

        def day(days: int) -> str:
            return (today + datetime.timedelta(days)).isoformat()

        library.add("future.jpg", "2123-01-01T12:00:00")
        library.add("today.jpg", f"{today}T12:00:00")
        last = datetime.date(9999, 12, 30)
        sections, _ = finding.day_page(library.store, "ada", last)
        assert [section.key for section in sections][:2] == ["2123-01-01", f"{today}"]
        assert asked[:4] == [
            (day(2), "9999-12-30"),
            (day(-6), day(1)),
            (day(-38), day(-7)),
            (day(-166), day(-39)),
        ]
        assert asked[-1][0] is None
        assert len(asked) <= 8

    def test_page_of_days_reads_about_a_page(
        self, library: Library, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(finding, "PAGE", 20)
        monkeypatch.setattr(finding, "_MOST_READ", 100)
        # Long ago, where a look reaches far.
        days = [datetime.date(2001, 1, 1) + datetime.timedelta(n) for n in range(1000)]
        clone(library, "good.jpg", [day.isoformat() for day in days])
        read = 0
        search = library.store.search

        def watch(query: PhotoQuery) -> Iterator[dict[str, Any]]:
            nonlocal read
            for row in search(query):
                read += 1
                yield row

        monkeypatch.setattr(library.store, "search", watch)
        before, seen = datetime.date(2015, 1, 1), []
        for _ in range(3):
            last = before - datetime.timedelta(1)
            sections, more = finding.day_page(library.store, "ada", last)
            seen += [section.key for section in sections]
            before = datetime.date.fromisoformat(seen[-1])
            assert more
        assert seen == [day.isoformat() for day in days[::-1]][: len(seen)]
        assert len(seen) >= 60
        assert read < 1000

    def test_page_of_a_reason_reads_its_own_rows(
        self, client: FlaskClient, library: Library, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(finding, "PAGE", 2)
        asked: list[PhotoQuery] = []
        monkeypatch.setattr(
            finding,
            "_cards",
            lambda store, query, cards=finding._cards: (
                asked.append(query) or cards(store, query)
            ),
        )
        pages = [shown(client, f"/reasons/shaken?page={n}") for n in (1, 2, 3)]
        assert [len(query.ids or ()) for query in asked] == [0, 2, 2, 2]
        # So does it after a click,
        act(client, f"trash {library.named('shaken0.jpg')}")
        asked.clear()
        page = client.get("/reasons/shaken?page=1")
        assert f"{SHAKEN - 1} photos, " in page.text
        assert [len(query.ids or ()) for query in asked] == [2]
        # until nothing is left there.
        act(client, f"trash {library.named('shaken1.jpg')}")
        assert shown(client, "/reasons/shaken?page=1") == pages[1]
        undo = next(v for k, v in buttons(client, "/").items() if k.startswith("Undo"))
        act(client, undo)
        assert library.ids["shaken1.jpg"] in shown(client, "/reasons/shaken")

    @pytest.mark.parametrize(
        ("before", "code"),
        [
            ("0001-01-01", 404),
            ("0001-01-02", 200),
            ("0001-02-03", 200),
            ("9999-12-31", 200),
            ("2024-02-30", 404),
            ("x", 404),
        ],
    )
    def test_days_end_with_the_calendar(
        self, client: FlaskClient, before: str, code: int
    ) -> None:
        assert client.get(f"/days?before={before}").status_code == code

    def test_what_a_crash_left_is_finished(
        self, client: FlaskClient, library: Library
    ) -> None:
        row = library.row("good.jpg")
        assert row is not None
        run = new_run()
        there = library.folder / ".piccl-trash" / run / "good.jpg"
        file = TrashedFile(
            row["path"], str(there), row["generation"], row["bytes"], row["sha256"]
        )
        at = "2026-01-01T00:00:00+00:00"
        request = TrashRequest(run, row["id"], row["id"], at, "user", [file], None)
        library.store.trash("ada", [request])
        assert shown(client, "/trash") == [row["id"]]
        assert there.exists()
        assert library.row("good.jpg") is None


class TestActions:
    @in_both
    def test_trash_and_undo_leave_all_as_it_was(
        self, client: FlaskClient, library: Library
    ) -> None:
        files, row = snapshot(library.folder), library.row("shaken0.jpg")
        label = "Trash shaken0.jpg"
        answer = act(client, buttons(client, "/reasons/shaken")[label])
        assert said(answer) == ["Moved shaken0.jpg (8 kB) to the trash."]
        assert f"{SHAKEN + 2} of {SHAKEN + 4} photos" in answer.json["counts"]
        assert not library.there("shaken0.jpg")
        assert library.row("shaken0.jpg") is None
        assert shown(client, "/trash") == [library.ids["shaken0.jpg"]]
        (undo,) = (
            value for label, value in buttons(client, "/").items() if "Undo" in label
        )
        assert said(act(client, undo)) == ["Restored shaken0.jpg (8 kB)."]
        assert snapshot(library.folder) == files
        assert library.row("shaken0.jpg") == row
        assert act(client, undo).status_code == 404

    def test_keep_and_undo(self, client: FlaskClient, library: Library) -> None:
        keep = buttons(client, "/reasons/shaken")["Keep shaken0.jpg"]
        assert said(act(client, keep)) == ["You keep shaken0.jpg."]
        assert library.ids["shaken0.jpg"] not in shown(client, "/reasons/shaken")
        assert "Keep shaken0.jpg" not in buttons(client, "/days")
        undo = buttons(client, "/")["Undo: You keep shaken0.jpg."]
        act(client, undo)
        row = library.row("shaken0.jpg")
        assert row is not None
        assert row["decision"] is None
        assert library.ids["shaken0.jpg"] in shown(client, "/reasons/shaken")

    @in_both
    def test_keep_is_undone_to_the_decision_before(
        self, client: FlaskClient, library: Library
    ) -> None:
        library.store.decide("ada", library.ids["good.jpg"], "trash")
        assert shown(client, "/reasons/decided") == [library.ids["good.jpg"]]
        act(client, f"keep {library.named('good.jpg')}")
        assert shown(client, "/reasons/decided") == []
        act(client, buttons(client, "/")["Undo: You keep good.jpg."])
        assert shown(client, "/reasons/decided") == [library.ids["good.jpg"]]

    def test_best_of_a_group_stays(self, client: FlaskClient, library: Library) -> None:
        best = buttons(client, "/reasons/similar")["Keep the best, trash 2"]
        assert said(act(client, best)) == ["Moved 2 photos (17 kB) to the trash."]
        assert [library.there(f"shot{number}.jpg") for number in range(3)] == [
            True,
            False,
            False,
        ]
        last = act(client, f"trash {library.named('shot0.jpg')}")
        assert said(last)[0] == "Nothing was moved to the trash."
        assert "last of its group" in said(last)[1]
        assert library.there("shot0.jpg")

    def test_whole_group_is_kept(self, client: FlaskClient, library: Library) -> None:
        act(client, buttons(client, "/reasons/similar")["Keep all"])
        assert shown(client, "/reasons/similar") == []
        for number in range(3):
            row = library.row(f"shot{number}.jpg")
            assert row is not None
            assert row["decision"] == "keep"

    @in_both
    def test_all_of_a_reason_is_what_the_page_showed(
        self, client: FlaskClient, library: Library
    ) -> None:
        everything = buttons(client, "/reasons/shaken")[f"Trash these {SHAKEN}"]
        library.add("late.jpg", "2024-05-02T18:00:00", shaken=True)
        library.store.decide("ada", library.ids["shaken1.jpg"], "keep")
        assert act(client, everything).status_code == 400  # not seen
        texts = said(act(client, everything, seen="on"))
        assert texts[0].startswith(f"Moved {SHAKEN - 1} photos")
        assert texts[1].startswith("shaken1.jpg: ")
        assert library.there("late.jpg")
        assert library.there("shaken1.jpg")
        assert not library.there("shaken0.jpg")

    def test_restores_one_and_a_run(
        self, client: FlaskClient, library: Library
    ) -> None:
        files = snapshot(library.folder)
        named = library.named("shaken0.jpg", "shaken1.jpg", "good.jpg")
        act(client, f"trash {named}")
        found = buttons(client, "/trash")
        act(client, found["Restore good.jpg"])
        assert library.there("good.jpg")
        assert len(shown(client, "/trash")) == 2
        (run,) = (
            value for text, value in found.items() if text.startswith("Restore a")
        )
        act(client, run)
        assert snapshot(library.folder) == files
        assert shown(client, "/trash") == []
        assert act(client, run).status_code == 404

    def test_photo_of_another_user_is_left_alone(
        self,
        client: FlaskClient,
        library: Library,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        eves = library.named("eve.jpg")
        for verb in ("trash", "keep", "trash-shaken"):
            caplog.clear()
            assert act(client, f"{verb} {eves}", seen="on").status_code == 404
            assert "no such photo of yours" in caplog.text
        row = library.row("eve.jpg", "eve")
        assert row is not None
        assert row["decision"] is None
        caplog.clear()
        mixed = act(client, f"trash {library.named('good.jpg')} {eves}")
        assert said(mixed)[1] == "1 of them are not in the library any more"
        assert "1 photos that are not the user's" in caplog.text
        assert library.there("eve.jpg")

    def test_photo_that_changed_is_left_alone(
        self, client: FlaskClient, library: Library
    ) -> None:
        seen = library.named("good.jpg", "shaken0.jpg")
        # One was analysed again since the page was made, one only written to.
        library.add("good.jpg", "2024-05-04T12:00:00")
        written = library.folder / "shaken0.jpg"
        written.write_bytes(written.read_bytes() + b"\0")
        texts = said(act(client, f"trash {seen}"))
        assert texts[0] == "Nothing was moved to the trash."
        assert "good.jpg: it has changed since you saw it" in texts
        assert any("shaken0.jpg" in text and "changed" in text for text in texts)
        assert library.there("good.jpg")
        assert library.there("shaken0.jpg")

    def test_many_at_once_leave_one_of_a_group(self, library: Library) -> None:
        app = library.app()
        named = [library.named(f"shot{number}.jpg") for number in range(3)]
        with ThreadPoolExecutor(6) as threads:
            answers = list(
                threads.map(
                    lambda one: act(app.test_client(), f"trash {one}"), named * 2
                )
            )
        assert {answer.status_code for answer in answers} <= {200, 404}
        assert sum(library.there(f"shot{number}.jpg") for number in range(3)) == 1

    def test_works_as_a_form(self, client: FlaskClient, library: Library) -> None:
        form = {
            "csrf_token": csrf(client.get("/reasons/shaken").text),
            "do": f"trash {library.named('shaken0.jpg')}",
            "back": "/reasons/shaken?page=1",
        }
        answer = client.post("/act", data=form)
        assert (answer.status_code, answer.location) == (303, "/reasons/shaken?page=1")
        page = client.get("/reasons/shaken").text
        assert "Moved shaken0.jpg (8 kB) to the trash." in page
        # It is said once; the way back stays.
        assert "said" not in client.get("/reasons/shaken").text
        assert any("Undo" in label for label in buttons(client, "/reasons/shaken"))

    @pytest.mark.parametrize(
        "fields",
        [
            {"do": ""},
            {"do": "purge a:b"},
            {"do": "trash"},
            {"do": "trash a"},
            {"do": "trash-any a:b", "seen": "on"},
            {"do": "keep a:b", "back": "//evil.example"},
            {"do": "keep a:b", "back": "https://evil.example/"},
            {"do": "keep a:b", "back": "/\\evil.example"},
            # Browsers pass over tabs and line breaks in an address.
            {"do": "keep a:b", "back": "/\t/evil.example"},
            {"do": "keep a:b", "back": "/\n/evil.example"},
        ],
        ids=lambda fields: " ".join(fields.values()),
    )
    def test_nonsense_is_refused(
        self, client: FlaskClient, fields: dict[str, str]
    ) -> None:
        assert act(client, **fields).status_code == 400

    @in_both
    @pytest.mark.parametrize(
        "do",
        [
            "restore x",
            "restore ../..",
            "undo x",
            "keep a:b",
            "keep a/b:c",
            "keep ../../eve/photos/x:c",
            "keep __a__:c",
            "keep :c",
            f"keep {'a' * 2000}:c",
        ],
        ids=lambda do: do[:40],
    )
    def test_what_is_not_there_is_refused(self, client: FlaskClient, do: str) -> None:
        assert act(client, do).status_code == 404

    def test_what_came_back_is_not_offered_to_be_undone(
        self, client: FlaskClient, library: Library
    ) -> None:
        act(client, f"trash {library.named('good.jpg', 'shaken0.jpg')}")
        act(client, buttons(client, "/trash")["Restore good.jpg"])
        assert any("Undo" in label for label in buttons(client, "/"))
        act(client, buttons(client, "/trash")["Restore shaken0.jpg"])
        assert not any("Undo" in label for label in buttons(client, "/"))

    def test_undo_of_what_another_program_restored_is_offered_no_more(
        self, client: FlaskClient, library: Library
    ) -> None:
        act(client, f"trash {library.named('good.jpg')}")
        (undo,) = (v for k, v in buttons(client, "/").items() if k.startswith("Undo"))
        bin_ = TrashBin(library.store, "ada", Places(lambda: None))
        assert bin_.restore(list(library.store.trashed("ada"))).photos
        answer = act(client, undo)
        assert answer.status_code == 404
        assert answer.json["error"] == "it is not in the trash any more"
        assert not any("Undo" in label for label in buttons(client, "/"))

    def test_undo_that_is_refused_is_offered_on(
        self, client: FlaskClient, library: Library
    ) -> None:
        act(client, f"trash {library.named('good.jpg')}")
        (undo,) = (v for k, v in buttons(client, "/").items() if k.startswith("Undo"))
        taken = library.folder / "good.jpg"
        taken.write_bytes(b"another")
        assert said(act(client, undo))[0] == "Nothing was restored."
        taken.unlink()
        assert said(act(client, undo))[0].startswith("Restored good.jpg")
        assert not any("Undo" in label for label in buttons(client, "/"))

    def test_too_much_is_refused(self, client: FlaskClient) -> None:
        assert act(client, "keep " + "a:b " * 100_000).status_code == 413


class TestPictures:
    @pytest.fixture
    def path(self, library: Library) -> str:
        return f"/photos/{library.ids['good.jpg']}"

    def test_are_made_anew(
        self, client: FlaskClient, library: Library, path: str
    ) -> None:
        for kind, longest in (("small", 400), ("large", 800)):
            answer = client.get(f"{path}/{kind}")
            assert answer.mimetype == "image/webp"
            image = Image.open(io.BytesIO(answer.data))
            assert (image.format, max(image.size)) == ("WEBP", longest)
            assert not image.getexif()
            assert b"script" not in answer.data
            assert answer.headers["Cache-Control"] == "private, max-age=3600"

    def test_large_ones_are_1600_px(
        self, client: FlaskClient, library: Library
    ) -> None:
        image = Image.new("RGB", (3000, 2000), "navy")
        exif = Image.Exif()
        exif[0x0112] = 6  # upright when turned
        library.add("large.jpg", "2024-05-05T12:00:00", image=image, exif=exif)
        answer = client.get(f"/photos/{library.ids['large.jpg']}/large")
        assert Image.open(io.BytesIO(answer.data)).size == (1067, 1600)

    def test_known_ones_are_not_sent_again(
        self, client: FlaskClient, library: Library, path: str
    ) -> None:
        row = library.row("good.jpg")
        assert row is not None
        tag = client.get(f"{path}/small").headers["ETag"]
        assert row["sha256"] in tag
        again = client.get(f"{path}/small", headers={"If-None-Match": tag})
        assert (again.status_code, again.data) == (304, b"")
        large = client.get(f"{path}/large", headers={"If-None-Match": tag})
        assert large.status_code == 200

    def test_other_bytes_are_not_shown(
        self, client: FlaskClient, library: Library, tmp_path: Path
    ) -> None:
        # Of no picture that was made before.
        fresh = Image.new("RGB", (400, 300), "orchid")
        library.add("new.jpg", "2024-05-05T12:00:00", image=fresh)
        path = f"/photos/{library.ids['new.jpg']}"
        secret = tmp_path / "secret.jpg"
        Image.new("RGB", (40, 30), "red").save(secret)
        there = library.folder / "new.jpg"
        there.unlink()
        assert client.get(f"{path}/small").status_code == 404
        there.symlink_to(secret)
        assert client.get(f"{path}/large").status_code == 404

    def test_trashed_ones_are_shown_to_their_user(
        self, client: FlaskClient, library: Library
    ) -> None:
        act(client, f"trash {library.named('good.jpg')}")
        (source,) = re.findall(r'<img src="([^"]*)"', client.get("/trash").text)
        assert client.get(source).mimetype == "image/webp"
        act(client, buttons(client, "/trash")["Restore good.jpg"])
        assert client.get(source).status_code == 404


@in_firestore
def test_each_sees_and_moves_what_the_token_says(
    library: Library, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    project = url.removeprefix("firestore://")
    google = Signer()
    with certificates_of(google):
        app = library.app(FirebaseUser(token_verifier(project)))
        clients = {}
        for uid in ("ada", "eve"):
            client = clients[uid] = app.test_client()
            form = {
                "csrf_token": csrf(client.get("/session").text),
                "token": google.token(project, uid),
            }
            assert client.post("/session", data=form).location == "/"
    # Another's photo is not shown, nor what another trashed.
    eves = library.ids["eve.jpg"]
    assert clients["eve"].get(f"/photos/{eves}/small").status_code == 200
    for kind in ("small", "large"):
        caplog.clear()
        assert clients["ada"].get(f"/photos/{eves}/{kind}").status_code == 404
        assert f"'/photos/{eves}/{kind}' from '127.0.0.1': 'no such" in caplog.text
    act(clients["eve"], f"trash {library.named('eve.jpg')}")
    (record,) = library.store.trashed("eve")
    picture = f"/trash/{record.run}/{record.id}/small"
    assert clients["eve"].get(picture).status_code == 200
    caplog.clear()
    assert clients["ada"].get(picture).status_code == 404
    assert "refused 404: 'GET' '/trash/" in caplog.text
    assert act(clients["ada"], f"restore {record.run}").status_code == 404
    assert "refused 404: 'POST' '/act'" in caplog.text
    act(clients["eve"], f"restore {record.run}")
    assert shown(clients["eve"], "/days") == [library.ids["eve.jpg"]]
    assert len(shown(clients["ada"], "/days")) == SHAKEN + 5
    named = library.named("eve.jpg")
    assert act(clients["ada"], f"trash {named}").status_code == 404
    assert said(act(clients["eve"], f"trash {named}"))[0].startswith("Moved eve.jpg")
    # What one did, another can not undo.
    (undo,) = re.findall("undo [0-9a-f]+", clients["eve"].get("/").text)
    assert act(clients["ada"], undo).status_code == 404
    assert act(clients["eve"], undo).status_code == 200
    assert library.there("eve.jpg")


@in_firestore
def test_click_and_page_cost_what_they_show(
    client: FlaskClient, library: Library
) -> None:
    usage: Counter[str] = Counter()
    library.count = lambda name, by: usage.update({name: by})
    page = client.get("/reasons/shaken")
    first = usage["store_reads"]
    usage.clear()
    client.get("/reasons/shaken")
    again = usage["store_reads"]
    form = {
        "csrf_token": csrf(page.text),
        "do": f"trash {library.named('shaken0.jpg')}",
    }
    usage.clear()
    client.post("/act", data=form, headers={"Accept": "application/json"})
    click, written = usage["store_reads"], usage["store_writes"]
    usage.clear()
    client.get("/counts")
    print(
        f"{SHAKEN} photos: {first} reads at first, {again} again, a click {click} "
        f"reads and {written} writes, counts {usage['store_reads']}"
    )
    # The photo, its verdict and its tags; and what is counted.
    assert again <= 3 * SHAKEN + 12
    assert click <= 70
