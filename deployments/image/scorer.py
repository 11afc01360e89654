"""Answers the Router's calls: batches pictures while the device works, encodes predictions."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import orjson

from deployments.batching import Batcher, BatchStats, DeadlinePassed, Outcome, QueueFull
from deployments.contracts import (
    ClassifiedBatch,
    ClassifierStatus,
    EncodedPrediction,
    EngineStatus,
    Form,
    ModelIdentity,
    Picture,
    Refusal,
)
from deployments.image.classifier import Prediction
from deployments.image.engine import OutOfDeviceMemory, Pixels
from deployments.telemetry import Metrics
from deployments.tracing import below

if TYPE_CHECKING:
    from deployments.spans import Spans

logger = logging.getLogger(__name__)

MODEL = "image"
"""The model's name in the metrics."""

MOST_FAILED_PASSES = 3
"""After as many forward passes that failed in a row the replica is replaced: a GPU that met an
error answers nothing any more until its process ends."""


NICENESS = 10
"""Of the threads that compute on a CPU: whoever answers, refuses or decodes beside them needs
little time, and needs it at once."""


class DeviceBroken(RuntimeError):
    """The latest forward passes all failed."""


class Sizes(Protocol):
    """Which batches the device likes; the largest may shrink when its memory runs out."""

    @property
    def largest(self) -> int: ...

    def take(self, waiting: int) -> int:
        """How many of the waiting pictures the next batch takes: 1 to `waiting`."""


class Classifier(Protocol):
    """What the scorer needs of `ImageClassifier`."""

    @property
    def status(self) -> EngineStatus: ...

    @property
    def concurrency(self) -> int: ...

    @property
    def sizes(self) -> Sizes: ...

    def classify(
        self, images: Sequence[Pixels], top_k: Sequence[int]
    ) -> Sequence[tuple[Prediction, ...] | Exception]: ...


class ImageScorer:
    """One loaded version of the classifier, its queue and what it is called."""

    def __init__(
        self,
        classifier: Classifier,
        identity: ModelIdentity,
        *,
        max_queue: int | None = None,
        spans: Spans | None = None,
    ):
        """`max_queue` is how many pictures are taken on beyond full batches; None: one batch."""
        self._classifier = classifier
        self._identity = identity
        self._max_queue = max_queue
        self._spans = spans
        self._failed_passes = 0
        # As many threads as forward passes may overlap; the loop stays free.
        self._threads = ThreadPoolExecutor(
            classifier.concurrency,
            thread_name_prefix="forward",
            initializer=_give_way if classifier.status.device == "cpu" else None,
        )
        self._batcher: Batcher[Picture, bytes] = Batcher(
            self._run,
            max_batch_size=classifier.sizes.largest,
            take=classifier.sizes.take,
            max_queue=self.capacity,
            concurrency=classifier.concurrency,
            on_batch=self._observe,
        )
        self.metrics = Metrics()
        self.metrics.serve_engine(MODEL, classifier.status)
        self.metrics.set_largest_batch(MODEL, classifier.sizes.largest)
        self._image = self.metrics.model(MODEL)
        self._image.waiting.set_function(lambda: self._batcher.waiting)

    @property
    def capacity(self) -> int:
        """Pictures that are taken on at a time, waiting and running together.

        The bound is on both, so that whoever sends no more than this is never refused, however
        few pictures the running batch has.
        """
        largest = self._classifier.sizes.largest
        return largest * self._classifier.concurrency + (self._max_queue or largest)

    @property
    def status(self) -> ClassifierStatus:
        """How the pictures are classified now, and how many at a time."""
        return ClassifierStatus(self._classifier.status, self.capacity)

    async def classify(self, pictures: Sequence[Picture], timeout_s: float) -> ClassifiedBatch:
        """One result for each picture, in order; a refused one does not touch its neighbours."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        results = await asyncio.gather(*(self._classify(item, deadline) for item in pictures))
        for result in results:
            if isinstance(result, Refusal):
                self.metrics.refuse_item(MODEL, result.reason)
        return ClassifiedBatch(self._identity, results)

    async def _classify(self, picture: Picture, deadline: float) -> EncodedPrediction | Refusal:
        try:
            if self._batcher.waiting + self._batcher.running >= self.capacity:
                raise QueueFull(self._batcher.retry_after_s)
            outcome = await self._outcome(picture, deadline)
        except QueueFull as error:
            return Refusal("overloaded", math.ceil(error.retry_after_s))
        except DeadlinePassed:
            return Refusal("deadline_passed")
        except OutOfDeviceMemory:
            logger.warning("the device has no memory left for a picture")
            return Refusal("out_of_memory", math.ceil(self._batcher.retry_after_s))
        except Exception:
            logger.exception("a picture could not be classified")
            return Refusal("failed")
        return _encoded(outcome)

    async def _outcome(self, picture: Picture, deadline: float) -> Outcome[bytes]:
        submitted = self._batcher.submit(picture, deadline=deadline)
        if self._spans is None:
            return await submitted
        return await self._spans.queued(submitted, picture.trace)

    async def _run(self, pictures: list[Picture]) -> Sequence[bytes | Exception]:
        loop = asyncio.get_running_loop()
        if self._spans is None:
            return await loop.run_in_executor(self._threads, self._forward, pictures)
        with self._spans.batch([picture.trace for picture in pictures]) as trace:
            return await loop.run_in_executor(self._threads, self._traced, pictures, trace)

    def _traced(self, pictures: list[Picture], trace: str | None) -> list[bytes | Exception]:
        with below(self._spans, "forward", trace):
            return self._forward(pictures)

    def check_health(self) -> None:
        """Raises DeviceBroken when the replica should be replaced."""
        if self._failed_passes >= MOST_FAILED_PASSES:
            raise DeviceBroken(f"the latest {self._failed_passes} forward passes failed")

    def _forward(self, pictures: list[Picture]) -> list[bytes | Exception]:
        try:
            classified = self._classifier.classify(
                [picture.pixels for picture in pictures], [picture.top_k for picture in pictures]
            )
        except Exception:
            self._failed_passes += 1
            raise
        self._failed_passes = 0
        return [
            result if isinstance(result, Exception) else encode(result, picture)
            for result, picture in zip(classified, pictures, strict=True)
        ]

    def _observe(self, stats: BatchStats) -> None:
        self._image.observe_batch(stats.size, stats.queue_s, stats.run_s)
        self.metrics.set_largest_batch(MODEL, self._classifier.sizes.largest)


def _give_way() -> None:
    """Lowers the priority of this thread and of those that it starts: on Linux each has its own."""
    thread = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)


def encode(predictions: Sequence[Prediction], picture: Picture) -> bytes:
    """The predictions as JSON, in the form that the picture asks for."""
    if picture.form is Form.TRIPLES:
        return orjson.dumps(
            [(item.class_index, item.label, item.probability) for item in predictions]
        )
    return orjson.dumps(predictions)


def _encoded(outcome: Outcome[bytes]) -> EncodedPrediction:
    return EncodedPrediction(outcome.value, outcome.queue_s * 1000, outcome.run_s * 1000)
