"""Keep, trash, restore, undo: one place where the review changes anything."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, flash, g, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest, NotFound

from console.backing import backing, desk, store, trash_bin
from console.finding import rows_named
from console.history import Done
from console.refusals import log_refusal
from console.wording import legible, number, size
from store.records import Trashed
from store.search import REASONS, PhotoQuery
from trash.bin import new_run
from trash.outcome import Outcome

blueprint: Final = Blueprint("actions", __name__)

# So many hexadecimal digits of its sha256 tell which version of a photo was seen.
VERSION_DIGITS: Final = 16
_REFUSALS_SHOWN: Final = 5


@dataclass(frozen=True)
class _Result:
    """What an action did.

    Attributes:
        text: For a person.
        refused: Sentences about what was not done.
    """

    text: str
    refused: Sequence[str] = ()


@blueprint.post("/act")
def act() -> ResponseReturnValue:
    """Do what a button says: a verb, and what it is to be done to.

    trash ID:VERSION..., trash-REASON ID:VERSION..., keep ID:VERSION...,
    restore RUN [ID...], undo ACTION
    """
    verb, *names = request.form.get("do", "").split() or [""]
    do = _VERBS.get(verb)
    if do is None or not names:
        raise BadRequest("no such action")
    if verb in _OF_REASONS and "seen" not in request.form:
        raise BadRequest("whoever trashes all of a reason has to have seen them")
    back = _back()
    here = desk()
    with here.lock:
        trash_bin()  # what a crash left is finished before anything new begins
        result = do(names)
        here.runs.clear()
        if verb in ("restore", "undo"):
            here.listed.clear()
        backing().regroup(store(), g.user)
    messages = [result.text, *result.refused]
    if request.accept_mimetypes.best == "application/json":
        latest = here.history.latest()
        return jsonify(
            status=render_template("_status.html", messages=messages, history=latest),
            counts=counts(),
        )
    for text in messages:
        flash(text)
    return redirect(back, 303)


@blueprint.get("/counts")
def counts() -> str:
    return render_template("_counts.html", counts=store().counts(g.user))


def _trash(names: Sequence[str], reasons: Sequence[str] | None = None) -> _Result:
    rows, refused = _as_seen(names)
    bin_ = trash_bin()
    run = new_run()
    outcome = bin_.trash(bin_.units(rows), run=run, reasons=reasons)
    refused += _refusals(outcome)
    if not outcome.photos:
        return _Result("Nothing was moved to the trash.", refused)
    text = f"Moved {_photos(outcome)} to the trash."
    desk().history.add(Done(text, run=run))
    return _Result(text, refused)


def _trash_for(reason: str) -> Callable[[Sequence[str]], _Result]:
    return lambda names: _trash(names, (reason,))


def _keep(names: Sequence[str]) -> _Result:
    rows, refused = _as_seen(names)
    for row in rows:
        store().decide(g.user, row["id"], "keep")
    if not rows:
        return _Result("Nothing was decided.", refused)
    text = f"You keep {_names(rows)}."
    before = {row["id"]: row["decision"] for row in rows}
    desk().history.add(Done(text, decided=before))
    return _Result(text, refused)


def _restore(names: Sequence[str]) -> _Result:
    run, *ids = names
    records = list(store().trashed(g.user, run=run))
    # What goes together comes back together.
    units = {one.unit for one in records if not ids or one.id in ids}
    return _bring_back(run, [one for one in records if one.unit in units])


def _undo(names: Sequence[str]) -> _Result:
    done = desk().history.find(names[0])
    if done is None:
        raise NotFound("there is no such action to undo")
    if done.run is not None:
        return _bring_back(done.run, list(store().trashed(g.user, run=done.run)))
    desk().history.forget(done)
    return _undecide(done)


def _bring_back(run: str, records: Sequence[Trashed]) -> _Result:
    outcome = trash_bin().restore(records)
    # What was refused may be undone once that is put right.
    if next(iter(store().trashed(g.user, run=run)), None) is None:
        desk().history.forget_run(run)
    if not records:
        raise NotFound("it is not in the trash any more")
    refused = _refusals(outcome)
    if not outcome.photos:
        return _Result("Nothing was restored.", refused)
    return _Result(f"Restored {_photos(outcome)}.", refused)


def _undecide(done: Done) -> _Result:
    """Decide as before, unless that was decided otherwise since."""
    query = PhotoQuery(g.user, ids=done.decided)
    now = [row for row in store().search(query) if row["decision"] == "keep"]
    for row in now:
        store().decide(g.user, row["id"], done.decided[row["id"]])
    return _Result(f"Undone for {_names(now)}.")


_VERBS: Final[dict[str, Callable[[Sequence[str]], _Result]]] = {
    "trash": _trash,
    **{f"trash-{reason}": _trash_for(reason) for reason in (*REASONS, "decided")},
    "keep": _keep,
    "restore": _restore,
    "undo": _undo,
}
_OF_REASONS: Final = tuple(verb for verb in _VERBS if verb.startswith("trash-"))


def _as_seen(names: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of photos that are as the page showed them, and what is said of others.

    Raises:
        NotFound: The user has none of them, and perhaps never had.
        BadRequest: That is not how photos are named.
    """
    versions = {}
    for name in names:
        id_, separator, version = name.partition(":")
        if not separator:
            raise BadRequest("a photo is named by its id and version")
        versions[id_] = version
    rows = rows_named(store(), g.user, versions)
    if not rows:
        raise NotFound("no such photo of yours")
    same, refused = [], []
    for row in rows:
        if row["sha256"][:VERSION_DIGITS] == versions[row["id"]]:
            same.append(row)
        else:
            refused.append(f"{legible(row['title'])}: it has changed since you saw it")
    if missing := len(versions) - len(rows):
        log_refusal(f"{missing} photos that are not the user's")
        refused.append(f"{number(missing)} of them are not in the library any more")
    return same, refused


def _refusals(outcome: Outcome) -> list[str]:
    texts = [f"{legible(one.title)}: {one.why}" for one in outcome.refused]
    if (others := len(texts) - _REFUSALS_SHOWN) > 0:
        texts[_REFUSALS_SHOWN:] = [f"and {number(others)} more"]
    return texts


def _photos(outcome: Outcome) -> str:
    if len(outcome.photos) == 1:
        return f"{legible(outcome.photos[0].title)} ({size(outcome.bytes)})"
    return f"{number(len(outcome.photos))} photos ({size(outcome.bytes)})"


def _names(rows: Sequence[dict[str, Any]]) -> str:
    if len(rows) == 1:
        return legible(rows[0]["title"])
    return f"{number(len(rows))} photos"


def _back() -> str:
    """The page that the button was on; nothing but a path of ours."""
    path = request.form.get("back", "/")
    # Browsers take "\\" for "/", and pass over tabs and line breaks.
    whole = path.isascii() and path.isprintable() and "\\" not in path
    if not whole or not path.startswith("/") or path.startswith("//"):
        raise BadRequest("that is no page of the review")
    return path
