"""Answers the Router's calls: batches pictures while the device works, encodes predictions."""

import asyncio
import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import orjson

from deployments.batching import Batcher, BatchStats, DeadlinePassed, Outcome, QueueFull
from deployments.contracts import (
    ClassifiedBatch,
    EncodedPrediction,
    Form,
    ModelIdentity,
    Picture,
    Refusal,
)
from deployments.image.classifier import ImageClassifier, Prediction
from deployments.telemetry import Metrics

logger = logging.getLogger(__name__)


class ImageScorer:
    """One loaded version of the classifier, its queue and what it is called."""

    def __init__(
        self,
        classifier: ImageClassifier,
        identity: ModelIdentity,
        *,
        max_batch_size: int,
        max_queue: int,
    ):
        self._classifier = classifier
        self._identity = identity
        # One thread for one device: the loop stays free, and forwards never overlap.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="forward")
        self.metrics = Metrics()
        self._image = self.metrics.model("image")
        self._batcher: Batcher[Picture, bytes] = Batcher(
            self._run, max_batch_size=max_batch_size, max_queue=max_queue, on_batch=self._observe
        )
        self._image.waiting.set_function(lambda: self._batcher.waiting)

    async def classify(self, pictures: Sequence[Picture], timeout_s: float) -> ClassifiedBatch:
        """One result for each picture, in order; a refused one does not touch its neighbours."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        results = await asyncio.gather(*(self._classify(item, deadline) for item in pictures))
        return ClassifiedBatch(self._identity, results)

    async def _classify(self, picture: Picture, deadline: float) -> EncodedPrediction | Refusal:
        try:
            outcome = await self._batcher.submit(picture, deadline=deadline)
        except QueueFull as error:
            return Refusal("overloaded", math.ceil(error.retry_after_s))
        except DeadlinePassed:
            return Refusal("deadline_passed")
        except Exception:
            logger.exception("a picture could not be classified")
            return Refusal("failed")
        return _encoded(outcome)

    async def _run(self, pictures: list[Picture]) -> Sequence[bytes]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._forward, pictures)

    def _forward(self, pictures: list[Picture]) -> list[bytes]:
        classified = self._classifier.classify(
            [picture.pixels for picture in pictures], [picture.top_k for picture in pictures]
        )
        return [encode(*pair) for pair in zip(classified, pictures, strict=True)]

    def _observe(self, stats: BatchStats) -> None:
        self._image.observe_batch(stats.size, stats.queue_s, stats.run_s)


def encode(predictions: Sequence[Prediction], picture: Picture) -> bytes:
    """The predictions as JSON, in the form that the picture asks for."""
    if picture.form is Form.TRIPLES:
        return orjson.dumps(
            [(item.class_index, item.label, item.probability) for item in predictions]
        )
    return orjson.dumps(predictions)


def _encoded(outcome: Outcome[bytes]) -> EncodedPrediction:
    return EncodedPrediction(outcome.value, outcome.queue_s * 1000, outcome.run_s * 1000)
