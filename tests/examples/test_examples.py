"""The examples run, against the application around fakes."""

import importlib.util
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from serve_app.errors import Overloaded
from tests.serve_app.client.server import serving

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def run(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_client(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        done = run(
            sys.executable, str(EXAMPLES / "client.py"), served.url, SCORING_API_KEY="secret"
        )
    assert done.returncode == 0, done.stderr
    assert " 90.0%  what is a closure" in done.stdout
    assert "refused: not_an_image" in done.stdout
    assert {headers["authorization"] for headers in served.headers} == {"Bearer secret"}


@pytest.mark.skipif(importlib.util.find_spec("locust") is None, reason="locust is not installed")
def test_the_locustfile(tmp_path: Path) -> None:
    locust = [sys.executable, "-m", "locust", "-f", str(EXAMPLES / "locustfile.py")]
    options = ["--headless", "-u", "2", "-r", "2", "-t", "2s", "--only-summary"]
    with serving(tmp_path) as served:
        done = run(*locust, *options, "--host", served.url, SCORING_API_KEY="secret")
    assert done.returncode == 0, done.stderr
    assert "Aggregated" in done.stderr + done.stdout
    asked = Counter(served.paths)
    assert set(asked) == {"/faq/score", "/image/score"}
    assert min(asked.values()) >= 2
    assert {headers["authorization"] for headers in served.headers} == {"Bearer secret"}


@pytest.mark.skipif(importlib.util.find_spec("locust") is None, reason="locust is not installed")
def test_the_locustfile_counts_refusals(tmp_path: Path) -> None:
    locust = [sys.executable, "-m", "locust", "-f", str(EXAMPLES / "locustfile.py"), "FaqUser"]
    with serving(tmp_path) as served:
        served.application.faq.error = Overloaded("full", retry_after_s=1)
        done = run(*locust, "--headless", "-u", "1", "-t", "2s", "--host", served.url)
    assert done.returncode == 1
    assert "429: overloaded" in done.stderr + done.stdout
    assert len(served.paths) <= 3
