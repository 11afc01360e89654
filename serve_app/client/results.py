"""What calls return: frozen, typed, as the service's answers say it.

Fields that a later service adds to its answers are ignored.
"""

from typing import Literal

from msgspec import Struct


class Model(Struct, frozen=True):
    """The model that made a result."""

    name: str
    version: str
    digest: str


class Timing(Struct, frozen=True):
    """Where the service's time went, in milliseconds; only pictures are decoded."""

    queue_ms: float
    inference_ms: float
    total_ms: float
    decode_ms: float | None = None


class Match(Struct, frozen=True):
    """One FAQ and the probability that the question asks it."""

    id: str
    answer_id: str
    question: str
    probability: float
    answer: str | None = None


class Ranking(Struct, frozen=True):
    """The matches of one question, best first.

    `matched` says whether the best probability reaches the model's threshold.
    """

    matches: tuple[Match, ...]
    matched: bool
    model: Model
    timing: Timing


class Prediction(Struct, frozen=True):
    """One class and its probability."""

    class_index: int
    label: str
    probability: float


class Classification(Struct, frozen=True):
    """The best classes of one picture, best first."""

    predictions: tuple[Prediction, ...]
    model: Model
    timing: Timing


class RefusedPicture(Struct, frozen=True):
    """One picture of several that cannot be classified; its neighbours can."""

    code: str
    detail: str


class ModelState(Struct, frozen=True):
    """Whether one model can answer."""

    name: str
    state: Literal["loading", "ready", "unavailable", "scaled_to_zero"]
    version: str | None = None
    digest: str | None = None


class Readiness(Struct, frozen=True):
    """Whether the service can answer, and each of its models."""

    status: Literal["ready", "loading"]
    models: tuple[ModelState, ...]

    @property
    def is_ready(self) -> bool:
        """No model is loading any more; one may be unavailable all the same."""
        return self.status == "ready"
