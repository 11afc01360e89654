"""The model registry: what was trained is kept as a named version, and serving finds it by alias.

MLflow keeps the records: in a local SQLite file, or on any server that speaks its protocol. Where
a server has no aliases (Azure Machine Learning), a tag of the version stands in. Each version names
the digest of its artifact folder, and `fetch` hands out nothing else. Nothing here loads a model
or runs code from an artifact.

MLflow takes seconds and 140 MB to import. It is imported when a question first needs it, and not
for digests, local folders, or questions to a local registry whose answer is remembered.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from sqlite3 import Error as SqliteError
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from deployments.registry_answers import ABSENT, Answers
from deployments.registry_client import connect, database_of, exclusive, refusals, says_absent

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion as Record
    from mlflow.tracking import MlflowClient

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
ALIAS_NAME = re.compile(r"(?!latest$|[vV]\d+$)[A-Za-z][A-Za-z0-9_-]{0,99}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
DIGEST_TAG = "digest"
ALIAS_TAG = "alias."
MODEL_FILE = "MLmodel"
ARTIFACT = "model"
CHUNK_BYTES = 1 << 20


class RegistryError(RuntimeError):
    """The registry cannot do what was asked; the message says why."""


class ModelNotFound(RegistryError):  # noqa: N818
    """No such model, alias or version."""


class DigestMismatch(RegistryError):  # noqa: N818
    """An artifact folder is not the one that was registered."""


@dataclass(frozen=True)
class ModelVersion:
    """One registered version; `digest` is `sha256:...` of its folder, `source` the folder's URI."""

    name: str
    version: str
    digest: str
    alias: str | None
    source: str
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    tags: Mapping[str, str]


def folder_digest(folder: Path) -> str:
    """`sha256:...` over the paths and contents of a folder's files, in order of their paths.

    MLflow's own MLmodel file at the top does not count. Raises RegistryError without any file.
    """
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    names = sorted(name for name, path in files.items() if path.is_file() and name != MODEL_FILE)
    if not names:
        raise RegistryError(f"{folder} is not a folder with files")
    digest = hashlib.sha256()
    for name in names:
        encoded = name.encode(errors="surrogateescape")
        digest.update(f"{len(encoded)} {files[name].stat().st_size}\n".encode() + encoded)
        with files[name].open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


