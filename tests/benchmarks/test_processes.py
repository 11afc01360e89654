"""Finding and ending every process of a server, daemons included."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import processes
from benchmarks.processes import process_name
from benchmarks.servers import Server, ServerError, free_ports, get, pause, running, started

DAEMON = "import os, time; os.fork() and os._exit(0); os.setsid(); time.sleep(600)"
STUBBORN = f"""
import http.server, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.run([sys.executable, "-c", {DAEMON!r}])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/ready" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture(autouse=True)
def work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("benchmarks.servers.WORK", tmp_path)
    with processes.adopting_orphans():
        yield


def python(script: str) -> Server:
    return Server("test", "test", (sys.executable, "-c", script, "{port}"), "/", "/ready")


def test_a_server_runs_until_the_block_ends_and_its_daemon_ends_with_it() -> None:
    with started(python(STUBBORN)) as run:
        while get(run.port, "/ready") != 200:
            pause(run, 0.05)
        pids = run.pids()
        assert len(pids) >= 2
        run.process.kill()  # it ignores SIGTERM, which the test need not wait for
    assert not processes.descendants(os.getpid()) & pids


def test_what_the_block_raises_does_not_leave_the_server_behind() -> None:
    quick = STUBBORN.replace("signal.SIG_IGN", "signal.SIG_DFL")
    pids: set[int] = set()

    def interrupted() -> None:
        with running(python(quick)) as run:
            pids.update(run.pids())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert pids
    assert not processes.descendants(os.getpid()) & pids


def test_a_server_that_ends_says_its_last_words() -> None:
    with (
        pytest.raises(ServerError, match="ended with 3: no model"),
        running(python("print('no model', flush=True); raise SystemExit(3)")),
    ):
        pass


def test_a_command_that_does_not_exist_is_an_error() -> None:
    server = Server("test", "test", ("/no/such/program",), "/", "/ready")
    with pytest.raises(ServerError, match="no such command"), running(server):
        pass


def test_free_ports_differ() -> None:
    ports = free_ports(3)
    assert len(set(ports)) == 3


def test_memory_is_summed_by_name() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        table = processes.memory([os.getpid(), child.pid, 2**22 + 1])
    finally:
        child.communicate(b"\n")
    assert sum(row.processes for row in table) == 2
    assert all(row.pss_mib > 0 for row in table)


@pytest.mark.parametrize(
    ("cmdline", "name"),
    [
        (b"ray::ServeReplica:scoring:Router\0\0\0", "ray::ServeReplica:scoring:Router"),
        (b"/usr/bin/python3\0-u\0/opt/ray/dashboard/agent.py\0--port=1\0", "agent.py"),
        (b"/venv/bin/python\0-m\0uvicorn\0app\0", "uvicorn"),
        (b"/opt/gcs_server\0--x\0", "gcs_server"),
        (b"python3.11\0-c\0input()\0", "input()"),
        (b"", "(no name)"),
    ],
)
def test_a_process_is_named_after_what_it_runs(cmdline: bytes, name: str) -> None:
    assert process_name(cmdline) == name
