"""Requests that arrive on their own schedule and never wait for earlier answers.

A closed loop slows down with the server and so hides what overload does to clients. Here arrivals
are a Poisson process whose rate may climb in steps, each request takes an idle connection or opens
one more, and latencies count from the moment at which a request was due, so that a late generator
does not flatter the server ("coordinated omission").
"""

import asyncio
import itertools
import time
from collections.abc import Callable
from contextlib import suppress

from serve_app.load.arrivals import schedule
from serve_app.load.traffic import Connecting, Exchange, Traffic
from serve_app.load.wire import Answer, Connection

RETRY_PAUSE_S = 0.05
"""Between two attempts to connect."""


class OpenLoop:
    """Idle connections, and what every busy one waits for."""

    def __init__(
        self, traffic: Traffic, seed: int = 0, connecting: Connecting | None = None
    ) -> None:
        self._traffic = traffic
        self._connecting = connecting or Connecting()
        self._seed = seed
        self._idle: list[Connection] = []
        self._pending: dict[Connection, Exchange] = {}
        self._open = 0
        self._opening: dict[asyncio.Task[None], Exchange] = {}
        self._changed = asyncio.Event()
        self._arriving: asyncio.Task[None] | None = None
        self.most_open = 0
        """The most connections that were open at a time."""

    def stop(self) -> None:
        """Sends no more; `run` returns once what is under way has ended."""
        if self._arriving is not None:
            self._arriving.cancel()

    async def run(self) -> None:
        """Returns when every request was answered or has hung, and every connection is closed."""
        self._arriving = asyncio.create_task(self._arrive())
        await asyncio.wait([self._arriving])
        if not self._arriving.cancelled():
            self._arriving.result()
        self._traffic.on_step(len(self._traffic.steps))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._traffic.deadline_s):
                await self._until(lambda: not self._pending and not self._opening)
        await self._finish()

    async def _arrive(self) -> None:
        steps = self._traffic.steps
        started = time.perf_counter()
        begins = [0.0, *itertools.accumulate(step.duration_s for step in steps)]
        indexes = itertools.cycle(range(len(self._traffic.requests)))
        begun = -1
        for step, moment in schedule(steps, self._seed):
            while begun < step:
                begun += 1
                await _sleep_until(started + begins[begun])
                self._traffic.on_step(begun)
            due_s = started + moment
            await _sleep_until(due_s)
            # The loop's timers go by milliseconds and may be early.
            self._send(Exchange(step, next(indexes), min(due_s, time.perf_counter())))
        while begun < len(steps) - 1:  # steps in which nothing was due
            begun += 1
            await _sleep_until(started + begins[begun])
            self._traffic.on_step(begun)
        await _sleep_until(started + begins[-1])

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    def _send(self, exchange: Exchange) -> None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_open:
                continue
            if self._is_old(connection):
                connection.close()
                continue
            self._start(connection, exchange)
            return
        task = asyncio.create_task(self._connect(exchange))
        self._opening[task] = exchange
        task.add_done_callback(self._opened)

    def _is_old(self, connection: Connection) -> bool:
        life_s = self._connecting.life_s
        return life_s is not None and time.perf_counter() - connection.made_s > life_s

    def _opened(self, task: asyncio.Task[None]) -> None:
        exchange = self._opening.pop(task)
        if task.cancelled() and exchange not in self._pending.values():
            self._fail(exchange, "hung")
        if not task.cancelled():
            task.result()  # an error of the generator's own must not pass for a quiet run
        self._changed.set()

    async def _connect(self, exchange: Exchange) -> None:
        """Returns when the request was sent, or when no connection for it could be made."""
        loop, target = asyncio.get_running_loop(), self._traffic.target
        while True:
            connection = Connection(
                lambda made: self._start(made, exchange), self._answered, self._ended
            )
            try:
                async with asyncio.timeout(self._connecting.timeout_s):
                    await loop.create_connection(
                        lambda made=connection: made, target.host, target.port, ssl=target.tls
                    )
                return
            except OSError as error:  # TimeoutError is one
                if exchange in self._pending.values():
                    return  # made in the moment in which its time was up
                if exchange.retries == self._connecting.retries:
                    self._fail(exchange, f"no connection: {type(error).__name__}")
                    return
            exchange.retries += 1
            await asyncio.sleep(RETRY_PAUSE_S)

    def _start(self, connection: Connection, exchange: Exchange) -> None:
        if not connection.was_used:
            self._open += 1
            self.most_open = max(self.most_open, self._open)
        self._pending[connection] = exchange
        connection.send(self._traffic.requests[exchange.index])

    def _answered(self, connection: Connection, answer: Answer) -> None:
        exchange = self._pending.pop(connection)
        exchange.latency_s = answer.at_s - exchange.due_s
        if exchange.latency_s > self._traffic.deadline_s:
            exchange.fault = "hung"
        else:
            exchange.status, exchange.retry_after = answer.status, answer.retry_after
        self._traffic.on_end(exchange, answer.body)
        self._idle.append(connection)
        self._changed.set()

    def _ended(self, connection: Connection, fault: str | None) -> None:
        self._open -= 1
        if (exchange := self._pending.pop(connection, None)) is not None:
            self._fail(exchange, fault or "connection dropped")
        self._changed.set()

    def _fail(self, exchange: Exchange, fault: str) -> None:
        exchange.fault = fault
        exchange.latency_s = time.perf_counter() - exchange.due_s
        self._traffic.on_end(exchange, b"")

    async def _finish(self) -> None:
        for task in list(self._opening):
            task.cancel()
        if self._opening:
            await asyncio.wait(list(self._opening))
        for connection in list(self._pending):
            connection.abort("hung")
        for connection in self._idle:
            connection.close()
        await self._until(lambda: self._open == 0)


async def _sleep_until(moment: float) -> None:
    if (wait_s := moment - time.perf_counter()) > 0:
        await asyncio.sleep(wait_s)
