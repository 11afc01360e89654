"""The Ray Serve deployment of the image classifier: loads a registered version, answers calls.

Importing this module does not import torch: the application is put together where there is none.
"""

import os
from collections.abc import Sequence
from typing import Protocol

from ray import serve

from deployments.contracts import ClassifiedBatch, Picture
from deployments.registry import ModelVersion, Registry
from deployments.telemetry import Report


class Options(Protocol):
    """What one replica needs to know of the settings."""

    device: str
    precision: str
    threads: int | None
    max_batch_size: int
    max_queue: int


class ImageClassifierDeployment:
    """One replica: ready when the digest is checked, the model loaded and a batch classified."""

    def __init__(self, version: ModelVersion, registry: Registry, options: Options):
        from deployments.image.classifier import ImageClassifier
        from deployments.image.scorer import ImageScorer

        self._replica = serve.get_replica_context().replica_id.unique_id
        classifier = ImageClassifier.load(
            registry.fetch(version),
            device=options.device,
            precision=options.precision,
            # Ray sets OMP_NUM_THREADS to the CPUs that the replica reserves.
            threads=options.threads or len(os.sched_getaffinity(0)),
        )
        classifier.warm_up([1, options.max_batch_size])
        self._scorer = ImageScorer(
            classifier,
            version.identity,
            max_batch_size=options.max_batch_size,
            max_queue=options.max_queue,
        )

    async def classify(self, pictures: Sequence[Picture], timeout_s: float) -> ClassifiedBatch:
        """Classifies the pictures of one call, in batches with those of other calls."""
        return await self._scorer.classify(pictures, timeout_s)

    async def metrics(self) -> Report:
        """What this replica counted."""
        return self._scorer.metrics.report("ImageClassifier", self._replica)
