"""The headers of every answer, and what pages of other origins may do."""

from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from serve_app.settings import HttpSettings
from tests.serve_app.fakes import Application
from tests.serve_app.http.conftest import client_of

ORIGIN = "https://example.org"
ASKING = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
PATHS = ("/v1/faq/rank", "/nothing", "/healthz", "/docs", "/docs/swagger-ui.css", "/openapi.json")


def cors_client(folder: Path, *origins: str) -> httpx.AsyncClient:
    """A client of a service that lets pages of these origins in."""
    return client_of(Application(folder, http=HttpSettings(cors_origins=origins)))


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_forbids_guessing_its_type(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in answer.headers
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_https_is_insisted_on_where_it_is_set(tmp_path: Path) -> None:
    async with client_of(Application(tmp_path, http=HttpSettings(hsts_s=3600))) as client:
        for path in PATHS:
            headers = (await client.get(path)).headers
            assert headers["strict-transport-security"] == "max-age=3600"


async def test_the_documentation_is_framed_by_nobody(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'self';" in policy
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "<script>" not in page.text
    assert (
        (await client.get("/docs/start.js")).headers["content-type"].startswith("text/javascript")
    )


async def test_without_origins_there_is_no_preflight(client: httpx.AsyncClient) -> None:
    answer = await client.options("/v1/faq/rank", headers={"origin": ORIGIN, **ASKING})
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_page_of_a_named_origin_may_ask(tmp_path: Path) -> None:
    async with cors_client(tmp_path, ORIGIN) as client:
        allowed = await client.options("/v1/faq/rank", headers={"origin": ORIGIN, **ASKING})
        assert (allowed.status_code, allowed.content) == (204, b"")
        assert allowed.headers["access-control-allow-origin"] == ORIGIN
        assert "x-api-key" in allowed.headers["access-control-allow-headers"]
        assert "POST" in allowed.headers["access-control-allow-methods"]
        answer = await client.post(
            "/v1/faq/rank", json={"question": "q"}, headers={"origin": ORIGIN}
        )
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "retry-after" in answer.headers["access-control-expose-headers"]
        assert answer.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in answer.headers
        refused = await client.get("/nothing", headers={"origin": ORIGIN})
        assert refused.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(
    "origin",
    ["https://example.org.evil", "http://example.org", "null", "https://example.org:8443", "*"],
)
async def test_no_other_origin_is_reflected(tmp_path: Path, origin: str) -> None:
    async with cors_client(tmp_path, ORIGIN) as client:
        for answer in (
            await client.options("/v1/faq/rank", headers={"origin": origin, **ASKING}),
            await client.get("/healthz", headers={"origin": origin}),
        ):
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert answer.headers["vary"] == "Origin"


async def test_all_origins_are_a_star(tmp_path: Path) -> None:
    async with cors_client(tmp_path, "*") as client:
        answer = await client.get("/healthz", headers={"origin": "https://any.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


async def test_an_options_request_that_is_no_preflight_is_refused(tmp_path: Path) -> None:
    async with cors_client(tmp_path, ORIGIN) as client:
        answer = await client.options("/v1/faq/rank", headers={"origin": ORIGIN})
        assert answer.status_code == 405


@pytest.mark.parametrize(
    "origin",
    ["https://example.org/", "example.org", "https://*.example.org", "null", "https://A.b"],
)
def test_origins_that_no_browser_sends_are_refused(origin: str) -> None:
    with pytest.raises(ValidationError, match="cors_origins"):
        HttpSettings(cors_origins=(origin,))
