"""Pages in the Chromium of the system, as people of all sorts use them."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

PHONE: Final = 390
DESKTOP: Final = 1440
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
# All that takes the focus, if it can be seen.
_CONTROLS: Final = "a[href], button:enabled, summary, input:enabled, select, textarea"


@dataclass
class Visit:
    """A page that is open, and what went on in it.

    Attributes:
        errors: Of its scripts and its policy, and requests that failed. A test ends
            with none, or empties the list because they were to be.
        requests: Addresses that it asked for.
    """

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


# One for a file of tests: while it runs, no other test could run an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The Chromium that is installed; none is downloaded."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip(f"needs one of {', '.join(_NAMES)} on the PATH")
    # Its sandbox does not start for root, which tests in a container often are.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=[*sandbox, "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page_at(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Opens an empty page of a width, on a screen that is light or dark."""
    visits: list[Visit] = []

    def open_page(width: int, dark: bool = False, **context: Any) -> Visit:
        opened = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            **context,
        )
        visit = Visit(opened.new_page())
        page = visit.page
        page.on("pageerror", lambda error: visit.errors.append(f"script: {error}"))
        page.on("dialog", lambda dialog: visit.errors.append(dialog.message))
        page.on("request", lambda request: visit.requests.append(request.url))
        page.on(
            "console",
            lambda told: (
                visit.errors.append(f"{told.type}: {told.text}")
                if told.type in ("error", "warning")
                else None
            ),
        )
        page.on(
            "requestfailed",
            lambda request: visit.errors.append(f"{request.url}: {request.failure}"),
        )
        visits.append(visit)
        return visit

    yield open_page
    for visit in visits:
        visit.page.context.close()
    assert [visit.errors for visit in visits if visit.errors] == []


def _lay_out(page: Page) -> None:
    """Have the browser lay out what is out of sight too."""
    # Unlike a style element, which the page's policy refuses.
    page.evaluate(
        """() => {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync("* { content-visibility: visible !important }");
            document.adoptedStyleSheets = [sheet];
        }"""
    )


@pytest.fixture(scope="session")
def assert_no_overflow() -> Callable[[Page], None]:
    """Nothing is wider than the window, nor cut off by something that hides it."""

    def check(page: Page) -> None:
        _lay_out(page)
        wide = page.evaluate(
            """() => [...document.querySelectorAll("body *")].filter((one) => {
                if (!one.checkVisibility() || one.closest(".skip")) return false;
                const box = one.getBoundingClientRect();
                const scrolls = one.closest(".views ul");
                return !scrolls && box.width > 1 && box.right > innerWidth + 1;
            }).slice(0, 5).map((one) => one.outerHTML.slice(0, 200))"""
        )
        assert wide == []
        assert page.evaluate(
            "(({scrollWidth, clientWidth}) => scrollWidth <= clientWidth)"
            "(document.documentElement)"
        )

    return check


@pytest.fixture(scope="session")
def assert_accessible() -> Callable[[Page], None]:
    """axe-core finds no serious and no critical fault."""

    def check(page: Page) -> None:
        _lay_out(page)
        violations = Axe().run(page).response["violations"]
        assert [
            (one["id"], [node["html"][:200] for node in one["nodes"][:3]])
            for one in violations
            if one["impact"] in ("serious", "critical")
        ] == []

    return check


@pytest.fixture(scope="session")
def tab_through() -> Callable[[Page], list[str]]:
    """The Tab key reaches every control that can be seen, and shows where it is.

    Returns the texts of the controls in the order reached.
    """

    def press(page: Page) -> list[str]:
        # From the beginning, not from what the address names.
        page.evaluate("document.body.tabIndex = -1; document.body.focus()")
        controls = f"""[...document.querySelectorAll("{_CONTROLS}")]
            .filter((one) => one.checkVisibility() && one.tabIndex >= 0)"""
        count = page.evaluate(f"{controls}.length")
        reached: dict[int, str] = {}
        # A date takes a stop for each of its parts.
        parts = page.locator("input[type=date]:visible").count() * 3
        for _ in range(count + parts + 2):
            page.keyboard.press("Tab")
            place, text, outline = page.evaluate(
                f"""() => {{
                    const at = document.activeElement;
                    const name = at.innerText || at.getAttribute("aria-label")
                        || at.querySelector("img")?.alt || at.id;
                    const style = getComputedStyle(at);
                    return [{controls}.indexOf(at), name,
                        style.outlineStyle !== "none" || style.boxShadow !== "none"];
                }}"""
            )
            if place >= 0:
                assert outline, f"nobody sees that {text!r} has the focus"
                reached.setdefault(place, text)
        assert sorted(reached) == list(range(count))
        return list(reached.values())

    return press
