"""Stand-ins for the two model deployments: they obey the same protocols, without Ray."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import orjson

from deployments.contracts import (
    ClassifiedBatch,
    EncodedPrediction,
    EncodedRanking,
    Form,
    KnownDuplicate,
    KnownDuplicates,
    ModelIdentity,
    Picture,
    Question,
    RankedBatch,
    Refusal,
)
from deployments.image.decoding import Preprocessing
from deployments.spans import Spans
from deployments.telemetry import Metrics, exposition
from serve_app.access.admission import Admission, Everyone, Unlimited
from serve_app.capture import Capture
from serve_app.faq_gateway import FaqGateway
from serve_app.http.face import Bookkeeping, HttpFace
from serve_app.http.routes import http_face
from serve_app.image_gateway import ImageGateway
from serve_app.readiness import ModelStatus, Readiness, State
from serve_app.request_log import RequestLog
from serve_app.settings import (
    AuthSettings,
    CaptureSettings,
    FaqSettings,
    HttpSettings,
    ImageSettings,
)

FAQ = ModelIdentity("faq", "3", "sha256:" + "a" * 64)
IMAGE = ModelIdentity("resnet152", "1", "sha256:" + "b" * 64)
PREPROCESSING = Preprocessing(
    resize_size=8, crop_size=8, interpolation="bilinear", mean=(0.5,) * 3, std=(0.5,) * 3
)


class FakeFaq:
    """Finds the question itself as its best match, so that a swapped answer shows."""

    def __init__(self) -> None:
        self.calls: list[list[Question]] = []
        self.held: list[float] = []
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.duplicates = [
            KnownDuplicate(f"known duplicate {rank}", f"A{rank}") for rank in (0, 2, 9)
        ]

    async def rank(self, questions: Sequence[Question], held_per_replica: float) -> RankedBatch:
        self.calls.append(list(questions))
        self.held.append(held_per_replica)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return RankedBatch(FAQ, [_ranking(question) for question in questions], 0.5, 200)

    async def examples(self) -> KnownDuplicates:
        if self.gate is not None:
            await self.gate.wait()
        return KnownDuplicates(FAQ, tuple(self.duplicates))


def _ranking(question: Question) -> EncodedRanking:
    probabilities = [0.9 / (rank + 1) for rank in range(min(question.top_k, 5))]
    kept = [value for value in probabilities if value >= question.min_probability]
    rows = [(f"Q{rank}", f"A{rank}", value) for rank, value in enumerate(kept)]
    if question.form is Form.TRIPLES:
        return EncodedRanking(orjson.dumps(rows), True)
    matches = [
        {
            "id": row[0],
            "answer_id": row[1],
            "question": question.text,
            "answer": f"Answer of {row[1]}",
            "probability": row[2],
        }
        for row in rows
    ]
    return EncodedRanking(orjson.dumps(matches), True)


class FakeImage:
    """Names the class after the colour of the picture, so that a swapped answer shows."""

    def __init__(self) -> None:
        self.calls: list[list[Picture]] = []
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.refuse: Callable[[Picture], Refusal | None] = lambda _: None

    async def classify(self, pictures: Sequence[Picture], timeout_s: float) -> ClassifiedBatch:
        self.calls.append(list(pictures))
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return ClassifiedBatch(
            IMAGE, [self.refuse(picture) or _prediction(picture) for picture in pictures]
        )


def _prediction(picture: Picture) -> EncodedPrediction:
    first = int(np.asarray(picture.pixels)[0, 0, 0])
    rows = [(first + rank, f"class {first + rank}", 0.5) for rank in range(min(picture.top_k, 5))]
    if picture.form is Form.TRIPLES:
        return EncodedPrediction(orjson.dumps(rows), 0.1, 0.2)
    predictions = [{"class_index": row[0], "label": row[1], "probability": row[2]} for row in rows]
    return EncodedPrediction(orjson.dumps(predictions), 0.1, 0.2)


class Application:
    """The HTTP face around the fakes, with everything that a test may want to look at."""

    def __init__(
        self,
        folder: Path,
        *,
        http: HttpSettings | None = None,
        faq: FaqSettings | None = None,
        image: ImageSettings | None = None,
        image_missing: str | None = None,
        admission: Admission | None = None,
        auth: AuthSettings | None = None,
        spans: Spans | None = None,
        capture: CaptureSettings | None = None,
    ) -> None:
        self.capture_file = folder / "captured" / "payloads.jsonl"
        self.faq = FakeFaq()
        self.image = FakeImage()
        self.metrics = Metrics()
        self.log_file = folder / "requests.jsonl"
        missing = ModelStatus("resnet152", None, State.UNAVAILABLE, image_missing or "")
        present = ModelStatus("resnet152", IMAGE, State.READY)
        self.readiness = Readiness(
            {
                "faq": ModelStatus("faq", FAQ, State.READY),
                "image": present if image_missing is None else missing,
            }
        )
        self.readiness.show(self.metrics)
        self.books = Bookkeeping(
            self.metrics, RequestLog(self.log_file, max_bytes=1 << 20, files=2)
        )
        self.pictures = ImageGateway(
            self.image, PREPROCESSING, image or ImageSettings(), self.metrics, spans=spans
        )
        self.gateway = FaqGateway(self.faq, faq or FaqSettings(), self.metrics.model("faq"), spans)
        self.face: HttpFace = http_face(
            faq=self.gateway,
            examples=self.faq.examples,
            image=self.pictures if image_missing is None else None,
            readiness=self.readiness,
            scrape=self._scrape,
            admission=admission or Admission(Everyone(), Unlimited()),
            settings=http or HttpSettings(),
            auth=auth or AuthSettings(),
            books=self.books,
            spans=spans,
            capture=Capture.of(capture or CaptureSettings(), self.capture_file),
        )

    async def _scrape(self) -> bytes:
        return exposition([self.metrics.report("Router", "one")])
