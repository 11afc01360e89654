"""The Router's side of image classification: decodes in its own threads, sends what can be taken.

A picture that cannot be decoded ends here and never joins a batch. What travels on is uint8
(height, width, 3) of the size that the model's transforms ask for.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deployments.contracts import EncodedPrediction, Form, ModelIdentity, Picture, Refusal
from deployments.image.decoding import ImageError, ImageLimits, Preprocessing, decode
from deployments.telemetry import Metrics
from deployments.tracing import step
from serve_app.backends import ImageBackend
from serve_app.errors import (
    IMAGE_ERRORS,
    DeadlinePassed,
    InternalError,
    OutOfMemory,
    OutOfRange,
    Overloaded,
    ScoringError,
)
from serve_app.faq_gateway import MESSAGE_BYTES
from serve_app.settings import ImageSettings
from serve_app.slots import Slots

if TYPE_CHECKING:
    from deployments.spans import Spans

UNKNOWN_BATCH = 4
"""Pictures of a full batch until a replica has said it, and where no setting does."""

LATE = "the picture was not classified in time"

File = bytes | NDArray[np.uint8]
"""A picture as it comes: encoded, or its pixels (height, width, 3)."""

Decode = Callable[[bytes, Preprocessing, ImageLimits, bool], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Classified:
    """The predictions for one picture: who made them, and where the time went (milliseconds)."""

    predictions: bytes
    model: ModelIdentity
    decode_ms: float
    queue_ms: float
    inference_ms: float


class ImageGateway:
    """Decodes pictures and has them classified, as many at a time as the replicas take on."""

    def __init__(
        self,
        backend: ImageBackend,
        preprocessing: Preprocessing,
        settings: ImageSettings,
        metrics: Metrics,
        decode: Decode = decode,
        spans: Spans | None = None,
    ):
        self._spans = spans
        self._backend = backend
        self._preprocessing = preprocessing
        self._decode = decode
        self._metrics = metrics
        self._answers = metrics.answers("image")
        self._limits = ImageLimits(settings.max_pixels, settings.max_aspect_ratio)
        self._scale_jpeg = settings.jpeg == "scaled"
        largest = settings.max_batch_size or UNKNOWN_BATCH
        self._capacity = largest + (settings.max_queue or largest)
        self._slots = Slots(self._capacity)
        self._threads = ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="decode")
        picture_bytes = 3 * preprocessing.crop_size**2
        self._pictures_per_call = max(1, MESSAGE_BYTES // picture_bytes)

    @property
    def held(self) -> int:
        """Pictures that are decoded, waiting or running."""
        return self._slots.held

    def set_replicas(self, replicas: int, capacities: Sequence[int]) -> None:
        """Follows the replicas: how many there are, and how many pictures each takes on.

        Without a replica one call is let through, which makes Ray Serve start one.
        """
        if capacities:
            self._capacity = min(capacities)
        self._slots.resize(self._capacity * max(1, replicas))

    def require_room(self) -> None:
        """Refuses before a body is read what `classify` would refuse after.

        Raises:
            Overloaded: the replicas have as much as they take on.
        """
        self._slots.require_room()

    async def classify(
        self, files: Sequence[File], top_k: int, deadline: float, form: Form = Form.OBJECTS
    ) -> list[Classified | ScoringError]:
        """One result or error for each file, in order; `deadline` is a moment of the loop's clock.

        Pixels must have the size that the model takes.

        More files than the replicas take on go in portions, each when there is room for it.

        Raises:
            Overloaded: there is no room for the first one; nothing was decoded.
        """
        self._slots.require_room()
        portions: list[asyncio.Task[list[Classified | ScoringError]]] = []
        start = 0
        async with asyncio.TaskGroup() as group:
            while start < len(files):
                try:
                    async with asyncio.timeout_at(deadline):
                        most = min(self._pictures_per_call, self._capacity)
                        taken = await self._slots.take(len(files) - start, most)
                except TimeoutError:
                    break
                portion = group.create_task(
                    self._classify_portion(files[start : start + taken], top_k, deadline, form)
                )
                # A callback, because a task that is cancelled before its first step runs nothing.
                portion.add_done_callback(partial(self._end_portion, slots=taken))
                portions.append(portion)
                start += taken
        results = [result for portion in portions for result in portion.result()]
        return results + [DeadlinePassed(LATE) for _ in files[start:]]

    async def _classify_portion(
        self, files: Sequence[File], top_k: int, deadline: float, form: Form
    ) -> list[Classified | ScoringError]:
        decoded = await asyncio.gather(*(self._decoded(file, deadline) for file in files))
        trace = None if self._spans is None else self._spans.current()
        pictures = [
            (Picture(item[0], top_k, form, trace), item[1])
            for item in decoded
            if not isinstance(item, ScoringError)
        ]
        replies = iter(await self._call(pictures, deadline) if pictures else ())
        return [item if isinstance(item, ScoringError) else next(replies) for item in decoded]

    def _end_portion(self, _: asyncio.Task[Any], *, slots: int) -> None:
        self._slots.give_back(slots)

    async def _decoded(
        self, file: File, deadline: float
    ) -> tuple[NDArray[np.uint8], float] | ScoringError:
        """The pixels and the milliseconds that they took."""
        if not isinstance(file, bytes):
            return self._of_right_size(file)
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        if deadline <= loop.time():
            return DeadlinePassed(LATE)
        try:
            with step(self._spans, "decode"):
                async with asyncio.timeout_at(deadline):
                    # Cancelled by the deadline or the caller, a file that waits gets no thread.
                    pixels = await loop.run_in_executor(
                        self._threads,
                        self._decode,
                        file,
                        self._preprocessing,
                        self._limits,
                        self._scale_jpeg,
                    )
        except ImageError as error:
            return IMAGE_ERRORS[error.code](str(error))
        except TimeoutError:
            return DeadlinePassed(LATE)
        seconds = time.perf_counter() - started
        self._metrics.observe_decode("image", seconds)
        return pixels, seconds * 1000

    def _of_right_size(
        self, pixels: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], float] | ScoringError:
        size = self._preprocessing.crop_size
        if pixels.shape != (size, size, 3):
            height, width, _ = pixels.shape
            return OutOfRange(f"decoded pictures must be {size} x {size}, not {height} x {width}")
        return pixels, 0.0

    async def _call(
        self, pictures: Sequence[tuple[Picture, float]], deadline: float
    ) -> list[Classified | ScoringError]:
        timeout_s = deadline - asyncio.get_running_loop().time()
        if timeout_s <= 0:
            return [DeadlinePassed(LATE)] * len(pictures)
        try:
            async with asyncio.timeout_at(deadline):
                batch = await self._backend.classify([item for item, _ in pictures], timeout_s)
        except TimeoutError:
            return [DeadlinePassed(LATE)] * len(pictures)
        except ScoringError as error:
            return [error] * len(pictures)
        results = [
            _classified(result, batch.model, decode_ms)
            for result, (_, decode_ms) in zip(batch.results, pictures, strict=True)
        ]
        for result in results:
            if isinstance(result, Classified):
                self._answers.observe(result.model.version)
                self._slots.note_seconds((result.queue_ms + result.inference_ms) / 1000)
        return results


def _classified(
    result: EncodedPrediction | Refusal, model: ModelIdentity, decode_ms: float
) -> Classified | ScoringError:
    if isinstance(result, Refusal):
        return _error(result)
    return Classified(result.predictions, model, decode_ms, result.queue_ms, result.inference_ms)


def _error(refusal: Refusal) -> ScoringError:
    wait_s = math.ceil(refusal.retry_after_s or 1)
    match refusal.reason:
        case "overloaded":
            return Overloaded("too many pictures are waiting", retry_after_s=wait_s)
        case "deadline_passed":
            return DeadlinePassed(LATE)
        case "out_of_memory":
            return OutOfMemory("the device has no memory for this picture", retry_after_s=wait_s)
    return InternalError("the picture could not be classified")
