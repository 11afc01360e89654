"""Virtual environments of the peers: made on first use, remade when their requirements change.

Each peer pins what it needs in `peers/requirements-NAME.txt`, apart from the project's own
environment, because their dependencies contradict each other.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent
ROOT = BENCHMARKS.parent
WORK = BENCHMARKS / ".peers"
"""Everything the benchmarks make and keep, ignored by git."""

STAMP = "requirements.sha256"
VERSIONS = """
import importlib.metadata, json, sys
names = sys.argv[1:]
print(json.dumps({name: importlib.metadata.version(name) for name in names}))
"""


class PeerError(RuntimeError):
    """A peer that cannot be measured here; the message says why."""


def python_of(name: str) -> Path:
    """The interpreter of a peer's environment, which is made if needed.

    Raises:
        PeerError: the environment could not be made; pip's last lines say why.
    """
    folder = WORK / name
    if not _is_made(name):
        print(f"making the environment of {name} (once; may take minutes) ...", flush=True)
        _make(name, folder)
        (folder / STAMP).write_text(_digest(name))
    return folder / "bin" / "python"


def versions(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """What is really installed of what the peers' requirements name; peers not made are left out.

    Raises:
        PeerError: an environment does not answer.
    """
    return {name: _versions(name) for name in names if _is_made(name)}


def _versions(name: str) -> dict[str, str]:
    lines = [
        line.partition("#")[0].strip() for line in _requirements(name).read_text().splitlines()
    ]
    packages = [line.partition("==")[0] for line in lines if line]
    answer = _run(name, [str(python_of(name)), "-c", VERSIONS, *packages])
    found: dict[str, str] = json.loads(answer)
    return found


def _is_made(name: str) -> bool:
    stamp = WORK / name / STAMP
    return stamp.exists() and stamp.read_text() == _digest(name)


def _digest(name: str) -> str:
    return hashlib.sha256(_requirements(name).read_bytes()).hexdigest()


def _requirements(name: str) -> Path:
    return BENCHMARKS / "peers" / f"requirements-{name}.txt"


def _make(name: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _run(name, [sys.executable, "-m", "venv", str(folder)])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    _run(name, [*pip, "--disable-pip-version-check", "-r", str(_requirements(name))])


def _run(name: str, command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = [line for line in done.stderr.splitlines() if line.strip()][-3:]
        raise PeerError(f"{name}: {' '.join(last) or f'exit status {done.returncode}'}")
    return done.stdout
