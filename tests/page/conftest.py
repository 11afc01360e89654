"""A headless Chromium, and the HTTP face around fakes for it to visit."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.page.server import Served, serving
from tests.serve_app.fakes import Application

CHROMIUM = shutil.which("chromium")

EXPECTED = re.compile(r"Failed to load resource: the server responded with a status of [45]\d\d")
"""What Chromium itself notes of an answer with an error status."""

Serve = Callable[..., Served[Application]]


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: the page is not tested")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: the page is not tested"
    )
    with playwright.sync_playwright() as running:
        # Without its sandbox, which root may not have.
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens an address in a context of its own; fails the test for what the console says."""
    said: list[str] = []
    with ExitStack() as stack:

        def open_(url: str, **options: Any) -> Any:
            context = stack.enter_context(browser.new_context(**options))
            page = context.new_page()
            page.set_default_timeout(10_000)
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on(
                "console",
                lambda message: (
                    said.append(message.text) if message.type in ("error", "warning") else None
                ),
            )
            page.goto(url)
            page.locator(".model").first.wait_for()  # the last of what the page begins with
            return page

        yield open_
    assert [line for line in said if not EXPECTED.match(line)] == []


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Serves an `Application` with the options given."""
    with ExitStack() as stack:

        def serve_(**options: Any) -> Served[Application]:
            return stack.enter_context(
                serving(lambda: Application(tmp_path, **options), lambda made: made.face)
            )

        yield serve_
