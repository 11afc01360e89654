"""/docs in a real browser: it shows the API, and its own policy forbids nothing that it needs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.http.openapi import openapi
from tests.serve_app.fakes import Application
from tests.serve_app.server import served

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The face around the fakes in a real server."""
    with served(Application(tmp_path).face) as url:
        yield url


@pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed")
def test_the_documentation_works_under_its_policy(url: str) -> None:
    said: list[str] = []
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.goto(f"{url}/docs")
        page.wait_for_selector(".opblock", timeout=30_000)
        page.click(".opblock-summary-path[data-path='/healthz']")
        page.click(".try-out__btn")
        page.click(".execute")
        page.wait_for_selector(".live-responses-table .response-col_status")
        sections = page.locator(".opblock").count()
        shown = page.inner_text(".live-responses-table")
        browser.close()
    assert sections == sum(len(item) for item in openapi()["paths"].values())
    assert "200" in shown
    assert [line for line in said if line.startswith(("error", "warning"))] == []
