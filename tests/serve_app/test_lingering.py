"""Bodies that an answer did not wait for, in a real server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest
from starlette.types import Receive, Scope, Send

from serve_app import lingering
from serve_app.edge import Edge
from tests.serve_app.server import served

HEAD = b"POST /any HTTP/1.1\r\nhost: a\r\n"


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers before it reads."""
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": b"no"})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where uvicorn serves the edge around it."""
    with served(Edge(refuse)) as url:
        yield int(url.rpartition(":")[2])


@contextlib.asynccontextmanager
async def connection(
    port: int, start: bytes
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that has sent `start`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def answer(reader: asyncio.StreamReader) -> bytes:
    """One answer, head and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(2)


async def test_a_small_body_that_is_there_keeps_the_connection(port: int) -> None:
    request = HEAD + b"content-length: 3\r\n\r\nabc"
    async with connection(port, request) as (reader, writer):
        assert b"connection: close" not in await answer(reader)
        writer.write(request)
        assert (await answer(reader)).startswith(b"HTTP/1.1 429")


async def test_a_body_that_ends_late_closes_the_connection_then(port: int) -> None:
    async with connection(port, HEAD + b"content-length: 1000000\r\n\r\n") as (reader, writer):
        assert b"connection: close" in await answer(reader)
        for _ in range(10):
            writer.write(b"x" * 100_000)
            await writer.drain()
        assert await reader.read() == b""


@pytest.mark.parametrize("kind", [b"content-length: 9", b"transfer-encoding: chunked"])
async def test_a_body_that_never_ends_is_cut_off(
    port: int, monkeypatch: pytest.MonkeyPatch, kind: bytes
) -> None:
    monkeypatch.setattr(lingering, "LINGER_S", 0.2)
    async with connection(port, HEAD + kind + b"\r\n\r\n") as (reader, _):
        assert (await answer(reader)).endswith(b"no")
        async with asyncio.timeout(5):
            assert await reader.read() == b""


async def test_a_request_without_a_body_keeps_the_connection(port: int) -> None:
    async with connection(port, HEAD + b"content-length: 0\r\n\r\n") as (reader, _):
        assert b"connection: close" not in await answer(reader)
