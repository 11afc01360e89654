"""A direct connection to a replica: frames over TCP, answered one by one, in order.

A call through a Ray Serve handle takes 1 to 2 ms of Python on both sides together, however little
it asks. This takes a hundredth of it, for callers that already know which replicas there are. It
does not find replicas, balance, or repeat calls; whoever uses it keeps the handle for that.

A frame is its length (4 bytes, big-endian) and its content. The first content a caller sends is
the token of the replica's address; without it the connection is closed. An answer begins with a
byte that says whether the call succeeded.
"""

import asyncio
import hmac
import logging
import secrets
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

logger = logging.getLogger(__name__)

LENGTH = struct.Struct(">I")
MOST_FRAME_BYTES = 64 * 1024 * 1024
SUCCEEDED, FAILED = b"\0", b"\1"
CONNECT_TIMEOUT_S = 2.0
SILENT_S = 10
"""A machine that is gone for so long, without having ended its connections, is gone: the system
would send on for a quarter of an hour."""


class CallFailed(RuntimeError):
    """The replica raised on this call; its log has the reason."""


class Address(NamedTuple):
    """Where a replica listens, and the secret that it wants to hear first."""

    host: str
    port: int
    token: bytes


class Listener:
    """The replica's side: passes each frame to `answer`, which runs on the event loop."""

    def __init__(self, server: asyncio.Server, address: Address, callers: set[asyncio.Transport]):
        self._server = server
        self._callers = callers
        self.address = address

    @classmethod
    async def start(cls, answer: Callable[[bytes], bytes], host: str) -> "Listener":
        """Listens on a free port of `host`."""
        token = secrets.token_bytes(32)
        callers: set[asyncio.Transport] = set()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Callee(answer, token, callers), host, 0)
        port: int = server.sockets[0].getsockname()[1]
        return cls(server, Address(host, port, token), callers)

    def close(self) -> None:
        """Takes no new connections and ends those that are open."""
        self._server.close()
        for caller in self._callers:
            caller.abort()


class _Frames:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that `data` completes; ValueError for one that is too long."""
        buffer = self._buffer
        buffer += data
        while len(buffer) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(buffer)
            if length > MOST_FRAME_BYTES:
                raise ValueError(f"a frame of {length} bytes")
            end = LENGTH.size + length
            if len(buffer) < end:
                return
            frame = bytes(buffer[LENGTH.size : end])
            del buffer[:end]
            yield frame


class _Callee(asyncio.Protocol):
    def __init__(
        self, answer: Callable[[bytes], bytes], token: bytes, callers: set[asyncio.Transport]
    ):
        self._answer = answer
        self._token = token
        self._callers = callers
        self._is_trusted = False
        self._frames = _Frames()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._callers.add(self._transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._callers.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._frames.feed(data):
                self._receive(frame)
        except ValueError:
            self._transport.abort()

    def _receive(self, frame: bytes) -> None:
        if self._is_trusted:
            self._transport.writelines(_answer_frame(self._answer, frame))
        elif hmac.compare_digest(frame, self._token):
            self._is_trusted = True
        else:
            logger.warning("a caller without the token was refused")
            self._transport.abort()


def _answer_frame(answer: Callable[[bytes], bytes], frame: bytes) -> tuple[bytes, bytes, bytes]:
    try:
        content, status = answer(frame), SUCCEEDED
    except Exception:
        logger.exception("a direct call failed")
        content, status = b"", FAILED
    return LENGTH.pack(1 + len(content)), status, content


class Connection(asyncio.Protocol):
    """The caller's side; calls may overlap, their answers come in the order of the calls."""

    def __init__(self, address: Address):
        self.address = address
        self._frames = _Frames()
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._transport: asyncio.Transport | None = None
        self._is_closing = False

    @classmethod
    async def open(cls, address: Address) -> "Connection":
        """Connects and shows the token.

        Raises:
            OSError: the replica cannot be reached (TimeoutError: not in time).
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, connection = await loop.create_connection(
                lambda: cls(address), address.host, address.port
            )
        connection._write(address.token)
        return connection

    @property
    def is_open(self) -> bool:
        """Whether calls can be made."""
        return self._transport is not None

    @property
    def in_flight(self) -> int:
        """Calls without an answer yet."""
        return len(self._waiting)

    def call(self, content: bytes) -> asyncio.Future[bytes]:
        """Sends one call; the future has the answer.

        The future raises CallFailed when the replica failed on it, ConnectionError when the
        connection ended first.
        """
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if self._transport is None:
            future.set_exception(ConnectionResetError("the connection has ended"))
            return future
        self._waiting.append(future)
        self._write(content)
        return future

    def close(self) -> None:
        """Ends the connection once what is in flight has been answered."""
        self._is_closing = True
        if self._transport is not None and not self._waiting:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = transport  # type: ignore[assignment]
        transport.get_extra_info("socket").setsockopt(
            socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * SILENT_S
        )

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        for frame in self._frames.feed(data):
            future = self._waiting.popleft()
            if future.done():
                continue  # the caller was cancelled
            if frame[:1] == SUCCEEDED:
                future.set_result(frame[1:])
            else:
                future.set_exception(CallFailed("the replica failed on this call"))
        if self._is_closing:
            self.close()

    def connection_lost(self, _error: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._transport = None
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(ConnectionResetError("the connection ended during a call"))

    def _write(self, content: bytes) -> None:
        if self._transport is not None:
            self._transport.writelines((LENGTH.pack(len(content)), content))
