"""A batcher for one event loop: items that arrive while a worker is busy leave together.

No timer decides when a batch is full. An idle batcher starts at once; a busy one takes everything
that waits, up to its limits, the moment a slot is free. It knows nothing of Ray, HTTP or models,
is not thread-safe, and keeps no task alive while it is idle.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

# One sweep releases every item whose deadline has passed. Sweeps keep this distance, so that a long
# queue of different deadlines costs little; an item is released at most this much late.
SWEEP_INTERVAL_S = 0.002
# Weight of the newest batch in the running estimate of seconds per item.
DRAIN_SMOOTHING = 0.2


class QueueFull(RuntimeError):
    """As many items wait as the queue holds.

    `retry_after_s` is how long these need at the pace of the latest batches, at least 1.
    """

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"the queue is full; try again in {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


class DeadlinePassed(TimeoutError):
    """The item's deadline came before its result."""


class BatcherClosed(RuntimeError):
    """The batcher takes no new items."""


class BatchFailed(RuntimeError):
    """The batch ended without usable results: cancelled, or not one result for each item."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R]):
    """An item's result, how long it waited and ran (seconds), and how many items ran with it."""

    value: R
    queue_s: float
    run_s: float
    batch_size: int


@dataclass(frozen=True, slots=True)
class BatchStats:
    """One finished batch: items, their weight, the longest wait, the run, and items that failed."""

    size: int
    weight: int
    queue_s: float
    run_s: float
    failed: int


@dataclass(eq=False, slots=True)
class _Entry(Generic[T, R]):
    item: T
    weight: int
    submitted: float
    deadline: float
    future: asyncio.Future[Outcome[R]]


