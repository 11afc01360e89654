"""The Ray Serve deployment of the image classifier: loads a registered version, answers calls.

Importing this module does not import torch: the application is put together where there is none.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import ray
from ray import serve

from deployments.contracts import ClassifiedBatch, ClassifierStatus, Picture
from deployments.registry import ModelVersion, Registry
from deployments.telemetry import Report
from deployments.tracing import TracingOptions

if TYPE_CHECKING:
    from deployments.spans import Spans


class Options(Protocol):
    """What one replica needs to know of the settings."""

    device: str
    precision: str
    execution: str
    threads: int | None
    max_batch_size: int | None
    max_queue: int | None


class ImageClassifierDeployment:
    """One replica: ready when the digest is checked, the model loaded and batches measured."""

    _spans: Spans | None = None  # also where the start failed, for `__del__`

    def __init__(
        self,
        version: ModelVersion,
        registry: Registry,
        options: Options,
        remembered: Path,
        tracing: TracingOptions | None = None,
    ):
        from deployments.image.classifier import ImageClassifier
        from deployments.image.scorer import MODEL, ImageScorer

        self._replica = serve.get_replica_context().replica_id.unique_id
        self._spans = tracing.spans("ImageClassifier", self._replica) if tracing else None
        classifier = ImageClassifier.load(
            registry.fetch(version),
            device=options.device,
            precision=options.precision,
            execution=options.execution,
            threads=options.threads or _assigned_cpus(),
            max_batch_size=options.max_batch_size,
            remembered=remembered,
        )
        self._scorer = ImageScorer(
            classifier, version.identity, max_queue=options.max_queue, spans=self._spans
        )
        self._scorer.metrics.serve_version(MODEL, version.version, version.registered_s)

    async def classify(self, pictures: Sequence[Picture], timeout_s: float) -> ClassifiedBatch:
        """Classifies the pictures of one call, in batches with those of other calls."""
        return await self._scorer.classify(pictures, timeout_s)

    def __del__(self) -> None:
        """Ray Serve calls it when the replica ends."""
        if self._spans is not None:
            self._spans.close()

    async def status(self) -> ClassifierStatus:
        """How this replica computes, and how many pictures it takes on at a time."""
        return self._scorer.status

    async def check_health(self) -> None:
        """Ray Serve replaces a replica for which this raises."""
        self._scorer.check_health()

    async def metrics(self) -> Report:
        """What this replica counted."""
        return self._scorer.metrics.report("ImageClassifier", self._replica)


def _assigned_cpus() -> int:
    """The CPUs that Ray reserves for this replica, as whole threads, and no more than there are."""
    assigned: float = ray.get_runtime_context().get_assigned_resources().get("CPU", 0)
    return min(max(1, math.ceil(assigned)), len(os.sched_getaffinity(0)))
