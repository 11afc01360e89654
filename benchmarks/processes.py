"""Processes of a measured server: finding them all, ending them, and the memory they take.

Servers start daemons in sessions of their own (Ray does), so process groups do not hold them.
This process therefore adopts orphans, and whatever descends from it belongs to the server that it
started. Linux only.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
KILL_ROUNDS = 5  # a process may start another while it is being killed


@dataclass(frozen=True)
class ProcessMemory:
    """Proportional set size of all processes with one name, in MiB: shared pages are split among
    the processes that map them, so that the sum counts each page once."""

    name: str
    processes: int
    pss_mib: float


@contextlib.contextmanager
def adopting_orphans() -> Iterator[None]:
    """Makes this process the parent of descendants whose own parent ends meanwhile.

    Raises:
        OSError: the kernel refused.
    """
    _set_subreaper(True)
    try:
        yield
    finally:
        _set_subreaper(False)


def _set_subreaper(wanted: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def descendants(pid: int) -> set[int]:
    """Every process below `pid`, itself left out."""
    children: dict[int, list[int]] = {}
    for folder in PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The name, in parentheses, may hold anything; the parent is the second word after it.
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    found: set[int] = set()
    ahead = [pid]
    while ahead:
        below = children.get(ahead.pop(), [])
        found.update(below)
        ahead.extend(below)
    return found


def stop(process: subprocess.Popen[bytes], bystanders: set[int], limit_s: float = 45.0) -> set[int]:
    """Ends a server politely (SIGTERM), then whatever of it is left (SIGKILL).

    `bystanders` descend from this process and are not the server's. Returns what had to be killed.
    """
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(limit_s)
    killed: set[int] = set()
    for _ in range(KILL_ROUNDS):
        left = _alive(descendants(os.getpid()) - bystanders, process)
        if not left:
            break
        killed |= left
        for pid in left:
            _kill(pid)
    process.poll()
    return killed


def _alive(pids: set[int], process: subprocess.Popen[bytes]) -> set[int]:
    """Those that still run; the ended ones that this process adopted are reaped."""
    return {pid for pid in pids if not _reaped(pid, process)}


def _reaped(pid: int, process: subprocess.Popen[bytes]) -> bool:
    if pid == process.pid:
        return process.poll() is not None
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:  # its own parent is alive
        return not (PROC / str(pid)).exists()


def _kill(pid: int) -> None:
    """Kills one process and waits for its end, 5 s at most."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [], 5.0)
        finally:
            os.close(handle)


def memory(pids: Iterable[int]) -> list[ProcessMemory]:
    """Proportional set sizes by process name, largest first; processes that end are left out."""
    sizes: dict[str, list[float]] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            rollup = (PROC / str(pid) / "smaps_rollup").read_text()
            name = process_name((PROC / str(pid) / "cmdline").read_bytes())
            sizes.setdefault(name, []).append(_pss_mib(rollup))
    table = [ProcessMemory(name, len(each), sum(each)) for name, each in sizes.items()]
    return sorted(table, key=lambda row: row.pss_mib, reverse=True)


def process_name(cmdline: bytes) -> str:
    """What a process runs, in few words: a title it gave itself, a module, a script, a program."""
    words = [word for word in cmdline.decode(errors="replace").split("\0") if word]
    if not words:
        return "(no name)"
    if words[0].startswith("ray::"):
        return words[0].strip()
    program = Path(words[0].split(" ")[0]).name
    if not program.startswith("python"):
        return program
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1]
    scripts = [word for word in words[1:] if not word.startswith("-")]
    return Path(scripts[0]).name if scripts else program


def _pss_mib(rollup: str) -> float:
    line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) / 1024
