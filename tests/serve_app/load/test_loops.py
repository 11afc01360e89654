"""Both loops against small real servers: what the benchmarks' own tests do not show."""

import asyncio
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress

import pytest

from serve_app.load.closed_loop import ClosedLoop
from serve_app.load.open_loop import OpenLoop
from serve_app.load.running import Loop, generate
from serve_app.load.traffic import Connecting, Exchange, Step, Target, Traffic, request_bytes
from tests.benchmarks.test_load import OK, answering, read_request, serving

REQUESTS = [request_bytes("/", b"x", "text/plain")]
REFUSED = b"HTTP/1.1 429 Too Many\r\nRetry-After: 30\r\nContent-Length: 2\r\n\r\nno"


class Run:
    """Notes what a loop reports."""

    def __init__(self, port: int, steps: list[Step], deadline_s: float = 5.0) -> None:
        self.ended: list[Exchange] = []
        self.begun: list[int] = []
        self.traffic = Traffic(
            Target("127.0.0.1", port),
            REQUESTS,
            steps,
            deadline_s,
            lambda exchange, _body: self.ended.append(exchange),
            self.begun.append,
        )


def test_a_growing_closed_loop_has_more_requests_under_way() -> None:
    most: Counter[int] = Counter()
    under_way = 0
    run: Run

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way
        while True:
            await read_request(reader)
            under_way += 1
            step = run.begun[-1]
            most[step] = max(most[step], under_way)
            await asyncio.sleep(0.02)
            under_way -= 1
            writer.write(OK)

    with serving(slow) as port:
        run = Run(port, [Step(1, 0.4), Step(3, 0.4)])
        generate(lambda: ClosedLoop(run.traffic))
    assert run.begun == [0, 1, 2]
    assert (most[0], most[1]) == (1, 3)
    assert {exchange.status for exchange in run.ended} == {200}


def test_connections_that_wait_for_a_retry_after_do_not_hold_up_the_end() -> None:
    with serving(answering(REFUSED)) as port:
        run = Run(port, [Step(3, 0.3)])
        started = time.monotonic()
        generate(lambda: ClosedLoop(run.traffic))
    assert time.monotonic() - started < 2
    assert [exchange.status for exchange in run.ended] == [429] * 3


def test_a_stall_is_charged_to_all_that_were_due_in_it() -> None:
    """No coordinated omission: the answers after a stall of 0.5 s count from when they were due."""
    stalled = threading.Event()

    async def stalling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            if not stalled.is_set() and len(run.ended) > 20:
                stalled.set()
                time.sleep(0.5)  # noqa: ASYNC251 - the whole server stands still
            writer.write(OK)

    with serving(stalling) as port:
        run = Run(port, [Step(200, 1.5)])
        generate(lambda: OpenLoop(run.traffic))
    slow = [exchange for exchange in run.ended if exchange.latency_s > 0.1]
    assert 40 <= len(slow) <= 160
    assert {exchange.fault for exchange in run.ended} == {None}


@pytest.mark.parametrize("kind", [ClosedLoop, OpenLoop])
def test_a_loop_that_is_stopped_ends_early_with_what_it_has(
    kind: type[ClosedLoop] | type[OpenLoop],
) -> None:
    async def stop_soon(loop: Loop) -> None:
        await asyncio.sleep(0.4)
        loop.stop()

    with serving(answering(OK)) as port:
        run = Run(port, [Step(20, 60), Step(30, 60)])
        started = time.monotonic()
        generate(lambda: kind(run.traffic), stop_soon)
    assert time.monotonic() - started < 5
    assert run.ended
    assert run.begun == [0, 2]


def test_a_fault_beside_the_loop_is_not_hidden() -> None:
    async def broken(_loop: Loop) -> None:
        raise RuntimeError("beside")

    with serving(answering(OK)) as port:
        run = Run(port, [Step(1, 0.1)])
        with pytest.raises(RuntimeError, match="beside"):
            generate(lambda: ClosedLoop(run.traffic), broken)


