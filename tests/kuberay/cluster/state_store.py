"""As much of Redis as Ray's head keeps its state with: enough for one test, in memory.

The standard library alone: the test runs this file in a pod of the application's own image, so that
no second image is needed. Protocol: RESP2 (redis.io/docs/latest/develop/reference/protocol-spec).
Usage: `STORE_PASSWORD=... python state_store.py PORT`.
"""

import asyncio
import fnmatch
import os
import re
import sys
from collections.abc import Sequence

Reply = bytes | int | str | list["Reply"] | None
"""A bulk string, an integer, a simple string, an array, or nil."""

FRAME_LIMIT = 512 * 1024 * 1024
"""Redis's own limit of one string."""


class CommandRefused(Exception):
    """What Redis answers with `-`."""


class StateStore:
    """Hashes and counters by name."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._hashes: dict[bytes, dict[bytes, bytes]] = {}
        self._counters: dict[bytes, int] = {}

    def is_password(self, given: bytes) -> bool:
        """Of the last argument of AUTH."""
        return given == self._password

    def answer(self, name: str, arguments: Sequence[bytes]) -> Reply:
        """Carries out one command. Raises CommandRefused for one that Ray does not use."""
        match name, arguments:
            case "PING", []:
                return "PONG"
            case "INFO", [section] if section.upper() == b"CLUSTER":
                return b"# Cluster\r\ncluster_enabled:0\r\n"
            case "INFO", _:
                return b""
            case "HSET", [key, *pairs] if pairs and len(pairs) % 2 == 0:
                return self._set(key, dict(zip(pairs[::2], pairs[1::2], strict=True)))
            case "HSETNX", [key, field, value]:
                return 0 if field in self._hash(key) else self._set(key, {field: value})
            case "HGET", [key, field]:
                return self._hash(key).get(field)
            case "HMGET", [key, *fields]:
                return [self._hash(key).get(field) for field in fields]
            case "HEXISTS", [key, field]:
                return int(field in self._hash(key))
            case "HDEL", [key, *fields]:
                return sum(self._hash(key).pop(field, None) is not None for field in fields)
            case "HSCAN", [key, _cursor, *options]:
                return self._scan(key, options)
            case "INCRBY", [key, amount]:
                self._counters[key] = self._counters.get(key, 0) + int(amount)
                return self._counters[key]
            case (("DEL" | "UNLINK"), keys):
                return sum(
                    (self._hashes.pop(key, None) or self._counters.pop(key, None)) is not None
                    for key in keys
                )
        raise CommandRefused(f"unknown command '{name}' with {len(arguments)} arguments")

    def _hash(self, key: bytes) -> dict[bytes, bytes]:
        return self._hashes.get(key, {})

    def _set(self, key: bytes, pairs: dict[bytes, bytes]) -> int:
        fields = self._hashes.setdefault(key, {})
        new = len(pairs.keys() - fields.keys())
        fields.update(pairs)
        return new

    def _scan(self, key: bytes, options: Sequence[bytes]) -> Reply:
        """Everything at once, whatever COUNT says: the cursor that comes back is the end's."""
        given = {options[at].upper(): options[at + 1] for at in range(0, len(options) - 1, 2)}
        pattern = re.compile(
            fnmatch.translate(given.get(b"MATCH", b"*").decode("latin-1")), re.DOTALL
        )
        found: list[Reply] = []
        for field, value in self._hash(key).items():
            if pattern.match(field.decode("latin-1")):
                found += [field, value]
        return [b"0", found]


def encode(reply: Reply) -> bytes:
    """As it goes over the wire."""
    match reply:
        case None:
            return b"$-1\r\n"
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(reply), reply)
        case int():
            return b":%d\r\n" % reply
        case str():
            return b"+%b\r\n" % reply.encode()
        case list():
            return b"*%d\r\n" % len(reply) + b"".join(map(encode, reply))


async def read_command(reader: asyncio.StreamReader) -> list[bytes]:
    """One command: an array of bulk strings."""
    count = await _size(reader, b"*")
    words = []
    for _ in range(count):
        size = await _size(reader, b"$")
        words.append(await reader.readexactly(size))
        await reader.readexactly(2)
    return words


async def _size(reader: asyncio.StreamReader, kind: bytes) -> int:
    line = await reader.readuntil(b"\r\n")
    if not line.startswith(kind) or not line[1:-2].isdigit() or int(line[1:-2]) > FRAME_LIMIT:
        raise ValueError(f"not RESP: {line[:20]!r}")
    return int(line[1:-2])


async def converse(
    store: StateStore, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """One connection, from AUTH to its end."""
    is_known = store.is_password(b"")
    try:
        while True:
            name, *arguments = await read_command(reader)
            command = name.decode("latin-1").upper()
            if command == "AUTH":
                is_known = bool(arguments) and store.is_password(arguments[-1])
                writer.write(b"+OK\r\n" if is_known else b"-WRONGPASS invalid password\r\n")
            elif not is_known:
                writer.write(b"-NOAUTH Authentication required.\r\n")
            else:
                try:
                    writer.write(encode(store.answer(command, arguments)))
                except CommandRefused as error:
                    print(error, flush=True)
                    writer.write(f"-ERR {error}\r\n".encode())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        pass
    finally:
        writer.close()


async def serve(port: int, password: str) -> None:
    """Until it is cancelled."""
    store = StateStore(password)
    server = await asyncio.start_server(
        lambda reader, writer: converse(store, reader, writer), None, port
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), os.environ["STORE_PASSWORD"]))
