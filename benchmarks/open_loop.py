"""An open loop (`serve_app.load`) that keeps every arrival and checks the answers."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from serve_app.load.arrivals import schedule
from serve_app.load.open_loop import OpenLoop
from serve_app.load.running import generate
from serve_app.load.traffic import Exchange as Arrival
from serve_app.load.traffic import Step, Target, Traffic

__all__ = ["Arrival", "Ramp", "RampResult", "Step", "drive", "schedule"]


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
    result = RampResult()
    bodies: list[tuple[int, bytes]] = []
    marks: list[tuple[float, float]] = []
    loops: list[OpenLoop] = []
    pending: list[Future[None]] = []

    def on_end(arrival: Arrival, body: bytes) -> None:
        result.arrivals.append(arrival)
        if arrival.status == 200:
            bodies.append((arrival.index, body))

    with ThreadPoolExecutor(1) as looks:

        def on_step(number: int) -> None:
            marks.append((time.process_time(), time.perf_counter()))
            if number > 0:
                pending.append(looks.submit(ramp.on_step, number - 1))

        target = Target(ramp.host, ramp.port)
        traffic = Traffic(target, ramp.requests, ramp.steps, ramp.deadline_s, on_end, on_step)

        def make() -> OpenLoop:
            loops.append(OpenLoop(traffic, ramp.seed))
            return loops[0]

        generate(make)
        for look in pending:
            look.result()
    (cpu, started), (cpu_end, ended) = marks[0], marks[-1]
    result.client_cpu = (cpu_end - cpu) / (ended - started)
    result.connections = loops[0].most_open
    result.arrivals.sort(key=lambda arrival: arrival.due_s)
    result.wrong = sum(not ramp.check(index, body) for index, body in bodies)
    return result
