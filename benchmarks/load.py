"""A load generator that takes little of the machine it measures.

Closed loop: each of N keep-alive connections sends its next request when the last is answered, or
after the `Retry-After` of a refusal. Requests are built before the run, and nothing else
happens between an answer and the next request but two clock readings.
"""

import asyncio
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import uvloop

from benchmarks.wire import Answer, Connection

CONNECT_ATTEMPTS = 10
"""Connections refused or lost in a row, without an answer between, before one driver gives up."""
REFUSED = 429
REFUSED_PAUSE_S = 1.0
"""Pause of a connection after a refusal that does not say how long."""


@dataclass(frozen=True)
class Load:
    """What to send, to whom and for how long.

    Every answer must be a complete 200 with a body, or a 429; every `check_every`-th is also given
    to `check(index of the request, body)` after the run. Whatever else comes is an error.
    """

    port: int
    requests: Sequence[bytes]
    connections: int
    duration_s: float
    warm_up_s: float = 1.0
    check: Callable[[int, bytes], bool] = lambda _index, _body: True
    check_every: int = 20
    grace_s: float = 30.0
    host: str = "127.0.0.1"


@dataclass(frozen=True)
class LoadResult:
    """What came back. Latencies are NaN where nothing was answered within the measured time.

    Errors count from the first request on, the warm-up included; `refused` counts the 429s of the
    measured time; `client_cpu` is the share of one core that the generator itself took.
    """

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    answered: int
    refused: int
    errors: int
    checked: int
    client_cpu: float
    error_kinds: dict[str, int]


def measure(load: Load) -> LoadResult:
    """Runs the load and returns when every connection is closed.

    Raises:
        ValueError: no request to send, no connection or no time.
    """
    if not load.requests or load.connections < 1 or load.duration_s <= 0:
        raise ValueError("a load needs requests, connections and a duration")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(load))


def request_bytes(path: str, body: bytes, content_type: str, host: str = "127.0.0.1") -> bytes:
    """One POST as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


@dataclass
class _Tally:
    """What all connections of one run write to."""

    load: Load
    indexes: Iterator[int]
    measuring: bool = False
    over: bool = False
    latencies_s: list[float] = field(default_factory=list)
    samples: list[tuple[int, bytes]] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    refused: int = 0

    def answered(self, index: int, answer: Answer, latency_s: float) -> None:
        self.answers += 1
        if answer.status == REFUSED:
            self.refused += self.measuring
            return
        if answer.status != 200 or not answer.body:
            kind = f"status {answer.status}" if answer.status != 200 else "empty body"
            self.errors[kind] += 1
            return
        if self.measuring:
            self.latencies_s.append(latency_s)
        if self.answers % self.load.check_every == 0 or self.answers == 1:
            self.samples.append((index, answer.body))


class _Client:
    """Keeps one connection busy until the run is over."""

    def __init__(self, tally: _Tally, closed: asyncio.Future[None]) -> None:
        self._tally = tally
        self._closed = closed
        self._index = 0
        self._sent_at = 0.0

    def send(self, connection: Connection) -> None:
        if not connection.is_open:
            return
        if self._tally.over:
            connection.close()
            return
        self._index = next(self._tally.indexes)
        self._sent_at = time.perf_counter()
        connection.send(self._tally.load.requests[self._index])

    def answered(self, connection: Connection, answer: Answer) -> None:
        self._tally.answered(self._index, answer, answer.at_s - self._sent_at)
        if answer.status == REFUSED and not self._tally.over:
            loop = asyncio.get_running_loop()
            pause_s = float(answer.retry_after or REFUSED_PAUSE_S)
            loop.call_later(pause_s, self.send, connection)
        else:
            self.send(connection)

    def ended(self, _connection: Connection, fault: str | None) -> None:
        if fault is not None:
            self._tally.errors[fault] += 1
        if not self._closed.done():
            self._closed.set_result(None)


async def _run(load: Load) -> LoadResult:
    tally = _Tally(load, itertools.cycle(range(len(load.requests))))
    drivers = [asyncio.create_task(_drive(tally)) for _ in range(load.connections)]
    await asyncio.wait(drivers, timeout=load.warm_up_s)
    tally.measuring = True
    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.wait(drivers, timeout=load.duration_s)
    tally.measuring = False
    elapsed_s = time.perf_counter() - started
    client_cpu = (time.process_time() - cpu) / elapsed_s
    tally.over = True
    finished, late = await asyncio.wait(drivers, timeout=load.grace_s)
    for driver in late:
        driver.cancel()
    if late:
        await asyncio.wait(late)
    for driver in finished:
        driver.result()  # an error of the generator's own must not pass for a quiet run
    return _result(tally, elapsed_s, client_cpu)


async def _drive(tally: _Tally) -> None:
    """Keeps one connection open, reconnecting when the server closes it."""
    fruitless = 0
    while not tally.over and fruitless < CONNECT_ATTEMPTS:
        before = tally.answers
        try:
            await _converse(tally)
        except OSError as error:
            tally.errors[f"no connection: {type(error).__name__}"] += 1
        fruitless = fruitless + 1 if tally.answers == before else 0


async def _converse(tally: _Tally) -> None:
    """One connection from its start to its end."""
    loop = asyncio.get_running_loop()
    closed: asyncio.Future[None] = loop.create_future()
    client = _Client(tally, closed)
    connection = Connection(client.send, client.answered, client.ended)
    try:
        await loop.create_connection(lambda: connection, tally.load.host, tally.load.port)
        await closed
    except asyncio.CancelledError:
        connection.abort("unanswered")
        raise


def _result(tally: _Tally, elapsed_s: float, client_cpu: float) -> LoadResult:
    errors = tally.errors.copy()
    wrong = sum(not tally.load.check(index, body) for index, body in tally.samples)
    if wrong:
        errors["wrong answer"] = wrong
    latencies = np.asarray(tally.latencies_s or [math.nan]) * 1000
    p50, p99 = np.percentile(latencies, [50, 99])
    return LoadResult(
        requests_per_s=len(tally.latencies_s) / elapsed_s,
        p50_ms=float(p50),
        p99_ms=float(p99),
        answered=len(tally.latencies_s),
        refused=tally.refused,
        errors=errors.total(),
        checked=len(tally.samples),
        client_cpu=client_cpu,
        error_kinds=dict(errors),
    )
