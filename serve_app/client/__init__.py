"""The Python client of the service: `ScoringClient`, and `AsyncScoringClient` for asyncio.

It knows the service by its HTTP API alone, and needs httpx and msgspec beside the standard library.
"""

from serve_app.client.asynchronous import AsyncScoringClient
from serve_app.client.errors import (
    DeadlinePassed,
    Forbidden,
    InvalidRequest,
    Overloaded,
    QuotaExceeded,
    ScoringServiceError,
    ServiceFailed,
    TransportFailed,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from serve_app.client.requests import Picture
from serve_app.client.results import (
    Classification,
    Match,
    Model,
    ModelState,
    Prediction,
    Ranking,
    Readiness,
    RefusedPicture,
    Timing,
)
from serve_app.client.retries import Retries
from serve_app.client.synchronous import ScoringClient

__all__ = [
    "AsyncScoringClient",
    "Classification",
    "DeadlinePassed",
    "Forbidden",
    "InvalidRequest",
    "Match",
    "Model",
    "ModelState",
    "Overloaded",
    "Picture",
    "Prediction",
    "QuotaExceeded",
    "Ranking",
    "Readiness",
    "RefusedPicture",
    "Retries",
    "ScoringClient",
    "ScoringServiceError",
    "ServiceFailed",
    "Timing",
    "TransportFailed",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
]
