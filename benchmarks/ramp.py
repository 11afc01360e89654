"""Overload: requests that keep coming, at a rate that climbs to twice what the application can do.

Below its capacity it must answer all; above it, it must keep what it accepts quick, refuse the rest
at once with `Retry-After`, let nothing hang, and take no more memory.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks import image_loops, processes, report
from benchmarks.images import LONGER, own_server
from benchmarks.load import REFUSED, Load, measure
from benchmarks.open_loop import Arrival, Ramp, RampResult, Step, drive
from benchmarks.payloads import Payloads, photographs, pictures
from benchmarks.report import Goal, Measurement, Report
from benchmarks.rounds import Options
from benchmarks.scrape import Inference, inference
from benchmarks.servers import Running, ServerError, forget_application, running

LOADS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
"""Rates of the steps, as multiples of the capacity that a closed loop measured before."""
HUNG_S = 60.0
"""Twice the service's own deadline: an answer that comes later counts as hung."""
SETTLED_S = 60.0
"""Memory is compared with what it was after this long: pools and caches are filled by then."""


@dataclass(frozen=True)
class Look:
    """The service when a step ended: seconds from the ramp's start, its memory, its passes."""

    at_s: float
    memory_mib: float
    inference: Inference


@dataclass(frozen=True)
class StepFigures:
    """One step: what was accepted (200), refused (429), and what failed or hung.

    Latencies are NaN where there was nothing; `without_retry_after` counts refusals that do not say
    when to come back; `batch_ms` is the mean time of a forward pass, with its wait for a thread.
    """

    load: float
    offered_per_s: float
    accepted_per_s: float
    p50_ms: float
    p99_ms: float
    refused: int
    refused_share: float
    refused_p50_ms: float
    refused_p99_ms: float
    refused_max_ms: float
    without_retry_after: int
    hung: int
    failed: dict[str, int]
    batch_ms: float
    at_s: float
    memory_mib: float


def run(options: Options, command: str) -> Report:
    """Measures the capacity, then drives the ramp against the same service."""
    files = photographs()
    if not files:
        absent = "the photographs (data/images/labelled of the shared data) are absent"
        return Report(scenario="ramp", command=command, failures=(absent,))
    forget_application()
    loops, classes = image_loops.make(options.architecture, files)
    server = own_server(options.architecture, loops.weights)
    payloads = pictures(server, files, classes)
    duration_s = options.seconds * LONGER
    try:
        with running(server) as run:
            capacity = _capacity(run, payloads, options.connections, duration_s)
            steps = [Step(load * capacity, duration_s) for load in LOADS]
            looks = [_look(run, 0.0)]
            started = time.monotonic()

            def on_step(number: int) -> None:
                looks.append(_look(run, time.monotonic() - started))
                print(f"  step {number + 1} of {len(steps)}: {LOADS[number]:g} x", flush=True)

            ramp = Ramp(run.port, payloads.requests, steps, HUNG_S, on_step, payloads.check)
            result = drive(ramp)
    except ServerError as error:
        return Report("ramp", command, failures=(str(error),))
    return _report(options, command, capacity, _figures(steps, result, looks), result)


def summarise_step(
    load: float, step: Step, arrivals: Sequence[Arrival], batch_s: float, look: Look
) -> StepFigures:
    """The figures of one step's arrivals."""
    accepted = [1000 * each.latency_s for each in arrivals if each.status == 200]
    refusals = [each for each in arrivals if each.status == REFUSED]
    refused = [1000 * each.latency_s for each in refusals]
    failed: dict[str, int] = {}
    for each in arrivals:
        if each.status not in (200, REFUSED) and each.fault != "hung":
            kind = each.fault or f"status {each.status}"
            failed[kind] = failed.get(kind, 0) + 1
    return StepFigures(
        load=load,
        offered_per_s=len(arrivals) / step.duration_s,
        accepted_per_s=len(accepted) / step.duration_s,
        p50_ms=_percentile(accepted, 50),
        p99_ms=_percentile(accepted, 99),
        refused=len(refused),
        refused_share=len(refused) / max(1, len(arrivals)),
        refused_p50_ms=_percentile(refused, 50),
        refused_p99_ms=_percentile(refused, 99),
        refused_max_ms=max(refused, default=math.nan),
        without_retry_after=sum(each.retry_after is None for each in refusals),
        hung=sum(each.fault == "hung" for each in arrivals),
        failed=failed,
        batch_ms=1000 * batch_s,
        at_s=look.at_s,
        memory_mib=look.memory_mib,
    )


