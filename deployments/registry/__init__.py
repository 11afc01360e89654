"""The model registry; importing it does not import MLflow."""

from pathlib import Path

from deployments.registry.accepted import Accepted
from deployments.registry.artifacts import (
    DigestMismatch,
    ModelNotFound,
    RegistryError,
    folder_digest,
)
from deployments.registry.baked import BakedRegistry, folder_of
from deployments.registry.interface import Registry
from deployments.registry.records import ModelVersion
from deployments.registry.registry import MlflowRegistry

__all__ = [
    "Accepted",
    "BakedRegistry",
    "DigestMismatch",
    "MlflowRegistry",
    "ModelNotFound",
    "ModelVersion",
    "Registry",
    "RegistryError",
    "folder_digest",
    "open_registry",
]


def open_registry(uri: str, *, artifacts: Path, cache: Path) -> Registry:
    """The registry at `baked:///FOLDER`, or at what `MlflowRegistry` takes."""
    if uri.startswith("baked:"):
        return BakedRegistry(folder_of(uri))
    return MlflowRegistry(uri, artifacts=artifacts, cache=cache)
