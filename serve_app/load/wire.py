"""One keep-alive HTTP/1.1 connection of a load generator, with as little around it as possible.

Answers are parsed by httptools, and nothing happens between the last byte and the callback but one
clock reading.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import httptools


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer, when its last byte came (`time.perf_counter`), and its `Retry-After`."""

    status: int
    body: bytes
    at_s: float
    retry_after: str | None


class Connection(asyncio.Protocol):
    """Sends a request at a time; also the parser's set of callbacks.

    `on_ready` is called once connected, `on_answer` for each answer, and `on_end` once the
    connection is closed, with what was wrong where a request was left without an answer.
    """

    _transport: asyncio.Transport

    def __init__(
        self,
        on_ready: Callable[["Connection"], None],
        on_answer: Callable[["Connection", Answer], None],
        on_end: Callable[["Connection", str | None], None],
    ) -> None:
        self._on_ready = on_ready
        self._on_answer = on_answer
        self._on_end = on_end
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._retry_after: str | None = None
        self._is_made = False
        self._waiting = False
        self._answer_began = False
        self._fault: str | None = None
        self.was_used = False
        """Whether a request has been sent."""
        self.made_s = 0.0
        """When it was made (`time.perf_counter`)."""

    @property
    def is_open(self) -> bool:
        """Whether another request can be sent."""
        return not self._transport.is_closing()

    def send(self, request: bytes) -> None:
        """Sends the next request; the last one must have been answered."""
        self._waiting = True
        self.was_used = True
        self._transport.write(request)

    def close(self) -> None:
        """Ends the connection; its `on_end` follows."""
        self._transport.close()

    def abort(self, fault: str) -> None:
        """Ends the connection, if it was made; a request without an answer ends with this fault."""
        self._fault = self._fault or fault
        if self._is_made:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._is_made = True
        self.made_s = time.perf_counter()
        self._on_ready(self)

    def data_received(self, data: bytes) -> None:
        self._answer_began = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.abort(f"malformed answer: {type(error).__name__}")

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self._retry_after = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        at_s = time.perf_counter()
        if not self._waiting:
            self._waiting = True  # it is to end with the fault, though nothing was sent
            self.abort("answer without a request")
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        answer = Answer(self._parser.get_status_code(), body, at_s, self._retry_after)
        self._body.clear()
        self._retry_after = None
        self._waiting = self._answer_began = False
        if not self._parser.should_keep_alive():
            self._transport.close()
        self._on_answer(self, answer)

    def connection_lost(self, _error: Exception | None) -> None:
        ended = "answer cut off" if self._answer_began else "connection dropped"
        fault = (self._fault or ended) if self._waiting else None
        self._waiting = False
        self._on_end(self, fault)
