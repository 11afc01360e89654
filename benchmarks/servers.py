"""Starting a server to measure, waiting until it is ready, and leaving nothing of it behind."""

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks import processes
from benchmarks.environments import ROOT, WORK, python_of

PORT_MARKS = ("{port}", "{port2}", "{port3}")
"""Replaced by free ports in a server's command and environment."""


Form = Literal["question", "list", "tensor", "picture", "base64"]


class ServerError(RuntimeError):
    """A server that ended or was not ready in time; the message holds its last output."""


@dataclass(frozen=True)
class Server:
    """How to start a server and where it answers.

    `form` is the shape of its requests and answers (`benchmarks.payloads`);
    `peer` names the environment whose Python runs the command; without one it is a program.
    `has_metrics`: it counts its batches of pictures, as this project does, at `/metrics`.
    """

    name: str
    family: str
    command: tuple[str, ...]
    path: str
    ready_path: str
    form: Form = "question"
    peer: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    start_limit_s: float = 180.0
    has_metrics: bool = False


@dataclass(frozen=True)
class Running:
    """A server that answers on 127.0.0.1."""

    server: Server
    process: subprocess.Popen[bytes]
    port: int
    processes_before: frozenset[int]

    def pids(self) -> set[int]:
        """Every process that the server consists of."""
        return processes.descendants(os.getpid()) - self.processes_before


def application(*settings: str, path: str, ready_path: str, form: Form = "question") -> Server:
    """This project's own server, with a data folder of its own.

    It inherits no `SCORING_*` variable: a user's settings would change what is measured.
    """
    command = str(Path(sys.executable).with_name("scoring"))
    own = (f"data_dir={WORK / 'application'}", "http.port={port}", *settings)
    return Server(
        name="this application",
        family="application",
        command=(command, "serve", *own),
        path=path,
        ready_path=ready_path,
        form=form,
        start_limit_s=600.0,
        has_metrics=form == "picture",
    )


def forget_application() -> None:
    """Empties the application's data folder, so that what it serves is made by today's code."""
    shutil.rmtree(WORK / "application", ignore_errors=True)


@contextmanager
def running(server: Server) -> Iterator[Running]:
    """A server from ready to gone, whatever happens in between.

    Raises:
        ServerError: it ended or was not ready within its limit.
        PeerError: its environment cannot be made.
    """
    with started(server) as run:
        _await_ready(run)
        yield run


@contextmanager
def started(server: Server) -> Iterator[Running]:
    """A server from its first moment on, not yet ready.

    Raises:
        ServerError: its command does not exist.
        PeerError: its environment cannot be made.
    """
    python = [str(python_of(server.peer))] if server.peer else []
    ports = free_ports(len(PORT_MARKS))
    bystanders = processes.descendants(os.getpid())
    log = log_of(server)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                [*python, *(_with_ports(word, ports) for word in server.command)],
                env=_environment(server, ports),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise ServerError(f"{server.name}: no such command: {error.filename}") from None
    try:
        yield Running(server, process, ports[0], frozenset(bystanders))
    finally:
        processes.stop(process, bystanders)


def get(port: int, path: str, timeout_s: float = 5.0) -> int | None:
    """Status of a GET, or None where nothing answers."""
    return _status(port, "GET", path, None, {}, timeout_s)


def post(
    port: int, path: str, body: bytes, content_type: str, timeout_s: float = 30.0
) -> int | None:
    """Status of a POST, or None where nothing answers."""
    return _status(port, "POST", path, body, {"Content-Type": content_type}, timeout_s)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nothing listens on, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def log_of(server: Server) -> Path:
    """Where a server's output goes."""
    return WORK / "logs" / f"{server.name.replace(' ', '-').replace(',', '')}.log"


def _await_ready(run: Running) -> None:
    until = time.monotonic() + run.server.start_limit_s
    while get(run.port, run.server.ready_path) != 200:
        if time.monotonic() > until:
            raise ServerError(f"{run.server.name} was not ready in time: {last_output(run.server)}")
        pause(run, 0.1)


def pause(run: Running, seconds: float) -> None:
    """Waits between two looks at a server, and notices when it ends.

    Raises:
        ServerError: it ended.
    """
    try:
        status = run.process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
    raise ServerError(f"{run.server.name} ended with {status}: {last_output(run.server)}")


def last_output(server: Server) -> str:
    """The last lines of a server's output, without this machine's paths."""
    text = log_of(server).read_text(errors="replace").replace(str(ROOT), ".")
    return " | ".join(line for line in text.splitlines()[-5:] if line.strip())


def _status(
    port: int, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout_s: float
) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request(method, path, body, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _environment(server: Server, ports: list[int]) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SCORING_")}
    own = {key: _with_ports(value, ports) for key, value in server.environment.items()}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **own}


def _with_ports(text: str, ports: list[int]) -> str:
    for mark, port in zip(PORT_MARKS, ports, strict=True):
        text = text.replace(mark, str(port))
    return text
