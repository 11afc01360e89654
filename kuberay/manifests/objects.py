"""Parts that every object has, and quantities as Kubernetes writes them."""

from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]
"""A Kubernetes object, or a part of one, as in its YAML."""

NAME = "scoring"
"""Of the RayService, and in the label that all its pods have."""
HEAD, CPU_WORKER, GPU_WORKER = "head", "cpu-worker", "gpu-worker"
PART_OF = {"app.kubernetes.io/part-of": "realtime-scoring"}
PODS = {"app.kubernetes.io/name": NAME}
"""Selects the pods of every cluster of the service: during an upgrade there are two."""


def made(
    api_version: str,
    kind: str,
    name: str,
    namespace: str | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Object:
    """An object with its metadata, to be filled."""
    metadata: Object = {"name": name}
    if namespace is not None:
        metadata["namespace"] = namespace
    metadata["labels"] = {**PODS, **PART_OF, **(labels or {})}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def component(name: str) -> dict[str, str]:
    """The label that says what a pod is for."""
    return {"app.kubernetes.io/component": name}


def mebibytes(amount: int) -> str:
    """`2048` to `2Gi`, `1536` to `1536Mi`: as the API server keeps it."""
    return f"{amount // 1024}Gi" if amount % 1024 == 0 else f"{amount}Mi"


def cpus(amount: float) -> str:
    """`2` to `"2"`, `0.5` to `"500m"`."""
    return str(int(amount)) if amount == int(amount) else f"{round(amount * 1000)}m"
