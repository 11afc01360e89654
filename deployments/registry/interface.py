"""What the application and its commands need of a registry."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from deployments.registry.records import ModelVersion


class Registry(Protocol):
    """Models by name and alias; every method raises RegistryError when it cannot be used.

    It pickles: replicas open it anew where they run.
    """

    @property
    def is_fixed(self) -> bool:
        """Whether nothing can be registered, and no alias moves."""

    def require_changeable(self) -> None:
        """Raises RegistryError where it is fixed: for who is about to make what to register."""

    def register(
        self,
        name: str,
        folder: Path,
        *,
        metrics: Mapping[str, float],
        parameters: Mapping[str, str],
        tags: Mapping[str, str],
        alias: str = "champion",
    ) -> ModelVersion:
        """Keeps a copy of the folder as the model's next version, and points the alias to it."""

    def resolve(self, name: str, alias: str = "champion") -> ModelVersion:
        """The version that the alias points to. Raises ModelNotFound."""

    def follow(self, known: ModelVersion, alias: str) -> ModelVersion:
        """`resolve` for who asks again and again: `known` itself while the alias names it."""

    def find(self, name: str, *, tag: str, value: str) -> ModelVersion | None:
        """The newest version that has this tag with this value."""

    def versions(self, name: str) -> list[ModelVersion]:
        """Every version, newest first; none for an unknown model."""

    def version(self, name: str, number: str) -> ModelVersion:
        """One version by its number. Raises ModelNotFound."""

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Points the alias to another version. Raises ModelNotFound for an unknown one."""

    def fetch(self, version: ModelVersion) -> Path:
        """A folder with the version's artifact, its digest verified; it is only to be read."""