class Registry:
    """Models by name and alias. It pickles, and connects anew in each process.

    `uri` is `sqlite:///FILE` (created when missing) or what MLflow takes: `http(s)://`,
    `azureml://`. Beside a SQLite file, artifacts are kept below `artifacts`; `cache` holds
    downloads. Every method raises RegistryError when the registry cannot be used.
    """

    def __init__(self, uri: str, *, artifacts: Path, cache: Path) -> None:
        try:
            database = database_of(uri)
        except ValueError as error:
            raise RegistryError(str(error)) from None
        self._uri = uri if database is None else f"sqlite:///{database}"
        self._database = database
        self._artifacts = artifacts.absolute()
        self._cache = cache.absolute()
        self._answers = database and Answers(database, self._cache / "answers.json")

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

        Metrics and parameters are kept in an MLflow run that the version names. Nothing is
        registered unless everything was stored.
        """
        _check_names(name, alias)
        if reserved := [tag for tag in tags if tag == DIGEST_TAG or tag.startswith(ALIAS_TAG)]:
            raise RegistryError(f"these tags are the registry's own: {', '.join(reserved)}")
        digest = folder_digest(folder)
        with self._client() as client, self._exclusive():
            with _finished_run(client, self._experiment(client, name), name) as run:
                _log(client, run.info.run_id, metrics, parameters)
                source = self._store(client, run, name, folder, digest)
            _ensure_model(client, name)
            record = client.create_model_version(
                name, source, run.info.run_id, tags={**tags, DIGEST_TAG: digest}
            )
        self.set_alias(name, alias, str(record.version))
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
            aliases = _aliases(client, name)
            return [_version(client, record, aliases) for record in _records(client, name)]

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Points the alias to another version. Raises ModelNotFound for an unknown one."""
        _check_names(name, alias)
        with self._client() as client, self._exclusive():
            if not _exists(client, name, version):
                raise ModelNotFound(f"the model {name!r} has no version {version}")
            try:
                client.set_registered_model_alias(name, alias, version)
            except refusals() as refusal:
                if not says_absent(refusal):
                    raise
                _tag_alias(client, name, alias, version)
        self._renew_answers()

    def fetch(self, version: ModelVersion) -> Path:
        """A folder with the version's artifact, its digest verified; read it, do not write to it.

        A local source is used in place, a remote one is downloaded once into the cache. Raises
        DigestMismatch when the content is not what was registered.
        """
        url = urlsplit(version.source)
        if url.scheme in ("", "file"):
            folder = Path(unquote(url.path))
            _verify(folder, version.digest)
            return folder
        return _install(
            self._cache / version.digest.replace(":", "-"),
            version.digest,
            lambda partial: self._download(version.source, partial),
        )

    @contextmanager
    def _client(self) -> Iterator[MlflowClient]:
        try:
            yield connect(self._uri)
        except (SqliteError, OSError) as error:
            raise RegistryError(f"the model registry cannot be used: {error}") from error
        except refusals() as error:
            raise RegistryError(f"the model registry refused: {error}") from error

    def _exclusive(self) -> AbstractContextManager[None]:
        return nullcontext() if self._database is None else exclusive(self._database)

    def _experiment(self, client: MlflowClient, name: str) -> str:
        location = None if self._database is None else (self._artifacts / "runs").as_uri()
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except refusals():
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
            return str(experiment.experiment_id)

    def _store(self, client: MlflowClient, run: Run, name: str, folder: Path, digest: str) -> str:
        if self._database is None:
            client.log_artifacts(run.info.run_id, str(folder), ARTIFACT)
            model_file = f"{ARTIFACT}/{MODEL_FILE}"
            client.log_text(run.info.run_id, _model_file(run, digest), model_file)
            return f"{run.info.artifact_uri}/{ARTIFACT}"

        def copy(partial: Path) -> Path:
            copied = Path(shutil.copytree(folder, partial / ARTIFACT))
            (copied / MODEL_FILE).write_text(_model_file(run, digest), encoding="utf-8")
            return copied

        final = self._artifacts / name / digest.replace(":", "-")
        return _install(final, digest, copy).as_uri()

    def _download(self, source: str, partial: Path) -> Path:
        from mlflow.artifacts import download_artifacts

        with self._client():
            folder = download_artifacts(
                source, dst_path=str(partial), tracking_uri=self._uri, registry_uri=self._uri
            )
        return Path(folder)

    def _ask(self, *question: str) -> ModelVersion | None:
        if self._answers is None:
            return self._look_up(*question)
        key = json.dumps(question)
        try:
            kept = self._answers.get(key)
            return kept and ModelVersion(**kept)
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
                record = _by_alias(client, name, alias)
                return record and _version(client, record, {str(record.version): alias})
            tag, value = what
            for record in _records(client, name):
                if record.status == "READY" and record.tags.get(tag) == value:
                    return _version(client, record, _aliases(client, name))
            return None


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


def _verify(folder: Path, digest: str) -> None:
    found = folder_digest(folder)
    if found != digest:
        raise DigestMismatch(f"{folder} was registered with the digest {digest}, and has {found}")


def _install(final: Path, digest: str, fill: Callable[[Path], Path]) -> Path:
    """Puts what `fill` makes in place, whole and verified, or not at all; once is enough."""
    if final.is_dir() and folder_digest(final) == digest:
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=".partial-") as partial:
        folder = fill(Path(partial))
        _verify(folder, digest)
        if final.exists():
            final.rename(Path(partial) / "damaged")
        try:
            folder.rename(final)
        except OSError:
            _verify(final, digest)  # another process was first
    return final


