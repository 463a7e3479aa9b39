"""What is not answered: said in words, and in one line on the terminal."""

import logging
import sys
from typing import Final

from flask import Flask, Response, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, InternalServerError, SecurityError

from console.auth import Access

_LOG: Final = logging.getLogger("piccl.review")
# Whatever the level of others: Beam's developers have them silenced.
_LOG.setLevel(logging.INFO)
# Nobody needs more of what somebody else made up.
_SHOWN: Final = 200


def log_to_terminal(*, with_traceback: bool = False) -> None:
    """Write refusals to stderr, whatever other loggers do."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines("%(asctime)s piccl review: %(message)s", "%H:%M:%S"))
    handler.formatter.with_traceback = with_traceback  # type: ignore[union-attr]
    _LOG.handlers = [handler]
    _LOG.propagate = False


def log_refusal(why: str, code: int = 200) -> None:
    """One line; whatever came from outside is quoted."""
    _LOG.warning(
        "refused %d: %r %r from %r: %r",
        code,
        request.method[:_SHOWN],
        # Without what follows a "?", which may be a token.
        request.path[:_SHOWN],
        request.remote_addr,
        why[:_SHOWN],
    )


class _Lines(logging.Formatter):
    """A line a record, unless somebody wants to see where in the code."""

    with_traceback = False

    def format(self, record: logging.LogRecord) -> str:
        if not self.with_traceback:
            record.exc_info = None
        return super().format(record)


def explain_refusals(app: Flask, access: Access) -> None:
    """Answer errors with a page, or with JSON whoever asked for that."""

    @app.errorhandler(HTTPException)
    def refused(err: HTTPException) -> ResponseReturnValue:
        if err.code is None or err.code < 400:
            return err
        why = err.description or err.name
        log_refusal(why, err.code)
        return _answer(err, why)

    @app.errorhandler(Exception)
    def failed(err: Exception) -> ResponseReturnValue:
        _LOG.error("failed: %r %r: %r", request.method, request.path, err, exc_info=err)
        return _answer(InternalServerError(), "it failed; the terminal tells why")

    def _answer(err: HTTPException, why: str) -> ResponseReturnValue:
        code = err.code or 500
        if isinstance(err, SecurityError):
            # There is no address of ours under that name to link to.
            return Response(why, code, mimetype="text/plain")
        if request.accept_mimetypes.best == "application/json":
            return jsonify(error=why), code
        page = render_template(
            "refused.html", code=code, why=why, sign_in=access.kind, title=err.name
        )
        return page, code
