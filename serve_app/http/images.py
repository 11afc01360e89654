"""The routes of the image scenario."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from deployments.contracts import Form
from serve_app.access.admission import Admission
from serve_app.capture import Capture
from serve_app.errors import (
    BodyTooLarge,
    ContradictoryFields,
    InvalidBase64,
    OutOfRange,
    ScoringError,
    UnknownField,
    UnsupportedMediaType,
)
from serve_app.http.answers import json_answer, model_json, record_of
from serve_app.http.bodies import Upload, read_body, read_uploads
from serve_app.http.deadlines import arrived, deadline_of
from serve_app.http.face import RequestRecord
from serve_app.http.media import is_json, is_picture, media_type
from serve_app.http.numbers import whole_number
from serve_app.http.schemas import TOP_K_IMAGE, parse_image
from serve_app.image_gateway import Classified, ImageGateway
from serve_app.readiness import Readiness
from serve_app.settings import HttpSettings

DEFAULT_TOP_K = 5
SCORE_TOP_K = 3
BASE64_ENVELOPE_BYTES = 1024
"""Room for the JSON around the base64 text of a picture."""


@dataclass(frozen=True, slots=True)
class _Work:
    """One request: who classifies, what is noted of it, and when its time is up."""

    gateway: ImageGateway
    record: RequestRecord
    deadline: float


class ImageRoutes:
    """`/v1/images/classify` and `/image/score`; without a gateway both answer 503."""

    def __init__(
        self,
        gateway: ImageGateway | None,
        readiness: Readiness,
        admission: Admission,
        settings: HttpSettings,
        capture: Capture | None = None,
    ):
        self._capture = capture
        self._gateway = gateway
        self._readiness = readiness
        self._admission = admission
        self._settings = settings

    async def classify(self, request: Request) -> Response:
        """Classifies one picture, or each of several files."""
        record = record_of(request, "/v1/images/classify")
        deadline = deadline_of(request, self._settings.deadline_s)
        top_k = _top_k(request)
        declared = media_type(request)
        if not (declared == "multipart/form-data" or is_json(declared) or is_picture(declared)):
            raise UnsupportedMediaType("send image/*, multipart/form-data or application/json")
        gateway = self._ready_gateway()
        uploads = await arrived(self._uploads(request, declared), deadline)
        work = _Work(gateway, record, deadline)
        if len(uploads) > 1:
            return await self._classify_many(uploads, top_k, work)
        (result,) = await self._run(uploads, top_k, work)
        if isinstance(result, ScoringError):
            raise result
        return json_answer(
            {
                "predictions": orjson.Fragment(result.predictions),
                "model": model_json(result.model),
                "timing": note_classified(record, [result]),
            }
        )

    async def score(self, request: Request) -> Response:
        """The three best classes of each field, as the reference implementation answers."""
        record = record_of(request, "/image/score")
        deadline = deadline_of(request, self._settings.deadline_s)
        if media_type(request) != "multipart/form-data":
            raise UnsupportedMediaType("send multipart/form-data")
        gateway = self._ready_gateway()
        limit_bytes = self._settings.multipart_limit_bytes
        uploads = await arrived(read_uploads(request, limit_bytes), deadline)
        fields = [upload.field for upload in uploads]
        if twice := {field for field in fields if fields.count(field) > 1}:
            raise ContradictoryFields("each field may carry one file", field=min(twice))
        work = _Work(gateway, record, deadline)
        results = await self._run(uploads, SCORE_TOP_K, work, Form.TRIPLES)
        answer = {}
        for field, result in zip(fields, results, strict=True):
            if isinstance(result, ScoringError):
                result.field = field
                raise result
            answer[field] = orjson.Fragment(result.predictions)
        note_classified(record, [result for result in results if isinstance(result, Classified)])
        return json_answer([answer, f"Computed in {record.elapsed_ms():.0f} ms"])

    async def _classify_many(self, uploads: Sequence[Upload], top_k: int, work: _Work) -> Response:
        results = await self._run(uploads, top_k, work)
        scored = [result for result in results if isinstance(result, Classified)]
        identity = scored[0].model if scored else self._readiness.status("image").identity
        return json_answer(
            {
                "results": [
                    {"filename": upload.filename, **_outcome(result)}
                    for upload, result in zip(uploads, results, strict=True)
                ],
                "model": identity and model_json(identity),
                "timing": note_classified(work.record, scored),
            }
        )

    async def _run(
        self, uploads: Sequence[Upload], top_k: int, work: _Work, form: Form = Form.OBJECTS
    ) -> list[Classified | ScoringError]:
        files = [upload.data for upload in uploads]
        work.record.items = len(files)
        work.record.request_bytes = sum(map(len, files))
        if work.record.caller is not None:
            self._admission.count_images(work.record.caller, len(files))
        limit_bytes = self._settings.image_limit_bytes
        small = [data for data in files if len(data) <= limit_bytes]
        scored = iter(await work.gateway.classify(small, top_k, work.deadline, form))
        results = [
            next(scored)
            if len(data) <= limit_bytes
            else BodyTooLarge(f"a picture may have {limit_bytes:,} bytes")
            for data in files
        ]
        if self._capture is not None:
            self._capture.pictures(work.record, files, results)
        return results

    def _ready_gateway(self) -> ImageGateway:
        """The gateway, where the model can answer and has room; else no body is read."""
        self._readiness.require("image")
        if self._gateway is None:
            raise RuntimeError("the image model is deployed but the router has no way to it")
        self._gateway.require_room()
        return self._gateway

    async def _uploads(self, request: Request, declared: str) -> Sequence[Upload]:
        if declared == "multipart/form-data":
            return await read_uploads(request, self._settings.multipart_limit_bytes)
        if is_json(declared):
            return [Upload("image", "", await self._base64(request))]
        return [Upload("image", "", await read_body(request, self._settings.image_limit_bytes))]

    async def _base64(self, request: Request) -> bytes:
        limit_bytes = self._settings.image_limit_bytes
        body = await read_body(request, limit_bytes * 4 // 3 + BASE64_ENVELOPE_BYTES)
        try:
            return base64.b64decode(parse_image(body).image, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidBase64("image must be base64 (RFC 4648)", field="image") from None


def _top_k(request: Request) -> int:
    for name in request.query_params:
        if name != "top_k":
            raise UnknownField(f"{name} is not a parameter of this route", field=name)
    top_k = whole_number("top_k", request.query_params.getlist("top_k"), most_digits=9)
    if top_k is None:
        return DEFAULT_TOP_K
    if not 1 <= top_k <= TOP_K_IMAGE:
        raise OutOfRange(f"top_k must be 1 to {TOP_K_IMAGE}", field="top_k")
    return top_k


def _outcome(result: Classified | ScoringError) -> dict[str, Any]:
    if isinstance(result, ScoringError):
        return {"problem": result.problem()}
    return {"predictions": orjson.Fragment(result.predictions)}


def note_classified(record: RequestRecord, scored: Sequence[Classified]) -> dict[str, float]:
    """Notes who classified, and returns the answer's `timing`."""
    if scored:
        record.model = scored[0].model
    record.timing = {
        "decode_ms": round(max((item.decode_ms for item in scored), default=0.0), 3),
        "queue_ms": round(max((item.queue_ms for item in scored), default=0.0), 3),
        "inference_ms": round(max((item.inference_ms for item in scored), default=0.0), 3),
    }
    return {**record.timing, "total_ms": round(record.elapsed_ms(), 3)}
