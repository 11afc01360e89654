"""The committed manifests, read as the tests need them."""

import shutil
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.utils import quantity

from kuberay.manifests.files import ROOT, Deployment, deployment

Object = dict[str, Any]
FOLDERS = {
    "base": ROOT / "base",
    **{name: ROOT / "overlays" / name for name in ("kind", "production", "gradual")},
}


@cache
def of(name: str) -> Deployment:
    """The base or an overlay."""
    return deployment(FOLDERS[name])


@cache
def objects(name: str) -> list[Object]:
    """What is made for it."""
    return [item for group in of(name).files().values() for item in group]


def find(name: str, kind: str) -> Iterator[Object]:
    """Objects of one kind."""
    return (item for item in objects(name) if item["kind"] == kind)


def cluster(name: str) -> Object:
    """`rayClusterConfig` of the RayService."""
    (service,) = find(name, "RayService")
    config: Object = service["spec"]["rayClusterConfig"]
    return config


def templates(name: str) -> list[Object]:
    """Pod templates: the head's first."""
    config = cluster(name)
    groups = [config["headGroupSpec"], *config["workerGroupSpecs"]]
    return [group["template"] for group in groups]


def containers(name: str) -> Iterator[Object]:
    """Every container, and the autoscaler's, which KubeRay puts beside the head."""
    for template in templates(name):
        yield from template["spec"]["initContainers"]
        yield from template["spec"]["containers"]
    yield {"name": "autoscaler", **cluster(name)["autoscalerOptions"]}


def kustomized(folder: Path) -> list[Object]:
    """What `kubectl kustomize` says; skips where there is none."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    ended = subprocess.run(
        [kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return list(yaml.safe_load_all(ended.stdout))


def identity(item: Object) -> tuple[str, str, str, str]:
    """What makes an object the same one."""
    metadata = item["metadata"]
    return item["apiVersion"], item["kind"], metadata.get("namespace", ""), metadata["name"]


def amount(text: str) -> Decimal:
    """Of a quantity: `500m` is 0.5, `1Gi` 1024 ** 3."""
    parsed: Decimal = quantity.parse_quantity(text)  # type: ignore[no-untyped-call]
    return parsed
