"""The environment of Ray's processes, and the HAProxy that it names."""

import os
import subprocess
from pathlib import Path

import pytest
from ray.serve._private.constants import DRAINING_MESSAGE, HEALTHY_MESSAGE

from serve_app.fast_path import LOCAL
from serve_app.settings import HttpSettings


def run_haproxy(binary: str, *arguments: str) -> str:
    """What the HAProxy behind the script prints."""
    ended = subprocess.run(
        [LOCAL["RAY_SERVE_HAPROXY_BINARY_PATH"], *arguments],
        env={**os.environ, "HAPROXY_BINARY": binary},
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout


def test_haproxy_runs_without_splicing(tmp_path: Path) -> None:
    shown = tmp_path / "haproxy"
    shown.write_text('#!/bin/sh\necho "$@"\n')
    shown.chmod(0o755)
    configuration = tmp_path / "a b"
    configuration.touch()
    printed = run_haproxy(str(shown), "-db", "-f", str(configuration))
    assert printed == f"-dS -db -f {configuration}\n"


def test_haproxy_gets_a_deadline_for_heads_once(tmp_path: Path) -> None:
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(
        "global\n    maxconn 10\ndefaults\n    mode http\n    timeout client 10s\n"
        "    timeout connect 1s\n    timeout server 1s\nlisten one\n    bind 127.0.0.1:9\n"
    )
    for _ in range(2):
        # -c: the real one reads the configuration and says whether it is valid.
        run_haproxy(LOCAL["HAPROXY_BINARY"], "-c", "-f", str(configuration))
    text = configuration.read_text()
    assert text.count("    timeout http-request 10s\n") == 1
    assert text.index("defaults") < text.index("http-request") < text.index("listen")


@pytest.mark.parametrize(("message", "closes"), [(HEALTHY_MESSAGE, 0), (DRAINING_MESSAGE, 1)])
def test_answers_of_a_draining_haproxy_end_their_connections(
    tmp_path: Path, message: str, closes: int
) -> None:
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(
        "defaults\n    mode http\n    timeout client 10s\nfrontend http_frontend\n    bind :9\n"
        f'    http-request return status 200 content-type text/plain string "{message}"\n'
    )
    for _ in range(2):
        run_haproxy(LOCAL["HAPROXY_BINARY"], "-c", "-f", str(configuration))
    text = configuration.read_text()
    assert text.count("frontend http_frontend\n    option httpclose\n") == closes
    assert text.count("option httpclose") == closes


def test_haproxy_leaves_refusals_to_the_service() -> None:
    settings = HttpSettings()
    # HAProxy keeps 1 KiB of a buffer for itself.
    head_bytes = int(LOCAL["RAY_SERVE_HAPROXY_TUNE_BUFSIZE"]) - 1024
    assert head_bytes > settings.header_limit_bytes
    assert int(LOCAL["RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S"]) > settings.deadline_s


def test_the_haproxy_of_ray_serve_is_there() -> None:
    version = subprocess.run(
        [LOCAL["HAPROXY_BINARY"], "-v"], capture_output=True, text=True, check=True
    )
    assert "HAProxy version" in version.stdout
