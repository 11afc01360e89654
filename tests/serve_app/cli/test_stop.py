"""Stopping by signals, however many come at once."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from serve_app.cli.stop import StopSignal
stop = StopSignal()
stop.listen()
print("listening", flush=True)
while not stop.is_set():
    stop.wait(60)
print("stopped", flush=True)
sys.stdin.read()  # the storm goes on after the first signal
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_storm_of_signals_stops_at_once(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "listening\n"
    for _ in range(2000):
        process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert output == "stopped\n"
    assert process.returncode == 0
