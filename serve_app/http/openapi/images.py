"""The image scenario."""

import base64

from pydantic import BaseModel

from serve_app.http import schemas
from serve_app.http.openapi.elements import Json, json_answer, ref, scoring
from serve_app.http.openapi.picture import example_png

MODELS: tuple[type[BaseModel], ...] = (
    schemas.ImageRequest,
    schemas.ClassifyResponse,
    schemas.ClassifyManyResponse,
)
BINARY: Json = {"type": "string", "format": "binary"}
TOP_K: Json = {
    "name": "top_k",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": schemas.TOP_K_IMAGE, "default": 5},
    "example": 3,
}


def paths() -> Json:
    """Its paths."""
    return {"/v1/images/classify": {"post": _classify()}, "/image/score": {"post": _score()}}


def _classify() -> Json:
    encoded = base64.b64encode(example_png()).decode()
    content = {
        "application/json": {
            "schema": ref(schemas.ImageRequest),
            "examples": {"a 2 x 2 PNG": {"value": {"image": encoded}}},
        },
        "image/*": {"schema": BINARY},
        "application/octet-stream": {"schema": BINARY},
        "multipart/form-data": {"schema": _files("1 to 64 files, any field names")},
    }
    answer = {"oneOf": [ref(schemas.ClassifyResponse), ref(schemas.ClassifyManyResponse)]}
    return scoring(
        summary="Classify a picture, or each of up to 64",
        tag="images",
        content=content,
        answer=json_answer("The classes, best first", answer),
        parameters=[TOP_K],
    )


def _score() -> Json:
    return scoring(
        summary="Three classes of each picture, in the form of the reference implementation",
        tag="reference",
        content={"multipart/form-data": {"schema": _files("one or more pictures")}},
        answer=json_answer("The classes", {"type": "array"}),
    )


def _files(description: str) -> Json:
    return {
        "type": "object",
        "description": description,
        "properties": {"image": BINARY},
        "additionalProperties": BINARY,
        "minProperties": 1,
    }
