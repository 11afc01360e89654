"""The examples run, against the application around fakes."""

import importlib.util
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.serve_app.client.server import serving

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        env={**os.environ, **environment},
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
    asked = Counter(served.paths)
    assert set(asked) == {"/faq/score", "/image/score"}
    assert min(asked.values()) >= 2
    assert {headers["authorization"] for headers in served.headers} == {"Bearer secret"}
