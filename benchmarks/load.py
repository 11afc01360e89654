"""A closed loop (`serve_app.load`) whose answers are counted and checked."""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from serve_app.load.closed_loop import ClosedLoop
from serve_app.load.running import generate
from serve_app.load.traffic import REFUSED, Exchange, Step, Target, Traffic, request_bytes

__all__ = ["REFUSED", "Load", "LoadResult", "measure", "request_bytes"]


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
    tally = _Tally(load)
    steps = [Step(load.connections, load.duration_s)]
    if load.warm_up_s > 0:
        steps.insert(0, Step(load.connections, load.warm_up_s))
    target = Target(load.host, load.port)
    traffic = Traffic(
        target, load.requests, steps, load.grace_s, tally.ended, tally.watch(len(steps))
    )
    generate(lambda: ClosedLoop(traffic))
    return _result(tally)


@dataclass
class _Tally:
    """What all connections of one run write to."""

    load: Load
    measuring: bool = False
    marks: list[tuple[float, float]] = field(default_factory=list)
    """Clock and processor time at the start and at the end of the measured time."""
    latencies_s: list[float] = field(default_factory=list)
    samples: list[tuple[int, bytes]] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    refused: int = 0

    def watch(self, steps: int) -> Callable[[int], None]:
        """What notes the measured time: the last of the steps."""

        def on_step(number: int) -> None:
            self.measuring = number == steps - 1
            if number >= steps - 1:
                self.marks.append((time.perf_counter(), time.process_time()))

        return on_step

    def ended(self, exchange: Exchange, body: bytes) -> None:
        if exchange.fault is not None:
            self.errors[exchange.fault] += 1
            return
        self.answers += 1
        if exchange.status == REFUSED:
            self.refused += self.measuring
            return
        if exchange.status != 200 or not body:
            kind = f"status {exchange.status}" if exchange.status != 200 else "empty body"
            self.errors[kind] += 1
            return
        if self.measuring:
            self.latencies_s.append(exchange.latency_s)
        if self.answers % self.load.check_every == 0 or self.answers == 1:
            self.samples.append((exchange.index, body))


def _result(tally: _Tally) -> LoadResult:
    (started, cpu), (ended, cpu_end) = tally.marks
    elapsed_s = ended - started
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
        client_cpu=(cpu_end - cpu) / elapsed_s,
        error_kinds=dict(errors),
    )