class Batcher(Generic[T, R]):
    """Gathers items into batches for `run`, which gives one result for each item, in their order.

    An exception among the results goes to that item's caller alone; one that `run` raises, or
    BatchFailed for a wrong number of results, goes to every caller of the batch. Batches keep the
    order of arrival; an item heavier than `max_batch_weight` runs alone. `run` starts in an empty
    context, as a batch belongs to no single caller. `on_batch` is called after each batch.

    `take`, where given, says how many of the items that wait (at most `max_batch_size` of them) the
    next batch takes: some sizes suit a device better than others. At least one is taken.
    """

    def __init__(
        self,
        run: Callable[[list[T]], Awaitable[Sequence[R | Exception]]],
        *,
        max_batch_size: int,
        take: Callable[[int], int] | None = None,
        max_batch_weight: int | None = None,
        weigh: Callable[[T], int] = lambda _: 1,
        max_queue: int,
        concurrency: int = 1,
        on_batch: Callable[[BatchStats], None] | None = None,
    ) -> None:
        self._run = run
        self._max_size = _positive("max_batch_size", max_batch_size)
        self._take_of = take
        self._max_weight = math.inf
        if max_batch_weight is not None:
            self._max_weight = _positive("max_batch_weight", max_batch_weight)
        self._weigh = weigh
        self._max_queue = _positive("max_queue", max_queue)
        self._concurrency = _positive("concurrency", concurrency)
        self._on_batch = on_batch
        self._queue: deque[_Entry[T, R]] = deque()
        self._batches: dict[asyncio.Task[list[R | Exception]], list[_Entry[T, R]]] = {}
        self._start_scheduled = False
        self._sweep: asyncio.TimerHandle | None = None
        self._sweep_at = math.inf
        self._swept_at = -math.inf
        self._seconds_per_item = 0.0
        self._closed = False
        self._drained = asyncio.Event()

    async def submit(self, item: T, *, deadline: float | None = None) -> Outcome[R]:
        """Returns the item's outcome, or raises what `run` gave for it.

        `deadline` is a moment of `loop.time()`. Raises QueueFull and BatcherClosed at once, and
        DeadlinePassed when it comes, also while the item's batch runs. An item whose caller is
        cancelled in the queue is never run.
        """
        if self._closed:
            raise BatcherClosed("the batcher takes no new items")
        loop = asyncio.get_running_loop()
        now = loop.time()
        last_moment = math.inf if deadline is None else deadline
        if last_moment <= now:
            raise DeadlinePassed("the deadline passed before the item was submitted")
        weight = self._weigh(item)
        if len(self._queue) >= self._max_queue:
            self._start_batches()
            if len(self._queue) >= self._max_queue:
                raise QueueFull(self.retry_after_s)
        entry: _Entry[T, R] = _Entry(item, weight, now, last_moment, loop.create_future())
        self._queue.append(entry)
        if last_moment < self._sweep_at:
            self._schedule_sweep(last_moment)
        if not self._start_scheduled and len(self._batches) < self._concurrency:
            # Not at once: what else is submitted in this iteration of the loop comes along.
            self._start_scheduled = True
            loop.call_soon(self._start_batches)
        try:
            return await entry.future
        except asyncio.CancelledError:
            with suppress(ValueError):
                self._queue.remove(entry)
            raise

    @property
    def waiting(self) -> int:
        """Items that wait for a batch."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Items in the batches that run."""
        return sum(map(len, self._batches.values()))

    @property
    def concurrency(self) -> int:
        """Batches that may run at one time. When it grows, waiting items start at once."""
        return self._concurrency

    @concurrency.setter
    def concurrency(self, batches: int) -> None:
        self._concurrency = _positive("concurrency", batches)
        if self._queue:
            self._start_batches()

    @property
    def retry_after_s(self) -> float:
        """How long the waiting items need at the pace of the latest batches, at least 1."""
        return max(1.0, len(self._queue) * self._seconds_per_item / self._concurrency)

    def close(self) -> None:
        """Refuses new items from now on; what waits or runs still finishes."""
        self._closed = True
        self._note_drained()

    async def drain(self) -> None:
        """Closes, and returns when no item waits or runs any more."""
        self.close()
        await self._drained.wait()

    def _start_batches(self) -> None:
        self._start_scheduled = False
        loop = asyncio.get_running_loop()
        while len(self._batches) < self._concurrency and (batch := self._take(now := loop.time())):
            context = Context()
            task = loop.create_task(self._call([entry.item for entry in batch]), context=context)
            self._batches[task] = batch
            # A callback, not a `finally` in the task: a task cancelled before its first step
            # never reaches its body, and the slot would be lost.
            task.add_done_callback(partial(self._finish, started=now), context=context)
        self._note_drained()

    def _take(self, now: float) -> list[_Entry[T, R]]:
        batch: list[_Entry[T, R]] = []
        size, room = self._next_size(now), self._max_weight
        while self._queue and len(batch) < size:
            entry = self._queue[0]
            if batch and entry.weight > room:
                break
            self._queue.popleft()
            if entry.deadline <= now:
                _fail(entry.future, DeadlinePassed("the deadline passed in the queue"))
            elif not entry.future.done():
                batch.append(entry)
                room -= entry.weight
        return batch

    def _next_size(self, now: float) -> int:
        if self._take_of is None:
            return self._max_size
        alive = (item for item in self._queue if item.deadline > now and not item.future.done())
        waiting = sum(1 for _ in islice(alive, self._max_size))
        # With nothing alive, what is in the queue is still to be cleared away.
        return max(1, min(self._take_of(waiting), waiting)) if waiting else self._max_size

    async def _call(self, items: list[T]) -> list[R | Exception]:
        results = list(await self._run(items))
        if len(results) != len(items):
            raise BatchFailed(f"{len(results)} results for a batch of {len(items)} items")
        return results

    def _finish(self, task: asyncio.Task[list[R | Exception]], *, started: float) -> None:
        run_s = asyncio.get_running_loop().time() - started
        batch = self._batches.pop(task)
        self._learn_pace(run_s / len(batch))
        # The next batch first: its worker need not wait until the callers of this one have run.
        self._start_batches()
        error = _error(task)
        results = task.result() if error is None else [error] * len(batch)
        failed = 0
        for entry, result in zip(batch, results, strict=True):
            if isinstance(result, BaseException):
                failed += 1
                _fail(entry.future, result)
            elif not entry.future.done():
                outcome = Outcome(result, started - entry.submitted, run_s, len(batch))
                entry.future.set_result(outcome)
        if self._on_batch is not None:
            weight = sum(entry.weight for entry in batch)
            queue_s = started - batch[0].submitted
            self._on_batch(BatchStats(len(batch), weight, queue_s, run_s, failed))

    def _learn_pace(self, seconds_per_item: float) -> None:
        known = self._seconds_per_item or seconds_per_item
        self._seconds_per_item = known + DRAIN_SMOOTHING * (seconds_per_item - known)

    def _schedule_sweep(self, moment: float) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        self._sweep_at = max(moment, self._swept_at + SWEEP_INTERVAL_S)
        self._sweep = asyncio.get_running_loop().call_at(self._sweep_at, self._release_expired)

    def _release_expired(self) -> None:
        self._swept_at = now = asyncio.get_running_loop().time()
        self._sweep, self._sweep_at = None, math.inf
        alive = []
        for entry in chain(self._queue, *self._batches.values()):
            if entry.deadline <= now:
                _fail(entry.future, DeadlinePassed("the deadline passed before the result"))
            if not entry.future.done():
                alive.append(entry.deadline)
        self._queue = deque(entry for entry in self._queue if not entry.future.done())
        if alive and min(alive) < math.inf:
            self._schedule_sweep(min(alive))

    def _note_drained(self) -> None:
        if self._closed and not self._queue and not self._batches:
            self._drained.set()
            if self._sweep is not None:
                self._sweep.cancel()


def _error(task: asyncio.Task[Any]) -> BaseException | None:
    return BatchFailed("the batch was cancelled") if task.cancelled() else task.exception()


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    """Gives the error to the caller, unless one is no longer there.

    What cannot travel through a future, or would look like the caller's own cancellation or
    exit, travels as the cause of a BatchFailed.
    """
    if future.done():
        return
    if not isinstance(error, Exception) or isinstance(error, StopIteration):
        wrapped = BatchFailed(f"the batch gave {type(error).__name__}")
        wrapped.__cause__ = error
        error = wrapped
    future.set_exception(error)


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")
    return value
