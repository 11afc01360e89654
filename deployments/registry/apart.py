"""Asks a local registry in a process of its own, so that MLflow does not stay in the asking one.

The process (`__main__.py`) leaves the answer in the registry's memory too; see `answers.py`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from deployments.registry.artifacts import RegistryError
from deployments.registry.records import ModelVersion

PACKAGE = "deployments.registry"
TIMEOUT_S = 120


def resolve_apart(
    uri: str, artifacts: Path, cache: Path, name: str, alias: str
) -> ModelVersion | None:
    """The version that the alias points to; None where there is none. Raises RegistryError."""
    command = [sys.executable, "-m", PACKAGE, uri, str(artifacts), str(cache), name, alias]
    # The asking process may have found this package by other means than the environment.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistryError(f"the model registry cannot be asked: {error}") from error
    if ended.returncode != 0:
        lines = ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"]
        raise RegistryError(f"the model registry cannot be asked: {lines[-1]}")
    found = json.loads(ended.stdout)
    return None if found is None else ModelVersion(**found)
