"""How long a request may take: what its client asks for, within what the service allows."""

import asyncio
from collections.abc import Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any, TypeVar

from starlette.requests import Request

from serve_app.errors import DeadlinePassed, OutOfRange
from serve_app.http.numbers import whole_number

T = TypeVar("T")

TIMEOUT_HEADER = "X-Request-Timeout-Ms"
MOST_DIGITS = 15
_SENT_AS = TIMEOUT_HEADER.lower().encode()


def deadline_of(request: Request, longest_s: float) -> float:
    """When the request's time is up, as a moment of the loop's clock.

    The time counts from now, so this is the first thing that a route asks. `X-Request-Timeout-Ms`
    may shorten `longest_s`; a longer one changes nothing.

    Raises:
        InvalidField, OutOfRange, ContradictoryFields: the header is no whole number from 1 on.
    """
    now = asyncio.get_running_loop().time()
    # As ASGI gives them: looking one header up through `request.headers` costs a question 3 us.
    headers: list[tuple[bytes, bytes]] = request.scope["headers"]
    values = [value.decode("latin-1") for name, value in headers if name == _SENT_AS]
    asked_ms = whole_number(
        TIMEOUT_HEADER, values, most_digits=MOST_DIGITS, unit=" of milliseconds"
    )
    if asked_ms is None:
        return now + longest_s
    if asked_ms < 1:
        raise OutOfRange(f"{TIMEOUT_HEADER} must be at least 1", field=TIMEOUT_HEADER)
    return now + min(longest_s, asked_ms / 1000)


async def arrived(reading: Coroutine[Any, Any, T], deadline: float) -> T:
    """What the reading of a body returns; one that still waits at the deadline is cut off.

    Most bodies have come with their head. They are read without a timer, which costs a question
    15 us: a tenth of the Router's time for it.

    Raises:
        DeadlinePassed: the body was not there in time.
    """
    try:
        waited_for = reading.send(None)
    except StopIteration as ended:
        whole: T = ended.value
        return whole
    try:
        async with asyncio.timeout_at(deadline):
            return await _resumed(reading, waited_for)
    except TimeoutError:
        raise DeadlinePassed("the body did not arrive in time") from None


@coroutine
def _resumed(begun: Coroutine[Any, Any, T], waited_for: Any) -> Generator[Any, Any, T]:
    """The rest of a coroutine that has been run up to its first wait."""
    while True:
        try:
            sent = yield waited_for
        except BaseException as error:  # noqa: BLE001 - the coroutine is to see it, and may raise it
            go_on = partial(begun.throw, error)
        else:
            go_on = partial(begun.send, sent)
        try:
            waited_for = go_on()
        except StopIteration as ended:
            result: T = ended.value
            return result
