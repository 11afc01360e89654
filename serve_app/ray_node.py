"""The Ray node of this machine or container, as its processes show it."""

import contextlib
import csv
import re
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psutil

from serve_app.draining import Left, NodeUnknown

RAYLET, HEAD, HAPROXY = "raylet", "gcs_server", "haproxy"
"""Programs of a node."""
REPLICA = "ray::ServeReplica:"
STATISTICS_S = 2.0
"""How long HAProxy may take to say what it has counted."""

Processes = Callable[[], Iterable[psutil.Process]]


class RayNode:
    """A node of a running Ray, found by its raylet."""

    def __init__(self, raylet: psutil.Process, processes: Processes):
        options = dict(word.partition("=")[::2] for word in raylet.cmdline())
        self._id = options["--node_id"]
        self._gcs = options["--gcs-address"]
        self._processes = processes
        self.is_head = next(self._programs(HEAD), None) is not None

    @classmethod
    def find(cls, processes: Processes = psutil.process_iter) -> "RayNode | None":
        """The node among the processes; None where no Ray runs."""
        raylet = next(_programs(RAYLET, processes), None)
        return None if raylet is None else cls(raylet, processes)

    def leave(self, deadline: float) -> None:
        """See `Node`. As for a preemption: the node goes, whatever runs on it."""
        # A second of the time that there is: nothing else here needs it.
        from ray._raylet import GcsClient  # type: ignore[attr-defined]
        from ray.core.generated import autoscaler_pb2
        from ray.exceptions import RayError

        reasons = autoscaler_pb2.DrainNodeReason  # type: ignore[attr-defined]
        try:
            client = GcsClient(address=self._gcs)
            accepted, why = client.drain_node(
                self._id,
                reasons.DRAIN_NODE_REASON_PREEMPTION,
                "its pod is to end",
                int(1000 * deadline),
            )
        except RayError as error:
            raise NodeUnknown(str(error)) from error
        if not accepted:
            raise NodeUnknown(why)

    def left(self) -> Left:
        """See `Node`."""
        titles = [_title(process) for process in self._processes()]
        replicas = [title.removeprefix(REPLICA) for title in titles if title.startswith(REPLICA)]
        return Left(replicas, sum(1 for _ in self._programs(HAPROXY)))

    def requests(self) -> int | None:
        """See `Node`; None where no HAProxy says it. One that was started anew counts from 0."""
        for process in self._programs(HAPROXY):
            with contextlib.suppress(OSError, psutil.Error):
                return _requests(_statistics(_admin_socket(process)))
        return None

    def finish(self) -> None:
        """See `Node`."""
        for process in self._programs(HAPROXY):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGUSR1)

    def _programs(self, name: str) -> Iterator[psutil.Process]:
        return _programs(name, self._processes)


def _programs(name: str, processes: Processes) -> Iterator[psutil.Process]:
    """The processes of a program; one that has ended and was not waited for is none."""
    for process in processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name() == name and process.status() != psutil.STATUS_ZOMBIE:
                yield process


def _title(process: psutil.Process) -> str:
    """What a process calls itself."""
    try:
        return next(iter(process.cmdline()), "")
    except psutil.Error:
        return ""


def _admin_socket(process: psutil.Process) -> str:
    """Where a HAProxy answers, by the configuration that it was started with."""
    words = process.cmdline()
    configuration = Path(words[words.index("-f") + 1]).read_text()
    found = re.search(r"^\s*stats socket (\S+)", configuration, re.MULTILINE)
    if found is None:
        raise OSError("this HAProxy has no socket for questions")
    return found[1]


def _statistics(path: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(STATISTICS_S)
        connection.connect(path)
        connection.sendall(b"show stat\n")
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def _requests(statistics: str) -> int:
    """How many were passed on to replicas so far; probes, which HAProxy answers, do not count."""
    rows = csv.DictReader(statistics.removeprefix("# ").splitlines())
    return sum(int(row["stot"]) for row in rows if row["svname"] == "BACKEND")
