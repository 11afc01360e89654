"""The real application in processes of its own, started and stopped as a user would."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

START_S, STOP_S = 240, 60
ROOT = Path(__file__).parents[2]


class Service:
    """A command that serves on `port`; `lines` is what it has printed so far."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int,
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.lines: list[str] = []
        self._changed = threading.Condition()
        # Of its own: what a Ray of before left behind would be taken for a running one.
        self._ray_folder = tempfile.TemporaryDirectory(prefix="r", ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={
                **_clean_environment(),
                "RAY_TMPDIR": self._ray_folder.name,
                **(environment or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for_line(self, text: str, timeout_s: float = START_S) -> str:
        """The first line with `text` in it."""

        def found() -> str | None:
            return next((line for line in self.lines if text in line), None)

        with self._changed:
            self._changed.wait_for(
                lambda: found() is not None or self.process.poll() is not None, timeout_s
            )
        line = found()
        assert line is not None, f"no {text!r} in:\n" + "".join(self.lines)
        return line

    def client(self) -> httpx.Client:
        """A client of the service."""
        return httpx.Client(base_url=self.url, timeout=120, trust_env=False)

    def started(self) -> list[psutil.Process]:
        """Every process that the command has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def replicas(self, deployment: str) -> list[psutil.Process]:
        """The processes of a deployment's replicas."""
        title = f"ServeReplica:scoring:{deployment}"
        return [process for process in self.started() if title in " ".join(process.cmdline())]

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stops the command; fails if it does not end, or leaves a process behind."""
        started = self.started() if self.process.poll() is None else []
        self.process.send_signal(number)
        self.process.wait(STOP_S)
        self._reader.join(STOP_S)
        _, alive = psutil.wait_procs(started, timeout=STOP_S)
        names = [" ".join(process.cmdline())[:120] for process in alive]
        for process in alive:
            process.kill()
        self._ray_folder.cleanup()
        assert not names, f"left behind: {names}"

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()
        self.process.stdout.close()
        with self._changed:
            self._changed.notify_all()


def scoring(*arguments: str) -> list[str]:
    """The command line's own command, in this environment."""
    return [sys.executable, "-m", "serve_app.cli", *arguments]


def _clean_environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SCORING_", "RAY_"))
    }
    return {**kept, "RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@contextmanager
def serving(
    command: Sequence[str],
    *,
    port: int,
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Service]:
    """`scoring serve` from the moment that it says how to end it, until it is stopped."""
    service = Service(command, port=port, folder=folder, environment=environment)
    try:
        service.wait_for_line("Ctrl-C stops everything")
        yield service
    finally:
        service.stop()
