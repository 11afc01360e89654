"""Versions in a folder that never changes: what a container image holds of a registry.

`export` writes the folder from any registry; `BakedRegistry` reads it, without MLflow, also on a
read-only file system. Names, numbers and digests stay those of the registry that it came from.

    index.json                  every version: name, number, digest, aliases, tags, ...
    GROUP/NAME-NUMBER/          the artifact of one; a whole GROUP may be left out of an image
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from deployments.registry.artifacts import MODEL_FILE, ModelNotFound, RegistryError, verify
from deployments.registry.interface import Registry
from deployments.registry.names import check_names
from deployments.registry.records import DIGEST, ModelVersion

SCHEME = "baked://"
INDEX = "index.json"
FORMAT = 1


@dataclass(frozen=True)
class Chosen:
    """A version to export, the aliases that it has in the folder, and the group it belongs to."""

    version: ModelVersion
    aliases: Sequence[str]
    group: str


def folder_of(uri: str) -> Path:
    """The folder of `baked:///FOLDER`. Raises RegistryError where none is named."""
    path = Path(uri.removeprefix(SCHEME))
    if not uri.startswith(SCHEME) or not path.is_absolute() or path == Path("/"):
        raise RegistryError(f"baked models are in a folder, as in {SCHEME}/folder: {uri}")
    return path


def export(registry: Registry, chosen: Sequence[Chosen], folder: Path) -> None:
    """Makes `folder` of the versions, every digest verified; it appears whole or not at all.

    Raises RegistryError: the folder is there already, an alias would name two versions, or a
    version cannot be fetched.
    """
    _check(chosen)
    folder = folder.absolute()
    if folder.exists():
        raise RegistryError(f"{folder} is there already; name another folder, or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as partial:
        whole = Path(partial) / "models"
        whole.mkdir()
        entries = [_export(registry, one, whole) for one in chosen]
        text = json.dumps({"format": FORMAT, "versions": entries}, indent=2, sort_keys=True)
        (whole / INDEX).write_text(text + "\n", encoding="utf-8")
        _make_readable(whole)
        whole.rename(folder)


class BakedRegistry:
    """See `Registry`: every question is answered from the folder, and nothing can be changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def is_fixed(self) -> bool:
        """True."""
        return True

    def resolve(self, name: str, alias: str = "champion") -> ModelVersion:
        """The version that had the alias when the folder was made. Raises ModelNotFound."""
        check_names(name, alias)
        for entry in self._entries():
            if entry["name"] == name and alias in entry["aliases"]:
                return self._version(entry, alias)
        raise ModelNotFound(f"no {name!r} with the alias {alias!r} is baked into this image")

    def follow(self, known: ModelVersion, alias: str) -> ModelVersion:
        """The same as ever: an alias never moves here."""
        found = self.resolve(known.name, alias)
        return known if found.identity == known.identity else found

    def find(self, name: str, *, tag: str, value: str) -> ModelVersion | None:
        """The newest version that has this tag with this value."""
        return next((one for one in self.versions(name) if one.tags.get(tag) == value), None)

    def versions(self, name: str) -> list[ModelVersion]:
        """Every version, newest first; none for an unknown model."""
        check_names(name)
        found = [self._version(entry) for entry in self._entries() if entry["name"] == name]
        return sorted(found, key=lambda version: int(version.version), reverse=True)

    def version(self, name: str, number: str) -> ModelVersion:
        """One version by its number. Raises ModelNotFound."""
        for version in self.versions(name):
            if version.version == number:
                return version
        raise ModelNotFound(f"no version {number!r} of {name!r} is baked into this image")

    def fetch(self, version: ModelVersion) -> Path:
        """The folder of the version in this image, its digest verified."""
        for entry in self._entries():
            if self._version(entry).identity == version.identity:
                folder = self._folder / str(entry["path"])
                if not folder.is_dir():
                    break
                verify(folder, version.digest)
                return folder
        raise RegistryError(
            f"the files of {version.name} version {version.version} ({version.digest[:19]}) are "
            f"not in {self._folder}"
        )

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
        """Raises RegistryError: nothing can be added."""
        self.require_changeable()

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Raises RegistryError: no alias moves."""
        self.require_changeable()

    def require_changeable(self) -> NoReturn:
        """Raises RegistryError: it never is."""
        raise RegistryError(
            f"the models of {self._folder} are baked into the image and cannot be changed; "
            "change them in the registry, and build another image"
        )

    def _entries(self) -> list[dict[str, Any]]:
        file = self._folder / INDEX
        try:
            index = json.loads(file.read_bytes())
        except FileNotFoundError:
            raise RegistryError(
                f"no models are baked in: {file} is not there; name a registry (registry.uri)"
            ) from None
        except (OSError, ValueError) as error:
            raise RegistryError(f"{file} cannot be read: {error}") from error
        if not isinstance(index, dict) or index.get("format") != FORMAT:
            raise RegistryError(f"{file} is not of the format {FORMAT}: another release wrote it")
        entries: list[dict[str, Any]] = index["versions"]
        return entries

    def _version(self, entry: Mapping[str, Any], alias: str | None = None) -> ModelVersion:
        path = PurePosixPath(entry["path"])
        if path.is_absolute() or ".." in path.parts or not DIGEST.fullmatch(entry["digest"]):
            raise RegistryError(f"{self._folder / INDEX} has a wrong path or digest: {entry}")
        return ModelVersion(
            name=entry["name"],
            version=entry["version"],
            digest=entry["digest"],
            alias=alias or next(iter(entry["aliases"]), None),
            source=(self._folder / path).as_uri(),
            metrics=entry["metrics"],
            parameters=entry["parameters"],
            tags=entry["tags"],
            registered_s=entry["registered_s"],
        )


def _check(chosen: Sequence[Chosen]) -> None:
    named: dict[tuple[str, str], str] = {}
    for one in chosen:
        version = one.version
        for alias in one.aliases:
            check_names(version.name, alias)
            other = named.setdefault((version.name, alias), version.version)
            if other != version.version:
                raise RegistryError(
                    f"versions {other} and {version.version} of {version.name!r} cannot both be "
                    f"the {alias}"
                )


def _export(registry: Registry, chosen: Chosen, whole: Path) -> dict[str, Any]:
    version = chosen.version
    path = PurePosixPath(chosen.group) / f"{version.name}-{version.version}"
    copied = whole / path
    shutil.copytree(registry.fetch(version), copied)
    # MLflow's own; the digest does not cover it.
    (copied / MODEL_FILE).unlink(missing_ok=True)
    verify(copied, version.digest)
    return {
        "name": version.name,
        "version": version.version,
        "digest": version.digest,
        "aliases": sorted(chosen.aliases),
        "path": str(path),
        "metrics": dict(version.metrics),
        "parameters": dict(version.parameters),
        "tags": dict(version.tags),
        "registered_s": version.registered_s,
    }


def _make_readable(folder: Path) -> None:
    """Whoever the container runs as must read what a registry may have kept to itself."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
