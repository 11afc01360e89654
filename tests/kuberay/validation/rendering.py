"""Overlays as the objects that `kubectl apply -k` would send."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.kuberay.validation.documents import parse

KUBERAY = Path(__file__).parents[3] / "kuberay"
OVERLAYS = KUBERAY / "overlays"


class CannotRender(Exception):
    """Kustomize refuses a folder; the message is what it says."""


def command() -> list[str]:
    """Kustomize alone or inside kubectl; skips the test where neither is installed."""
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    pytest.skip("neither kustomize nor kubectl is installed")


def render(folder: Path) -> list[dict[str, Any]]:
    """The objects of a folder with a `kustomization.yaml`.

    Raises:
        CannotRender: Kustomize fails, or warns.
    """
    ended = subprocess.run(
        [*command(), str(folder)], capture_output=True, text=True, check=False, timeout=60
    )
    if ended.returncode != 0 or ended.stderr:
        raise CannotRender(ended.stderr.strip())
    return parse(ended.stdout)


@cache
def overlay(name: str) -> tuple[dict[str, Any], ...]:
    """The objects of one of our overlays, rendered once in a test run; copy them to change them."""
    return tuple(render(OVERLAYS / name))


def overlays() -> list[str]:
    """The names of our overlays."""
    return sorted(path.parent.name for path in OVERLAYS.glob("*/kustomization.yaml"))
