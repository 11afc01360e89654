"""The request log: whole lines, at once, across rotations and processes."""

import json
import multiprocessing
import os
import signal
from pathlib import Path

from serve_app.request_log import CHECK_EVERY, RequestLog


def write_lines(path: Path, writer: int, count: int) -> None:
    log = RequestLog(path, max_bytes=40_000, files=1000)
    for number in range(count):
        log.write({"writer": writer, "number": number, "padding": "x" * 100})
    log.close()


def write_and_die(path: Path) -> None:
    log = RequestLog(path, max_bytes=40_000, files=2)
    log.write({"last": True})
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_line_is_there_when_write_returns(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "logs" / "requests.jsonl", max_bytes=10_000, files=2)
    log.write({"status": 200})
    assert (tmp_path / "logs" / "requests.jsonl").read_text() == '{"status":200}\n'
    log.close()


def test_sigkill_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    process = multiprocessing.get_context("spawn").Process(target=write_and_die, args=(path,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert json.loads(path.read_text()) == {"last": True}


def test_processes_share_a_rotating_file_without_losing_a_line(tmp_path: Path) -> None:
    path, writers, count = tmp_path / "requests.jsonl", 3, 4 * CHECK_EVERY
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=write_lines, args=(path, writer, count)) for writer in range(writers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    files = list(tmp_path.iterdir())
    assert len(files) > 2
    records = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert sorted((record["writer"], record["number"]) for record in records) == [
        (writer, number) for writer in range(writers) for number in range(count)
    ]


def test_old_files_go(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    log = RequestLog(path, max_bytes=1000, files=2)
    for _ in range(10 * CHECK_EVERY):
        log.write({"padding": "x" * 20})
    log.close()
    assert {file.name for file in tmp_path.iterdir()} <= {
        "requests.jsonl",
        "requests.jsonl.1",
        "requests.jsonl.2",
    }
