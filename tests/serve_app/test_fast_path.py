"""The environment of Ray's processes, and the HAProxy that it names."""

import os
import subprocess
from pathlib import Path

from serve_app.fast_path import LOCAL


def test_haproxy_runs_without_splicing(tmp_path: Path) -> None:
    shown = tmp_path / "haproxy"
    shown.write_text('#!/bin/sh\necho "$@"\n')
    shown.chmod(0o755)
    environment = {**os.environ, "HAPROXY_BINARY": str(shown)}
    ended = subprocess.run(
        [LOCAL["RAY_SERVE_HAPROXY_BINARY_PATH"], "-db", "-f", "a b"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout == "-dS -db -f a b\n"


def test_the_haproxy_of_ray_serve_is_there() -> None:
    version = subprocess.run(
        [LOCAL["HAPROXY_BINARY"], "-v"], capture_output=True, text=True, check=True
    )
    assert "HAProxy version" in version.stdout
