"""Real HTTP servers: uvicorn around the fake application, and sockets that misbehave."""

import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from PIL import Image
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.serve_app.fakes import Application


@dataclass
class Served:
    """A running application: its address, and who came from where with what."""

    url: str
    application: Application
    clients: set[int] = field(default_factory=set)
    """Ports of the connections that carried requests."""
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


def png(red: int = 7) -> bytes:
    """A picture that the fake model names `class {red}`."""
    target = io.BytesIO()
    Image.new("RGB", (8, 8), (red, 0, 0)).save(target, "PNG")
    return target.getvalue()


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """The application on a free port, in a thread."""
    application = Application(folder)
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    served = Served(f"http://127.0.0.1:{listener.getsockname()[1]}", application)
    config = uvicorn.Config(_noted(application.face, served), lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield served
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()


def _noted(inner: ASGIApp, served: Served) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        served.clients.add(scope["client"][1])
        served.paths.append(scope["path"])
        served.headers.append({key.decode(): value.decode() for key, value in scope["headers"]})
        await inner(scope, receive, send)

    return app


Behaviour = Callable[[socket.socket], None]


@contextmanager
def behaving(behaviour: Behaviour) -> Iterator[str]:
    """The address of a server that does this with every connection, one at a time."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    behaviour(connection)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(30)


def free_port() -> int:
    """One on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
