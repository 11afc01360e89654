"""The store that stands in for Redis, by the commands that Ray's head sends."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.kuberay.cluster.state_store import StateStore, converse, encode

PASSWORD = "secret"


class Client:
    """Sends commands as Ray's client library does, and reads raw replies."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, *words: bytes) -> bytes:
        """The first line of the reply."""
        self._writer.write(b"*%d\r\n" % len(words))
        for word in words:
            self._writer.write(b"$%d\r\n%b\r\n" % (len(word), word))
        return await self._reader.readuntil(b"\r\n")


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    store = StateStore(PASSWORD)
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await converse(store, reader, writer)
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    yield Client(reader, writer)
    writer.close()
    await ended.wait()
    server.close()


async def test_nothing_is_answered_without_the_password(client: Client) -> None:
    assert await client.ask(b"PING") == b"-NOAUTH Authentication required.\r\n"
    assert (await client.ask(b"AUTH", b"wrong")).startswith(b"-WRONGPASS")
    assert await client.ask(b"AUTH", b"default", PASSWORD.encode()) == b"+OK\r\n"
    assert await client.ask(b"PING") == b"+PONG\r\n"


async def test_an_unknown_command_is_refused_and_the_connection_stays(client: Client) -> None:
    await client.ask(b"AUTH", PASSWORD.encode())
    assert (await client.ask(b"FLUSHALL")).startswith(b"-ERR unknown command")
    assert await client.ask(b"HSET", b"h", b"f", b"v") == b":1\r\n"


def test_hashes() -> None:
    store = StateStore("")
    assert store.answer("HSET", [b"h", b"a", b"1", b"b", b"2"]) == 2
    assert store.answer("HSET", [b"h", b"a", b"3", b"c", b"\x00"]) == 1
    assert store.answer("HSETNX", [b"h", b"a", b"9"]) == 0
    assert store.answer("HSETNX", [b"h", b"d", b"9"]) == 1
    assert store.answer("HGET", [b"h", b"a"]) == b"3"
    assert store.answer("HGET", [b"none", b"a"]) is None
    assert store.answer("HMGET", [b"h", b"a", b"x"]) == [b"3", None]
    assert store.answer("HEXISTS", [b"h", b"x"]) == 0
    assert store.answer("HDEL", [b"h", b"a", b"x"]) == 1
    assert store.answer("HSCAN", [b"h", b"0", b"MATCH", b"[bc]", b"COUNT", b"1"]) == [
        b"0",
        [b"b", b"2", b"c", b"\x00"],
    ]
    assert store.answer("UNLINK", [b"h", b"none"]) == 1
    assert store.answer("HSCAN", [b"h", b"0"]) == [b"0", []]


def test_counters() -> None:
    store = StateStore("")
    assert store.answer("INCRBY", [b"n", b"1"]) == 1
    assert store.answer("INCRBY", [b"n", b"5"]) == 6
    assert store.answer("DEL", [b"n"]) == 1
    assert store.answer("INCRBY", [b"n", b"1"]) == 1


def test_replies_go_as_redis_writes_them() -> None:
    assert encode([b"0", [b"a", None], 3]) == b"*3\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$-1\r\n:3\r\n"
