"""`scoring logs`, as a pod's container runs it."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.cli.follow import PIECE
from serve_app.request_log import CHECK_EVERY, RequestLog

DEADLINE_S = 30


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "data" / "logs" / "requests.jsonl"


@pytest.fixture
def output(tmp_path: Path, log: Path) -> Iterator[Path]:
    """Where the process writes; it runs until the test is over."""
    file = tmp_path / "output"
    with file.open("wb") as stream:
        command = [sys.executable, "-m", "serve_app.cli", "logs", f"data_dir={log.parents[1]}"]
        process = subprocess.Popen(command, stdout=stream)
    yield file
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 0


def wait_for_lines(output: Path, count: int) -> list[str]:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        lines = output.read_text(encoding="utf-8").splitlines()
        if len(lines) >= count:
            return lines
        time.sleep(0.05)
    raise AssertionError(f"{len(lines)} of {count} lines")


def test_it_waits_for_the_log_and_ships_what_is_written(log: Path, output: Path) -> None:
    requests = RequestLog(log, max_bytes=1 << 20, files=2)
    requests.write({"number": 1})
    assert wait_for_lines(output, 1) == ['{"number":1}']
    requests.write({"number": 2})
    assert wait_for_lines(output, 2)[1] == '{"number":2}'


def test_no_line_is_lost_when_the_log_is_rotated(log: Path, output: Path) -> None:
    requests = RequestLog(log, max_bytes=4096, files=2)
    for number in range(3 * CHECK_EVERY):
        requests.write({"number": number, "filling": "x" * 20})
        if number % CHECK_EVERY == 0:
            wait_for_lines(output, number + 1)
    lines = wait_for_lines(output, 3 * CHECK_EVERY)
    assert [f'"number":{number},' in line for number, line in enumerate(lines)] == [True] * len(
        lines
    )


def test_a_log_that_is_there_already_is_shipped_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "requests.jsonl"
    log.parent.mkdir()
    line = '{"question":"é"}\n'
    log.write_text(line * (3 * PIECE // len(line)), encoding="utf-8")
    command = [sys.executable, "-m", "serve_app.cli", "logs", f"data_dir={tmp_path}"]
    file = tmp_path / "output"
    with file.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream)
    lines = wait_for_lines(file, 3 * PIECE // len(line))
    process.terminate()
    assert process.wait(DEADLINE_S) == 0
    assert set(lines) == {line.strip()}
