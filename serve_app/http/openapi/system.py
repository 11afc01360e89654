"""The service itself."""

from pydantic import BaseModel

from serve_app.http import schemas
from serve_app.http.openapi.elements import Json, answer_of, json_answer, reading, ref

MODELS: tuple[type[BaseModel], ...] = (schemas.Readiness,)
TAG = "system"


def paths() -> Json:
    """Its paths."""
    return {
        "/healthz": {"get": _health()},
        "/readyz": {"get": _ready("Whether every model has loaded")},
        "/readyz/faq": {"get": _ready("Whether the FAQ ranker can answer")},
        "/readyz/image": {"get": _ready("Whether the image classifier can answer")},
        "/metrics": {"get": _metrics()},
    }


def _health() -> Json:
    alive = json_answer("OK", {"type": "object"})
    return reading(summary="Whether the process lives", tag=TAG, answer=alive)


def _ready(summary: str) -> Json:
    readiness = ref(schemas.Readiness)
    operation = reading(summary=summary, tag=TAG, answer=json_answer("OK", readiness))
    operation["responses"]["503"] = json_answer("Not ready; the state says why", readiness)
    return operation


def _metrics() -> Json:
    text = answer_of("All replicas on all nodes", "text/plain", {"type": "string"})
    return reading(
        summary="Prometheus text of the whole application", tag=TAG, answer=text, admitted=True
    )
