"""What a node's processes show: a real HAProxy, and processes that call themselves Ray's."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from serve_app.fast_path import LOCAL
from serve_app.ray_node import RayNode

NODE_ID = "ab" * 28
WAIT_S = 10


class Node:
    """Processes of a node, all of them children of this one."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def find(self) -> RayNode:
        node = RayNode.find(lambda: psutil.Process().children(recursive=True))
        assert node is not None
        return node

    def start_program(self, name: str, *options: str) -> None:
        """A shell of another name, which waits."""
        program = self._folder / name
        program.symlink_to("/bin/bash")
        self._start(str(program), "-c", "read -r", *options)

    def start_titled(self, title: str) -> None:
        self._start("bash", "-c", 'exec -a "$0" sleep 60', title)

    def start_haproxy(self, port: int) -> None:
        """As Ray Serve's, with a backend that answers by itself."""
        configuration = self._folder / "haproxy.cfg"
        configuration.write_text(
            f"global\n    stats socket {self._folder}/admin.sock mode 600 level admin\n"
            "defaults\n    mode http\n    timeout client 9s\n    timeout connect 9s\n"
            "    timeout server 9s\n"
            f"frontend http_frontend\n    bind 127.0.0.1:{port}\n"
            "    http-request return status 200 if { path /-/healthz }\n"
            "    default_backend http-scoring\n"
            "backend http-scoring\n    http-request return status 200\n"
        )
        self._start(LOCAL["HAPROXY_BINARY"], "-db", "-f", str(configuration))
        until(lambda: (self._folder / "admin.sock").exists())

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()

    def _start(self, *command: str) -> None:
        self._started.append(subprocess.Popen(command, stdin=subprocess.PIPE))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Node]:
    """A node with a raylet."""
    node = Node(tmp_path)
    try:
        node.start_program("raylet", f"--node_id={NODE_ID}", "--gcs-address=192.0.2.1:6379")
        until(lambda: RayNode.find(lambda: psutil.Process().children()) is not None)
        yield node
    finally:
        node.close()


def test_without_a_raylet_there_is_no_node() -> None:
    assert RayNode.find(list) is None


def test_the_head_is_told_from_workers(processes: Node) -> None:
    assert not processes.find().is_head
    processes.start_program("gcs_server")
    until(lambda: processes.find().is_head)


def test_replicas_are_named(processes: Node) -> None:
    node = processes.find()
    assert not node.left()
    processes.start_titled("ray::ServeReplica:scoring:Router")
    processes.start_titled("ray::ServeController")
    until(lambda: bool(node.left()))
    assert node.left().replicas == ["scoring:Router"]
    assert str(node.left()) == "replicas of scoring:Router"


def test_haproxy_counts_requests_but_no_probes_and_finishes(
    processes: Node, unused_tcp_port: int
) -> None:
    node = processes.find()
    assert node.requests() is None
    processes.start_haproxy(unused_tcp_port)
    until(lambda: node.requests() == 0)
    assert node.left().proxies == 1
    url = f"http://127.0.0.1:{unused_tcp_port}"
    with httpx.Client(base_url=url, trust_env=False) as client:
        assert client.get("/-/healthz").status_code == 200
        assert node.requests() == 0
        assert client.get("/v1/faq/rank").status_code == 200
        assert node.requests() == 1
    node.finish()
    until(lambda: not node.left())  # though nobody has waited for the process
