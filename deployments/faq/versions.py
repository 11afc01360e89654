"""Loads a registered version of the ranker and checks it before it may answer anybody."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deployments.faq.examples import Examples
from deployments.faq.known import KnownQuestions, KnownQuestionsFailed
from deployments.faq.ranker import FaqRanker, RankerFormatError
from deployments.faq.scorer import FaqScorer
from deployments.registry import DigestMismatch, ModelVersion

logger = logging.getLogger(__name__)


class VersionRefused(RuntimeError):
    """A version that must not serve. `reason` is a sentence for clients, without paths or texts."""

    def __init__(self, version: ModelVersion, reason: str, cause: Exception) -> None:
        super().__init__(f"{version.name} version {version.version} is refused: {reason}: {cause}")
        self.reason = reason


class Artifacts(Protocol):
    """What is needed of `Registry`."""

    def fetch(self, version: ModelVersion) -> Path:
        """See `Registry.fetch`."""


@dataclass(frozen=True)
class LoadedVersion:
    """A version that has passed every check."""

    version: ModelVersion
    scorer: FaqScorer
    examples: Examples


def load_version(artifacts: Artifacts, version: ModelVersion) -> LoadedVersion:
    """Fetches, loads and checks a version, and ranks once.

    The digest, the format and the known questions are checked. A version that was stored without
    known questions passes with a line in the log.

    Raises:
        VersionRefused: a check failed, and would fail again.
        RegistryError: the artifact cannot be fetched now.
    """
    try:
        folder = artifacts.fetch(version)
    except DigestMismatch as error:
        reason = "its artifact is not the one that was registered"
        raise VersionRefused(version, reason, error) from error
    try:
        ranker = FaqRanker.load(folder)
        examples = Examples.load(folder)
        _check(ranker, KnownQuestions.load(folder), version)
        scorer = FaqScorer(ranker, version.identity)
        scorer.warm_up()
    except RankerFormatError as error:
        reason = "its files are no model that this release can read"
        raise VersionRefused(version, reason, error) from error
    except KnownQuestionsFailed as error:
        reason = "it does not answer its known questions as it did when it was trained"
        raise VersionRefused(version, reason, error) from error
    except Exception as error:
        # Whatever it is: the version that serves must go on, and this one cannot be trusted.
        raise VersionRefused(version, "it cannot be loaded", error) from error
    return LoadedVersion(version, scorer, examples)


def _check(ranker: FaqRanker, known: KnownQuestions | None, version: ModelVersion) -> None:
    if known is None:
        logger.warning("%s version %s has no known questions", version.name, version.version)
    else:
        known.check(ranker)
