"""Random loads on the batcher: every caller gets one end, its own, and no limit is passed.

Times are whole ticks of a clock that jumps, so that arrivals, deadlines, cancellations and ends of
batches often fall on the same moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.batching import (
    SWEEP_INTERVAL_S,
    Batcher,
    BatchFailed,
    DeadlinePassed,
    Outcome,
    QueueFull,
)
from tests.deployments.batching_clock import on_virtual_clock

TICK_S = 0.01
Fault = Literal["none", "raise", "short", "cancel"]


@dataclass(frozen=True)
class Arrival:
    number: int
    tick: int
    weight: int
    fails: bool
    deadline: int | None
    cancelled: int | None


@dataclass(frozen=True)
class Load:
    arrivals: tuple[Arrival, ...]
    max_size: int
    max_weight: int | None
    max_queue: int
    sizes: tuple[int, ...] | None  # what `take` answers, in turn; also what it must not answer
    concurrency: tuple[int, ...]  # the first is given, each next one is set two ticks later
    works: tuple[tuple[int, Fault], ...]  # ticks and fault of each batch, in turn


class RefusedError(Exception):
    def __init__(self, number: int) -> None:
        self.number = number


class BrokenError(Exception):
    pass


@dataclass
class Worker:
    load: Load
    allowed: int = 0
    running: int = 0
    batches: list[list[Arrival]] = field(default_factory=list)
    started: dict[int, float] = field(default_factory=dict)
    faults: dict[int, Fault] = field(default_factory=dict)

    async def __call__(self, batch: list[Arrival]) -> Sequence[int | Exception]:
        ticks, fault = self.load.works[len(self.batches) % len(self.load.works)]
        self.batches.append(batch)
        for arrival in batch:
            assert arrival.number not in self.started
            self.started[arrival.number] = asyncio.get_running_loop().time()
            self.faults[arrival.number] = fault
        self.running += 1
        assert self.running <= self.allowed
        try:
            await asyncio.sleep(ticks * TICK_S)
        finally:
            self.running -= 1
        if fault == "raise":
            raise BrokenError
        if fault == "cancel":
            raise asyncio.CancelledError
        results = [RefusedError(a.number) if a.fails else a.number for a in batch]
        return results[1:] if fault == "short" else results


@st.composite
def loads(draw: st.DrawFn) -> Load:
    few_ticks = st.integers(1, 8)
    arrival = st.tuples(
        st.integers(0, 20),
        st.integers(1, 6),
        st.booleans(),
        st.none() | few_ticks,
        st.none() | st.integers(0, 8),
    )
    drawn = sorted(draw(st.lists(arrival, max_size=25)), key=lambda fields: fields[0])
    fault: st.SearchStrategy[Fault] = st.sampled_from(["none", "none", "raise", "short", "cancel"])
    return Load(
        arrivals=tuple(Arrival(number, *fields) for number, fields in enumerate(drawn)),
        max_size=draw(st.integers(1, 5)),
        max_weight=draw(st.none() | st.integers(1, 10)),
        max_queue=draw(st.integers(1, 12)),
        sizes=draw(st.none() | st.lists(st.integers(-1, 7), min_size=1, max_size=4).map(tuple)),
        concurrency=tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=5))),
        works=tuple(draw(st.lists(st.tuples(st.integers(0, 5), fault), min_size=1, max_size=6))),
    )


@dataclass
class Taker:
    """Answers `take`, and remembers between what bounds each answer is to be kept."""

    sizes: tuple[int, ...]
    asked: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, waiting: int) -> int:
        size = self.sizes[len(self.asked) % len(self.sizes)]
        self.asked.append((waiting, max(1, min(size, waiting))))
        return size


@dataclass(frozen=True)
class End:
    """How one caller's wait ended, and when."""

    arrival: Arrival
    at: float
    outcome: Outcome[int] | BaseException


async def call(batcher: Batcher[Arrival, int], arrival: Arrival) -> End:
    loop = asyncio.get_running_loop()
    await asyncio.sleep(arrival.tick * TICK_S)
    deadline = None if arrival.deadline is None else loop.time() + arrival.deadline * TICK_S
    submission = asyncio.create_task(batcher.submit(arrival, deadline=deadline))
    if arrival.cancelled is not None:
        loop.call_later(arrival.cancelled * TICK_S, submission.cancel)
    (outcome,) = await asyncio.gather(submission, return_exceptions=True)
    return End(arrival, loop.time(), outcome)


