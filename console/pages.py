"""The pages of the review: by reason, by subject, by day, and the trash."""

import datetime
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

from flask import (
    Blueprint,
    current_app,
    g,
    get_flashed_messages,
    render_template,
    request,
)
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from console.backing import desk, store, trash_bin
from console.cards import SUBJECTS
from console.finding import (
    PAGE,
    Page,
    day_page,
    list_reason,
    overview,
    reason_page,
    subject_page,
)
from console.views import REASONS
from store.records import Trashed

blueprint: Final = Blueprint("pages", __name__)


@dataclass(frozen=True)
class Run:
    """What was trashed together.

    Attributes:
        shown: Those that are on the page.
        records: All of it.
    """

    id: str
    shown: Sequence[Trashed]
    records: Sequence[Trashed]

    @property
    def at(self) -> str:
        return self.records[0].trashed_at[:16].replace("T", " ")

    @property
    def bytes(self) -> int:
        return sum(file.bytes for one in self.records for file in one.files)


@blueprint.get("/")
def reasons() -> ResponseReturnValue:
    return _render("reasons.html", view="reasons", sections=overview(store(), g.user))


@blueprint.get("/reasons/<key>")
def reason(key: str) -> ResponseReturnValue:
    if key not in REASONS:
        raise NotFound("no such reason")
    number, here = _number(), desk()
    listed = here.listed.get(key)
    section, page, listed = reason_page(
        store(), g.user, key, number, listed or list_reason(store(), g.user, key)
    )
    if section is None and listed.removable:
        # The page ran empty; what comes next is another one.
        listed = list_reason(store(), g.user, key)
        section, page, listed = reason_page(store(), g.user, key, number, listed)
    here.listed.put(key, listed)
    return _render(
        "reason.html",
        view="reasons",
        title=REASONS[key][0],
        key=key,
        section=section,
        listed=listed,
        page=page,
    )


@blueprint.get("/subjects/", defaults={"key": None})
@blueprint.get("/subjects/<key>")
def subject(key: str | None) -> ResponseReturnValue:
    if key is None:
        searched = store().counts(g.user)["with_tags"]
        key = next(iter(SUBJECTS)) if searched else list(SUBJECTS)[-1]
    if key not in SUBJECTS:
        raise NotFound("no such subject")
    page = subject_page(store(), g.user, key, _number())
    return _render(
        "subject.html", view="subjects", key=key, subjects=SUBJECTS, page=page
    )


@blueprint.get("/days")
def days() -> ResponseReturnValue:
    given = request.args.get("before", "9999-12-31")
    try:
        last = datetime.date.fromisoformat(given) - datetime.timedelta(1)
    except (ValueError, OverflowError) as err:
        raise NotFound("no such day") from err
    sections, more = day_page(store(), g.user, last)
    return _render("days.html", view="days", sections=sections, more=more)


@blueprint.get("/trash")
def trash() -> ResponseReturnValue:
    """By run, the latest first."""
    runs = itertools.groupby(store().trashed(g.user), key=lambda one: one.run)
    found = [Run(id_, (), list(records)) for id_, records in runs][::-1]
    number, pages = _number(), _runs_paged(found)
    shown = pages[number - 1] if number <= len(pages) else []
    page = Page(shown, number, number < len(pages))
    return _render("trash.html", view="trash", page=page, runs=len(found))


@blueprint.get("/<any('style.css', 'review.css', 'review.js'):name>")
def asset(name: str) -> ResponseReturnValue:
    """What is the same for everybody."""
    text = resources.files("console").joinpath(name).read_bytes()
    kind = "text/css" if name.endswith(".css") else "text/javascript"
    response = current_app.response_class(text, mimetype=kind)
    response.add_etag()
    return response.make_conditional(request)


@blueprint.get("/favicon.ico")
def icon() -> ResponseReturnValue:
    """None; browsers ask for it unasked."""
    return "", 204


def _render(template: str, **values: object) -> ResponseReturnValue:
    trash_bin()  # makes whole what a crash left, before it is shown
    return render_template(
        template,
        counts=store().counts(g.user),
        messages=get_flashed_messages(),
        history=desk().history.latest(),
        **values,
    )


def _number() -> int:
    """Which page is asked for, from 1 on."""
    text = request.args.get("page", "1")
    if not text.isdecimal() or not 1 <= len(text) <= 6 or not int(text):
        raise NotFound("no such page")
    return int(text)


def _runs_paged(runs: Sequence[Run]) -> list[list[Run]]:
    """Pages of so many photos each; a run may go on where the last page ended."""
    pages: list[list[Run]] = [[]]
    room = PAGE
    for run in runs:
        rest: Sequence[Trashed] = run.records
        while rest:
            if not room:
                pages.append([])
                room = PAGE
            pages[-1].append(Run(run.id, rest[:room], run.records))
            rest, room = rest[room:], max(0, room - len(rest))
    return pages
