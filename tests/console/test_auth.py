"""Who gets in, who does not, and what is said about it."""

import base64
import json
import logging
import time
import uuid
from collections.abc import Iterator
from typing import Final

import pytest
from flask.testing import FlaskClient

from console.auth import FirebaseUser, TokenHolder
from console.firebase import token_verifier
from tests.console.firebase_tokens import Signer, certificates_of
from tests.console.library import Library, csrf

TOKEN: Final = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Nothing here changes it."""
    folder = tmp_path_factory.mktemp("photos")
    return Library(f"sqlite:///{tmp_path_factory.mktemp('store')}/a.db", folder)


@pytest.fixture(scope="module")
def google() -> Iterator[Signer]:
    signer = Signer()
    with certificates_of(signer):
        yield signer


@pytest.fixture
def project() -> str:
    # The library keeps an application a project, with the certificates it fetched.
    return f"piccl-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def alone(library: Library) -> FlaskClient:
    """Of a server for one user, without a token."""
    return library.app().test_client()


@pytest.fixture
def guarded(library: Library) -> FlaskClient:
    """Of a server with a token."""
    return library.app(TokenHolder("ada", TOKEN)).test_client()


@pytest.fixture
def firebase(library: Library, google: Signer, project: str) -> FlaskClient:
    """Of a server to which users sign in."""
    return library.app(FirebaseUser(token_verifier(project))).test_client()


def line(caplog: pytest.LogCaptureFixture) -> str:
    (record,) = (one for one in caplog.records if one.name == "piccl.review")
    assert record.levelno == logging.WARNING
    return record.getMessage()


class TestToken:
    def test_link_signs_in_and_leaves_the_address(self, guarded: FlaskClient) -> None:
        answer = guarded.get(f"/?token={TOKEN}")
        assert (answer.status_code, answer.location) == (302, "/")
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert TOKEN not in cookie
        assert guarded.get("/").status_code == 200

    def test_form_signs_in(self, guarded: FlaskClient) -> None:
        refused = guarded.get("/")
        assert refused.status_code == 401
        form = {"csrf_token": csrf(refused.text), "token": f" {TOKEN}\n"}
        assert guarded.post("/session", data=form).location == "/"
        assert guarded.get("/").status_code == 200

    @pytest.mark.parametrize(
        "wrong", ["", "0", TOKEN[:-1], f"{TOKEN}0", TOKEN.upper(), "é", "\0"]
    )
    def test_wrong_token_is_refused(
        self, guarded: FlaskClient, caplog: pytest.LogCaptureFixture, wrong: str
    ) -> None:
        answer = guarded.get("/", query_string={"token": wrong})
        assert answer.status_code == 401
        assert guarded.get("/counts").status_code == 401
        first = caplog.records[0].getMessage()
        assert first == "refused 401: 'GET' '/' from '127.0.0.1': 'wrong token'"

    @pytest.mark.parametrize(
        "path",
        ["/", "/reasons/shaken", "/subjects/", "/days", "/trash", "/counts", "/none"],
    )
    def test_nothing_is_shown_without(self, guarded: FlaskClient, path: str) -> None:
        answer = guarded.get(path)
        assert answer.status_code == 401
        assert "shaken" not in answer.text

    def test_photo_is_not_shown_without(
        self, guarded: FlaskClient, library: Library
    ) -> None:
        path = f"/photos/{library.ids['good.jpg']}/small"
        assert guarded.get(path).status_code == 401
        guarded.get(f"/?token={TOKEN}")
        assert guarded.get(path).status_code == 200

    def test_forged_session_is_refused(
        self, guarded: FlaskClient, library: Library
    ) -> None:
        # Signed well, but by another server.
        other = library.app(TokenHolder("ada", TOKEN)).test_client()
        other.get(f"/?token={TOKEN}")
        foreign = other.get_cookie("piccl-review")
        assert foreign is not None
        guarded.set_cookie("piccl-review", foreign.value)
        assert guarded.get("/").status_code == 401

    def test_signs_out(self, guarded: FlaskClient) -> None:
        guarded.get(f"/?token={TOKEN}")
        form = {"csrf_token": csrf(guarded.get("/").text)}
        assert guarded.post("/session/end", data=form).location == "/session"
        assert guarded.get("/").status_code == 401


class TestRequests:
    @pytest.mark.parametrize("token", [None, "", "forged", "with.two.dots"])
    @pytest.mark.parametrize("by_header", [True, False], ids=["header", "form"])
    def test_forged_csrf_token_is_refused(
        self,
        alone: FlaskClient,
        library: Library,
        caplog: pytest.LogCaptureFixture,
        token: str | None,
        by_header: bool,
    ) -> None:
        alone.get("/")
        form = {"do": f"trash {library.named('good.jpg')}"}
        headers = {}
        if token is not None and by_header:
            headers["X-CSRFToken"] = token
        elif token is not None:
            form["csrf_token"] = token
        assert alone.post("/act", data=form, headers=headers).status_code == 400
        assert "refused 400: 'POST' '/act'" in line(caplog)
        assert library.there("good.jpg")

    def test_csrf_token_of_another_session_is_refused(
        self, alone: FlaskClient, library: Library
    ) -> None:
        app = alone.application
        foreign = csrf(app.test_client().get("/").text)
        alone.get("/")
        form = {"do": f"trash {library.named('good.jpg')}", "csrf_token": foreign}
        assert alone.post("/act", data=form).status_code == 400
        assert library.there("good.jpg")

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "http://evil.example"},
            {"Origin": "http://localhost:1"},
            {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
            {"Sec-Fetch-Site": "same-site"},
        ],
        ids=["origin", "port", "cross-site", "same-site"],
    )
    def test_page_of_another_site_is_refused(
        self, alone: FlaskClient, library: Library, headers: dict[str, str]
    ) -> None:
        form = {
            "do": f"trash {library.named('good.jpg')}",
            "csrf_token": csrf(alone.get("/").text),
        }
        assert alone.post("/act", data=form, headers=headers).status_code == 403
        assert library.there("good.jpg")

    @pytest.mark.parametrize(
        "host",
        ["evil.example", "127.0.0.1.evil.example", "localhost@evil", "", "[::1]"],
    )
    def test_unknown_host_is_refused(
        self, alone: FlaskClient, caplog: pytest.LogCaptureFixture, host: str
    ) -> None:
        answer = alone.get("/", headers={"Host": host})
        assert answer.status_code == 400
        assert "shaken" not in answer.text
        assert "unknown host" in line(caplog)

    @pytest.mark.parametrize(
        "path",
        [
            "/photos/../../../../etc/passwd/small",
            "/photos/..%2f..%2fetc%2fpasswd/small",
            "/photos/%2fetc%2fpasswd/large",
            "/photos/x/original",
            "/photos/%00/small",
            "/photos/*/small",
            "/trash/../x/small",
            "/trash/%2e%2e/%2e%2e/large",
            "/templates/view.html",
            "/app.py",
            "/../app.py",
            "/static/../app.py",
            "/reasons/../../x",
            "/reasons/shaken?page=0",
            "/reasons/shaken?page=-1",
            "/reasons/shaken?page=1e3",
            "/subjects/shaken",
            "/days?before=../..",
        ],
    )
    def test_path_tricks_lead_nowhere(
        self, alone: FlaskClient, caplog: pytest.LogCaptureFixture, path: str
    ) -> None:
        assert alone.get(path).status_code == 404
        assert line(caplog).startswith("refused 404: 'GET' ")

    def test_photo_of_another_user_is_refused(
        self, alone: FlaskClient, library: Library, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = f"/photos/{library.ids['eve.jpg']}/small"
        assert alone.get(path).status_code == 404
        assert "no such photo of yours" in line(caplog)

    def test_log_line_is_one_line_and_names_no_secret(
        self, guarded: FlaskClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        guarded.get(f"/x%0aroot:%20fine%1b[2J?token={TOKEN}&a=secret")
        told = line(caplog)
        assert told.isprintable()
        assert TOKEN not in told
        assert "secret" not in told

    def test_answers_are_told_to_stay_apart(self, alone: FlaskClient) -> None:
        for path in ("/", "/none", "/review.js"):
            headers = alone.get(path).headers
            policy = headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none';")
            assert "unsafe" not in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "private" in headers["Cache-Control"]


class TestFirebase:
    def test_bearer_is_who_the_token_says(
        self, firebase: FlaskClient, google: Signer, project: str, library: Library
    ) -> None:
        of_ada = f"/photos/{library.ids['good.jpg']}/small"
        of_eve = f"/photos/{library.ids['eve.jpg']}/small"
        for uid, status in (("ada", (200, 404)), ("eve", (404, 200))):
            headers = {"Authorization": f"Bearer {google.token(project, uid)}"}
            assert (
                firebase.get(of_ada, headers=headers).status_code,
                firebase.get(of_eve, headers=headers).status_code,
            ) == status
        # Nothing of it stays.
        assert firebase.get(of_ada).status_code == 401

    def test_program_needs_no_form(
        self, firebase: FlaskClient, google: Signer, project: str, library: Library
    ) -> None:
        form = {"do": f"keep {library.named('good.jpg')}"}
        bearer = {"Authorization": f"Bearer {google.token(project, 'eve')}"}
        # What is said of it is about the photo, which is not eve's.
        assert firebase.post("/act", data=form, headers=bearer).status_code == 404
        # With a session, or to begin one, a form's token is needed as ever.
        assert firebase.post("/session", data=form, headers=bearer).status_code == 400
        signed_in = {
            "csrf_token": csrf(firebase.get("/session").text),
            "token": google.token(project, "eve"),
        }
        firebase.post("/session", data=signed_in)
        assert firebase.post("/act", data=form).status_code == 400
        forged = {"Authorization": "Bearer x"}
        assert firebase.post("/act", data=form, headers=forged).status_code == 401

    def test_session_ends_with_its_token(
        self, firebase: FlaskClient, google: Signer, project: str
    ) -> None:
        end = int(time.time()) + 3
        form = {
            "csrf_token": csrf(firebase.get("/session").text),
            "token": google.token(project, exp=end),
        }
        answer = firebase.post("/session", data=form)
        assert answer.location == "/"
        assert "HttpOnly" in answer.headers["Set-Cookie"]
        assert firebase.get("/").status_code == 200
        time.sleep(end - time.time())
        refused = firebase.get("/")
        assert refused.status_code == 401
        assert "getIdToken" in refused.text

    @pytest.mark.parametrize(
        "wrong",
        [
            {"exp": 1_700_000_000, "iat": 1_699_996_400},
            {"aud": "another-project"},
            {"iss": "https://securetoken.google.com/another-project"},
            {"iss": "https://evil.example"},
            {"sub": ""},
            {"sub": "a/../b"},
            {"iat": 4_000_000_000, "exp": 4_000_003_600},
        ],
        ids=["expired", "audience", "project", "issuer", "nobody", "path", "future"],
    )
    def test_wrong_claims_are_refused(
        self,
        firebase: FlaskClient,
        google: Signer,
        project: str,
        caplog: pytest.LogCaptureFixture,
        wrong: dict[str, object],
    ) -> None:
        token = google.token(project, **wrong)
        answer = firebase.get("/", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
        assert token not in line(caplog)

    def test_forged_tokens_are_refused(
        self,
        firebase: FlaskClient,
        google: Signer,
        project: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        right = google.token(project)
        header, claims, signature = right.split(".")
        of_eve = google.token(project, "eve").split(".")[1]
        unsigned = base64.urlsafe_b64encode(
            json.dumps({"alg": "none", "kid": "key-1"}).encode()
        ).decode()
        unsigned = unsigned.rstrip("=")
        for forged in (
            Signer().token(project),  # Another key of that name,
            Signer("key-2").token(project),  # or of another one.
            f"{header}.{of_eve}.{signature}",
            f"{header}.{claims}.",
            f"{unsigned}.{claims}.",
            right[:-8],
            "x",
            "a.b.c",
        ):
            caplog.clear()
            headers = {"Authorization": f"Bearer {forged}"}
            assert firebase.get("/", headers=headers).status_code == 401, forged
            assert line(caplog).endswith(f"'no ID token of {project}'")
        headers = {"Authorization": f"Bearer {right}"}
        assert firebase.get("/", headers=headers).status_code == 200

    @pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic YTpi", "x y z"])
    def test_other_authorization_is_refused(
        self, firebase: FlaskClient, value: str
    ) -> None:
        answer = firebase.get("/", headers={"Authorization": value})
        assert answer.status_code == 401

    def test_token_in_the_address_is_not_looked_at(
        self, firebase: FlaskClient, google: Signer, project: str
    ) -> None:
        assert firebase.get(f"/?token={google.token(project)}").status_code == 401

    def test_unreachable_certificates_are_no_way_in(
        self,
        library: Library,
        google: Signer,
        project: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(
            "firebase_admin._token_gen.ID_TOKEN_CERT_URI", "http://127.0.0.1:9/"
        )
        client = library.app(FirebaseUser(token_verifier(project))).test_client()
        headers = {"Authorization": f"Bearer {google.token(project)}"}
        assert client.get("/", headers=headers).status_code == 503