def check_end(end: End, worker: Worker) -> None:
    arrival, outcome = end.arrival, end.outcome
    waited = end.at - arrival.tick * TICK_S
    ran = arrival.number in worker.started
    fault = worker.faults.get(arrival.number, "none")
    match outcome:
        case Outcome():
            assert fault == "none"
            assert not arrival.fails
            assert outcome.value == arrival.number
        case RefusedError():
            assert fault == "none"
            assert arrival.fails
            assert outcome.number == arrival.number
        case BrokenError():
            assert fault == "raise"
        case BatchFailed():
            assert fault in ("short", "cancel")
        case QueueFull():
            assert not ran
            assert waited < TICK_S / 2
            assert outcome.retry_after_s >= 1
        case DeadlinePassed():
            assert arrival.deadline is not None
            late = waited - arrival.deadline * TICK_S
            assert -1e-9 <= late <= SWEEP_INTERVAL_S + 1e-9
        case asyncio.CancelledError():
            assert arrival.cancelled is not None
            assert abs(waited - arrival.cancelled * TICK_S) < 1e-9
        case _:
            raise AssertionError(outcome)


def check_limits(load: Load, worker: Worker) -> None:
    for batch in worker.batches:
        assert 1 <= len(batch) <= load.max_size
        weight = sum(arrival.weight for arrival in batch)
        assert load.max_weight is None or weight <= load.max_weight or len(batch) == 1
    order = [arrival.tick for batch in worker.batches for arrival in batch]
    assert order == sorted(order)


def check_sizes(load: Load, worker: Worker, taker: Taker) -> None:
    assert len(taker.asked) == len(worker.batches)
    for batch, (waiting, size) in zip(worker.batches, taker.asked, strict=True):
        assert 1 <= waiting <= load.max_size
        assert len(batch) == size or (load.max_weight is not None and len(batch) < size)


@settings(max_examples=400, deadline=None)
@given(load=loads())
def test_every_caller_gets_its_own_end_once(load: Load) -> None:
    @on_virtual_clock
    async def check() -> None:
        worker = Worker(load)
        taker = None if load.sizes is None else Taker(load.sizes)
        batcher = Batcher(
            worker,
            max_batch_size=load.max_size,
            take=taker,
            max_batch_weight=load.max_weight,
            weigh=lambda arrival: arrival.weight,
            max_queue=load.max_queue,
            concurrency=load.concurrency[0],
        )

        async def change_concurrency() -> None:
            worker.allowed = max(load.concurrency)
            for batches in load.concurrency:
                batcher.concurrency = batches
                await asyncio.sleep(2 * TICK_S)

        changes = asyncio.create_task(change_concurrency())
        ends = await asyncio.gather(*(call(batcher, arrival) for arrival in load.arrivals))
        await changes
        await batcher.drain()
        assert (batcher.waiting, batcher.running) == (0, 0)
        for end in ends:
            check_end(end, worker)
        check_limits(load, worker)
        if taker is not None:
            check_sizes(load, worker, taker)
        await asyncio.sleep(1.0)  # timers of cancellations that came too late

    check()


@settings(max_examples=200, deadline=None)
@given(load=loads())
def test_nothing_waits_while_a_slot_is_free(load: Load) -> None:
    @on_virtual_clock
    async def check() -> None:
        worker = Worker(load)
        worker.allowed = load.concurrency[0]
        batcher = Batcher(
            worker,
            max_batch_size=load.max_size,
            take=None if load.sizes is None else Taker(load.sizes),
            max_queue=load.max_queue,
            concurrency=load.concurrency[0],
        )
        callers = [asyncio.create_task(call(batcher, arrival)) for arrival in load.arrivals]
        await asyncio.sleep(TICK_S / 3)  # between the ticks, when all that was due has happened
        while not all(caller.done() for caller in callers):
            await asyncio.sleep(TICK_S)
            full = worker.running == load.concurrency[0]
            assert full or batcher.waiting == 0
        await batcher.drain()
        await asyncio.sleep(1.0)

    check()
