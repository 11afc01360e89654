"""How many pictures a forward pass takes: what the device likes, measured."""

import math
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np

from deployments.image.engine import Engine, OutOfDeviceMemory

MOST_ON_CPU = 32
MOST_ON_GPU = 256

LONGEST_PASS_S = 1.5
"""No pass takes longer, where a smaller one is possible: whoever comes then waits for its end."""

WORTHWHILE = 0.8
"""The largest size with this share of the best one's pictures a second is taken. Rates hardly
differ from some size on, and a larger batch also lets more callers in."""

SHORT_PASS_S = 0.3
"""Sizes whose pass is as short are taken whatever their rate: nobody notices the wait, and what
seems a worse rate may be the start of other replicas on the machine."""

ENOUGH_S = 0.15
"""Passes of one size are repeated for as long, because the first one sets things up."""

SHARED_S = 0.3
"""Time for which passes share the device, to see what they answer together."""

START_LIMIT_S = 60.0
"""Where one of the passes that are to overlap fails, the others do not wait for it for ever."""

WORTH_SHARING = 0.95
"""As few passes are under way at a time as answer this share of the most pictures a second."""


class BatchSizes:
    """The sizes of the forward passes on one device.

    Where passes have these sizes only, other batches are padded to the next one; `take` then splits
    what waits so that all of it is answered soonest by the measured times.
    """

    def __init__(self, seconds: Mapping[int, float], *, pads: bool) -> None:
        """`seconds` is the time of one pass by its size; one picture's is among them."""
        if min(seconds, default=0) != 1 or min(seconds.values()) <= 0:
            raise ValueError("the sizes must begin with 1, and all seconds be positive")
        self._seconds = dict(sorted(seconds.items()))
        self._pads = pads
        self._first = self._plan()

    @property
    def all(self) -> tuple[int, ...]:
        """Ascending."""
        return tuple(self._seconds)

    @property
    def seconds(self) -> Mapping[int, float]:
        """The time of one pass by its size."""
        return dict(self._seconds)

    @property
    def largest(self) -> int:
        """No batch is larger."""
        return max(self._seconds)

    def take(self, waiting: int) -> int:
        """How many of the waiting pictures the next batch takes: 1 to `waiting`."""
        if waiting < 1:
            raise ValueError("nothing waits")
        return min(waiting, self._first[min(waiting, len(self._first) - 1)])

    def limit(self, largest: int) -> None:
        """Forgets what is larger, for instance because it did not fit the device's memory."""
        self._seconds = {
            size: time for size, time in self._seconds.items() if size <= max(1, largest)
        }
        self._first = self._plan()

    def _plan(self) -> list[int]:
        """By the number waiting, the largest pass of the fastest way to answer them all."""
        largest = max(self._seconds)
        if not self._pads:
            return list(range(largest + 1))
        best, first = [0.0], [0]
        for waiting in range(1, largest + 1):
            total, size = min(
                (seconds + best[max(0, waiting - size)], -size)
                for size, seconds in self._seconds.items()
            )
            best.append(total)
            first.append(max(-size, first[max(0, waiting + size)]))
        return first


def measure(engine: Engine, crop_size: int, most: int | None = None) -> BatchSizes:
    """Warms the engine up, sets its concurrency, and finds the largest size that is worthwhile.

    `most` sets the largest size instead.

    Raises:
        OutOfDeviceMemory: not even one picture fits
    """
    _choose_concurrency(engine, crop_size)
    seconds: dict[int, float] = {}
    for size in _ladder(most or (MOST_ON_CPU if engine.device == "cpu" else MOST_ON_GPU)):
        longest_s = 2 * max(seconds.values(), default=0.0) * engine.concurrency
        if most is None and longest_s > LONGEST_PASS_S:
            break
        try:
            engine.prepare(size)
            seconds[size] = pass_s(engine, crop_size, size)
            if not _is_worthwhile(size, seconds, engine.concurrency):
                # The first pass of a size also sets things up, and is all there is of a long one.
                seconds[size] = min(seconds[size], pass_s(engine, crop_size, size))
        except OutOfDeviceMemory:
            if size == 1:
                raise
            break
    sizes = BatchSizes(seconds, pads=engine.pads)
    if most is None:
        sizes.limit(max(n for n in seconds if _is_worthwhile(n, seconds, engine.concurrency)))
    return sizes


def _is_worthwhile(size: int, seconds: Mapping[int, float], concurrency: int) -> bool:
    best = max(other / time for other, time in seconds.items())
    is_short = seconds[size] * concurrency <= SHORT_PASS_S
    return is_short or size / seconds[size] >= WORTHWHILE * best


def _choose_concurrency(engine: Engine, crop_size: int) -> None:
    """Sets what answers most single pictures a second; fewer where more hardly gain."""
    if len(engine.concurrencies) == 1:
        return
    engine.prepare(1)
    rates: dict[int, float] = {}
    for concurrency in engine.concurrencies:
        engine.concurrency = concurrency
        rates[concurrency] = _rate(engine, crop_size)
    best = max(rates.values())
    engine.concurrency = min(n for n, rate in rates.items() if rate >= WORTH_SHARING * best)


def _rate(engine: Engine, crop_size: int) -> float:
    """Single pictures a second, with as many calls under way as the engine is set to."""
    black = [np.zeros((crop_size, crop_size, 3), dtype=np.uint8)]
    together = Barrier(engine.concurrency, timeout=START_LIMIT_S)

    def answer(_: int) -> tuple[int, float]:
        engine.logits(black)  # sets things up for this share of the device
        together.wait()
        started = time.perf_counter()
        passes = 0
        while (elapsed := time.perf_counter() - started) < SHARED_S:
            engine.logits(black)
            passes += 1
        return passes, elapsed

    with ThreadPoolExecutor(engine.concurrency) as threads:
        answered = list(threads.map(answer, range(engine.concurrency)))
    return sum(passes for passes, _ in answered) / max(elapsed for _, elapsed in answered)


def warm_up(engine: Engine, crop_size: int, sizes: BatchSizes) -> None:
    """Sets the engine up for sizes that were measured before.

    Raises:
        OutOfDeviceMemory: not even one picture fits
    """
    for size in sizes.all:
        engine.prepare(size)
    pass_s(engine, crop_size)


def _ladder(most: int) -> Iterator[int]:
    size = 1
    while size < most:
        yield size
        size *= 2
    yield most


def pass_s(engine: Engine, crop_size: int, size: int = 1, enough_s: float = ENOUGH_S) -> float:
    """Seconds of a forward pass of `size` pictures, the fastest of some."""
    black = np.zeros((crop_size, crop_size, 3), dtype=np.uint8)
    fastest, spent = math.inf, 0.0
    while spent < enough_s:
        started = time.perf_counter()
        engine.logits([black] * size)
        passed = time.perf_counter() - started
        fastest, spent = min(fastest, passed), spent + passed
    return fastest