@contextmanager
def _finished_run(client: MlflowClient, experiment: str, name: str) -> Iterator[Run]:
    run = client.create_run(experiment, run_name=name)
    status = "FAILED"
    try:
        yield run
        status = "FINISHED"
    finally:
        client.set_terminated(run.info.run_id, status)


def _log(
    client: MlflowClient, run: str, metrics: Mapping[str, float], parameters: Mapping[str, str]
) -> None:
    from mlflow.entities import Metric, Param

    now_ms = time.time_ns() // 1_000_000
    client.log_batch(
        run,
        metrics=[Metric(key, value, now_ms, 0) for key, value in metrics.items()],
        params=[Param(key, value) for key, value in parameters.items()],
    )


def _model_file(run: Run, digest: str) -> str:
    from mlflow.models import Model

    # Azure registers no folder without this file. Its flavor is no `python_function`: nothing
    # that MLflow could load, and so run, is named.
    flavors = {"realtime_scoring": {"digest": digest}}
    return str(Model(artifact_path=ARTIFACT, run_id=run.info.run_id, flavors=flavors).to_yaml())


def _ensure_model(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except refusals():
        client.get_registered_model(name)


def _exists(client: MlflowClient, name: str, version: str) -> bool:
    try:
        client.get_model_version(name, version)
    except refusals() as refusal:
        if not says_absent(refusal):
            raise
        return False
    return True


def _records(client: MlflowClient, name: str) -> list[Record]:
    """The versions with a digest, newest first; others came from elsewhere."""
    records: list[Record] = []
    token = None
    while token is None or token:
        page = client.search_model_versions(f"name='{name}'", page_token=token)
        records += [record for record in page if DIGEST_TAG in record.tags]
        token = page.token or ""
    return sorted(records, key=lambda record: int(record.version), reverse=True)


def _by_alias(client: MlflowClient, name: str, alias: str) -> Record | None:
    try:
        return client.get_model_version_by_alias(name, alias)
    except refusals() as refusal:
        if not says_absent(refusal):
            raise
    tag = ALIAS_TAG + alias
    tagged = [record for record in _records(client, name) if tag in record.tags]
    return max(tagged, key=lambda record: int(record.tags[tag]), default=None)


def _tag_alias(client: MlflowClient, name: str, alias: str, version: str) -> None:
    """The tag's value is a moment: should the old one's removal fail, the newest still counts."""
    tag = ALIAS_TAG + alias
    client.set_model_version_tag(name, version, tag, str(time.time_ns()))
    for record in _records(client, name):
        if tag in record.tags and str(record.version) != version:
            client.delete_model_version_tag(name, str(record.version), tag)


def _aliases(client: MlflowClient, name: str) -> dict[str, str]:
    """Aliases by version."""
    try:
        aliases = client.get_registered_model(name).aliases
    except refusals() as refusal:
        if not says_absent(refusal):
            raise
        return {}
    return {str(version): alias for alias, version in sorted(aliases.items(), reverse=True)}


def _version(client: MlflowClient, record: Record, aliases: Mapping[str, str]) -> ModelVersion:
    tags = dict(record.tags)
    digest = tags.pop(DIGEST_TAG, "")
    if not DIGEST.fullmatch(digest):
        raise RegistryError(
            f"version {record.version} of {record.name!r} carries no digest: it was registered "
            "by other means, or tampered with"
        )
    tagged = sorted(tag.removeprefix(ALIAS_TAG) for tag in tags if tag.startswith(ALIAS_TAG))
    data = client.get_run(record.run_id).data
    return ModelVersion(
        name=record.name,
        version=str(record.version),
        digest=digest,
        alias=aliases.get(str(record.version), tagged[0] if tagged else None),
        source=record.source,
        metrics=dict(data.metrics),
        parameters=dict(data.params),
        tags={tag: value for tag, value in tags.items() if not tag.startswith(ALIAS_TAG)},
    )
