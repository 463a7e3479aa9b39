"""Who is asking: only what a user's own browser asks for gets past here."""

import hmac
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from flask import Flask, g, redirect, request, session
from werkzeug.exceptions import Forbidden, SecurityError, Unauthorized
from werkzeug.wrappers import Response

# What somebody sees who has not signed in yet.
_OPEN: Final = (
    "sessions.sign_in_page",
    "sessions.sign_in",
    "pages.asset",
    "pages.icon",
)


class Access(Protocol):
    """How a request shows whose it is.

    Attributes:
        kind: Which sign-in page there is; "" for none.
    """

    kind: str

    def user(self) -> str | None:
        """Whose the present request is; None if it does not tell.

        Raises:
            Unauthorized: It tells, and that is not to be believed.
        """

    def sign_in(self, secret: str) -> None:
        """Remember in the session whose it is.

        Raises:
            Unauthorized: The secret does not show it.
        """


class OnlyUser:
    """Whoever can reach the server is the user: for loopback alone."""

    kind = ""

    def __init__(self, user_id: str) -> None:
        self._user_id = user_id

    def user(self) -> str | None:
        return self._user_id

    def sign_in(self, secret: str) -> None:
        raise Unauthorized("there is nothing to sign in to")


class TokenHolder:
    """Whoever knows the token is the user.

    A session ends with the process: the key that its cookie is signed with does.
    """

    kind = "token"

    def __init__(self, user_id: str, token: str) -> None:
        self._user_id = user_id
        self._token = token.encode()

    def user(self) -> str | None:
        return self._user_id if session.get("signed_in") is True else None

    def sign_in(self, secret: str) -> None:
        if not hmac.compare_digest(secret.encode(), self._token):
            raise Unauthorized("wrong token")
        session.clear()
        session["signed_in"] = True


class FirebaseUser:
    """The user whom a Firebase ID token names.

    Args:
        verify: An ID token to its claims; raises Unauthorized. It is asked for each
            token that comes; a session ends when its token does.
    """

    kind = "firebase"

    def __init__(self, verify: Callable[[str], Mapping[str, Any]]) -> None:
        self._verify = verify

    def user(self) -> str | None:
        if "Authorization" in request.headers:
            given = request.authorization
            if given is None or given.type != "bearer" or not given.token:
                raise Unauthorized("Authorization is not of the form Bearer TOKEN")
            user = str(self._verify(given.token)["uid"])
            g.by_header = True
            return user
        if time.time() >= session.get("until", 0):
            return None
        return str(session["user"])

    def sign_in(self, secret: str) -> None:
        claims = self._verify(secret)
        session.clear()
        session["user"] = claims["uid"]
        session["until"] = claims["exp"]


def guard(app: Flask, access: Access) -> None:
    """Let nothing pass that is not the user's; `g.user` says who that is."""

    @app.before_request
    def check() -> Response | None:
        # A page of another name that leads here would be of the same origin as ours.
        if isinstance(request.routing_exception, SecurityError):
            raise SecurityError(f"unknown host {request.environ.get('HTTP_HOST', '')}")
        _check_origin()
        if access.kind == "token" and request.path == "/" and "token" in request.args:
            access.sign_in(request.args["token"])
            # Out of the address line, the history and whatever is copied from there.
            return redirect("/")
        if request.endpoint in _OPEN:
            return None
        user = access.user()
        if user is None:
            raise Unauthorized("not signed in")
        g.user = user
        return None


def _check_origin() -> None:
    """Refuse what another site's page sent, beside the token that it can not know."""
    if request.method in ("GET", "HEAD"):
        return
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin", "null")
    # "null": a form of ours, as the pages have no referrer.
    foreign = origin != "null" and urlsplit(origin).netloc != request.host
    if foreign or site not in ("same-origin", "none"):
        raise Forbidden("sent by a page of another site")
