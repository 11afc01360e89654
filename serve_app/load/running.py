"""Runs one of the loops, on a fast event loop of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import uvloop

Beside = Callable[["Loop"], Awaitable[None]]


class Loop(Protocol):
    """A closed or an open loop."""

    async def run(self) -> None:
        """Sends everything and returns when every connection is closed."""

    def stop(self) -> None:
        """Sends no more; `run` returns once what is under way has ended."""


def generate(make: Callable[[], Loop], beside: Beside | None = None) -> None:
    """Makes the loop and runs it; `beside` runs next to it, and is cancelled when it ends."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(make(), beside))


async def _run(loop: Loop, beside: Beside | None) -> None:
    if beside is None:
        await loop.run()
        return
    neighbour = asyncio.ensure_future(beside(loop))
    try:
        await loop.run()
    finally:
        neighbour.cancel()
        await asyncio.wait([neighbour])
    if not neighbour.cancelled():
        neighbour.result()
