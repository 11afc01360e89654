"""What travels between the Router and the model deployments.

Matches and predictions are encoded as JSON where they are made, in the model's own process, so
that the Router, which every request passes, splices bytes and builds no objects. Named tuples,
because pickle writes them several times faster than dataclasses.
"""

from enum import StrEnum
from typing import Any, NamedTuple


class Form(StrEnum):
    """How a result is written: objects (version 1) or bare triples (the reference's routes)."""

    OBJECTS = "objects"
    TRIPLES = "triples"


class ModelIdentity(NamedTuple):
    """The model that made an answer: registry name, version, `sha256:` digest of its artifact."""

    name: str
    version: str
    digest: str


class RefusedVersion(NamedTuple):
    """A version that the alias names but that failed its checks; the reason is for clients."""

    version: str
    reason: str


class VersionStatus(NamedTuple):
    """The model that one replica answers with, and what it refused to change to."""

    model: ModelIdentity
    refused: RefusedVersion | None


class KnownDuplicate(NamedTuple):
    """A question that people asked, and the AnswerId of the FAQ that it is a duplicate of."""

    question: str
    answer_id: str


class KnownDuplicates(NamedTuple):
    """What a model has to try it with; none where nothing is stored beside it."""

    model: ModelIdentity
    duplicates: tuple[KnownDuplicate, ...]


class EngineStatus(NamedTuple):
    """How one replica of the classifier computes: what its warm-up or a setting chose.

    `concurrency` is how many batches may be under way at a time; `batch_sizes` are the sizes that
    its forward passes have, ascending.
    """

    device: str
    precision: str
    execution: str
    concurrency: int
    batch_sizes: tuple[int, ...]


class ClassifierStatus(NamedTuple):
    """What one replica of the classifier is, and how many pictures it takes on at a time."""

    engine: EngineStatus
    capacity: int


class Question(NamedTuple):
    """One question to rank: at most `top_k` matches of at least `min_probability`.

    `model`, where given, is the version whose answer is wanted, while replicas change over.
    `trace` is the `traceparent` of the span that it belongs to, where that is sampled.
    """

    text: str
    top_k: int
    min_probability: float = 0.0
    form: Form = Form.OBJECTS
    model: ModelIdentity | None = None
    trace: str | None = None


class EncodedRanking(NamedTuple):
    """The matches of one question as a JSON array, best first."""

    matches: bytes
    matched: bool


class RankedBatch(NamedTuple):
    """The answers to one call, in the order of its questions; `inference_ms` is the whole call's.

    `largest_match_bytes` bounds one encoded match, so that the caller can bound the next answer.
    """

    model: ModelIdentity
    rankings: list[EncodedRanking]
    inference_ms: float
    largest_match_bytes: int


class Picture(NamedTuple):
    """One decoded picture: `pixels` is uint8 (height, width, 3), RGB.

    `trace` is the `traceparent` of the span that it belongs to, where that is sampled.
    """

    pixels: Any
    top_k: int
    form: Form = Form.OBJECTS
    trace: str | None = None


class EncodedPrediction(NamedTuple):
    """The predictions for one picture as a JSON array, best first, and where its time went."""

    predictions: bytes
    queue_ms: float
    inference_ms: float


class Refusal(NamedTuple):
    """Why one item of a call was not scored; its neighbours were."""

    reason: str  # "overloaded", "deadline_passed", "out_of_memory" or "failed"
    retry_after_s: int | None = None


class ClassifiedBatch(NamedTuple):
    """The answers to one call, in the order of its pictures."""

    model: ModelIdentity
    results: list[EncodedPrediction | Refusal]
