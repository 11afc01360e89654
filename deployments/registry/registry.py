"""The model registry: what was trained is kept as a named version, and serving finds it by alias.

MLflow keeps the records: in a local SQLite file, or on any server that speaks its protocol. Where
a server has no aliases (Azure Machine Learning), a tag of the version stands in. Each version names
the digest of its artifact folder, and `fetch` hands out nothing else. Nothing here loads a model
or runs code from an artifact.

MLflow takes seconds and 140 MB to import. It is imported when a question first needs it, and not
for digests, local folders, or questions to a local registry whose answer is remembered.
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from deployments.registry import records
from deployments.registry.answers import ABSENT, Answers
from deployments.registry.artifacts import (
    MODEL_FILE,
    RegistryError,
    exclusive,
    folder_digest,
    install,
    verify,
)
from deployments.registry.client import connect, database_of, refusals
from deployments.registry.records import ModelVersion

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
ALIAS_NAME = re.compile(r"(?!latest$|[vV]\d+$)[A-Za-z][A-Za-z0-9_-]{0,99}")
ARTIFACT = "model"


class ModelNotFound(RegistryError):
    """No such model, alias or version."""


class Registry:
    """Models by name and alias. It pickles, and connects anew in each process.

    `uri` is `sqlite:///FILE` (created when missing) or what MLflow takes: `http(s)://`,
    `azureml://`. Beside a SQLite file, artifacts are kept below `artifacts`; `cache` holds
    downloads and remembered answers. Every method raises RegistryError when the registry
    cannot be used.
    """

    def __init__(self, uri: str, *, artifacts: Path, cache: Path) -> None:
        try:
            self._database = database_of(uri)
        except ValueError as error:
            raise RegistryError(str(error)) from None
        self._uri = uri
        self._answers: Answers | None = None
        self._artifacts = artifacts.absolute()
        self._cache = cache.absolute()
        if self._database is not None:
            self._uri = f"sqlite:///{self._database}"
            self._answers = Answers(self._database, self._cache / "answers.json")

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
        """Keeps a copy of the folder as the next version of the model, and points the alias to it.

        Metrics and parameters are kept in an MLflow run that the version names. No version
        appears unless everything was stored.
        """
        _check_names(name, alias)
        if reserved := [tag for tag in tags if records.is_reserved(tag)]:
            raise RegistryError(f"these tags are the registry's own: {', '.join(reserved)}")
        digest = folder_digest(folder)
        runs = None if self._database is None else (self._artifacts / "runs").as_uri()
        with self._client() as client, self._exclusive():
            experiment = records.ensure_experiment(client, name, runs)
            with records.finished_run(client, experiment, metrics, parameters) as run:
                source = self._store(client, run, folder, self._artifacts / name, digest)
            records.ensure_model(client, name)
            created = client.create_model_version(
                name, source, run.info.run_id, tags={**tags, records.DIGEST_TAG: digest}
            )
        self.set_alias(name, alias, str(created.version))
        return self.resolve(name, alias)

    def resolve(self, name: str, alias: str = "champion") -> ModelVersion:
        """The version that the alias points to. Raises ModelNotFound."""
        _check_names(name, alias)
        found = self._ask("resolve", name, alias)
        if found is None:
            raise ModelNotFound(f"no version of the model {name!r} has the alias {alias!r}")
        return found

    def find(self, name: str, *, tag: str, value: str) -> ModelVersion | None:
        """The newest version that is ready and has this tag with this value."""
        _check_names(name)
        return self._ask("find", name, tag, value)

    def versions(self, name: str) -> list[ModelVersion]:
        """Every version that `register` made, newest first; none for an unknown model."""
        _check_names(name)
        with self._client() as client:
            aliases = records.aliases_of(client, name)
            return [
                records.model_version(client, record, aliases.get(str(record.version)))
                for record in records.records_of(client, name)
            ]

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Points the alias to another version. Raises ModelNotFound for an unknown one."""
        _check_names(name, alias)
        with self._client() as client, self._exclusive():
            if not records.exists(client, name, version):
                raise ModelNotFound(f"the model {name!r} has no version {version!r}")
            records.point_alias(client, name, alias, version)
        self._renew_answers()

    def fetch(self, version: ModelVersion) -> Path:
        """A folder with the version's artifact, its digest verified; read it, do not write to it.

        A local source is used in place, a remote one is downloaded once into the cache. Raises
        DigestMismatch when the content is not what was registered.
        """
        source = urlsplit(version.source)
        if source.scheme in ("", "file"):
            folder = Path(unquote(source.path))
            verify(folder, version.digest)
            return folder
        return install(
            self._cache / version.digest.replace(":", "-"),
            version.digest,
            lambda partial: self._download(version.source, partial),
        )

    @contextmanager
    def _client(self) -> Iterator[MlflowClient]:
        try:
            yield connect(self._uri)
        except RegistryError:
            raise
        except (sqlite3.Error, OSError) as error:
            raise RegistryError(f"the model registry cannot be used: {error}") from error
        except refusals() as error:
            raise RegistryError(f"the model registry refused: {error}") from error

    def _exclusive(self) -> AbstractContextManager[None]:
        return nullcontext() if self._database is None else exclusive(self._database)

    def _store(self, client: MlflowClient, run: Run, folder: Path, place: Path, digest: str) -> str:
        model_file = _model_file(run, digest)
        if self._database is None:
            _check_urls(folder)
            client.log_artifacts(run.info.run_id, str(folder), ARTIFACT)
            client.log_text(run.info.run_id, model_file, f"{ARTIFACT}/{MODEL_FILE}")
            return f"{run.info.artifact_uri}/{ARTIFACT}"

        def copy(partial: Path) -> Path:
            copied = Path(shutil.copytree(folder, partial / ARTIFACT))
            (copied / MODEL_FILE).write_text(model_file, encoding="utf-8")
            return copied

        return install(place / digest.replace(":", "-"), digest, copy).as_uri()

    def _download(self, source: str, partial: Path) -> Path:
        with self._client():
            from mlflow.artifacts import download_artifacts

            return Path(
                download_artifacts(
                    source, dst_path=str(partial), tracking_uri=self._uri, registry_uri=self._uri
                )
            )

    def _ask(self, *question: str) -> ModelVersion | None:
        if self._answers is None:
            return self._look_up(*question)
        key = json.dumps(question)
        try:
            kept = self._answers.get(key)
            return None if kept is None else ModelVersion(**kept)
        except (KeyError, TypeError):
            state = self._answers.state()
            found = None if state == ABSENT else self._look_up(*question)
            self._answers.put({key: found and asdict(found)}, state)
            return found

    def _renew_answers(self) -> None:
        if self._answers is not None:
            state = self._answers.state()
            found = {key: self._look_up(*json.loads(key)) for key in self._answers.questions()}
            self._answers.put({key: one and asdict(one) for key, one in found.items()}, state)

    def _look_up(self, kind: str, name: str, *what: str) -> ModelVersion | None:
        with self._client() as client:
            if kind == "resolve":
                (alias,) = what
                record = records.record_by_alias(client, name, alias)
                return None if record is None else records.model_version(client, record, alias)
            tag, value = what
            for record in records.records_of(client, name):
                if record.status == "READY" and record.tags.get(tag) == value:
                    aliases = records.aliases_of(client, name)
                    return records.model_version(client, record, aliases.get(str(record.version)))
            return None


def _model_file(run: Run, digest: str) -> str:
    from mlflow.models import Model

    # Azure registers no folder without this file. Its flavor is no `python_function`: nothing
    # that MLflow could load, and so run, is named.
    flavors = {"realtime_scoring": {"digest": digest}}
    return str(Model(artifact_path=ARTIFACT, run_id=run.info.run_id, flavors=flavors).to_yaml())


def _check_urls(folder: Path) -> None:
    """MLflow puts file names into URLs as they are, and would store these under other names."""
    if odd := [path.name for path in folder.rglob("*") if set(path.name) & set("#?%\\")]:
        raise RegistryError(f"a registry server cannot keep files with these names: {odd}")


def _check_names(name: str, alias: str | None = None) -> None:
    if not MODEL_NAME.fullmatch(name):
        raise RegistryError(
            f"{name!r} is no model name: up to 200 ASCII letters, digits, '.', '_' and '-', "
            "the first a letter or digit"
        )
    if alias is not None and not ALIAS_NAME.fullmatch(alias):
        raise RegistryError(
            f"{alias!r} is no alias: up to 100 ASCII letters, digits, '_' and '-', the first a "
            "letter, neither 'latest' nor like 'v1'"
        )
