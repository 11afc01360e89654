"""What is written to and read from MLflow: runs, model versions, and their aliases.

Every function may raise `refusals()`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deployments.contracts import ModelIdentity
from deployments.registry.artifacts import RegistryError
from deployments.registry.client import refusals, says_absent

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion as Record
    from mlflow.tracking import MlflowClient

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
DIGEST_TAG = "digest"
ALIAS_TAG = "alias."


@dataclass(frozen=True)
class ModelVersion:
    """One registered version; `digest` is `sha256:...` of its folder, `source` the folder's URI.

    `registered_s` is when it was registered (Unix time); None where an older release wrote it down.
    """

    name: str
    version: str
    digest: str
    alias: str | None
    source: str
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    registered_s: float | None = field(default=None, compare=False)

    @property
    def identity(self) -> ModelIdentity:
        """What an answer says of the model that made it."""
        return ModelIdentity(self.name, self.version, self.digest)


def is_reserved(tag: str) -> bool:
    """Whether the registry uses this tag of a version itself."""
    return tag == DIGEST_TAG or tag.startswith(ALIAS_TAG)


def ensure_experiment(client: MlflowClient, name: str, location: str | None) -> str:
    """The id of the experiment that holds the model's runs."""
    try:
        return str(client.create_experiment(name, artifact_location=location))
    except refusals():
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            raise
        return str(experiment.experiment_id)


def ensure_model(client: MlflowClient, name: str) -> None:
    """Creates the registered model if there is none of this name."""
    try:
        client.create_registered_model(name)
    except refusals():
        client.get_registered_model(name)


@contextmanager
def finished_run(
    client: MlflowClient,
    experiment: str,
    metrics: Mapping[str, float],
    parameters: Mapping[str, str],
) -> Iterator[Run]:
    """A new run with these figures, which ends with the block: as failed if that raises."""
    from mlflow.entities import Metric, Param

    run = client.create_run(experiment)
    status = "FAILED"
    try:
        now_ms = time.time_ns() // 1_000_000
        client.log_batch(
            run.info.run_id,
            metrics=[Metric(key, value, now_ms, 0) for key, value in metrics.items()],
            params=[Param(key, value) for key, value in parameters.items()],
        )
        yield run
        status = "FINISHED"
    finally:
        client.set_terminated(run.info.run_id, status)


def records_of(client: MlflowClient, name: str) -> list[Record]:
    """The model's versions that carry a digest, newest first; others are not this project's."""
    records: list[Record] = []
    token: str | None = None
    while token != "":
        page = client.search_model_versions(f"name='{name}'", page_token=token)
        records += [record for record in page if DIGEST_TAG in record.tags]
        token = page.token or ""
    return sorted(records, key=lambda record: int(record.version), reverse=True)


def record_of(client: MlflowClient, name: str, version: str) -> Record | None:
    """One version by its number."""
    try:
        return client.get_model_version(name, version)
    except refusals() as refusal:
        if not says_absent(refusal):
            raise
        return None


def is_of(record: Record, known: ModelVersion) -> bool:
    """Whether the record is that of a version that is known already."""
    return (str(record.version), record.tags.get(DIGEST_TAG)) == (known.version, known.digest)


def point_alias(client: MlflowClient, name: str, alias: str, version: str) -> None:
    """Moves the alias to an existing version, or the tag that stands in for it.

    The tag's value is the moment: should the old one's removal fail, the newest still counts.
    """
    try:
        client.set_registered_model_alias(name, alias, version)
    except refusals() as refusal:
        if not says_absent(refusal):
            raise
    else:
        return
    tag = ALIAS_TAG + alias
    client.set_model_version_tag(name, version, tag, str(time.time_ns()))
    for record in records_of(client, name):
        if tag in record.tags and str(record.version) != version:
            client.delete_model_version_tag(name, str(record.version), tag)


def record_by_alias(client: MlflowClient, name: str, alias: str) -> Record | None:
    """The version that the alias, or the tag that stands in for it, points to."""
    try:
        return client.get_model_version_by_alias(name, alias)
    except refusals() as refusal:
        if not says_absent(refusal):
            raise
    tag = ALIAS_TAG + alias
    tagged = [record for record in records_of(client, name) if tag in record.tags]
    return max(tagged, key=lambda record: int(record.tags[tag]), default=None)


def aliases_of(client: MlflowClient, name: str) -> dict[str, str]:
    """An alias for each version that the registry itself has one for."""
    try:
        aliases = client.get_registered_model(name).aliases
    except refusals() as refusal:
        if not says_absent(refusal):
            raise
        return {}
    return {str(version): alias for alias, version in sorted(aliases.items(), reverse=True)}


def model_version(client: MlflowClient, record: Record, alias: str | None) -> ModelVersion:
    """The record as a value. Raises RegistryError where it lacks what `register` wrote."""
    digest = record.tags.get(DIGEST_TAG, "")
    if not (DIGEST.fullmatch(digest) and record.run_id and record.source):
        raise RegistryError(f"version {record.version} of {record.name!r} was not registered here")
    data = client.get_run(record.run_id).data
    tagged = sorted(tag for tag in record.tags if tag.startswith(ALIAS_TAG))
    return ModelVersion(
        name=record.name,
        version=str(record.version),
        digest=digest,
        alias=alias or (tagged[0].removeprefix(ALIAS_TAG) if tagged else None),
        source=record.source,
        metrics=dict(data.metrics),
        parameters=dict(data.params),
        tags={tag: value for tag, value in record.tags.items() if not is_reserved(tag)},
        registered_s=record.creation_timestamp / 1000 if record.creation_timestamp else None,
    )


def version_by_alias(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """The version that the alias points to."""
    record = record_by_alias(client, name, alias)
    return None if record is None else model_version(client, record, alias)


def version_by_tag(client: MlflowClient, name: str, tag: str, value: str) -> ModelVersion | None:
    """The newest version that is ready and has this tag with this value."""
    for record in records_of(client, name):
        if record.status == "READY" and record.tags.get(tag) == value:
            alias = aliases_of(client, name).get(str(record.version))
            return model_version(client, record, alias)
    return None


def model_file(run: Run, digest: str, folder: str) -> str:
    """The content of the MLmodel file beside the artifact, which the run keeps as `folder`."""
    from mlflow.models import Model

    # Azure registers no folder without this file. Its flavor is no `python_function`: nothing
    # that MLflow could load, and so run, is named.
    flavors = {"realtime_scoring": {"digest": digest}}
    return str(Model(artifact_path=folder, run_id=run.info.run_id, flavors=flavors).to_yaml())
