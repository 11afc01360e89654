"""Requests that arrive on their own schedule and never wait for earlier answers.

A closed loop slows down with the server and so hides what overload does to clients. Here arrivals
are a Poisson process whose rate climbs in steps, each request takes an idle connection or opens one
more, and latencies count from the moment at which a request was due, so that a late generator does
not flatter the server ("coordinated omission").
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import uvloop

from benchmarks.wire import Answer, Connection


@dataclass(frozen=True)
class Step:
    """A rate of arrivals (requests/s) that holds for some time."""

    rate: float
    duration_s: float


@dataclass(slots=True)
class Arrival:
    """One request of a step: due at `due_s`; without an answer `status` is None.

    `fault` says why there is no answer: the connection's end, or "hung" when none came in time.
    """

    step: int
    index: int
    due_s: float
    status: int | None = None
    latency_s: float = 0.0
    retry_after: str | None = None
    fault: str | None = None


@dataclass(frozen=True)
class Ramp:
    """What to send, to whom, in which steps; an answer later than `deadline_s` counts as hung.

    `on_step` is called in a thread of its own when a step ends, with its number. `check` sees every
    200 after the run, as the load generator's does.
    """

    port: int
    requests: Sequence[bytes]
    steps: Sequence[Step]
    deadline_s: float
    on_step: Callable[[int], None] = lambda _step: None
    check: Callable[[int, bytes], bool] = lambda _index, _body: True
    seed: int = 0
    host: str = "127.0.0.1"


@dataclass
class RampResult:
    """Every arrival in order, the most connections open, and the generator's share of one core."""

    arrivals: list[Arrival] = field(default_factory=list)
    connections: int = 0
    client_cpu: float = 0.0
    wrong: int = 0


def drive(ramp: Ramp) -> RampResult:
    """Sends the whole ramp and returns when every request was answered or has hung.

    Raises:
        ValueError: no request, no step, or a rate or time that is not positive.
    """
    if not ramp.requests or not ramp.steps:
        raise ValueError("a ramp needs requests and steps")
    if any(step.rate <= 0 or step.duration_s <= 0 for step in ramp.steps):
        raise ValueError("a step needs a rate and a duration above 0")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Pool(ramp).run())


def schedule(steps: Sequence[Step], seed: int) -> Iterator[tuple[int, float]]:
    """Step and moment (seconds from the start) of each arrival of the Poisson process."""
    random = np.random.default_rng(seed)
    started = 0.0
    for number, step in enumerate(steps):
        ends = started + step.duration_s
        moment = started + random.exponential(1 / step.rate)
        while moment < ends:
            yield number, moment
            moment += random.exponential(1 / step.rate)
        started = ends


class _Pool:
    """Idle connections, and what every busy one waits for."""

    def __init__(self, ramp: Ramp) -> None:
        self._ramp = ramp
        self._result = RampResult()
        self._idle: list[Connection] = []
        self._pending: dict[Connection, Arrival] = {}
        self._open = 0
        self._bodies: list[tuple[int, bytes]] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def run(self) -> RampResult:
        cpu, started = time.process_time(), time.perf_counter()
        ends = list(itertools.accumulate(step.duration_s for step in self._ramp.steps))
        calls = [
            asyncio.create_task(self._after_step(number, started + end))
            for number, end in enumerate(ends)
        ]
        indexes = itertools.cycle(range(len(self._ramp.requests)))
        for step, moment in schedule(self._ramp.steps, self._ramp.seed):
            due_s = started + moment
            if (wait_s := due_s - time.perf_counter()) > 0:
                await asyncio.sleep(wait_s)
            # The loop's timers go by milliseconds and may be early.
            self._send(Arrival(step, next(indexes), min(due_s, time.perf_counter())))
        await asyncio.gather(*calls)
        busy_s = time.perf_counter() - started
        self._result.client_cpu = (time.process_time() - cpu) / busy_s
        with suppress(TimeoutError):
            async with asyncio.timeout(self._ramp.deadline_s):
                await self._until(lambda: not self._pending and not self._opening)
        self._finish()
        await self._until(lambda: self._open == 0)
        check = self._ramp.check
        self._result.wrong = sum(not check(index, body) for index, body in self._bodies)
        return self._result

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    async def _after_step(self, number: int, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - time.perf_counter()))
        await asyncio.to_thread(self._ramp.on_step, number)

    def _send(self, arrival: Arrival) -> None:
        self._result.arrivals.append(arrival)
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                self._start(connection, arrival)
                return
        task = asyncio.create_task(self._connect(arrival))
        self._opening.add(task)
        task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        self._changed.set()

    async def _connect(self, arrival: Arrival) -> None:
        connection = Connection(
            lambda made: self._start(made, arrival), self._answered, self._ended
        )
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: connection, self._ramp.host, self._ramp.port)
        except OSError as error:
            arrival.fault = f"no connection: {type(error).__name__}"
            return
        self._open += 1
        self._result.connections = max(self._result.connections, self._open)

    def _start(self, connection: Connection, arrival: Arrival) -> None:
        self._pending[connection] = arrival
        connection.send(self._ramp.requests[arrival.index])

    def _answered(self, connection: Connection, answer: Answer) -> None:
        arrival = self._pending.pop(connection)
        arrival.latency_s = answer.at_s - arrival.due_s
        if arrival.latency_s > self._ramp.deadline_s:
            arrival.fault = "hung"
        else:
            arrival.status, arrival.retry_after = answer.status, answer.retry_after
        if answer.status == 200:
            self._bodies.append((arrival.index, answer.body))
        self._idle.append(connection)
        self._changed.set()

    def _ended(self, connection: Connection, fault: str | None) -> None:
        self._open -= 1
        if (arrival := self._pending.pop(connection, None)) is not None:
            arrival.fault = fault
        self._changed.set()

    def _finish(self) -> None:
        for task in self._opening:
            task.cancel()
        for connection in list(self._pending):
            connection.abort("hung")
        for connection in self._idle:
            connection.close()
        for arrival in self._result.arrivals:
            if arrival.status is None and arrival.fault is None:
                arrival.fault = "hung"
