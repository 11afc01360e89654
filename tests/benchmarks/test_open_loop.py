"""The open-loop generator against small real servers."""

import asyncio
from collections import Counter

import pytest

from benchmarks.open_loop import Ramp, Step, drive, schedule
from tests.benchmarks.test_load import OK, answering, read_request, serving

REFUSED = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\nno"
REQUESTS = [b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n%d" % n for n in range(5)]


def test_arrivals_follow_the_rate_of_their_step() -> None:
    steps = [Step(100, 20), Step(400, 20)]
    arrivals = list(schedule(steps, seed=0))
    counts = Counter(step for step, _ in arrivals)
    assert counts[0] == pytest.approx(2000, rel=0.1)
    assert counts[1] == pytest.approx(8000, rel=0.1)
    moments = [moment for _, moment in arrivals]
    assert moments == sorted(moments)
    assert all(20 * step <= moment < 20 * (step + 1) for step, moment in arrivals)
    assert arrivals == list(schedule(steps, seed=0))


def test_every_answer_is_recorded_and_checked() -> None:
    with serving(answering(OK)) as port:
        ramp = Ramp(port, REQUESTS, [Step(200, 0.5)], 5, check=lambda _, body: body == b"hello")
        result = drive(ramp)
    assert len(result.arrivals) > 50
    assert {arrival.status for arrival in result.arrivals} == {200}
    assert all(arrival.latency_s > 0 for arrival in result.arrivals)
    assert result.wrong == 0


def test_a_wrong_answer_is_counted() -> None:
    with serving(answering(OK)) as port:
        result = drive(Ramp(port, REQUESTS, [Step(100, 0.3)], 5, check=lambda _, body: False))
    assert result.wrong == len(result.arrivals) > 0


def test_refusals_keep_their_retry_after() -> None:
    with serving(answering(REFUSED)) as port:
        result = drive(Ramp(port, REQUESTS, [Step(100, 0.3)], 5))
    assert {(each.status, each.retry_after) for each in result.arrivals} == {(429, "3")}


def test_arrivals_wait_for_no_answer_and_silence_is_a_hang() -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await reader.read()

    ended: list[int] = []
    with serving(silent) as port:
        steps = [Step(100, 0.2), Step(200, 0.2)]
        result = drive(Ramp(port, REQUESTS, steps, deadline_s=0.3, on_step=ended.append))
    assert {arrival.fault for arrival in result.arrivals} == {"hung"}
    assert result.connections == len(result.arrivals) > 20
    assert ended == [0, 1]


def test_a_dropped_connection_is_the_fault_of_its_own_request() -> None:
    async def drop_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)

    with serving(drop_second) as port:
        result = drive(Ramp(port, REQUESTS, [Step(100, 0.5)], 5))
    faults = Counter(arrival.fault for arrival in result.arrivals)
    assert set(faults) == {None, "connection dropped"}


def test_without_a_server_every_request_says_so() -> None:
    with serving(answering(OK)) as port:
        pass
    result = drive(Ramp(port, REQUESTS, [Step(50, 0.2)], 5))
    assert {arrival.fault for arrival in result.arrivals} == {
        "no connection: ConnectionRefusedError"
    }


def test_a_ramp_without_a_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        drive(Ramp(1, REQUESTS, [Step(0, 1)], 5))
