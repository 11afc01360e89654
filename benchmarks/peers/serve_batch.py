"""The classifier on `@serve.batch`, as Ray Serve's documentation would have it.

The same model, engine and answers as the application's own deployment; only the queue differs: it
waits for a full batch or until a time is up, and nothing bounds it.
"""

import asyncio
import math
import time
from collections.abc import Sequence

import ray
from ray import serve

from deployments.contracts import (
    ClassifiedBatch,
    ClassifierStatus,
    EncodedPrediction,
    Picture,
    Refusal,
)
from deployments.image.deployment import Options
from deployments.registry import ModelVersion, Registry
from deployments.telemetry import Metrics, Report

BATCH_WAIT_S = 0.05
"""As long as LitServe's batched variant waits; a forward pass on a CPU takes several times that."""
CAPACITY = 1024
"""Pictures that the router lets through at a time: more than any benchmark has under way."""


class ServeBatchClassifier:
    """One replica; stands in for `ImageClassifierDeployment`."""

    def __init__(self, version: ModelVersion, registry: Registry, options: Options):
        from deployments.image.classifier import ImageClassifier

        assigned = ray.get_runtime_context().get_assigned_resources().get("CPU", 0)
        self._replica = serve.get_replica_context().replica_id.unique_id
        self._identity = version.identity
        self._classifier = ImageClassifier.load(
            registry.fetch(version),
            device=options.device,
            precision=options.precision,
            execution=options.execution,
            threads=options.threads or max(1, math.ceil(assigned)),
            max_batch_size=options.max_batch_size,
        )
        self._metrics = Metrics()
        self._observe = self._metrics.model("image").observe_batch
        self._batch.set_max_batch_size(self._classifier.sizes.largest)  # type: ignore[attr-defined]

    async def classify(self, pictures: Sequence[Picture], timeout_s: float) -> ClassifiedBatch:
        """One result for each picture; Ray Serve's queue knows no deadline."""
        del timeout_s
        results = await asyncio.gather(*map(self._batch, pictures))
        return ClassifiedBatch(self._identity, results)

    async def status(self) -> ClassifierStatus:
        """How this replica computes."""
        return ClassifierStatus(self._classifier.status, CAPACITY)

    async def metrics(self) -> Report:
        """What this replica counted."""
        return self._metrics.report("ImageClassifier", self._replica)

    @serve.batch(batch_wait_timeout_s=BATCH_WAIT_S)
    async def _batch(self, pictures: list[Picture]) -> list[EncodedPrediction | Refusal]:
        started = time.perf_counter()
        # In a thread, because the replica's loop must go on taking calls.
        answers = await asyncio.to_thread(self._forward, pictures)
        run_s = time.perf_counter() - started
        self._observe(len(pictures), 0.0, run_s)
        return [
            Refusal("failed") if answer is None else EncodedPrediction(answer, 0.0, run_s * 1000)
            for answer in answers
        ]

    def _forward(self, pictures: list[Picture]) -> list[bytes | None]:
        from deployments.image.scorer import encode

        classified = self._classifier.classify(
            [picture.pixels for picture in pictures], [picture.top_k for picture in pictures]
        )
        return [
            None if isinstance(result, Exception) else encode(result, picture)
            for result, picture in zip(classified, pictures, strict=True)
        ]
