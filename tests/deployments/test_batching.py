"""What the batcher promises, one promise a test, on a clock that jumps."""

from __future__ import annotations

import asyncio
import contextvars
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from deployments.batching import (
    SWEEP_INTERVAL_S,
    Batcher,
    BatcherClosed,
    BatchFailed,
    BatchStats,
    DeadlinePassed,
    Outcome,
    QueueFull,
)
from tests.deployments.batching_clock import on_virtual_clock

WORK_S = 0.2


class Worker:
    """Answers each item with its double after WORK_S and remembers the batches it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started: list[float] = []

    async def __call__(self, items: list[int]) -> Sequence[int | Exception]:
        self.batches.append(items)
        self.started.append(asyncio.get_running_loop().time())
        await asyncio.sleep(WORK_S)
        return [2 * item for item in items]


def submit(
    batcher: Batcher[int, int], *items: int, deadline: float | None = None
) -> list[asyncio.Task[Outcome[int]]]:
    return [asyncio.create_task(batcher.submit(item, deadline=deadline)) for item in items]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def answering(
    answer: Callable[[list[int]], Any], work_s: float = WORK_S
) -> Callable[[list[int]], Awaitable[Sequence[int | Exception]]]:
    async def run(items: list[int]) -> Sequence[int | Exception]:
        await asyncio.sleep(work_s)
        results: Sequence[int | Exception] = answer(items)
        return results

    return run


def raising(error: BaseException) -> Callable[[list[int]], Any]:
    def answer(_: list[int]) -> Any:
        raise error

    return answer


@on_virtual_clock
async def test_idle_batcher_adds_no_wait() -> None:
    worker = Worker()
    batcher = Batcher(worker, max_batch_size=8, max_queue=10)
    outcome = await batcher.submit(21)
    assert outcome == Outcome(value=42, queue_s=0.0, run_s=WORK_S, batch_size=1)


@on_virtual_clock
async def test_batch_starts_within_one_turn_of_the_loop_and_gathers_that_turn() -> None:
    worker = Worker()
    batcher = Batcher(worker, max_batch_size=8, max_queue=10)
    callers = submit(batcher, 1, 2, 3)
    await asyncio.sleep(0)  # the three callers submit
    await asyncio.sleep(0)  # their batch is formed
    assert (batcher.waiting, batcher.running) == (0, 3)
    await asyncio.gather(*callers)
    assert worker.batches == [[1, 2, 3]]


@on_virtual_clock
async def test_takes_all_that_waits_up_to_its_size_when_the_slot_is_free() -> None:
    worker = Worker()
    batcher = Batcher(worker, max_batch_size=4, max_queue=20)
    callers = submit(batcher, 0)
    await asyncio.sleep(WORK_S / 2)
    callers += submit(batcher, *range(1, 8))
    outcomes = await asyncio.gather(*callers)
    assert worker.batches == [[0], [1, 2, 3, 4], [5, 6, 7]]
    assert worker.started == pytest.approx([0, WORK_S, 2 * WORK_S])
    assert [outcome.value for outcome in outcomes] == [0, 2, 4, 6, 8, 10, 12, 14]
    assert outcomes[7].queue_s == pytest.approx(1.5 * WORK_S)
    assert outcomes[7].batch_size == 3


@on_virtual_clock
async def test_keeps_to_its_weight_in_order_and_runs_heavier_items_alone() -> None:
    worker = Worker()
    batcher = Batcher(
        worker, max_batch_size=8, max_batch_weight=10, weigh=lambda item: item, max_queue=20
    )
    await asyncio.gather(*submit(batcher, 4, 6, 1, 99, 2, 3, 99))
    assert worker.batches == [[4, 6], [1], [99], [2, 3], [99]]


@on_virtual_clock
async def test_takes_as_many_as_it_is_told_of_those_still_wanted() -> None:
    worker = Worker()
    asked: list[int] = []

    def take(waiting: int) -> int:
        asked.append(waiting)
        return 4 if waiting >= 4 else waiting

    batcher = Batcher(worker, max_batch_size=6, take=take, max_queue=20)
    blocker = submit(batcher, 0)
    await settle()
    leaving, *callers = submit(batcher, *range(1, 9))
    late = submit(batcher, 9, deadline=WORK_S / 2)
    await settle()
    leaving.cancel()
    await asyncio.gather(*blocker, *callers, leaving, *late, return_exceptions=True)
    assert worker.batches == [[0], [2, 3, 4, 5], [6, 7, 8]]
    assert asked == [1, 6, 3]


@on_virtual_clock
async def test_concurrency_grows_at_once_and_shrinks_as_batches_end() -> None:
    worker = Worker()
    batcher = Batcher(worker, max_batch_size=1, max_queue=20)
    callers = submit(batcher, *range(8))
    await asyncio.sleep(WORK_S / 2)
    batcher.concurrency = 3
    assert (batcher.concurrency, batcher.running, batcher.waiting) == (3, 3, 5)
    batcher.concurrency = 1
    await asyncio.gather(*callers)
    moments = [0, 0.5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert worker.started == pytest.approx([moment * WORK_S for moment in moments])


@on_virtual_clock
async def test_exception_in_a_slot_reaches_its_caller_alone() -> None:
    run = answering(lambda items: [KeyError("two") if item == 2 else item for item in items])
    batcher = Batcher(run, max_batch_size=8, max_queue=10)
    one, two, three = await asyncio.gather(*submit(batcher, 1, 2, 3), return_exceptions=True)
    assert isinstance(one, Outcome)
    assert isinstance(three, Outcome)
    assert (one.value, three.value) == (1, 3)
    assert isinstance(two, KeyError)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (raising(ZeroDivisionError()), ZeroDivisionError),
        (lambda items: items[:-1], BatchFailed),
        (lambda items: [*items, 0], BatchFailed),
        (lambda _: None, TypeError),
        (lambda items: [StopIteration()] * len(items), BatchFailed),
        (lambda items: [asyncio.CancelledError()] * len(items), BatchFailed),
        (raising(asyncio.CancelledError()), BatchFailed),
        (raising(GeneratorExit()), BatchFailed),
    ],
    ids=[
        "raises",
        "too-few",
        "too-many",
        "none",
        "stop-iteration",
        "cancelled-slot",
        "cancelled",
        "base-exception",
    ],
)
def test_failed_batch_reaches_all_its_callers_and_no_other(
    answer: Callable[[list[int]], Any], error: type[Exception]
) -> None:
    @on_virtual_clock
    async def check() -> None:
        run = answering(lambda items: answer(items) if 0 in items else items)
        batcher = Batcher(run, max_batch_size=2, max_queue=10)
        ends = await asyncio.gather(*submit(batcher, 0, 1, 2, 3), return_exceptions=True)
        assert [type(end) for end in ends] == [error, error, Outcome, Outcome]
        assert (await batcher.submit(4)).value == 4

    check()


@on_virtual_clock
async def test_run_that_raises_before_it_awaits_fails_its_batch_alone() -> None:
    def run(items: list[int]) -> Awaitable[Sequence[int | Exception]]:
        if 0 in items:
            raise LookupError("no worker")
        return answering(lambda items: items)(items)

    batcher = Batcher(run, max_batch_size=1, max_queue=10)
    ends = await asyncio.gather(*submit(batcher, 0, 1), return_exceptions=True)
    assert [type(end) for end in ends] == [LookupError, Outcome]


@on_virtual_clock
async def test_batch_cancelled_before_its_first_step_frees_its_slot() -> None:
    worker = Worker()
    batcher = Batcher(worker, max_batch_size=1, max_queue=10)
    callers = submit(batcher, 1, 2)
    await asyncio.sleep(0)
    before = asyncio.all_tasks()
    await asyncio.sleep(0)
    (batch,) = asyncio.all_tasks() - before
    batch.cancel()
    first, second = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(first, BatchFailed)
    assert isinstance(second, Outcome)
    assert worker.batches == [[2]]


@on_virtual_clock
async def test_waiting_item_is_released_at_its_deadline_and_never_run() -> None:
    worker = Worker()
    batcher = Batcher(worker, max_batch_size=1, max_queue=10)
    loop = asyncio.get_running_loop()
    blocker = submit(batcher, 0)
    await settle()
    with pytest.raises(DeadlinePassed):
        await batcher.submit(1, deadline=WORK_S / 4)
    assert loop.time() == pytest.approx(WORK_S / 4, abs=SWEEP_INTERVAL_S)
    assert batcher.waiting == 0
    await asyncio.gather(*blocker)
    assert worker.batches == [[0]]


@on_virtual_clock
async def test_running_item_is_released_at_its_deadline_beside_its_neighbours() -> None:
    worker = Worker()
    batcher = Batcher(worker, max_batch_size=2, max_queue=10)
    patient = submit(batcher, 1)
    (hurried,) = submit(batcher, 2, deadline=WORK_S / 2)
    with pytest.raises(DeadlinePassed):
        await hurried
    assert batcher.running == 2
    assert [outcome.value for outcome in await asyncio.gather(*patient)] == [2]
    assert worker.batches == [[1, 2]]


@on_virtual_clock
async def test_item_that_expired_by_the_time_its_batch_forms_is_not_run() -> None:
    worker = Worker()
    batcher = Batcher(worker, max_batch_size=2, max_queue=10)
    first = submit(batcher, 0, deadline=10.0)
    await settle()
    # The sweep for the first deadline stays armed for 10 s; this one ends with the running batch.
    tied, patient = submit(batcher, 1, deadline=WORK_S) + submit(batcher, 2)
    ends = await asyncio.gather(*first, tied, patient, return_exceptions=True)
    assert [type(end) for end in ends] == [Outcome, DeadlinePassed, Outcome]
    assert worker.batches == [[0], [2]]
    await batcher.drain()


@on_virtual_clock
async def test_deadline_in_the_past_is_refused_at_once() -> None:
    batcher = Batcher(Worker(), max_batch_size=1, max_queue=10)
    await asyncio.sleep(1.0)
    with pytest.raises(DeadlinePassed):
        await batcher.submit(1, deadline=0.5)
    assert batcher.waiting == 0


@on_virtual_clock
async def test_item_cancelled_in_the_queue_is_not_run_and_makes_room() -> None:
    worker = Worker()
    batcher = Batcher(worker, max_batch_size=1, max_queue=1)
    blocker = submit(batcher, 0)
    await settle()
    (caller,) = submit(batcher, 1)
    await settle()
    caller.cancel()
    await settle()
    assert batcher.waiting == 0
    outcomes = await asyncio.gather(*blocker, *submit(batcher, 2))
    assert [outcome.value for outcome in outcomes] == [0, 4]
    assert worker.batches == [[0], [2]]


@on_virtual_clock
async def test_item_cancelled_in_the_turn_in_which_its_batch_forms_is_not_run() -> None:
    worker = Worker()
    batcher = Batcher(worker, max_batch_size=2, max_queue=10)
    cancelled, kept = submit(batcher, 1, 2)
    await asyncio.sleep(0)  # both are submitted; the batch forms before the first one can leave
    cancelled.cancel()
    assert (await kept).value == 4
    assert worker.batches == [[2]]


@on_virtual_clock
async def test_cancelled_running_item_keeps_its_slot_until_the_batch_ends() -> None:
    worker = Worker()
    batcher = Batcher(worker, max_batch_size=2, max_queue=10)
    cancelled, kept = submit(batcher, 1, 2)
    await settle()
    cancelled.cancel()
    await settle()
    assert cancelled.cancelled()
    assert batcher.running == 2
    assert (await kept).value == 4
    assert batcher.running == 0
    assert (await batcher.submit(3)).value == 6


@on_virtual_clock
async def test_full_queue_refuses_at_once_with_the_time_it_needs() -> None:
    batcher = Batcher(answering(lambda items: items, work_s=2.0), max_batch_size=2, max_queue=6)
    await asyncio.gather(*submit(batcher, 1, 2))  # 1 s an item
    callers = submit(batcher, *range(8))
    await settle()
    assert (batcher.running, batcher.waiting) == (2, 6)
    with pytest.raises(QueueFull) as refusal:
        await batcher.submit(9)
    assert refusal.value.retry_after_s == pytest.approx(6.0)
    assert len(await asyncio.gather(*callers)) == 8


@on_virtual_clock
async def test_free_slots_count_before_the_queue_is_full() -> None:
    worker = Worker()
    batcher = Batcher(worker, max_batch_size=4, max_queue=2, concurrency=2)
    ends = await asyncio.gather(*submit(batcher, *range(10)), return_exceptions=True)
    refused = [end for end in ends if isinstance(end, QueueFull)]
    assert [error.retry_after_s for error in refused] == [1.0] * 4  # nothing measured yet
    assert worker.batches == [[0, 1], [2, 3], [4, 5]]


@on_virtual_clock
async def test_drain_refuses_new_items_and_finishes_what_waits() -> None:
    worker = Worker()
    batcher = Batcher(worker, max_batch_size=1, max_queue=10)
    callers = submit(batcher, 1, 2, 3)
    await settle()
    draining = asyncio.create_task(batcher.drain())
    await settle()
    with pytest.raises(BatcherClosed):
        await batcher.submit(4)
    assert not draining.done()
    await draining
    assert [(await caller).value for caller in callers] == [2, 4, 6]


@on_virtual_clock
async def test_draining_an_idle_batcher_leaves_no_timer() -> None:
    batcher = Batcher(Worker(), max_batch_size=1, max_queue=10)
    await batcher.submit(1, deadline=3600.0)
    await batcher.drain()
    await batcher.drain()


@on_virtual_clock
async def test_batch_runs_in_no_callers_context() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("caller", default="nobody")
    seen: list[str] = []

    async def run(items: list[int]) -> list[int]:
        seen.append(variable.get())
        return items

    variable.set("first caller")
    await Batcher(run, max_batch_size=1, max_queue=10).submit(1)
    assert seen == ["nobody"]


@on_virtual_clock
async def test_reports_each_batch() -> None:
    reported: list[BatchStats] = []
    run = answering(lambda items: [ValueError() if item == 9 else item for item in items])
    batcher = Batcher(
        run, max_batch_size=2, max_queue=10, weigh=lambda item: item, on_batch=reported.append
    )
    await asyncio.gather(*submit(batcher, 1, 2, 9), return_exceptions=True)
    assert reported == [
        BatchStats(size=2, weight=3, queue_s=0.0, run_s=WORK_S, failed=0),
        BatchStats(size=1, weight=9, queue_s=WORK_S, run_s=WORK_S, failed=1),
    ]


@on_virtual_clock
async def test_failing_observer_is_reported_and_harms_nobody() -> None:
    problems: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, details: problems.append(details))

    def on_batch(_: BatchStats) -> None:
        raise OSError("metrics are down")

    batcher = Batcher(Worker(), max_batch_size=1, max_queue=10, on_batch=on_batch)
    outcomes = await asyncio.gather(*submit(batcher, 1, 2))
    assert [outcome.value for outcome in outcomes] == [2, 4]
    await settle()
    assert [type(details["exception"]) for details in problems] == [OSError, OSError]


@pytest.mark.parametrize(
    "limits",
    [
        {"max_batch_size": 0, "max_queue": 1},
        {"max_batch_size": 1, "max_queue": 0},
        {"max_batch_size": 1, "max_queue": 1, "concurrency": 0},
        {"max_batch_size": 1, "max_queue": 1, "max_batch_weight": 0},
    ],
)
def test_limits_below_one_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be at least 1, not 0"):
        Batcher(Worker(), **limits)


ARRIVAL_S = 0.003
LARGEST = 32


@on_virtual_clock
async def test_batches_fill_while_the_worker_is_busy() -> None:
    worker = Worker()
    batcher = Batcher(worker, max_batch_size=LARGEST, max_queue=1000)
    callers = []
    for item in range(400):
        callers += submit(batcher, item)
        await asyncio.sleep(ARRIVAL_S)
    await asyncio.gather(*callers)
    sizes = [len(batch) for batch in worker.batches]
    assert sizes[0] == 1
    assert set(sizes[1:-1]) == {LARGEST}


def test_ray_serves_own_batches_stay_small_under_the_same_load() -> None:
    """The reason for a batcher of our own; when this fails, Ray's may have become enough."""
    script = Path(__file__).with_name("batching_serve.py")
    arguments = [str(WORK_S), str(ARRIVAL_S), str(LARGEST)]
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    sizes = json.loads(done.stdout)
    assert len(sizes) >= 5
    assert max(sizes) <= LARGEST / 4
