"""The Open Inference Protocol; the examples work as they stand."""

import base64
from collections.abc import Iterable

from pydantic import BaseModel

from serve_app.errors import NotFound, ScoringError, error_classes
from serve_app.http.openapi.elements import (
    ADMITTED,
    READING_ERRORS,
    REQUEST_ID,
    Json,
    json_answer,
    problems,
    timeout,
)
from serve_app.http.openapi.picture import example_png
from serve_app.oip.models import FAQ, IMAGE, ModelSpec

MODELS: tuple[type[BaseModel], ...] = ()
TAG = "open inference protocol"

PARAMETERS: Json = {
    "type": "object",
    "additionalProperties": {"type": ["boolean", "number", "string"]},
}
TENSOR: Json = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "datatype": {"enum": ["BYTES", "UINT8", "INT64", "FP32"]},
        "parameters": PARAMETERS,
        "data": {"type": "array", "description": "flat or nested; absent with binary_data_size"},
    },
}
OUTPUT: Json = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {"name": {"type": "string"}, "parameters": PARAMETERS},
}
REQUEST: Json = {
    "type": "object",
    "required": ["inputs"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string"},
        "parameters": {**PARAMETERS, "description": "top_k; timeout (us); binary_data_output"},
        "inputs": {"type": "array", "items": TENSOR, "minItems": 1, "maxItems": 1},
        "outputs": {"type": ["array", "null"], "items": OUTPUT},
        "model_name": {"type": ["string", "null"]},
        "model_version": {"type": ["string", "null"]},
    },
}
RESPONSE: Json = {
    "type": "object",
    "required": ["model_name", "model_version", "parameters", "outputs"],
    "properties": {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "id": {"type": "string"},
        "parameters": {
            "type": "object",
            "required": ["digest"],
            "properties": {"digest": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}},
        },
        "outputs": {"type": "array", "items": TENSOR},
    },
}
ERROR: Json = {
    "type": "object",
    "required": ["error", "code"],
    "properties": {
        "error": {"type": "string"},
        "code": {"type": "string"},
        "instance": {"type": "string"},
    },
}
MODEL = "/v2/models/{name}"
VERSION = "/versions/{version}"


def paths() -> Json:
    """Its paths."""
    described: Json = {
        "/v2": {"get": _get("The server, and the extensions that it has")},
        "/v2/health/live": {"get": _get("Whether the process lives")},
        "/v2/health/ready": {"get": _get("Whether every model has loaded", ready=True)},
    }
    picture = base64.b64encode(example_png()).decode()
    questions = _tensor("question", ["what is a closure"])
    for spec, example in ((FAQ, questions), (IMAGE, _tensor("image", [picture]))):
        for version in ("", VERSION):
            infer = _infer(spec, example, version)
            described[f"/v2/models/{spec.name}{version}/infer"] = {"post": infer}
    for path, parameters in ((MODEL, [_name()]), (MODEL + VERSION, [_name(), _version()])):
        described[path] = {"get": _get("A model's tensors and its version", parameters)}
        ready = _get("Whether a model can answer", parameters, ready=True)
        described[f"{path}/ready"] = {"get": ready}
    return described


def _infer(spec: ModelSpec, example: Json, version: str) -> Json:
    body = {
        "schema": REQUEST,
        # A version has no example: which one serves is not known here.
        **({} if version else {"examples": {"JSON": {"value": {"inputs": [example]}}}}),
    }
    octets = {"schema": {"type": "string", "format": "binary"}}
    outputs = ", ".join(tensor.name for tensor in spec.outputs)
    answer = {
        "description": "The outputs; as octets where any is asked for as binary data",
        "headers": REQUEST_ID,
        "content": {
            "application/json": {"schema": RESPONSE},
            "application/octet-stream": octets,
        },
    }
    return {
        "summary": f"Open Inference Protocol: {outputs} for each {spec.inputs[0].name}",
        "tags": [TAG],
        "security": ADMITTED,
        "parameters": [timeout(), _length(), *([_version()] if version else [])],
        "requestBody": {
            "required": True,
            "content": {"application/json": body, "application/octet-stream": octets},
        },
        "responses": {"200": answer, **_errors(error_classes(ScoringError))},
    }


def _errors(errors: Iterable[type[ScoringError]]) -> Json:
    """The same answers as elsewhere, in the protocol's own form."""
    content = {"application/json": {"schema": ERROR}}
    return {status: {**each, "content": content} for status, each in problems(errors).items()}


def _tensor(name: str, data: list[str]) -> Json:
    return {"name": name, "shape": [len(data)], "datatype": "BYTES", "data": data}


def _get(summary: str, parameters: Iterable[Json] = (), ready: bool = False) -> Json:
    answers = {"200": json_answer("OK", {"type": "object"})}
    if ready:
        answers["503"] = json_answer("Not ready", {"type": "object"})
    errors = [*READING_ERRORS, *([NotFound] if parameters else [])]
    return {
        "summary": summary,
        "tags": [TAG],
        "parameters": list(parameters),
        "responses": {**answers, **_errors(errors)},
    }


def _name() -> Json:
    schema = {"enum": [FAQ.name, IMAGE.name]}
    return {"name": "name", "in": "path", "required": True, "schema": schema}


def _version() -> Json:
    return {"name": "version", "in": "path", "required": True, "schema": {"type": "string"}}


def _length() -> Json:
    return {
        "name": "Inference-Header-Content-Length",
        "in": "header",
        "description": "Length of the JSON, where raw bytes follow it.",
        "schema": {"type": "integer", "minimum": 0},
    }
