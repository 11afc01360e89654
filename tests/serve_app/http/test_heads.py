"""Heads of requests: what is refused, and that ordinary clients are not."""

import httpx
import pytest

from tests.serve_app.fakes import Application
from tests.serve_app.http.conftest import client_of

QUESTION = b'{"question": "q"}'
CONTENT = ("content-type", "application/json")


async def ask(client: httpx.AsyncClient, *headers: tuple[str, str]) -> httpx.Response:
    """A good question with further headers."""
    return await client.post("/v1/faq/rank", content=QUESTION, headers=[CONTENT, *headers])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Upgrade", "websocket"),
        ("Upgrade", "TLS/1.0, HTTP/1.1"),
        ("TE", "gzip"),
        ("TE", "trailers, deflate;q=0.5"),
        ("Trailer", "Expires"),
        ("Keep-Alive", "timeout=100"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic eDp5"),
        ("Connection", "X-Request-Id"),
        ("Connection", "close, authorization"),
        ("Transfer-Encoding", "gzip, chunked"),
        ("Content-Length", "+17"),
        ("Content-Length", "1e2"),
        ("Content-Length", ""),
        ("Content-Length", "17, 17"),
        ("Content-Length", "-1"),
        ("Content-Length", "9" * 5000),
    ],
)
async def test_headers_of_one_connection_are_refused(
    client: httpx.AsyncClient, name: str, value: str
) -> None:
    answer = await ask(client, (name, value))
    assert (answer.status_code, answer.json()["code"]) == (400, "header_not_allowed")
    assert answer.json()["field"] == name.lower()


async def test_two_lengths_are_refused(client: httpx.AsyncClient) -> None:
    answer = await ask(client, ("Content-Length", "17"), ("Content-Length", "17"))
    assert (answer.status_code, answer.json()["code"]) == (400, "header_not_allowed")


@pytest.mark.parametrize(
    "headers",
    [
        [("Connection", "keep-alive")],
        [("Connection", "Keep-Alive")],
        [("Connection", "close")],
        # curl --http2, Java's HttpClient
        [
            ("Connection", "Upgrade, HTTP2-Settings"),
            ("Upgrade", "h2c"),
            ("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
        ],
        # gRPC's and browsers' gateways
        [("TE", "trailers"), ("Connection", "TE")],
        [("Expect", "100-continue")],
        [("Content-Encoding", "identity")],
        # a gateway
        [
            ("Forwarded", "for=192.0.2.1;proto=https"),
            ("X-Forwarded-For", "192.0.2.1"),
            ("X-Forwarded-Proto", "https"),
            ("Via", "1.1 gateway"),
        ],
        # a browser
        [
            ("Sec-Fetch-Mode", "cors"),
            ("Sec-CH-UA", '"Chromium";v="1"'),
            ("Origin", "https://example.org"),
            ("Cookie", "a=b"),
            ("DNT", "1"),
        ],
    ],
)
async def test_ordinary_clients_pass(
    client: httpx.AsyncClient, headers: list[tuple[str, str]]
) -> None:
    assert (await ask(client, *headers)).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, identity", "zstd"])
@pytest.mark.parametrize("path", ["/v1/faq/rank", "/faq/score", "/v1/images/classify"])
async def test_compressed_bodies_are_refused(
    client: httpx.AsyncClient, encoding: str, path: str
) -> None:
    answer = await client.post(
        path, content=b"\x1f\x8b", headers=[CONTENT, ("content-encoding", encoding)]
    )
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_large_heads_are_refused(application: Application) -> None:
    async with client_of(application) as client:
        assert (await ask(client, ("x-large", "x" * 15_000))).status_code == 200
        for headers in (
            [("x-large", "x" * 16_384)],
            [(f"x-{number}", "x") for number in range(100)],
        ):
            answer = await ask(client, *headers)
            assert (answer.status_code, answer.json()["code"]) == (431, "headers_too_large")
        answer = await client.get("/" + "a" * 16_384)
        assert answer.status_code == 431


async def test_a_refused_head_is_logged_without_its_values(
    application: Application, client: httpx.AsyncClient
) -> None:
    await ask(client, ("Upgrade", "my-secret"))
    line = application.log_file.read_text()
    assert '"code":"header_not_allowed"' in line
    assert "secret" not in line
