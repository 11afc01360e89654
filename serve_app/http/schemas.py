"""The JSON bodies of version 1: what requests may hold, and what answers look like.

Requests are validated with these models; answers are spliced from encoded parts for speed, and
the models here describe them for OpenAPI (a test holds both against each other).
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from serve_app.errors import (
    ContradictoryFields,
    InvalidField,
    MalformedJson,
    MissingField,
    OutOfRange,
    QuestionEmpty,
    QuestionTooLong,
    ScoringError,
    UnknownField,
)

QUESTION_CHARACTERS = 8192
QUESTIONS = 256
VISIBLE = r"[^\s\u001c-\u001f\u0085]"
"""What `str.strip` leaves; these five are no white space to JSON Schema (ECMA-262)."""
TOP_K_FAQ = 100
TOP_K_IMAGE = 1000


class Request(BaseModel):
    """A request body: no coercion, no unknown field."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


QuestionText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=QUESTION_CHARACTERS,
        examples=["How do I copy an array?"],
        json_schema_extra={"pattern": VISIBLE},
    ),
]


def _whole(value: Any) -> Any:
    """3.0 is the integer 3 (JSON Schema, "integer"), and some languages write it so."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _one_of_two(schema: dict[str, Any]) -> None:
    """Says what `parse_rank` checks: one of the two fields, and never null."""
    for name in ("question", "questions"):
        (present, _) = schema["properties"][name].pop("anyOf")
        schema["properties"][name] = present
    schema["oneOf"] = [{"required": ["question"]}, {"required": ["questions"]}]


class RankRequest(Request):
    """`POST /v1/faq/rank`: `question` or `questions`, never both."""

    model_config = ConfigDict(json_schema_extra=_one_of_two)

    question: QuestionText | None = None
    questions: Annotated[list[QuestionText], Field(min_length=1, max_length=QUESTIONS)] | None = (
        None
    )
    top_k: Annotated[int, BeforeValidator(_whole)] = Field(10, ge=1, le=TOP_K_FAQ)
    min_probability: float = Field(0.0, ge=0, le=1)


class FaqScoreRequest(Request):
    """`POST /faq/score`, as clients of Azure Machine Learning's reference implementation send."""

    input: QuestionText


class ImageRequest(Request):
    """`POST /v1/images/classify` with JSON."""

    image: str = Field(description="the picture's bytes, base64 (RFC 4648, section 4)")


class Model(BaseModel):
    """The model that made the answer."""

    name: str
    version: str
    digest: str = Field(pattern="^sha256:[0-9a-f]{64}$")


class Match(BaseModel):
    """One FAQ and the probability that the question asks it."""

    id: str
    answer_id: str
    question: str
    answer: str | None
    probability: float = Field(ge=0, le=1)


class RankTiming(BaseModel):
    """Where the time went, in milliseconds."""

    queue_ms: float
    inference_ms: float
    total_ms: float


class Ranked(BaseModel):
    """The matches of one question, best first."""

    matches: list[Match]
    matched: bool = Field(description="the best probability reaches the model's threshold")


class RankResponse(Ranked):
    """The answer to `question`."""

    model: Model
    timing: RankTiming


class RankManyResponse(BaseModel):
    """The answer to `questions`, in their order."""

    results: list[Ranked]
    model: Model
    timing: RankTiming


class KnownDuplicate(BaseModel):
    """A question to try, and the AnswerId of the FAQ that it is a duplicate of."""

    question: str
    answer_id: str


class ExamplesResponse(BaseModel):
    """Duplicates that are stored beside the model; it may rank their FAQs first, or not."""

    examples: list[KnownDuplicate]
    model: Model


class Prediction(BaseModel):
    """One class and its probability."""

    class_index: int = Field(ge=0)
    label: str
    probability: float = Field(ge=0, le=1)


class ClassifyTiming(RankTiming):
    """Where the time went, in milliseconds."""

    decode_ms: float


class ClassifyResponse(BaseModel):
    """The answer to one picture."""

    predictions: list[Prediction]
    model: Model
    timing: ClassifyTiming


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    field: str | None = None
    instance: str | None = None


class FileResult(BaseModel):
    """One file of several: its predictions, or its problem."""

    filename: str
    predictions: list[Prediction] | None = None
    problem: Problem | None = None


