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
from deployments.registry.apart import resolve_apart
from deployments.registry.artifacts import (
    MODEL_FILE,
    ModelNotFound,
    RegistryError,
    exclusive,
    folder_digest,
    install,
    verify,
)
from deployments.registry.client import connect, database_of, refusals
from deployments.registry.names import check_file_names, check_names
from deployments.registry.records import ModelVersion

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

ARTIFACT = "model"


class MlflowRegistry:
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

    @property
    def is_fixed(self) -> bool:
        """False: versions can be registered, and aliases move."""
        return False

    def require_changeable(self) -> None:
        """It always is."""

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
        check_names(name, alias)
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
        check_names(name, alias)
        found = self._ask("resolve", name, alias)
        if found is None:
            raise _no_alias(name, alias)
        return found

    def follow(self, known: ModelVersion, alias: str) -> ModelVersion:
        """`resolve` for who asks again and again: `known` itself while the alias names it.

        Asks a server once. A local registry is read from memory; where that does not hold any
        more, in a process of its own: MLflow never stays in this one.
        """
        check_names(known.name, alias)
        if self._answers is None:
            found = self._follow_server(known, alias)
        else:
            found = self._follow_memory(self._answers, known.name, alias)
        if found is None:
            raise _no_alias(known.name, alias)
        return known if found.identity == known.identity else found

    def find(self, name: str, *, tag: str, value: str) -> ModelVersion | None:
        """The newest version that is ready and has this tag with this value."""
        check_names(name)
        return self._ask("find", name, tag, value)

    def versions(self, name: str) -> list[ModelVersion]:
        """Every version that `register` made, newest first; none for an unknown model."""
        check_names(name)
        with self._client() as client:
            aliases = records.aliases_of(client, name)
            return [
                records.model_version(client, record, aliases.get(str(record.version)))
                for record in records.records_of(client, name)
            ]

    def version(self, name: str, number: str) -> ModelVersion:
        """One version by its number. Raises ModelNotFound."""
        check_names(name)
        with self._client() as client:
            record = records.record_of(client, name, number)
            if record is None:
                raise _no_version(name, number)
            return records.model_version(client, record, None)

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Points the alias to another version. Raises ModelNotFound for an unknown one."""
        check_names(name, alias)
        with self._client() as client, self._exclusive():
            if records.record_of(client, name, version) is None:
                raise _no_version(name, version)
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
        model_file = records.model_file(run, digest, ARTIFACT)
        if self._database is None:
            check_file_names(folder)
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
            return _remembered(self._answers, key)
        except KeyError:
            state = self._answers.state()
            found = None if state == ABSENT else self._look_up(*question)
            self._answers.put({key: found and asdict(found)}, state)
            return found

    def _follow_server(self, known: ModelVersion, alias: str) -> ModelVersion | None:
        with self._client() as client:
            record = records.record_by_alias(client, known.name, alias)
            if record is None:
                return None
            if records.is_of(record, known):
                return known
            return records.model_version(client, record, alias)

    def _follow_memory(self, answers: Answers, name: str, alias: str) -> ModelVersion | None:
        key = json.dumps(("resolve", name, alias))
        try:
            return _remembered(answers, key)
        except KeyError:
            # Of the replicas of a node one asks, and the others find the answer.
            with exclusive(self._cache / "asking"):
                try:
                    return _remembered(answers, key)
                except KeyError:
                    return resolve_apart(self._uri, self._artifacts, self._cache, name, alias)

    def _renew_answers(self) -> None:
        if self._answers is not None:
            state = self._answers.state()
            found = {key: self._look_up(*json.loads(key)) for key in self._answers.questions()}
            self._answers.put({key: one and asdict(one) for key, one in found.items()}, state)

    def _look_up(self, kind: str, name: str, *what: str) -> ModelVersion | None:
        with self._client() as client:
            if kind == "resolve":
                return records.version_by_alias(client, name, *what)
            return records.version_by_tag(client, name, *what)


def _remembered(answers: Answers, key: str) -> ModelVersion | None:
    kept = answers.get(key)
    try:
        return None if kept is None else ModelVersion(**kept)
    except TypeError:
        raise KeyError(key) from None  # of another release


def _no_alias(name: str, alias: str) -> ModelNotFound:
    return ModelNotFound(f"no version of the model {name!r} has the alias {alias!r}")


def _no_version(name: str, number: str) -> ModelNotFound:
    return ModelNotFound(f"the model {name!r} has no version {number!r}")
