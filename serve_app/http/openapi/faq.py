"""The FAQ scenario."""

from typing import Any

from pydantic import BaseModel

from serve_app.errors import ScoringError, error_classes
from serve_app.http import schemas
from serve_app.http.openapi.elements import (
    Json,
    json_answer,
    problems,
    reading,
    ref,
    scoring,
    timeout,
)

MODELS: tuple[type[BaseModel], ...] = (
    schemas.RankRequest,
    schemas.FaqScoreRequest,
    schemas.RankResponse,
    schemas.RankManyResponse,
    schemas.ExamplesResponse,
)
QUESTION = {"question": "what is a closure", "top_k": 3}
QUESTIONS = {"questions": ["what is a promise", "why is 0.1 + 0.2 not 0.3"], "top_k": 1}


def paths() -> Json:
    """Its paths."""
    return {
        "/v1/faq/rank": {"post": _rank()},
        "/v1/faq/examples": {"get": _examples()},
        "/faq/score": {"post": _score()},
    }


def _rank() -> Json:
    answer = {"oneOf": [ref(schemas.RankResponse), ref(schemas.RankManyResponse)]}
    examples = {"one question": {"value": QUESTION}, "many questions": {"value": QUESTIONS}}
    return scoring(
        summary="Rank the FAQs for a question, or for each of up to 256",
        tag="faq",
        content=_body(schemas.RankRequest, examples),
        answer=json_answer("The matches, best first", answer),
    )


def _score() -> Json:
    answer = {"type": "array", "items": {"type": "array", "description": "id, answer_id, prob."}}
    return scoring(
        summary="Every FAQ with its probability, in the form of the reference implementation",
        tag="reference",
        content=_body(
            schemas.FaqScoreRequest, {"a question": {"value": {"input": QUESTION["question"]}}}
        ),
        answer=json_answer("Up to 1,000 FAQs, best first", answer),
    )


def _examples() -> Json:
    operation = reading(
        summary="Duplicates whose right FAQ is known, to try the model with",
        tag="faq",
        answer=json_answer("Up to 24 questions", ref(schemas.ExamplesResponse)),
        admitted=True,
    )
    operation["parameters"] = [timeout()]
    late = (error for error in error_classes(ScoringError) if error.status in (422, 503, 504))
    operation["responses"].update(problems(late))
    return operation


def _body(model: type[BaseModel], examples: dict[str, Any]) -> Json:
    return {"application/json": {"schema": ref(model), "examples": examples}}
