"""Connections that each send their next request when the last is answered.

After a refusal (429) a connection waits as long as `Retry-After` says. Nothing else happens
between an answer and the next request but two clock readings.
"""

import asyncio
import itertools
import time

from serve_app.load.traffic import REFUSED, Exchange, Traffic
from serve_app.load.wire import Answer, Connection

CONNECT_ATTEMPTS = 10
"""Connections refused or lost in a row, without an answer between, before one driver gives up."""
REFUSED_PAUSE_S = 1.0
"""Pause of a connection after a refusal that does not say how long."""


class ClosedLoop:
    """As many connections as the step says; a step may only have more than the one before."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._indexes = itertools.cycle(range(len(traffic.requests)))
        self._drivers: list[asyncio.Task[None]] = []
        self._paused: dict[Connection, asyncio.TimerHandle] = {}
        self._stepping: asyncio.Task[None] | None = None
        self._step = 0
        self._over = False
        self.answers = 0

    def stop(self) -> None:
        """Sends no more; `run` returns once what is under way has ended."""
        if self._stepping is not None:
            self._stepping.cancel()

    async def run(self) -> None:
        """Returns when every connection is closed."""
        self._stepping = asyncio.create_task(self._steps())
        await asyncio.wait([self._stepping])
        if not self._stepping.cancelled():
            self._stepping.result()
        self._traffic.on_step(len(self._traffic.steps))
        self._end()
        await self._ended()

    async def _steps(self) -> None:
        for number, step in enumerate(self._traffic.steps):
            self._step = number
            self._traffic.on_step(number)
            while len(self._drivers) < step.load:
                self._drivers.append(asyncio.create_task(self._drive()))
            await asyncio.wait(self._drivers, timeout=step.duration_s)

    def _end(self) -> None:
        self._over = True
        for connection, timer in self._paused.items():
            timer.cancel()
            connection.close()
        self._paused.clear()

    async def _ended(self) -> None:
        finished, late = await asyncio.wait(self._drivers, timeout=self._traffic.deadline_s)
        for driver in late:
            driver.cancel()
        if late:
            await asyncio.wait(late)
        for driver in finished:
            driver.result()  # an error of the generator's own must not pass for a quiet run

    async def _drive(self) -> None:
        """Keeps one connection open, reconnecting when the server closes it."""
        fruitless = 0
        while not self._over and fruitless < CONNECT_ATTEMPTS:
            before = self.answers
            try:
                await self._converse()
            except OSError as error:
                self._note(f"no connection: {type(error).__name__}")
            fruitless = fruitless + 1 if self.answers == before else 0

    async def _converse(self) -> None:
        """One connection from its start to its end."""
        loop = asyncio.get_running_loop()
        user = _User(self, loop.create_future())
        connection = Connection(user.send, user.answered, user.ended)
        target = self._traffic.target
        try:
            await loop.create_connection(
                lambda: connection, target.host, target.port, ssl=target.tls
            )
            await user.closed
        except asyncio.CancelledError:
            connection.abort("unanswered")
            raise

    def _note(self, fault: str) -> None:
        exchange = Exchange(self._step, 0, time.perf_counter(), fault=fault)
        self._traffic.on_end(exchange, b"")

    def begin(self) -> tuple[Exchange, bytes] | None:
        """The next request, due now; None when the run is over."""
        if self._over:
            return None
        index = next(self._indexes)
        return Exchange(self._step, index, time.perf_counter()), self._traffic.requests[index]

    def end(self, exchange: Exchange, body: bytes) -> None:
        """What became of a request."""
        self.answers += exchange.fault is None
        self._traffic.on_end(exchange, body)

    def pause(self, user: "_User", connection: Connection, pause_s: float) -> None:
        """Lets a connection send again later, or end with the run."""
        if self._over:
            connection.close()
            return

        def go_on() -> None:
            del self._paused[connection]
            user.send(connection)

        self._paused[connection] = asyncio.get_running_loop().call_later(pause_s, go_on)


class _User:
    """Keeps one connection busy until the run is over."""

    def __init__(self, loop: ClosedLoop, closed: asyncio.Future[None]) -> None:
        self._loop = loop
        self.closed = closed
        self._exchange: Exchange | None = None

    def send(self, connection: Connection) -> None:
        if not connection.is_open:
            return
        begun = self._loop.begin()
        if begun is None:
            connection.close()
            return
        self._exchange, request = begun
        connection.send(request)

    def answered(self, connection: Connection, answer: Answer) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            raise RuntimeError("an answer to no request")
        exchange.status, exchange.retry_after = answer.status, answer.retry_after
        exchange.latency_s = answer.at_s - exchange.due_s
        self._loop.end(exchange, answer.body)
        if answer.status == REFUSED:
            self._loop.pause(self, connection, _pause_s(answer.retry_after))
        else:
            self.send(connection)

    def ended(self, _connection: Connection, fault: str | None) -> None:
        if self._exchange is not None and fault is not None:
            self._exchange.fault = fault
            self._exchange.latency_s = time.perf_counter() - self._exchange.due_s
            self._loop.end(self._exchange, b"")
        if not self.closed.done():
            self.closed.set_result(None)


def _pause_s(retry_after: str | None) -> float:
    if retry_after is None or not (retry_after.isascii() and retry_after.isdecimal()):
        return REFUSED_PAUSE_S
    return float(retry_after)
