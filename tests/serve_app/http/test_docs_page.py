"""/docs in a real browser: it shows the API, and its own policy forbids nothing that it needs."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from tests.serve_app.fakes import Application

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The face around the fakes in a real server."""
    server = uvicorn.Server(
        uvicorn.Config(Application(tmp_path).face, port=0, lifespan="off", log_level="critical")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    host, port = server.servers[0].sockets[0].getsockname()
    yield f"http://{host}:{port}"
    server.should_exit = True
    thread.join()


@pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed")
def test_the_documentation_works_under_its_policy(url: str) -> None:
    said: list[str] = []
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.goto(f"{url}/docs")
        try:
            page.wait_for_selector(".opblock", timeout=8_000)
        except Exception:
            print(said, page.content()[:1500])
            raise
        page.click("#operations-system-get_healthz, .opblock-summary-path[data-path='/healthz']")
        page.click(".try-out__btn")
        page.click(".execute")
        page.wait_for_selector(".live-responses-table .response-col_status")
        shown = page.inner_text(".live-responses-table")
        browser.close()
    assert "200" in shown
    assert [line for line in said if line.startswith(("error", "warning"))] == []
