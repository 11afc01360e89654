"""An ASGI application behind a real uvicorn, in a thread of its own."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import uvicorn

START_S = 30

A = TypeVar("A")


class Served(Generic[A]):
    """What is served, and where."""

    def __init__(self, application: A, url: str) -> None:
        self.application = application
        self.url = url


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()


@contextmanager
def serving(
    make: Callable[[], A], face: Callable[[A], Callable[..., object]]
) -> Iterator[Served[A]]:
    """Serves the face of what `make` returns, which is called on the loop that serves it."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    started = threading.Event()
    found: list[Served[A]] = []
    servers: list[_Server] = []

    async def serve() -> None:
        application = make()
        config = uvicorn.Config(
            face(application),
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=2,
        )
        servers.append(_Server(config, started.set))
        found.append(Served(application, url))
        await servers[0].serve([listening])

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert started.wait(START_S)
        yield found[0]
    finally:
        if servers:
            servers[0].should_exit = True
        thread.join(START_S)
        listening.close()
