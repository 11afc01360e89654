"""A few requests to one cluster, through a port-forward, before (and after) it has the traffic."""

import contextlib
import io
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import httpx
from PIL import Image

from kuberay.rollout.errors import RolloutError
from serve_app.client import (
    ModelState,
    Overloaded,
    Retries,
    ScoringClient,
    ScoringServiceError,
    ServiceFailed,
    TransportFailed,
    UnexpectedAnswer,
)
from serve_app.client.answers import readiness

PORT = 8000
ROLES = ("faq", "image")
QUESTION = "How do I reset my password?"
PAUSE_S = 0.5
REQUEST_S = 20.0
PICTURE_SIZE = (64, 64)

PASSING = (TransportFailed, Overloaded, ServiceFailed, UnexpectedAnswer)
"""What may be over in a moment: a proxy that has not yet learned of the replicas."""


class SmokeFailed(RolloutError):
    """The cluster did not answer as it should."""


@dataclass(frozen=True)
class Smoke:
    """What to ask and expect.

    `expected` is the version that must serve in each role, such as `{"faq": "3"}`; `timeout_s` is
    for the whole test.
    """

    key: str | None = field(default=None, repr=False)
    expected: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 60.0
    question: str = QUESTION

    def run(self, url: str) -> "SmokeResult":
        """Asks one cluster. Raises SmokeFailed where it does not answer in time, or wrongly."""
        deadline = time.monotonic() + self.timeout_s
        retries = Retries(refused=0, unreachable=0)
        with (
            ScoringClient(url, key=self.key, timeout_s=REQUEST_S, retries=retries) as client,
            httpx.Client(base_url=url, timeout=REQUEST_S, trust_env=False) as http,
        ):
            while True:
                try:
                    return self._once(client, http)
                except (_NotYet, *PASSING) as error:
                    left_s = deadline - time.monotonic()
                    if left_s <= 0:
                        why = f"no good answer in {self.timeout_s:.0f} s: {error}"
                        raise SmokeFailed(why) from error
                    time.sleep(min(PAUSE_S, left_s))
                except ScoringServiceError as error:
                    raise SmokeFailed(str(error)) from error

    def _once(self, client: ScoringClient, http: httpx.Client) -> "SmokeResult":
        steps: list[Step] = []
        with _timed(steps, "/readyz") as said:
            if not client.ready().is_ready:
                raise _NotYet("a model is loading")
            states = {role: state for role in ROLES if (state := _state(http, role)) is not None}
            said += [f"{role} {state.state} {state.version}" for role, state in states.items()]
        for role, version in self.expected.items():
            found = states[role].version if role in states else None
            if found != version:
                raise SmokeFailed(f"the {role} model has version {found}, not {version}")
        with _timed(steps, "question") as said:
            ranking = client.rank(self.question, top_k=1)
            if not ranking.matches:
                raise SmokeFailed("the question has an answer without a match")
            best = ranking.matches[0]
            said.append(f"{best.id} {best.probability:.1%} by version {ranking.model.version}")
        # A classifier that is scaled to zero is left alone: asking it would start a GPU node.
        if "image" in states and states["image"].state == "ready":
            with _timed(steps, "picture") as said:
                classification = client.classify(picture(), top_k=1)
                first = classification.predictions[0]
                said.append(f"{first.label} by version {classification.model.version}")
        return SmokeResult(tuple(steps))


@dataclass(frozen=True)
class Step:
    """One request: how long it took, and what came."""

    name: str
    seconds: float
    said: str

    def __str__(self) -> str:
        return f"{self.name} {self.seconds * 1000:.0f} ms: {self.said}"


@dataclass(frozen=True)
class SmokeResult:
    """A smoke test that passed."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "; ".join(map(str, self.steps))


class _NotYet(Exception):
    """An answer that may be another one in a moment."""


def picture() -> bytes:
    """A small PNG."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize(PICTURE_SIZE).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def _state(http: httpx.Client, role: str) -> ModelState | None:
    """The state of the model in one role; None where the service has no such role."""
    try:
        answer = http.get(f"/readyz/{role}")
    except httpx.HTTPError as error:
        raise _NotYet(f"/readyz/{role}: {error!r}") from error
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None
    if answer.status_code not in (httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE):
        raise _NotYet(f"/readyz/{role} answers {answer.status_code}")
    try:
        return readiness(answer.content).models[0]
    except (ValueError, IndexError) as error:
        raise _NotYet(f"/readyz/{role} answers with what is no readiness") from error


@contextlib.contextmanager
def _timed(steps: list["Step"], name: str) -> Iterator[list[str]]:
    """Appends a step for the block: its time, and what the block says."""
    said: list[str] = []
    begun = time.perf_counter()
    yield said
    steps.append(Step(name, time.perf_counter() - begun, ", ".join(said)))
