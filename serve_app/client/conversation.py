"""One call from its first attempt to its result or error, without doing any of it.

`converse` is a generator: it yields what to do next, `Send` or `Wait`, and is sent what came of it.
The two clients drive it, one by blocking, one by awaiting; everything that they have in common is
decided here.
"""

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

import httpx

from serve_app.client.answers import Misfit, error_of, unexpected
from serve_app.client.errors import (
    DeadlinePassed,
    ScoringServiceError,
    TransportFailed,
    Unreachable,
)
from serve_app.client.requests import Call
from serve_app.client.retries import Patience

T = TypeVar("T")

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True)
class Send:
    """To be done: the call's request, within `left_s`; comes back as an Answer or an error."""

    left_s: float


@dataclass(frozen=True)
class Wait:
    """To be done: nothing, for some time."""

    seconds: float


class TimeIsUp(Exception):
    """The time of a `Send` passed before its answer was whole."""


Reply = Answer | httpx.RequestError | TimeIsUp | None


class Clock:
    """The time that passes, and the time of day."""

    def now(self) -> float:
        """Seconds of a clock that only goes forward."""
        return time.monotonic()

    def today(self) -> datetime:
        """The date, for a `Retry-After` that names one."""
        return datetime.now(UTC)


def converse(
    call: Call[T], timeout_s: float, patience: Patience, clock: Clock
) -> Generator[Send | Wait, Reply, T]:
    """Returns the result; raises a ScoringServiceError. `timeout_s` is for all attempts together.

    A wait that would go beyond the deadline is not begun: the error that asked for it is raised.
    """
    deadline = clock.now() + timeout_s
    while True:
        left_s = deadline - clock.now()
        if left_s <= 0:
            raise _too_late(timeout_s)
        reply = yield Send(left_s)
        if isinstance(reply, Answer) and _is_result(reply, call):
            try:
                return call.read(reply.content)
            except Misfit as misfit:
                raise unexpected(reply.status, reply.headers) from misfit
        error, cause = _error(reply, timeout_s, clock)
        wait_s = patience.wait_s(error)
        if wait_s is None or clock.now() + wait_s >= deadline:
            raise error from cause
        yield Wait(wait_s)


def _is_result(answer: Answer, call: Call[T]) -> bool:
    if answer.status == httpx.codes.OK:
        return True
    # A 503 of a load balancer in front is none of the service's.
    kind = answer.headers.get("content-type", "")
    return answer.status in call.also_read and kind.startswith("application/json")


def _error(
    reply: Reply, timeout_s: float, clock: Clock
) -> tuple[ScoringServiceError, Exception | None]:
    """What a reply stands for, and the exception that says more."""
    if isinstance(reply, Answer):
        return error_of(*reply, clock.today()), None
    if isinstance(reply, NEVER_SENT):
        return Unreachable("unreachable", _words(reply)), reply
    if isinstance(reply, TimeIsUp | httpx.TimeoutException):
        return _too_late(timeout_s), reply
    return TransportFailed("transport_failed", _words(reply)), reply


def _too_late(timeout_s: float) -> DeadlinePassed:
    return DeadlinePassed("deadline_passed", f"no result within {timeout_s:g} s")


def _words(error: Exception | None) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
