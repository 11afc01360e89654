"""The OpenAPI 3.1 description, built from the schemas; its examples work as they stand."""

import base64
import struct
import zlib
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serve_app.errors import ScoringError, error_classes
from serve_app.http import schemas
from serve_app.http.deadlines import TIMEOUT_HEADER
from serve_app.oip import openapi as protocol

REFERENCE = "#/components/schemas/{model}"
QUESTION = {"question": "what is a closure", "top_k": 3}
QUESTIONS = {"questions": ["what is a promise", "why is 0.1 + 0.2 not 0.3"], "top_k": 1}

Json = dict[str, Any]


def openapi() -> Json:
    """The whole document."""
    models: list[type[BaseModel]] = [
        schemas.RankRequest,
        schemas.FaqScoreRequest,
        schemas.ImageRequest,
        schemas.RankResponse,
        schemas.RankManyResponse,
        schemas.ClassifyResponse,
        schemas.ClassifyManyResponse,
        schemas.Problem,
        schemas.Readiness,
    ]
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=REFERENCE
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "realtime-scoring",
            "version": "1",
            "description": "FAQ matching and image classification on Ray Serve.",
        },
        "paths": _paths(),
        "components": {"schemas": definitions["$defs"]},
    }


def example_png() -> bytes:
    """A 2 x 2 PNG (ISO/IEC 15948), the smallest picture worth showing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    rows = b"\0\xff\x80\0\0\x80\xff" + b"\0\x20\xc0\x40\xff\xff\xff"
    header = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def _paths() -> Json:
    return {
        "/v1/faq/rank": {"post": _rank()},
        "/v1/images/classify": {"post": _classify()},
        "/faq/score": {"post": _faq_score()},
        "/image/score": {"post": _image_score()},
        "/healthz": {"get": _get("Whether the process lives", "system", {"type": "object"})},
        "/readyz": {"get": _ready("Whether every model has loaded")},
        "/readyz/faq": {"get": _ready("Whether the FAQ ranker can answer")},
        "/readyz/image": {"get": _ready("Whether the image classifier can answer")},
        "/metrics": {"get": _metrics()},
        **protocol.paths(_timeout(), _problems(), base64.b64encode(example_png()).decode()),
    }


def _rank() -> Json:
    body = {
        "schema": _ref(schemas.RankRequest),
        "examples": {
            "one question": {"value": QUESTION},
            "many questions": {"value": QUESTIONS},
        },
    }
    answer = {"oneOf": [_ref(schemas.RankResponse), _ref(schemas.RankManyResponse)]}
    return {
        "summary": "Rank the FAQs for a question, or for each of up to 256",
        "tags": ["faq"],
        "parameters": [_timeout()],
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": {"200": _json("The matches, best first", answer), **_problems()},
    }


def _classify() -> Json:
    encoded = base64.b64encode(example_png()).decode()
    content = {
        "application/json": {
            "schema": _ref(schemas.ImageRequest),
            "examples": {"a 2 x 2 PNG": {"value": {"image": encoded}}},
        },
        "image/*": {"schema": {"type": "string", "format": "binary"}},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        "multipart/form-data": {"schema": _files("1 to 64 files, any field names")},
    }
    answer = {"oneOf": [_ref(schemas.ClassifyResponse), _ref(schemas.ClassifyManyResponse)]}
    top_k = {
        "name": "top_k",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 5},
        "example": 3,
    }
    return {
        "summary": "Classify a picture, or each of up to 64",
        "tags": ["images"],
        "parameters": [top_k, _timeout()],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": _json("The classes, best first", answer), **_problems()},
    }


def _faq_score() -> Json:
    body = {
        "schema": _ref(schemas.FaqScoreRequest),
        "examples": {"a question": {"value": {"input": QUESTION["question"]}}},
    }
    answer = {"type": "array", "items": {"type": "array", "description": "id, answer_id, prob."}}
    return {
        "summary": "Every FAQ with its probability, in the form of the reference implementation",
        "tags": ["reference"],
        "parameters": [_timeout()],
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": {"200": _json("Up to 1,000 FAQs, best first", answer), **_problems()},
    }


def _image_score() -> Json:
    content = {"multipart/form-data": {"schema": _files("one or more pictures")}}
    return {
        "summary": "Three classes of each picture, in the form of the reference implementation",
        "tags": ["reference"],
        "parameters": [_timeout()],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": _json("The classes", {"type": "array"}), **_problems()},
    }


def _timeout() -> Json:
    return {
        "name": TIMEOUT_HEADER,
        "in": "header",
        "description": "Milliseconds from the request's start after which the answer is 504 and "
        "what has not begun is not computed; more than the service's own limit changes nothing.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 2000,
    }


def _ready(summary: str) -> Json:
    readiness = _ref(schemas.Readiness)
    operation = _get(summary, "system", readiness)
    operation["responses"]["503"] = _json("Not ready; the state says why", readiness)
    return operation


def _metrics() -> Json:
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "summary": "Prometheus text of the whole application",
        "tags": ["system"],
        "responses": {"200": {"description": "All replicas on all nodes", "content": text}},
    }


def _get(summary: str, tag: str, schema: Json) -> Json:
    return {"summary": summary, "tags": [tag], "responses": {"200": _json("OK", schema)}}


def _files(description: str) -> Json:
    binary = {"type": "string", "format": "binary"}
    return {
        "type": "object",
        "description": description,
        "properties": {"image": binary},
        "additionalProperties": binary,
    }


def _problems() -> Json:
    codes: dict[int, list[str]] = {}
    for error in error_classes(ScoringError):
        if error.status not in (404, 405, 500):
            codes.setdefault(error.status, []).append(error.code)
    problem = {"application/problem+json": {"schema": _ref(schemas.Problem)}}
    return {
        str(status): {"description": ", ".join(names), "content": problem}
        for status, names in sorted(codes.items())
    }


def _json(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _ref(model: type[BaseModel]) -> Json:
    return {"$ref": REFERENCE.format(model=model.__name__)}
