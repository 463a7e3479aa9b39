"""The review: the report's views on a server, with buttons that move photos.

Pages work as plain forms; `review.js` makes them live.
"""

import secrets

from flask import Flask, g, request
from flask_wtf.csrf import CSRFProtect
from jinja2 import StrictUndefined
from werkzeug.wrappers import Response

from console import actions, pages, pictures, sessions
from console.auth import guard
from console.backing import Backing, provide
from console.cards import FILTERS
from console.refusals import explain_refusals
from console.wording import legible

# More than the names of a page of photos take, and far less than hurts.
_MOST_SENT_BYTES = 256 * 1024


def create_app(backing: Backing) -> Flask:
    """The application; `Backing` says what it needs."""
    app = Flask("console", static_folder=None)
    app.config.update(
        # Sessions end with the process.
        SECRET_KEY=secrets.token_bytes(32),
        SESSION_COOKIE_NAME=backing.cookie,
        SESSION_COOKIE_HTTPONLY=True,
        # With "Strict" the link with the token, opened from a page or a mail, would
        # lead to a refusal. What changes anything is sent by POST.
        SESSION_COOKIE_SAMESITE="Lax",
        TRUSTED_HOSTS=list(backing.hosts),
        MAX_CONTENT_LENGTH=_MOST_SENT_BYTES,
        # A page may stay open for a day; the session's end is the token's too.
        WTF_CSRF_TIME_LIMIT=None,
        # It would want a referrer, which the pages do not send.
        WTF_CSRF_SSL_STRICT=False,
        WTF_CSRF_CHECK_DEFAULT=False,
    )
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(FILTERS, legible=legible)
    app.jinja_env.globals["access"] = backing.access
    app.jinja_env.globals["counts_every_s"] = backing.counts_every_s
    app.jinja_env.globals["version_digits"] = actions.VERSION_DIGITS
    provide(app, backing)
    guard(app, backing.access)
    _protect_forms(app)
    explain_refusals(app, backing.access)
    for part in (pages, actions, pictures, sessions):
        app.register_blueprint(part.blueprint)
    app.after_request(_protect)
    return app


def _protect_forms(app: Flask) -> None:
    """Check each form's token, after `guard` has told whose request it is."""
    csrf = CSRFProtect(app)

    @app.before_request
    def check() -> None:
        # Only a program sends the header, and no browser adds it for another site.
        if request.endpoint and not g.get("by_header", False):
            csrf.protect()


def _protect(response: Response) -> Response:
    """Say to the browser what the pages never need."""
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "private, no-cache"
    return response
