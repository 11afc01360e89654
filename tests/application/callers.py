"""Callers of a Service of Kubernetes: each keeps a connection to one pod while it lasts."""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType

from serve_app.load.traffic import request_bytes
from serve_app.load.wire import Answer, Connection

PORT = 8000
PAUSE_S = 0.02
CONNECT_S, ANSWER_S = 10.0, 45.0
REQUEST = request_bytes("/v1/faq/rank", b'{"question": "what is a closure"}', "application/json")


class Callers:
    """Sends questions from a thread of its own while it is open, and counts what is not answered.

    A new connection goes to one of the `endpoints`, which may change at any time, as those of a
    Service do. One that is kept stays with its pod, as it does behind a Service.
    """

    def __init__(self, endpoints: Sequence[str], callers: int):
        self.endpoints = list(endpoints)
        self.answered: Counter[str] = Counter()
        self.failures: list[str] = []
        self.slowest_s = 0.0
        self._callers = callers
        self._over = False
        self._started = time.monotonic()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    @property
    def sent(self) -> int:
        """Requests that were answered or failed."""
        return self.answered.total() + len(self.failures)

    def __enter__(self) -> "Callers":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._over = True
        self._thread.join(CONNECT_S + ANSWER_S)
        assert not self._thread.is_alive(), "a caller hangs"

    async def _run(self) -> None:
        await asyncio.gather(*(self._call() for _ in range(self._callers)))

    async def _call(self) -> None:
        while not self._over:
            address = random.choice(self.endpoints)
            try:
                await self._converse(address)
            except OSError as error:  # TimeoutError too
                self._fail(address, f"no connection: {error!r}")
                await asyncio.sleep(PAUSE_S)

    async def _converse(self, address: str) -> None:
        """One connection, from its start until either side ends it."""
        loop = asyncio.get_running_loop()
        answers: asyncio.Queue[Answer | None] = asyncio.Queue()
        faults: list[str] = []

        def end(_connection: Connection, fault: str | None) -> None:
            if fault is not None:
                faults.append(fault)
            answers.put_nowait(None)

        connection = Connection(lambda _: None, lambda _, answer: answers.put_nowait(answer), end)
        async with asyncio.timeout(CONNECT_S):
            await loop.create_connection(lambda: connection, address, PORT)
        while not self._over and connection.is_open:
            started = time.monotonic()
            connection.send(REQUEST)
            try:
                async with asyncio.timeout(ANSWER_S):
                    answer = await answers.get()
            except TimeoutError:
                connection.abort("no answer in time")
                answer = await answers.get()
            self.slowest_s = max(self.slowest_s, time.monotonic() - started)
            if answer is None:
                self._fail(address, ", ".join(faults))
                return
            if answer.status != 200:
                self._fail(address, f"{answer.status} {answer.body[:200]!r}")
            else:
                self.answered[address] += 1
            await asyncio.sleep(PAUSE_S)
        connection.close()

    def _fail(self, address: str, what: str) -> None:
        self.failures.append(f"{time.monotonic() - self._started:.1f} s, {address}: {what}")
