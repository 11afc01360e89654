"""Which models can answer: told apart from whether the process lives."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from deployments.contracts import EngineStatus, ModelIdentity, RefusedVersion, VersionStatus
from deployments.telemetry import Metrics
from serve_app.errors import ModelLoading, ModelUnavailable

LOADING_RETRY_S = 5


class State(StrEnum):
    """A model's readiness."""

    LOADING = "loading"
    READY = "ready"
    UNAVAILABLE = "unavailable"
    SCALED_TO_ZERO = "scaled_to_zero"


@dataclass(frozen=True)
class ModelStatus:
    """One model: its name, which version serves (None where there is none), its state.

    `reason` says what is missing and how to supply it, without paths. `refused` is the version
    that should have been changed to, where there is one. `engine` is how it computes, where that is
    known and more than one way would do.
    """

    name: str
    identity: ModelIdentity | None
    state: State
    reason: str = ""
    refused: RefusedVersion | None = None
    engine: EngineStatus | None = None

    @property
    def can_answer(self) -> bool:
        """A model that was scaled to zero answers too, once a replica has started."""
        return self.state in (State.READY, State.SCALED_TO_ZERO)


class Readiness:
    """The states of all models; the observer of the deployments keeps it current."""

    def __init__(self, models: Mapping[str, ModelStatus]):
        self._models = dict(models)

    def set_state(self, key: str, state: State, reason: str = "") -> None:
        """Notes what the observer saw; a model that was never deployed stays unavailable."""
        status = self._models[key]
        if status.identity is not None:
            self._models[key] = replace(status, state=state, reason=reason)

    def show(self, metrics: Metrics) -> None:
        """Lets a scrape see which of the deployed models can answer."""
        for key, status in self._models.items():
            if status.identity is not None:
                metrics.watch_readiness(key, partial(self._can_answer, key))

    def set_versions(self, key: str, replicas: Sequence[VersionStatus]) -> None:
        """Notes what the replicas serve: the version of most, and one that was refused."""
        if replicas:
            ((identity, _),) = Counter(replica.model for replica in replicas).most_common(1)
            refused = next((each.refused for each in replicas if each.refused), None)
            self._models[key] = replace(self._models[key], identity=identity, refused=refused)

    def set_engines(self, key: str, replicas: Sequence[EngineStatus]) -> None:
        """Notes how the replicas compute: the way of most."""
        if replicas:
            ((engine, _),) = Counter(replicas).most_common(1)
            self._models[key] = replace(self._models[key], engine=engine)

    def status(self, key: str) -> ModelStatus:
        """One model's status."""
        return self._models[key]

    def all(self) -> list[ModelStatus]:
        """Every model's status."""
        return list(self._models.values())

    def _can_answer(self, key: str) -> bool:
        return self._models[key].can_answer

    @property
    def is_loading(self) -> bool:
        """Whether a model is still on its way."""
        return any(status.state is State.LOADING for status in self._models.values())

    def require(self, key: str) -> None:
        """Refuses work for a model that cannot answer.

        Raises:
            ModelUnavailable: it is missing or broken.
            ModelLoading: it is on its way.
        """
        status = self._models[key]
        if status.state is State.UNAVAILABLE:
            raise ModelUnavailable(status.reason or f"the {key} model failed to start")
        if status.state is State.LOADING:
            raise ModelLoading(f"the {key} model is loading", retry_after_s=LOADING_RETRY_S)
