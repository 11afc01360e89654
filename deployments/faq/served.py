"""The version of the ranker that one replica serves, and how it follows the registry's alias."""

import asyncio
import gc
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from deployments.contracts import (
    KnownDuplicates,
    Question,
    RankedBatch,
    RefusedVersion,
    VersionStatus,
)
from deployments.faq.versions import Artifacts, LoadedVersion, VersionRefused, load_version
from deployments.registry import Accepted, ModelVersion, RegistryError
from deployments.telemetry import Metrics

logger = logging.getLogger(__name__)

MODEL = "faq"
"""The `model` of the metrics."""


class Versions(Artifacts, Protocol):
    """What is needed of `Registry`."""

    def follow(self, known: ModelVersion, alias: str) -> ModelVersion:
        """See `Registry.follow`."""


@dataclass(frozen=True)
class Following:
    """The alias to follow, the seconds between two looks, and what was taken before."""

    alias: str
    period_s: float
    accepted: Accepted


class ServedModel:
    """One version answers; what the alias names next is loaded beside it, checked and swapped in.

    Without `following` the version stays. A version that fails a check is refused, and not tried
    again until the alias has named another one.
    """

    def __init__(
        self,
        registry: Versions,
        bound: ModelVersion,
        following: Following | None,
        metrics: Metrics,
    ) -> None:
        """Loads what the alias names now; else what was accepted last, else `bound`.

        Raises VersionRefused or RegistryError where none of them can be loaded.
        """
        self._registry = registry
        self._following = following
        self._metrics = metrics
        self._named = bound
        self._refused: RefusedVersion | None = None
        self._serving: LoadedVersion
        self._take(load_version(registry, bound) if following is None else self._first(following))

    def rank(self, questions: Sequence[Question]) -> RankedBatch:
        """Ranks the questions of one call, all with one version."""
        return self._serving.scorer.rank(questions)

    def status(self) -> VersionStatus:
        """What answers, and what the alias names but was refused."""
        return VersionStatus(self._serving.version.identity, self._refused)

    def examples(self) -> KnownDuplicates:
        """Duplicates to try, stored beside the version that answers."""
        return KnownDuplicates(self._serving.version.identity, self._serving.examples.duplicates)

    async def watch(self) -> None:
        """Looks at the alias once a period, for as long as the replica lives."""
        if self._following is None:
            return
        fails = False
        while True:
            await asyncio.sleep(self._following.period_s)
            try:
                await self.refresh()
                fails = False
            except RegistryError as error:
                if not fails:  # once, not once a period
                    logger.error("the alias cannot be followed: %s", error)
                fails = True
            except Exception:
                logger.exception("a look at the alias failed")

    async def refresh(self) -> None:
        """Looks at the alias once; loading and checking happen in a thread.

        Raises RegistryError where the registry cannot be asked, or the artifact not be fetched;
        the next look tries again.
        """
        if self._following is None:
            return
        alias = self._following.alias
        named = await asyncio.to_thread(self._registry.follow, self._named, alias)
        if named.identity == self._named.identity:
            return
        if named.identity != self._serving.version.identity:
            try:
                self._take(await asyncio.to_thread(load_version, self._registry, named))
            except VersionRefused as error:
                self._refuse(named, error)
                return
            # The old version holds references to itself, and would stay until a later collection.
            gc.collect()
        self._named, self._refused = named, None

    def _first(self, following: Following) -> LoadedVersion:
        bound = self._named
        accepted = following.accepted.get(bound.name, following.alias) or bound
        try:
            named = self._registry.follow(accepted, following.alias)
        except RegistryError as error:
            logger.error("the alias cannot be followed: %s", error)
            named = accepted
        failures: list[Exception] = []
        # In this order, each once.
        for version in {each.identity: each for each in (named, accepted, bound)}.values():
            try:
                loaded = load_version(self._registry, version)
            except VersionRefused as error:
                failures.append(error)
                if version.identity == named.identity:
                    self._refuse(version, error)
            except RegistryError as error:
                failures.append(error)
            else:
                if self._refused is None:
                    self._named = version
                return loaded
        raise failures[0]

    def _take(self, loaded: LoadedVersion) -> None:
        self._serving = loaded
        version = loaded.version
        self._metrics.serve_version(MODEL, version.version, version.registered_s)
        logger.info("%s version %s serves", version.name, version.version)
        if self._following is not None:
            self._following.accepted.put(version, self._following.alias)

    def _refuse(self, version: ModelVersion, error: VersionRefused) -> None:
        logger.error("%s", error)
        self._metrics.refuse_version(MODEL)
        self._named = version
        self._refused = RefusedVersion(version.version, error.reason)
