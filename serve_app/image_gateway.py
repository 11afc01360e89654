"""The Router's side of image classification: decodes on CPU threads, sends what a call can carry.

A picture that cannot be decoded ends here and never joins a batch. What travels on is uint8
(height, width, 3) of the size that the model's transforms ask for.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.contracts import EncodedPrediction, Form, ModelIdentity, Picture, Refusal
from deployments.image.decoding import ImageError, ImageLimits, Preprocessing, decode
from serve_app.backends import ImageBackend
from serve_app.errors import (
    IMAGE_ERRORS,
    DeadlinePassed,
    InternalError,
    Overloaded,
    ScoringError,
)
from serve_app.faq_gateway import MESSAGE_BYTES
from serve_app.settings import ImageSettings


@dataclass(frozen=True, slots=True)
class Classified:
    """The predictions for one picture: who made them, and where the time went (milliseconds)."""

    predictions: bytes
    model: ModelIdentity
    decode_ms: float
    queue_ms: float
    inference_ms: float


class ImageGateway:
    """Decodes pictures and has them classified."""

    def __init__(
        self,
        backend: ImageBackend,
        preprocessing: Preprocessing,
        settings: ImageSettings,
    ):
        self._backend = backend
        self._preprocessing = preprocessing
        self._limits = ImageLimits(settings.max_pixels, settings.max_aspect_ratio)
        self._max_queue = settings.max_queue
        self._held = 0
        self._threads = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="decode")
        picture_bytes = 3 * preprocessing.crop_size**2
        self._pictures_per_call = max(1, MESSAGE_BYTES // picture_bytes)

    async def classify(
        self, files: Sequence[bytes], top_k: int, deadline: float, form: Form = Form.OBJECTS
    ) -> list[Classified | ScoringError]:
        """One result or error for each file, in order; `deadline` is a moment of the loop's clock.

        Raises:
            Overloaded: more pictures are held than the service takes on.
        """
        if self._held and self._held + len(files) > self._max_queue:
            raise Overloaded("too many pictures are waiting", retry_after_s=1)
        self._held += len(files)
        try:
            decoded = await asyncio.gather(*(self._decode(file, deadline) for file in files))
            pictures = [
                (Picture(item[0], top_k, form), item[1])
                for item in decoded
                if not isinstance(item, ScoringError)
            ]
            calls = [
                self._call(pictures[start : start + self._pictures_per_call], deadline)
                for start in range(0, len(pictures), self._pictures_per_call)
            ]
            replies = iter([result for call in await asyncio.gather(*calls) for result in call])
            return [item if isinstance(item, ScoringError) else next(replies) for item in decoded]
        finally:
            self._held -= len(files)

    async def _decode(
        self, file: bytes, deadline: float
    ) -> tuple[NDArray[np.uint8], float] | ScoringError:
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                pixels = await loop.run_in_executor(
                    self._threads, decode, file, self._preprocessing, self._limits
                )
        except ImageError as error:
            return IMAGE_ERRORS[error.code](str(error))
        except TimeoutError:
            return DeadlinePassed("the picture was not decoded in time")
        return pixels, (time.perf_counter() - started) * 1000

    async def _call(
        self, pictures: Sequence[tuple[Picture, float]], deadline: float
    ) -> list[Classified | ScoringError]:
        timeout_s = deadline - asyncio.get_running_loop().time()
        if timeout_s <= 0:
            return [DeadlinePassed("the picture was not classified in time")] * len(pictures)
        try:
            async with asyncio.timeout_at(deadline):
                batch = await self._backend.classify([item for item, _ in pictures], timeout_s)
        except TimeoutError:
            return [DeadlinePassed("the picture was not classified in time")] * len(pictures)
        except ScoringError as error:
            return [error] * len(pictures)
        return [
            _classified(result, batch.model, decode_ms)
            for result, (_, decode_ms) in zip(batch.results, pictures, strict=True)
        ]


def _classified(
    result: EncodedPrediction | Refusal, model: ModelIdentity, decode_ms: float
) -> Classified | ScoringError:
    if isinstance(result, Refusal):
        return _error(result)
    return Classified(result.predictions, model, decode_ms, result.queue_ms, result.inference_ms)


def _error(refusal: Refusal) -> ScoringError:
    match refusal.reason:
        case "overloaded":
            wait_s = math.ceil(refusal.retry_after_s or 1)
            return Overloaded("too many pictures are waiting", retry_after_s=wait_s)
        case "deadline_passed":
            return DeadlinePassed("the picture was not classified in time")
    return InternalError("the picture could not be classified")