def goals(figures: Sequence[StepFigures], refusals_ms: Sequence[float]) -> tuple[Goal, ...]:
    """What overload must not break; a batch's time is that of the steps above the capacity."""
    full = [step.batch_ms for step in figures if step.load >= 1 and step.batch_ms > 0]
    batch_ms = float(np.mean(full)) if full else math.nan
    slowest = float(np.nanmax([step.p99_ms for step in figures] or [math.nan]))
    settled = [step.memory_mib for step in figures if step.at_s >= SETTLED_S]
    growth = settled[-1] / settled[0] if len(settled) > 1 else math.nan
    silent = sum(step.without_retry_after for step in figures)
    hung = sum(step.hung for step in figures)
    return (
        Goal("p99 of accepted requests in any step, x batch time", 3.0, slowest / batch_ms, False),
        Goal("p99 of refusals, ms", 50.0, _percentile(refusals_ms, 99), False),
        Goal("refusals without Retry-After", 0, silent, False),
        Goal("requests that hung", 0, hung, False),
        Goal("memory at the end, x after the first minute", 1.05, growth, False),
    )


def _capacity(run: Running, payloads: Payloads, connections: int, seconds: float) -> float:
    load = Load(run.port, payloads.requests, connections, seconds, check=payloads.check)
    rate = measure(load).requests_per_s
    print(f"  capacity: {rate:.1f}/s with {connections} connections", flush=True)
    if rate == 0:
        raise ServerError(f"{run.server.name} answered nothing with 200")
    return rate


def _look(run: Running, at_s: float) -> Look:
    pss = sum(each.pss_mib for each in processes.memory(run.pids()))
    return Look(at_s, pss, inference(run.port))


def _figures(steps: Sequence[Step], result: RampResult, looks: Sequence[Look]) -> list[StepFigures]:
    by_step: list[list[Arrival]] = [[] for _ in steps]
    for arrival in result.arrivals:
        by_step[arrival.step].append(arrival)
    return [
        summarise_step(load, step, arrivals, after.inference.mean_s_since(before.inference), after)
        for load, step, arrivals, (before, after) in zip(
            LOADS, steps, by_step, pairwise(looks), strict=True
        )
    ]


def _report(
    options: Options,
    command: str,
    capacity: float,
    figures: Sequence[StepFigures],
    result: RampResult,
) -> Report:
    refusals = [1000 * each.latency_s for each in result.arrivals if each.status == REFUSED]
    measurements = tuple(_measurement(step) for step in figures)
    wrong = (f"{result.wrong} wrong answers",) if result.wrong else ()
    return Report(
        scenario="ramp",
        command=command,
        rows=report.summarise(measurements),
        goals=goals(figures, refusals),
        notes=(
            f"{options.architecture}; a closed loop of {options.connections} connections was "
            f"answered {capacity:.1f}/s, the capacity",
            f"Poisson arrivals, {options.seconds * LONGER:g} s a step, at most "
            f"{result.connections} connections open; latencies count from when a request was due",
            f"the generator took {result.client_cpu:.0%} of one core",
        ),
        failures=wrong,
        measurements=measurements,
        figures={"capacity_per_s": capacity, "steps": [asdict(step) for step in figures]},
    )


def _measurement(step: StepFigures) -> Measurement:
    detail: dict[str, Any] = {"failed": step.failed, "hung": step.hung}
    return Measurement(
        f"{step.load:g} x capacity, {step.offered_per_s:.1f}/s offered",
        "ramp",
        0,
        step.accepted_per_s,
        step.p50_ms,
        step.p99_ms,
        step.hung + sum(step.failed.values()),
        step.refused,
        detail,
    )


def _percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else math.nan
