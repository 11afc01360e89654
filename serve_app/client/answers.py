"""Reads the service's answers: results where it scored, an error where it did not."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

import msgspec
from msgspec import Struct

from serve_app.client.errors import ScoringServiceError, UnexpectedAnswer, class_of
from serve_app.client.results import (
    Classification,
    Match,
    Model,
    Prediction,
    Ranking,
    Readiness,
    RefusedPicture,
    Timing,
)
from serve_app.client.retry_after import retry_after_s

T = TypeVar("T")

REQUEST_ID = "x-request-id"
_INSTANCE = "urn:request:"


class _Ranked(Struct):
    matches: tuple[Match, ...]
    matched: bool


class _Rankings(Struct):
    results: list[_Ranked]
    model: Model
    timing: Timing


class _Problem(Struct):
    code: str
    detail: str = ""
    instance: str = ""


class _File(Struct):
    predictions: tuple[Prediction, ...] | None = None
    problem: _Problem | None = None


class _Files(Struct):
    results: list[_File]
    timing: Timing
    model: Model | None = None


class Misfit(ValueError):
    """A body that is none of the service's."""


def ranking(content: bytes) -> Ranking:
    """The answer to one question. Raises Misfit, as all of these do."""
    return _decoded(content, Ranking)


def rankings(content: bytes, count: int) -> tuple[Ranking, ...]:
    """The answers to `count` questions, in their order."""
    found = _decoded(content, _Rankings)
    _expect(len(found.results), count)
    return tuple(
        Ranking(item.matches, item.matched, found.model, found.timing) for item in found.results
    )


def classification(content: bytes) -> Classification:
    """The answer to one picture."""
    return _decoded(content, Classification)


def classifications(content: bytes, count: int) -> tuple[Classification | RefusedPicture, ...]:
    """The answers to `count` files, in their order."""
    found = _decoded(content, _Files)
    _expect(len(found.results), count)
    return tuple(_file(item, found) for item in found.results)


def readiness(content: bytes) -> Readiness:
    """The state of the service."""
    return _decoded(content, Readiness)


def error_of(
    status: int, headers: Mapping[str, str], content: bytes, now: datetime
) -> ScoringServiceError:
    """What an answer that holds no result stands for; `now` is for a `Retry-After` with a date."""
    try:
        problem = msgspec.json.decode(content, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return unexpected(status, headers)
    if status < 400:
        return unexpected(status, headers)
    said = headers.get("retry-after")
    return class_of(status, problem.code)(
        problem.code,
        problem.detail,
        status=status,
        request_id=_request_id(headers, problem),
        retry_after_s=None if said is None else retry_after_s(said, now),
    )


def unexpected(status: int, headers: Mapping[str, str]) -> UnexpectedAnswer:
    """Whatever listens there is not this service."""
    kind = headers.get("content-type", "no content type")
    return UnexpectedAnswer(
        "unexpected_answer",
        f"answered {status} with {kind}, not as this service does",
        status=status,
        request_id=headers.get(REQUEST_ID),
    )


def _request_id(headers: Mapping[str, str], problem: _Problem) -> str | None:
    said = headers.get(REQUEST_ID)
    if said is None and problem.instance.startswith(_INSTANCE):
        return problem.instance.removeprefix(_INSTANCE)
    return said


def _file(item: _File, found: _Files) -> Classification | RefusedPicture:
    if item.problem is not None:
        return RefusedPicture(item.problem.code, item.problem.detail)
    if item.predictions is None or found.model is None:
        raise Misfit("a file with neither predictions nor a problem")
    return Classification(item.predictions, found.model, found.timing)


def _decoded(content: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Misfit(str(error)) from error


def _expect(found: int, count: int) -> None:
    if found != count:
        raise Misfit(f"{found} results for {count} inputs")
