"""The page's files: what is served, what is not, and with which headers."""

import re
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from serve_app.access.admission import Admission, Headers, Unlimited
from serve_app.access.caller import Caller
from serve_app.errors import CredentialsMissing
from serve_app.http.page import FILES, FOLDER, PAGE
from serve_app.settings import AuthSettings, HttpSettings
from tests.serve_app.fakes import Application
from tests.serve_app.http.conftest import client_of

ISSUER = AuthSettings(
    issuer="https://login.example/tenant/v2.0", audience="api://scoring", client_id="page"
)


async def test_the_page_loads_from_here_alone(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    loaded = re.findall(r'(?:src|href)="(?!#)([^"]+)"', page.text)
    assert loaded
    for path in loaded:
        assert (await client.get(urljoin("/", path))).status_code == 200, path
        assert not path.startswith(("/", "http"))  # below a prefix it works too
    assert "http" not in page.text
    assert " style=" not in page.text
    assert not re.search(r"<script(?![^>]* src=)| on\w+=", page.text)


def test_every_file_is_served_and_every_module_is_there() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {PAGE, *FILES}
    for path in FOLDER.glob("*.js"):
        for name in re.findall(r'from "\./([^"]+)"', path.read_text(encoding="utf-8")):
            assert name in FILES, (path.name, name)


def test_no_file_uses_markup_from_text_or_keeps_credentials() -> None:
    for path in FOLDER.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|eval\(|localStorage", text)
        assert "sessionStorage" not in text or path.name == "oidc.js"


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/page/page.css", "/page/config.json"])
async def test_headers_let_nothing_else_in(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    policy = headers["content-security-policy"].split("; ")
    assert policy[:4] == [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
    ]
    assert {"connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy)
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "permissions-policy" in headers
    assert headers["cross-origin-opener-policy"] == "same-origin"


async def test_the_page_may_talk_to_its_issuer(tmp_path: Path) -> None:
    async with client_of(Application(tmp_path, auth=ISSUER)) as client:
        policy = (await client.get("/")).headers["content-security-policy"]
    assert "connect-src 'self' https://login.example;" in policy


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/page/config.json"])
async def test_what_a_browser_has_is_not_sent_again(client: httpx.AsyncClient, path: str) -> None:
    first = await client.get(path)
    assert first.headers["cache-control"] == "no-cache"
    etag = first.headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await client.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    changed = await client.get(path, headers={"if-none-match": '"other"'})
    assert (changed.status_code, changed.content) == (200, first.content)


@pytest.mark.parametrize(
    "name", ["other.js", "index.html", "..%2Fsettings.py", "%2e%2e/settings.py", "PAGE.CSS", ""]
)
async def test_nothing_else_is_served(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/page/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_configuration_says_what_the_page_may_know(tmp_path: Path) -> None:
    http = HttpSettings(image_limit_bytes=4096)
    async with client_of(Application(tmp_path, http=http, auth=ISSUER)) as client:
        found = (await client.get("/page/config.json")).json()
    assert found == {
        "sign_in": {
            "issuer": "https://login.example/tenant/v2.0",
            "client_id": "page",
            "scopes": ["openid"],
        },
        "question_characters": 8192,
        "faq_top_k": 100,
        "image_top_k": 1000,
        "image_bytes": 4096,
        "docs": "open",
    }


async def test_without_a_client_id_nobody_signs_in(tmp_path: Path) -> None:
    auth = AuthSettings(issuer="https://login.example", audience="api://scoring")
    async with client_of(Application(tmp_path, auth=auth)) as client:
        assert (await client.get("/page/config.json")).json()["sign_in"] is None


async def test_the_page_can_be_switched_off(tmp_path: Path) -> None:
    async with client_of(Application(tmp_path, http=HttpSettings(page=False))) as client:
        for path in ("/", "/page/app.js", "/page/config.json"):
            assert (await client.get(path)).status_code == 404
        assert (await client.get("/v1/faq/examples")).status_code == 200


class _Nobody:
    async def identify(self, headers: Headers) -> Caller:
        raise CredentialsMissing("send a key")


async def test_the_page_comes_without_a_key(tmp_path: Path) -> None:
    application = Application(tmp_path, admission=Admission(_Nobody(), Unlimited()))
    async with client_of(application) as client:
        for path in ("/", "/page/app.js", "/page/config.json"):
            assert (await client.get(path)).status_code == 200
        assert (await client.get("/v1/faq/examples")).status_code == 401


async def test_each_has_a_route_of_its_own_in_the_metrics(client: httpx.AsyncClient) -> None:
    for path in ("/", "/page/app.js", "/page/nothing", "/page/config.json"):
        await client.get(path)
    text = (await client.get("/metrics")).text
    for route in ("/", "/page/{file}", "/page/config.json"):
        assert f'route="{route}"' in text
