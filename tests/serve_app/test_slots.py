"""Room for pictures: whole requests are admitted, and whoever is admitted gets all its slots."""

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.errors import Overloaded
from serve_app.slots import Slots
from tests.deployments.batching_clock import on_virtual_clock

TICK_S = 0.01


def refusal(slots: Slots) -> Overloaded | None:
    try:
        slots.require_room()
    except Overloaded as error:
        return error
    return None


@on_virtual_clock
async def test_takes_no_more_than_is_free_wanted_and_allowed() -> None:
    slots = Slots(8)
    assert [await slots.take(3, 5), await slots.take(9, 2), await slots.take(7, 5)] == [3, 2, 3]
    assert slots.held == 8


@on_virtual_clock
async def test_nobody_is_admitted_while_a_request_wants_more() -> None:
    slots = Slots(4)
    assert await slots.take(6, 4) == 4
    waiting = asyncio.create_task(slots.take(2, 4))
    await asyncio.sleep(0)
    slots.give_back(1)
    assert refusal(slots) is not None
    assert await waiting == 1
    slots.give_back(3)
    assert refusal(slots) is not None
    assert await slots.take(1, 4) == 1
    assert refusal(slots) is None


@on_virtual_clock
async def test_a_request_that_leaves_while_it_waits_wants_nothing_more() -> None:
    slots = Slots(1)
    await slots.take(1, 1)
    waiting = asyncio.create_task(slots.take(5, 1))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    slots.give_back(1)
    assert (slots.held, refusal(slots)) == (0, None)


@on_virtual_clock
async def test_growing_makes_room_for_who_waits() -> None:
    slots = Slots(1)
    await slots.take(1, 1)
    waiting = asyncio.create_task(slots.take(3, 8))
    await asyncio.sleep(0)
    slots.resize(4)
    assert await waiting == 3


@on_virtual_clock
async def test_shrinking_takes_nothing_back_and_lends_no_more() -> None:
    slots = Slots(4)
    await slots.take(4, 4)
    slots.resize(2)
    slots.give_back(2)
    assert refusal(slots) is not None
    slots.give_back(1)
    assert await slots.take(2, 2) == 1


@pytest.mark.parametrize(("seconds", "retry_after_s"), [(0.0, 1), (0.2, 1), (2.5, 3)])
async def test_says_how_long_what_is_held_needs(seconds: float, retry_after_s: int) -> None:
    slots = Slots(2)
    slots.note_seconds(seconds)
    await slots.take(2, 2)
    error = refusal(slots)
    assert error is not None
    assert error.retry_after_s == retry_after_s


@dataclass(frozen=True)
class Caller:
    tick: int
    wanted: int
    most: int
    works: int  # ticks that each portion takes
    leaves: int | None


callers = st.builds(
    Caller,
    tick=st.integers(0, 12),
    wanted=st.integers(1, 12),
    most=st.integers(1, 5),
    works=st.integers(0, 4),
    leaves=st.none() | st.integers(0, 10),
)


@settings(max_examples=300, deadline=None)
@given(
    loads=st.lists(callers, max_size=12),
    sizes=st.lists(st.integers(1, 8), min_size=1, max_size=4),
)
def test_every_request_gets_all_its_slots_or_none(loads: list[Caller], sizes: list[int]) -> None:
    @on_virtual_clock
    async def check() -> None:
        slots = Slots(sizes[0])

        async def hold(count: int, ticks: int) -> None:
            assert slots.held <= max(sizes)
            await asyncio.sleep(ticks * TICK_S)

        async def request(caller: Caller) -> int | None:
            await asyncio.sleep(caller.tick * TICK_S)
            if refusal(slots) is not None:
                return None
            got = 0
            async with asyncio.TaskGroup() as group:
                while got < caller.wanted:
                    taken = await slots.take(caller.wanted - got, caller.most)
                    portion = group.create_task(hold(taken, caller.works))
                    portion.add_done_callback(lambda _, taken=taken: slots.give_back(taken))  # type: ignore[misc]
                    got += taken
            return got

        async def leave(task: asyncio.Task[int | None], caller: Caller) -> None:
            if caller.leaves is not None:
                await asyncio.sleep((caller.tick + caller.leaves) * TICK_S)
                task.cancel()

        async def resize() -> None:
            for size in sizes:
                slots.resize(size)
                await asyncio.sleep(3 * TICK_S)

        tasks = [asyncio.create_task(request(caller)) for caller in loads]
        leaving = [leave(*pair) for pair in zip(tasks, loads, strict=True)]
        await asyncio.gather(resize(), *leaving)
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        for caller, end in zip(loads, ends, strict=True):
            if isinstance(end, asyncio.CancelledError):
                assert caller.leaves is not None
            else:
                assert end in (None, caller.wanted)
        assert (slots.held, refusal(slots)) == (0, None)

    check()
