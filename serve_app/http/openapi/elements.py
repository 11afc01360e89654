"""What operations share: answers, problems, headers and parameters."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from serve_app.errors import (
    HeaderNotAllowed,
    HeadersTooLarge,
    InternalError,
    MethodNotAllowed,
    QuotaExceeded,
    ScopeMissing,
    ScoringError,
    error_classes,
)
from serve_app.http import schemas
from serve_app.http.deadlines import MOST_DIGITS, TIMEOUT_HEADER

Json = dict[str, Any]
REFERENCE = "#/components/schemas/{model}"
PROBLEM_JSON = "application/problem+json"

ADMITTED: list[Json] = [{}, {"key": []}, {"bearer": []}]
"""Whether a caller needs credentials at all is a setting."""

READING_ERRORS: tuple[type[ScoringError], ...] = (
    *(HeaderNotAllowed, MethodNotAllowed, HeadersTooLarge, InternalError),
)
"""What every operation may answer."""

TEXT: Json = {"type": "string"}
REQUEST_ID = {
    "X-Request-Id": {"description": "the client's, or one made for the request", "schema": TEXT}
}
SECONDS = {
    "description": "seconds after which to ask again",
    "schema": {"type": "integer", "minimum": 0},
}
HEADERS: dict[int, Json] = {
    401: {"WWW-Authenticate": {"description": "RFC 9110, section 11.6.1", "schema": TEXT}},
    405: {"Allow": {"description": "the methods of the path", "required": True, "schema": TEXT}},
    429: {
        "Retry-After": {**SECONDS, "required": True},
        "RateLimit": {"description": "what is left (IETF draft)", "schema": TEXT},
        "RateLimit-Policy": {"description": "the quota (IETF draft)", "schema": TEXT},
    },
    503: {"Retry-After": SECONDS},
}
"""Headers of problems by status, beside the request's id."""


def scoring(
    *, summary: str, tag: str, content: Json, answer: Json, parameters: Iterable[Json] = ()
) -> Json:
    """An operation that scores: it has a body, a deadline and credentials."""
    return {
        "summary": summary,
        "tags": [tag],
        "security": ADMITTED,
        "parameters": [*parameters, timeout()],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": answer, **problems(error_classes(ScoringError))},
    }


def reading(*, summary: str, tag: str, answer: Json, admitted: bool = False) -> Json:
    """An operation without a body; `admitted` callers alone may ask for some."""
    errors = list(READING_ERRORS)
    operation: Json = {"summary": summary, "tags": [tag]}
    if admitted:
        operation["security"] = ADMITTED
        refusals = (error for error in error_classes(ScoringError) if error.status == 401)
        errors += [*refusals, ScopeMissing, QuotaExceeded]
    return {**operation, "responses": {"200": answer, **problems(errors)}}


def problems(errors: Iterable[type[ScoringError]]) -> Json:
    """The answers for these errors, by status."""
    codes: dict[int, list[str]] = {}
    for error in errors:
        codes.setdefault(error.status, []).append(error.code)
    content = {PROBLEM_JSON: {"schema": ref(schemas.Problem)}}
    return {
        str(status): {
            "description": ", ".join(names),
            "headers": {**REQUEST_ID, **HEADERS.get(status, {})},
            "content": content,
        }
        for status, names in sorted(codes.items())
    }


def json_answer(description: str, schema: Json) -> Json:
    """An answer in JSON."""
    return answer_of(description, "application/json", schema)


def answer_of(description: str, media: str, schema: Json) -> Json:
    """An answer of one content type."""
    return {
        "description": description,
        "headers": REQUEST_ID,
        "content": {media: {"schema": schema}},
    }


def timeout() -> Json:
    """The parameter by which a client asks for less time."""
    return {
        "name": TIMEOUT_HEADER,
        "in": "header",
        "description": "Milliseconds from the request's start after which the answer is 504 and "
        "what has not begun is not computed; more than the service's own limit changes nothing.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 10**MOST_DIGITS - 1},
        "example": 2000,
    }


def ref(model: type[BaseModel]) -> Json:
    """A reference to a schema."""
    return {"$ref": REFERENCE.format(model=model.__name__)}
