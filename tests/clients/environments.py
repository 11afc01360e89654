"""Virtual environments of the clients: made on first use, remade when their requirements change."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CLIENTS = Path(__file__).parent
WORK = CLIENTS.parent / ".environments"
"""Kept between runs, ignored by git."""
STAMP = "requirements.txt"
INSTALL_S, RUN_S = 600, 120


def run(environment: str, program: str, *arguments: str) -> Any:
    """The JSON that a program of this folder prints; skips where its client cannot be installed."""
    command = [str(_python_of(environment)), str(CLIENTS / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _python_of(name: str) -> Path:
    requirements = (CLIENTS / f"requirements-{name}.txt").read_text()
    folder = WORK / name
    stamp = folder / STAMP
    if not (stamp.exists() and stamp.read_text() == requirements):
        _make(name, folder)
        stamp.write_text(requirements)
    return folder / "bin" / "python"


def _make(name: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    requirements = str(CLIENTS / f"requirements-{name}.txt")
    command = [*pip, "--disable-pip-version-check", "-r", requirements]
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=True)
    except subprocess.SubprocessError as error:
        last = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1:]
        pytest.skip(f"pip cannot install {name} here: {''.join(last)}")
