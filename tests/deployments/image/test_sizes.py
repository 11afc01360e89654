import itertools
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.image.engine import OutOfDeviceMemory
from deployments.image.sizes import LONGEST_PASS_S, BatchSizes, measure
from tests.deployments.image.fake_engine import CROP, FakeEngine, even

seconds = st.floats(0.001, 1)


def times(largest: int, sizes: int) -> st.SearchStrategy[dict[int, float]]:
    """The seconds of one picture and of some more sizes."""
    others = st.dictionaries(st.integers(2, largest), seconds, max_size=sizes - 1)
    return st.builds(lambda one, more: {1: one, **more}, seconds, others)


measured = times(64, 6)


def answered_s(seconds: dict[int, float], sizes: BatchSizes, waiting: int) -> float:
    """Time until all that waits is answered, each batch padded to the next size."""
    total = 0.0
    while waiting:
        taken = sizes.take(waiting)
        total += min(time for size, time in seconds.items() if size >= taken)
        waiting -= taken
    return total


def fastest_s(seconds: dict[int, float], waiting: int) -> float:
    """The same by trying every sequence of sizes."""
    best = sum(itertools.repeat(min(seconds.values()), waiting))
    pending = [(0.0, waiting)]
    seen: dict[int, float] = {}
    while pending:
        spent, left = pending.pop()
        if left <= 0:
            best = min(best, spent)
        elif spent < seen.get(left, best + 1):
            seen[left] = spent
            pending += [(spent + time, left - size) for size, time in seconds.items()]
    return best


class TestTake:
    @given(measured, st.booleans(), st.integers(1, 200))
    def test_takes_some_of_what_waits(
        self, seconds: dict[int, float], pads: bool, waiting: int
    ) -> None:
        sizes = BatchSizes(seconds, pads=pads)
        assert 1 <= sizes.take(waiting) <= min(waiting, sizes.largest)

    @given(times(12, 4))
    def test_padded_batches_are_split_for_the_soonest_end(self, seconds: dict[int, float]) -> None:
        sizes = BatchSizes(seconds, pads=True)
        for waiting in range(1, sizes.largest + 1):
            expected = fastest_s(seconds, waiting)
            assert answered_s(seconds, sizes, waiting) == pytest.approx(expected)

    def test_examples(self) -> None:
        graphs = BatchSizes({1: 1.0, 2: 1.2, 4: 1.6, 8: 2.4}, pads=True)
        # Five: one padded pass of eight (2.4) is faster than four and one (2.6).
        assert [graphs.take(n) for n in (1, 2, 3, 5, 8, 20)] == [1, 2, 3, 5, 8, 8]
        linear = BatchSizes({1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0}, pads=True)
        # Five: four and one (5) is faster than a padded pass of eight (8).
        assert [linear.take(n) for n in (1, 3, 5, 7)] == [1, 2, 4, 4]

    def test_without_padding_all_leave_together(self) -> None:
        sizes = BatchSizes({1: 1.0, 8: 8.0}, pads=False)
        assert [sizes.take(n) for n in (1, 5, 8, 9)] == [1, 5, 8, 8]

    def test_nothing_waits(self) -> None:
        with pytest.raises(ValueError, match="nothing waits"):
            BatchSizes({1: 1.0}, pads=False).take(0)

    @pytest.mark.parametrize("seconds", [{}, {0: 1.0}, {2: 1.0}, {1: 0.0}])
    def test_impossible_measurements(self, seconds: dict[int, float]) -> None:
        with pytest.raises(ValueError, match="begin with 1"):
            BatchSizes(seconds, pads=False)


class TestLimit:
    @given(measured, st.booleans(), st.integers(1, 64), st.integers(1, 200))
    def test_no_batch_is_larger(
        self, seconds: dict[int, float], pads: bool, largest: int, waiting: int
    ) -> None:
        sizes = BatchSizes(seconds, pads=pads)
        sizes.limit(largest)
        assert sizes.take(waiting) <= largest
        assert sizes.largest <= largest


class TestMeasure:
    def test_the_largest_size_that_still_pays(self) -> None:
        """From four on, twice the pictures take twice the time."""
        engine = FakeEngine(on_pass=lambda size: time.sleep(0.1 + 0.1 * max(0, size - 4)))
        sizes = measure(engine, CROP)
        assert sizes.all[:3] == (1, 2, 4)
        assert sizes.largest < 16
        assert engine.prepared == sorted(engine.prepared)

    def test_short_passes_pay_whatever_their_rate(self) -> None:
        """Something else on the machine made all but the first look slow."""
        engine = FakeEngine(on_pass=lambda size: time.sleep(0.001 if size == 1 else 0.05))
        assert measure(engine, CROP).largest == 32

    def test_the_first_pass_of_a_size_does_not_condemn_it(self) -> None:
        """It sets things up for that size, and takes twice as long."""
        seen = {1}

        def work(size: int) -> None:
            time.sleep(0.4 * size * (1 if size in seen else 2))
            seen.add(size)

        assert measure(FakeEngine(on_pass=work), CROP).largest == 2

    def test_no_pass_takes_too_long(self) -> None:
        engine = FakeEngine(on_pass=lambda size: time.sleep(0.2 * size))
        assert measure(engine, CROP).largest * 0.2 <= LONGEST_PASS_S

    def test_a_given_size_is_the_largest(self) -> None:
        assert measure(FakeEngine(), CROP, 6).all == (1, 2, 4, 6)
        assert measure(FakeEngine(), CROP, 1).all == (1,)

    def test_passes_share_a_device_that_gains_by_it(self) -> None:
        engine = FakeEngine(on_pass=lambda _: time.sleep(0.02))  # as long, however many sleep
        engine.concurrencies = (1, 2, 4)
        measure(engine, CROP, 1)
        assert engine.concurrency == 4

    def test_passes_that_only_take_turns_do_not_share(self) -> None:
        turn = threading.Lock()

        def take_turns(_: int) -> None:
            with turn:
                time.sleep(0.02)

        engine = FakeEngine(on_pass=take_turns)
        engine.concurrencies = (1, 2, 4)
        measure(engine, CROP, 1)
        assert engine.concurrency == 1

    def test_stops_at_the_memory(self) -> None:
        assert measure(FakeEngine(fits=5), CROP, 32).all == (1, 2, 4)

    def test_no_memory_at_all(self) -> None:
        with pytest.raises(OutOfDeviceMemory):
            measure(FakeEngine(fits=0), CROP)


def test_equal_times_favour_the_largest() -> None:
    assert BatchSizes(even((1, 2, 4, 8)), pads=True).take(3) == 3
