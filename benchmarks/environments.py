"""Virtual environments of the peers: made on first use, remade when their requirements change.

Each peer pins what it needs in `peers/requirements-NAME.txt`, apart from the project's own
environment, because their dependencies contradict each other.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent
ROOT = BENCHMARKS.parent
WORK = BENCHMARKS / ".peers"
"""Everything the benchmarks make and keep, ignored by git."""

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
    requirements = BENCHMARKS / "peers" / f"requirements-{name}.txt"
    folder = WORK / name
    stamp = folder / "requirements.sha256"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"making the environment of {name} (once; may take minutes) ...", flush=True)
        _make(name, folder, requirements)
        stamp.write_text(digest)
    return folder / "bin" / "python"


def versions(name: str) -> dict[str, str]:
    """What is really installed in a peer's environment, of what its requirements name.

    Raises:
        PeerError: the environment does not answer.
    """
    requirements = BENCHMARKS / "peers" / f"requirements-{name}.txt"
    lines = [line.partition("#")[0].strip() for line in requirements.read_text().splitlines()]
    names = [line.partition("==")[0].partition("[")[0] for line in lines if line]
    answer = _run(name, [str(python_of(name)), "-c", VERSIONS, *names])
    found: dict[str, str] = json.loads(answer)
    return found


def _make(name: str, folder: Path, requirements: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _run(name, [sys.executable, "-m", "venv", str(folder)])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    _run(name, [*pip, "--disable-pip-version-check", "-r", str(requirements)])


def _run(name: str, command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = [line for line in done.stderr.splitlines() if line.strip()][-3:]
        raise PeerError(f"{name}: {' '.join(last) or f'exit status {done.returncode}'}")
    return done.stdout
