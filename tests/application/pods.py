"""Ray nodes on one machine that see each other as pods do: each with an address, processes and a
`ray start` of its own.

A pod is a network namespace on a bridge, and a process namespace in it, so that ending its first
process ends them all at once, as the end of a container does.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil

ROOT = Path(__file__).parents[2]
BRIDGE, NETWORK = "scoring0", "10.77.0"
HOST_ADDRESS = f"{NETWORK}.1"
NEEDED = ("ip", "unshare", "nsenter")
T = TypeVar("T")


def missing() -> str | None:
    """Why no pods can be made here; None where they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    absent = [tool for tool in NEEDED if shutil.which(tool) is None]
    if absent:
        return f"{', '.join(absent)} are not installed (Debian: iproute2, util-linux)"
    if _run(["ip", "link", "add", BRIDGE, "type", "bridge"]).returncode:
        return "no network bridge can be made here"
    _run(["ip", "link", "del", BRIDGE])
    return None


def wait_until(what: str, look: Callable[[], T], timeout_s: float, period_s: float = 0.1) -> T:
    """What `look` returns, once it is true."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(period_s)
    return found


class Pod:
    """One pod; `start` may be called again after its end, as a pod of the same address."""

    def __init__(self, name: str, number: int, folder: Path, environment: Mapping[str, str]):
        self.name = name
        self.address = f"{NETWORK}.{number}"
        self._link = f"scoring{number}"
        self._folder = folder / name
        self._folder.mkdir()
        # All nodes of a Ray have their files below the same path: here each pod its own.
        self._mounted = folder / "ray"
        self._mounted.mkdir(exist_ok=True)
        self._environment = {
            **environment,
            "RAY_TMPDIR": str(self._mounted),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(self._mounted),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *command: str) -> None:
        """Makes the network and starts the pod's first process."""
        self._remove()  # what a pod that ended by itself has left
        name, link = self.name, self._link
        for words in (
            f"netns add {name}",
            f"link add {link} type veth peer name eth0 netns {name}",
            f"link set {link} master {BRIDGE} up",
            f"-n {name} addr add {self.address}/24 dev eth0",
            f"-n {name} link set eth0 up",
            f"-n {name} link set lo up",
            f"-n {name} route add default via {HOST_ADDRESS}",
        ):
            _checked(["ip", *words.split()])
        isolated = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        private = ["sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"']
        private += [str(self._folder), str(self._mounted)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["ip", "netns", "exec", name, *isolated, *private, *command],
                env=self._environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def is_running(self) -> bool:
        """Whether its first process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What its first process has printed."""
        return (self._folder / "log").read_text()

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Runs a command in the pod, as an exec hook does."""
        enter = ["nsenter", "--target", str(self._first().pid), "--net", "--pid", "--mount"]
        return _run([*enter, *command], self._environment)

    def terminate(self) -> None:
        """SIGTERM to the first process, as at the end of a pod."""
        self._first().send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to all processes at once; the network goes after them."""
        if self.is_running:
            self._first().kill()
        self._remove()

    def lose(self) -> None:
        """As where its machine is lost: the network goes first, so that nobody hears of the end."""
        _run(["ip", "link", "del", self._link])
        self.kill()

    def _remove(self) -> None:
        if self._process is not None:
            self._process.wait(60)
            self._process = None
        _run(["ip", "link", "del", self._link])
        _run(["ip", "netns", "del", self.name])

    def _first(self) -> psutil.Process:
        assert self._process is not None
        (first,) = psutil.Process(self._process.pid).children()
        return first


@contextmanager
def network() -> Iterator[None]:
    """The bridge that pods are attached to; this machine is on it too."""
    _run(["ip", "link", "del", BRIDGE])
    _checked(["ip", "link", "add", BRIDGE, "type", "bridge"])
    try:
        _checked(["ip", "addr", "add", f"{HOST_ADDRESS}/24", "dev", BRIDGE])
        _checked(["ip", "link", "set", BRIDGE, "up"])
        yield
    finally:
        _run(["ip", "link", "del", BRIDGE])


def _checked(command: Sequence[str]) -> None:
    result = _run(command)
    assert result.returncode == 0, f"{' '.join(command)}: {result.stderr}"


def _run(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
