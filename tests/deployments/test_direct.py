"""Direct connections over real sockets: order, failures, trust, the end of a replica."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.direct import (
    LENGTH,
    MOST_FRAME_BYTES,
    Address,
    CallFailed,
    Connection,
    Listener,
    _Frames,
)

HOST = "127.0.0.1"


def reverse(content: bytes) -> bytes:
    if content == b"bad":
        raise ValueError("bad")
    return content[::-1]


async def turns() -> None:
    """Lets the loop finish closing what was closed."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    listener = await Listener.start(reverse, HOST)
    yield listener
    listener.close()
    await turns()


@pytest.fixture
async def connection(listener: Listener) -> AsyncIterator[Connection]:
    connection = await Connection.open(listener.address)
    yield connection
    connection.close()
    await turns()


async def test_overlapping_calls_get_their_own_answers(connection: Connection) -> None:
    contents = [str(number).encode() * number for number in range(200)]
    answers = await asyncio.gather(*map(connection.call, contents))
    assert answers == [content[::-1] for content in contents]
    assert connection.in_flight == 0


async def test_large_frames(connection: Connection) -> None:
    content = bytes(range(256)) * 40_000
    assert await connection.call(content) == content[::-1]


async def test_a_failing_call_stays_alone(connection: Connection) -> None:
    calls = [connection.call(content) for content in (b"ab", b"bad", b"cd")]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert (answers[0], answers[2]) == (b"ba", b"dc")
    assert isinstance(answers[1], CallFailed)


async def test_a_cancelled_caller_does_not_shift_the_answers(connection: Connection) -> None:
    first, second = connection.call(b"ab"), connection.call(b"cd")
    first.cancel()
    assert await second == b"dc"


async def test_without_the_token_nothing_is_answered(listener: Listener) -> None:
    host, port, _ = listener.address
    intruder = await Connection.open(Address(host, port, b"guess"))
    with pytest.raises(ConnectionError):
        await intruder.call(b"ab")
    assert not intruder.is_open


async def test_the_end_of_a_replica_ends_its_calls() -> None:
    writers: list[asyncio.StreamWriter] = []

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    server = await asyncio.start_server(hang, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    connection = await Connection.open(Address(HOST, port, b"token"))
    call = connection.call(b"ab")
    while not writers:
        await asyncio.sleep(0)
    writers[0].transport.abort()
    with pytest.raises(ConnectionError):
        await call
    with pytest.raises(ConnectionError):
        await connection.call(b"again")
    server.close()
    await turns()


async def test_closing_waits_for_what_is_in_flight(listener: Listener) -> None:
    connection = await Connection.open(listener.address)
    call = connection.call(b"ab")
    connection.close()
    assert connection.is_open
    assert await call == b"ba"
    while connection.is_open:
        await asyncio.sleep(0)


async def test_a_frame_over_the_limit_ends_the_connection(listener: Listener) -> None:
    reader, writer = await asyncio.open_connection(HOST, listener.address.port)
    writer.write(LENGTH.pack(MOST_FRAME_BYTES + 1))
    assert await reader.read() == b""
    writer.close()
    await turns()


async def test_nobody_listens() -> None:
    listener = await Listener.start(reverse, HOST)
    listener.close()
    with pytest.raises(OSError, match="onnect"):
        await Connection.open(listener.address)


@given(st.lists(st.binary(max_size=50)), st.integers(1, 20))
def test_frames_survive_any_cut_of_the_stream(contents: list[bytes], step: int) -> None:
    stream = b"".join(LENGTH.pack(len(content)) + content for content in contents)
    frames = _Frames()
    received = [
        frame
        for start in range(0, len(stream), step)
        for frame in frames.feed(stream[start : start + step])
    ]
    assert received == contents
