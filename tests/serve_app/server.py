"""A real server around an ASGI application, for promises about what is on the wire."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

START_S = 30


@contextmanager
def served(application: ASGIApp) -> Iterator[str]:
    """The URL of the application on loopback, on a free port."""
    server = uvicorn.Server(
        uvicorn.Config(application, port=0, lifespan="off", log_level="critical")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_S
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()
    yield f"http://{host}:{port}"
    server.should_exit = True
    thread.join()