def test_steps_without_an_arrival_begin_all_the_same() -> None:
    with serving(answering(OK)) as port:
        run = Run(port, [Step(0.001, 0.1), Step(0.001, 0.1)])
        generate(lambda: OpenLoop(run.traffic))
    assert run.begun == [0, 1, 2]
    assert run.ended == []


def test_the_key_and_the_host_stand_in_the_request() -> None:
    request = request_bytes("/a", b"xyz", "text/plain", "host:1", "secret")
    head, _, body = request.partition(b"\r\n\r\n")
    assert body == b"xyz"
    assert b"Host: host:1" in head
    assert b"Authorization: Bearer secret" in head
    assert b"Content-Length: 3" in head


def test_a_connection_past_its_life_takes_no_further_request() -> None:
    ages: list[float] = []

    async def aging(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made = time.monotonic()
        while True:
            await read_request(reader)
            ages.append(time.monotonic() - made)
            writer.write(OK)

    def oldest(connecting: Connecting) -> float:
        ages.clear()
        with serving(aging) as port:
            run = Run(port, [Step(50, 1.0)])
            generate(lambda: OpenLoop(run.traffic, connecting=connecting))
        assert {exchange.fault for exchange in run.ended} == {None}
        return max(ages)

    assert oldest(Connecting(life_s=0.1)) < 0.4
    assert oldest(Connecting()) > 0.6


def test_what_was_never_sent_is_tried_again_and_counted() -> None:
    """Nobody listens at first: each request waits for its turn and is answered in the end."""
    with serving(answering(OK)) as free:
        pass
    run = Run(free, [Step(50, 0.2)])

    async def open_late(_loop: Loop) -> None:
        await asyncio.sleep(0.4)
        server = await asyncio.start_server(ok, "127.0.0.1", free)
        try:
            await asyncio.Event().wait()
        finally:
            server.close()

    async def ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(asyncio.IncompleteReadError):
                while True:
                    await read_request(reader)
                    writer.write(OK)
        finally:
            writer.close()

    generate(lambda: OpenLoop(run.traffic, connecting=Connecting(retries=40)), open_late)
    assert {exchange.fault for exchange in run.ended} == {None}
    assert all(exchange.retries > 0 for exchange in run.ended)
    assert min(exchange.latency_s for exchange in run.ended) > 0.1


def test_attempts_to_connect_are_not_endless() -> None:
    with serving(answering(OK)) as free:
        pass
    run = Run(free, [Step(30, 0.2)])
    generate(lambda: OpenLoop(run.traffic, connecting=Connecting(retries=2)))
    assert {exchange.fault for exchange in run.ended} == {"no connection: ConnectionRefusedError"}
    assert {exchange.retries for exchange in run.ended} == {2}


def test_what_was_sent_is_never_sent_again() -> None:
    received = 0

    async def dropping(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal received
        await read_request(reader)
        received += 1

    with serving(dropping) as port:
        run = Run(port, [Step(50, 0.3)])
        generate(lambda: OpenLoop(run.traffic, connecting=Connecting(retries=5)))
    assert {exchange.fault for exchange in run.ended} == {"connection dropped"}
    assert received == len(run.ended)


def test_a_server_that_takes_no_connection_is_left_after_the_time_for_one() -> None:
    """Its queue is full, so the kernel drops what would open a connection, as a dead pod does."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        with ExitStack() as filling:
            for _ in range(4):
                waiting = filling.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(silent.getsockname())
            run = Run(silent.getsockname()[1], [Step(20, 0.2)])
            patience = Connecting(retries=1, timeout_s=0.2)
            generate(lambda: OpenLoop(run.traffic, connecting=patience))
    assert {exchange.fault for exchange in run.ended} == {"no connection: TimeoutError"}
    assert all(0.4 <= exchange.latency_s < 2 for exchange in run.ended)