class ClassifyManyResponse(BaseModel):
    """The answer to two or more files, in their order."""

    results: list[FileResult]
    model: Model
    timing: ClassifyTiming


class RefusedVersion(BaseModel):
    """The version that the alias names, and why the replicas did not change to it."""

    version: str
    reason: str


class Engine(BaseModel):
    """How a model computes: what its replicas measured at their start, or a setting chose."""

    device: str = Field(examples=["cpu", "cuda:0"])
    precision: Literal["float32", "bfloat16", "float16"]
    execution: Literal["eager", "fused", "compiled", "graphs"]
    concurrency: int = Field(description="batches that may be under way at a time")
    batch_sizes: list[int] = Field(description="items in one forward pass, ascending")


class ModelState(BaseModel):
    """One model's readiness; `refused` where it should have changed to another version."""

    name: str
    version: str | None
    digest: str | None
    state: Literal["loading", "ready", "unavailable", "scaled_to_zero"]
    refused: RefusedVersion | None = None
    engine: Engine | None = None


class Readiness(BaseModel):
    """Whether the application, or one model, can answer."""

    status: Literal["ready", "loading"]
    models: list[ModelState]


T = TypeVar("T")

_rank_request = TypeAdapter(RankRequest)
_score_request = TypeAdapter(FaqScoreRequest)
_image_request = TypeAdapter(ImageRequest)


def parse_rank(body: bytes) -> RankRequest:
    """Validates the body of `/v1/faq/rank`; raises `MalformedJson` or an `InvalidRequest`."""
    request = _validate(_rank_request, body)
    for field in request.model_fields_set:
        if getattr(request, field) is None:
            raise InvalidField(f"{field}: null is not allowed", field=field)
    if request.question is None and request.questions is None:
        raise MissingField("give question or questions", field="question")
    if request.question is not None and request.questions is not None:
        raise ContradictoryFields("give question or questions, not both", field="questions")
    if request.question is not None:
        _refuse_blank(request.question, "question")
    for index, question in enumerate(request.questions or ()):
        _refuse_blank(question, f"questions[{index}]")
    return request


def rank_request(questions: list[str], top_k: int) -> RankRequest:
    """Validates questions that came otherwise; raises an `InvalidRequest`."""
    try:
        request = RankRequest(questions=questions, top_k=top_k)
    except ValidationError as error:
        raise _scoring_error(error.errors(include_url=False)[0]) from None
    for index, question in enumerate(questions):
        _refuse_blank(question, f"questions[{index}]")
    return request


def parse_faq_score(body: bytes) -> FaqScoreRequest:
    """Validates the body of `/faq/score`; raises `MalformedJson` or an `InvalidRequest`."""
    request = _validate(_score_request, body)
    _refuse_blank(request.input, "input")
    return request


def parse_image(body: bytes) -> ImageRequest:
    """Validates the JSON body of `/v1/images/classify`."""
    return _validate(_image_request, body)


def _validate(adapter: TypeAdapter[T], body: bytes) -> T:
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise _scoring_error(error.errors(include_url=False)[0]) from None


def _refuse_blank(question: str, field: str) -> None:
    if not question.strip():
        raise QuestionEmpty("a question needs at least one visible character", field=field)


def _scoring_error(issue: ErrorDetails) -> ScoringError:
    field = _field(issue["loc"])
    message = issue["msg"]
    match issue["type"]:
        case "json_invalid":
            return MalformedJson(message)
        case "missing":
            return MissingField(f"{field} is required", field=field)
        case "extra_forbidden":
            return UnknownField(f"{field} is not a field of this request", field=field)
        case "string_too_short":
            return QuestionEmpty("a question needs at least one visible character", field=field)
        case "string_too_long":
            limit = f"a question may have {QUESTION_CHARACTERS} characters"
            return QuestionTooLong(limit, field=field)
        case "too_short" | "too_long" | "greater_than_equal" | "less_than_equal" | "finite_number":
            return OutOfRange(f"{field}: {message}", field=field)
    return InvalidField(f"{field}: {message}" if field else message, field=field or None)


def _field(location: tuple[int | str, ...]) -> str:
    name = ""
    for part in location:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name
