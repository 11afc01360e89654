"""The model registry; importing it does not import MLflow."""

from deployments.registry.accepted import Accepted
from deployments.registry.artifacts import DigestMismatch, RegistryError, folder_digest
from deployments.registry.records import ModelVersion
from deployments.registry.registry import ModelNotFound, Registry

__all__ = [
    "Accepted",
    "DigestMismatch",
    "ModelNotFound",
    "ModelVersion",
    "Registry",
    "RegistryError",
    "folder_digest",
]
