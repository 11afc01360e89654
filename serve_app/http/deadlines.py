"""How long a request may take: what its client asks for, within what the service allows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request

from serve_app.errors import DeadlinePassed, OutOfRange
from serve_app.http.numbers import whole_number

TIMEOUT_HEADER = "X-Request-Timeout-Ms"


def deadline_of(request: Request, longest_s: float) -> float:
    """When the request's time is up, as a moment of the loop's clock.

    The time counts from now, so this is the first thing that a route asks. `X-Request-Timeout-Ms`
    may shorten `longest_s`; a longer one changes nothing.

    Raises:
        InvalidField, OutOfRange, ContradictoryFields: the header is no whole number from 1 on.
    """
    now = asyncio.get_running_loop().time()
    values = request.headers.getlist(TIMEOUT_HEADER)
    asked_ms = whole_number(TIMEOUT_HEADER, values, most_digits=15, unit=" of milliseconds")
    if asked_ms is None:
        return now + longest_s
    if asked_ms < 1:
        raise OutOfRange(f"{TIMEOUT_HEADER} must be at least 1", field=TIMEOUT_HEADER)
    return now + min(longest_s, asked_ms / 1000)


@asynccontextmanager
async def arriving_until(deadline: float) -> AsyncIterator[None]:
    """Reads a body: one that is still arriving at the deadline is cut off.

    Raises:
        DeadlinePassed: the body was not there in time.
    """
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError:
        raise DeadlinePassed("the body did not arrive in time") from None
