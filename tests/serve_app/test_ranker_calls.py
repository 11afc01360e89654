"""Calls to the ranker: direct where it can be, through the handle where it must."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from deployments.contracts import EncodedRanking, Form, Question, RankedBatch
from deployments.direct import Address, Listener
from deployments.faq import wire
from serve_app.errors import InternalError
from serve_app.ranker_calls import RankerCalls
from tests.serve_app.fakes import FAQ, FakeFaq

QUESTIONS = [Question("how?", 3, 0.25, Form.TRIPLES), Question("\N{SNOWMAN}", 1)]


class Replica:
    """A ranker that listens as a replica does and remembers its calls."""

    def __init__(self) -> None:
        self.calls: list[wire.RankCall] = []
        self.error: Exception | None = None
        self.model = FAQ
        self.listener: Listener

    async def start(self) -> "Replica":
        self.listener = await Listener.start(self._answer, "127.0.0.1")
        return self

    def _answer(self, frame: bytes) -> bytes:
        if self.error is not None:
            raise self.error
        call = wire.decode_call(frame)
        self.calls.append(call)
        rankings = [EncodedRanking(item.text.encode(), True) for item in call.questions]
        return wire.encode(RankedBatch(self.model, rankings, 1.5, 99))


@pytest.fixture
async def replicas() -> AsyncIterator[list[Replica]]:
    replicas = [await Replica().start() for _ in range(2)]
    yield replicas
    for replica in replicas:
        replica.listener.close()
    for _ in range(5):
        await asyncio.sleep(0)


def calls_to(
    replicas: Sequence[Replica], handle: FakeFaq
) -> tuple[RankerCalls, Callable[[], None]]:
    found = list(replicas)

    async def addresses() -> list[Address]:
        return [replica.listener.address for replica in found]

    return RankerCalls(handle, addresses, "router-1"), found.clear


async def test_a_call_arrives_whole_and_so_does_its_answer(replicas: list[Replica]) -> None:
    calls, _ = calls_to(replicas[:1], FakeFaq())
    await calls.refresh()
    batch = await calls.rank(QUESTIONS, 7.5)
    assert replicas[0].calls == [wire.RankCall(QUESTIONS, "router-1", 7.5)]
    assert batch.model == FAQ
    assert [ranking.matches.decode() for ranking in batch.rankings] == ["how?", "\N{SNOWMAN}"]
    assert (batch.inference_ms, batch.largest_match_bytes) == (1.5, 99)


async def test_without_a_connection_the_handle_is_called() -> None:
    handle = FakeFaq()
    calls, _ = calls_to([], handle)
    await calls.refresh()
    await calls.rank(QUESTIONS, 2.0)
    assert handle.calls == [QUESTIONS]


async def test_replicas_come_and_go(replicas: list[Replica]) -> None:
    handle = FakeFaq()
    calls, lose_all = calls_to(replicas, handle)
    await calls.refresh()
    assert calls.connected == 2
    lose_all()
    await calls.refresh()
    assert calls.connected == 0
    await calls.rank(QUESTIONS, 2.0)
    assert len(handle.calls) == 1


async def test_a_replica_that_cannot_be_reached_is_left_to_the_handle(
    replicas: list[Replica],
) -> None:
    replicas[0].listener.close()
    calls, _ = calls_to(replicas, FakeFaq())
    await calls.refresh()
    assert calls.connected == 1


async def test_a_dying_replicas_call_goes_through_the_handle(replicas: list[Replica]) -> None:
    handle = FakeFaq()
    calls, _ = calls_to(replicas[:1], handle)
    await calls.refresh()
    replicas[0].error = ConnectionResetError()  # the frame is answered as failed
    with pytest.raises(InternalError):
        await calls.rank(QUESTIONS, 2.0)
    connection = calls._connections[0]
    assert connection._transport is not None
    replicas[0].error = None
    connection._transport.abort()
    batch = await calls.rank(QUESTIONS, 2.0)
    assert len(batch.rankings) == 2
    assert handle.calls == [QUESTIONS]


async def test_a_dying_replicas_call_goes_to_another_connection(replicas: list[Replica]) -> None:
    handle = FakeFaq()
    calls, _ = calls_to(replicas, handle)
    await calls.refresh()
    dying = calls._connections[0]
    call = asyncio.ensure_future(calls.rank(QUESTIONS, 2.0))
    await asyncio.sleep(0)
    assert dying.in_flight == 1
    assert dying._transport is not None
    dying._transport.abort()
    await call
    assert handle.calls == []
    assert sum(len(replica.calls) for replica in replicas) >= 1


async def test_a_wanted_version_is_asked_where_it_was_met(replicas: list[Replica]) -> None:
    replicas[1].model = FAQ._replace(version="4")
    calls, lose_all = calls_to(replicas, FakeFaq())
    await calls.refresh()
    met: set[str] = set()
    while len(met) < 2:
        # Two at once go to two replicas.
        batches = await asyncio.gather(*(calls.rank(QUESTIONS, 1.0) for _ in replicas))
        met |= {batch.model.version for batch in batches}
    for replica in replicas:
        wanted = [question._replace(model=replica.model) for question in QUESTIONS]
        for _ in range(3):
            assert (await calls.rank(wanted, 1.0)).model == replica.model
    lose_all()
    await calls.refresh()
    assert calls.connected == 0
