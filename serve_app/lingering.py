"""Bodies that an answer did not wait for: read on for a while, then the connection is closed.

Without it a client could hold a connection for ever by sending on after its refusal. Closing at
once would do harm: what is still under way resets the connection, and the answer may be lost
(RFC 9112, section 9.6, describes the lingering close).
"""

import asyncio
import contextlib

from starlette.types import Message, Receive, Scope, Send

LINGER_S = 5.0
"""How long a client has to end a body that nobody wants."""
SMALL_BYTES = 64 * 1024
"""A body up to this size is usually there with its head."""


class Lingering:
    """One request and its answer: `receive` and `send` for the application, `finish` after it."""

    __slots__ = ("_closes", "_ended", "_receive", "_scope", "_send")

    def __init__(self, scope: Scope, receive: Receive, send: Send):
        self._scope = scope
        self._receive = receive
        self._send = send
        self._ended = False
        self._closes = False

    async def receive(self) -> Message:
        """The next part of the body."""
        message = await self._receive()
        self._ended = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Passes the answer on; all but its end, where the body is still to come."""
        if message["type"] == "http.response.start":
            if not self._ended and self._is_pending():
                self._closes = True
                message["headers"] = [*message["headers"], (b"connection", b"close")]
        elif self._closes:
            message = {**message, "more_body": True}
        await self._send(message)

    async def finish(self) -> None:
        """Reads on to the end of the body, or until the client has had its time; then closes."""
        if not self._closes:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while not self._ended:
                    await self.receive()
        await self._send({"type": "http.response.body", "body": b""})

    def _is_pending(self) -> bool:
        """Whether some of the body has not come; a small one that is there is taken."""
        length = self._length()
        if length is not None and 0 < length <= SMALL_BYTES:
            self._take_what_is_there()
        return length != 0 and not self._ended

    def _length(self) -> int | None:
        """Bytes of the body; None where it comes in chunks, or says nonsense."""
        headers = dict(self._scope["headers"])
        if b"transfer-encoding" in headers:
            return None
        length = headers.get(b"content-length", b"0")
        return int(length) if length.isdigit() and len(length) < 16 else None

    def _take_what_is_there(self) -> None:
        coming = self.receive()
        try:
            coming.send(None)
        except StopIteration:
            return
        coming.close()
