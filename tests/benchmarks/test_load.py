"""The load generator against small real servers, each with one behaviour."""

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from benchmarks.load import Load, LoadResult, measure, request_bytes

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"


@contextmanager
def serving(conversation: Conversation) -> Iterator[int]:
    """A server on a loop of its own thread; gives its port."""
    loop = asyncio.new_event_loop()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await conversation(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = loop.run_until_complete(asyncio.start_server(handle, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _stop(server: asyncio.Server) -> None:
    server.close()
    mine = asyncio.current_task()
    others = [task for task in asyncio.all_tasks() if task is not mine]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """The body of one request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    return await reader.readexactly(length)


def answering(*parts: bytes) -> Conversation:
    """Answers every request with the parts, each sent on its own."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)

    return conversation


def run(
    port: int,
    *,
    connections: int = 3,
    grace_s: float = 5.0,
    check: Callable[[int, bytes], bool] = lambda _index, _body: True,
) -> LoadResult:
    requests = [request_bytes("/", str(index).encode(), "text/plain") for index in range(7)]
    return measure(
        Load(
            port=port,
            requests=requests,
            connections=connections,
            duration_s=0.3,
            warm_up_s=0.1,
            check=check,
            check_every=1,
            grace_s=grace_s,
        )
    )


@pytest.mark.parametrize(
    "parts",
    [(OK,), (CHUNKED,), (OK[:20], OK[20:-3], OK[-3:]), (CHUNKED[:50], CHUNKED[50:])],
    ids=["content-length", "chunked", "content-length in pieces", "chunked in pieces"],
)
def test_whole_bodies_are_counted_and_checked(parts: tuple[bytes, ...]) -> None:
    with serving(answering(*parts)) as port:
        result = run(port, check=lambda _index, body: body == b"hello")
    assert result.errors == 0, result.error_kinds
    assert result.answered > 10
    assert result.checked >= result.answered
    assert 0 < result.p50_ms <= result.p99_ms


def test_each_answer_is_checked_against_its_own_request() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            body = await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with serving(echo) as port:
        right = run(port, check=lambda index, body: body == str(index).encode())
        wrong = run(port, check=lambda index, body: body == str(index + 1).encode())
    assert right.errors == 0
    assert wrong.error_kinds == {"wrong answer": wrong.checked}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 503 Unavailable\r\nContent-Length: 2\r\n\r\nno", "status 503"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "empty body"),
        (b"not http at all\r\n\r\n", "malformed answer: HttpParserInvalidStatusError"),
    ],
)
def test_bad_answers_are_errors_and_no_throughput(answer: bytes, kind: str) -> None:
    with serving(answering(answer)) as port:
        result = run(port)
    assert result.answered == 0
    assert result.requests_per_s == 0
    assert math.isnan(result.p50_ms)
    assert any(name.startswith(kind[:16]) for name in result.error_kinds), result.error_kinds


def test_a_connection_dropped_within_an_answer_is_an_error_and_the_run_goes_on() -> None:
    seen = 0

    async def drop_each_third(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        while True:
            await read_request(reader)
            seen += 1
            if seen % 3 == 0:
                writer.write(OK[:-2])
                return
            writer.write(OK)

    with serving(drop_each_third) as port:
        result = run(port)
    assert set(result.error_kinds) == {"answer cut off"}
    assert result.errors == seen // 3
    assert result.answered > 0


def test_a_server_that_closes_after_each_answer_is_no_error() -> None:
    closing = OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(closing)

    with serving(once) as port:
        result = run(port)
    assert result.errors == 0, result.error_kinds
    assert result.answered > 3


def test_a_silent_server_leaves_one_error_a_connection() -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await reader.read()

    with serving(silent) as port:
        result = run(port, connections=2, grace_s=0.1)
    assert result.error_kinds == {"unanswered": 2}


def test_without_a_server_it_gives_up() -> None:
    with serving(answering(OK)) as port:
        pass
    result = run(port, connections=1)
    assert result.answered == 0
    assert 0 < result.errors <= 10


def test_a_load_without_requests_is_refused() -> None:
    with pytest.raises(ValueError, match="requests"):
        measure(Load(port=1, requests=[], connections=1, duration_s=1))
