"""What a run sends, to whom, in which steps, and what becomes of one request."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass

REFUSED = 429


@dataclass(frozen=True)
class Target:
    """The server; with `tls` its certificate is checked against `host`."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True)
class Step:
    """A load that holds for some time: requests/s of an open loop, connections of a closed one."""

    load: float
    duration_s: float


@dataclass(frozen=True)
class Connecting:
    """How an open loop connects.

    A connection that is older than `life_s` takes no further request, so that new ones follow what
    stands behind the address. A request that got no connection within `timeout_s` was never sent:
    it is tried `retries` times more. One that was sent is never sent again.
    """

    life_s: float | None = None
    retries: int = 0
    timeout_s: float | None = None


@dataclass(slots=True)
class Exchange:
    """One request of a step: due at `due_s` (`time.perf_counter`), answered `latency_s` later.

    Without an answer `status` is None, and `fault` says why: the connection's end, "hung" or
    "unanswered" when none came in time, or why there was no connection. `retries` counts the
    connections that could not be made before one was.
    """

    step: int
    index: int
    due_s: float
    status: int | None = None
    latency_s: float = 0.0
    retry_after: str | None = None
    fault: str | None = None
    retries: int = 0


@dataclass(frozen=True)
class Traffic:
    """One run.

    `on_end` is called once for each request, with the body of its answer. `on_step` is called when
    a step begins, and with the number of steps when the last is over. Both run in the loop, so
    they must not wait. `deadline_s` is how long an answer may take, and the last ones are waited
    for.
    """

    target: Target
    requests: Sequence[bytes]
    steps: Sequence[Step]
    deadline_s: float
    on_end: Callable[[Exchange, bytes], None]
    on_step: Callable[[int], None] = lambda _number: None

    def __post_init__(self) -> None:
        if not self.requests or not self.steps:
            raise ValueError("traffic needs requests and steps")
        if any(step.load <= 0 or step.duration_s <= 0 for step in self.steps):
            raise ValueError("a step needs a load and a duration above 0")


def request_bytes(
    path: str,
    body: bytes,
    content_type: str,
    host: str = "127.0.0.1",
    key: str | None = None,
) -> bytes:
    """One POST as it goes over the wire; `key` goes as a bearer token."""
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n{authorization}"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body
