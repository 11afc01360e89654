"""The client that blocks."""

import time
from collections.abc import Sequence
from contextlib import closing
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import httpx

from serve_app.client import requests
from serve_app.client.conversation import Answer, Clock, Reply, Send, TimeIsUp, converse
from serve_app.client.endpoint import DEFAULT_TIMEOUT_S, Endpoint
from serve_app.client.requests import Call, Picture
from serve_app.client.results import Classification, Ranking, Readiness, RefusedPicture
from serve_app.client.retries import Patience, Retries

T = TypeVar("T")


class ScoringClient:
    """Asks the service over connections that it keeps; several threads may share one client."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retries: Retries | None = None,
        connections: int = 16,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`timeout_s` is the total time of a call, all its attempts and waits included.

        The environment is not read: neither for a key, nor for a proxy, which a `transport` of
        httpx adds. Raises ValueError for a wrong address, key, time or number.
        """
        if connections < 1:
            raise ValueError("a client needs a connection")
        self._endpoint = Endpoint(url, key)
        self._timeout_s = positive(timeout_s)
        self._retries = retries or Retries()
        self._clock = Clock()
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        transport = transport or httpx.HTTPTransport(limits=limits, trust_env=False)
        self._http = httpx.Client(transport=transport, trust_env=False)

    def __repr__(self) -> str:
        return f"ScoringClient({self._endpoint.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections; the client cannot be used any more."""
        self._http.close()

    @overload
    def rank(
        self,
        question: str,
        *,
        top_k: int = ...,
        min_probability: float = ...,
        timeout_s: float | None = ...,
    ) -> Ranking: ...
    @overload
    def rank(
        self,
        question: list[str] | tuple[str, ...],
        *,
        top_k: int = ...,
        min_probability: float = ...,
        timeout_s: float | None = ...,
    ) -> tuple[Ranking, ...]: ...
    def rank(
        self,
        question: str | list[str] | tuple[str, ...],
        *,
        top_k: int = 10,
        min_probability: float = 0.0,
        timeout_s: float | None = None,
    ) -> Ranking | tuple[Ranking, ...]:
        """The FAQs that a question asks; for several (up to 256) a ranking each, in their order.

        Raises:
            ScoringServiceError: there is no result
        """
        if isinstance(question, str):
            return self._run(requests.rank_one(question, top_k, min_probability), timeout_s)
        if not question:
            return ()
        return self._run(requests.rank_many(question, top_k, min_probability), timeout_s)

    @overload
    def classify(
        self, picture: Picture, *, top_k: int = ..., timeout_s: float | None = ...
    ) -> Classification: ...
    @overload
    def classify(
        self, picture: Sequence[Picture], *, top_k: int = ..., timeout_s: float | None = ...
    ) -> tuple[Classification | RefusedPicture, ...]: ...
    def classify(
        self,
        picture: Picture | Sequence[Picture],
        *,
        top_k: int = 5,
        timeout_s: float | None = None,
    ) -> Classification | tuple[Classification | RefusedPicture, ...]:
        """What is in a picture; for two or more (up to 64) what is in each, in their order.

        Raises:
            ScoringServiceError: there is no result; also where a lone picture is refused
            OSError: a file cannot be read
        """
        if isinstance(picture, requests.Picture):
            return self._run(requests.classify_one(picture, top_k), timeout_s)
        if len(picture) < 2:
            return tuple(self.classify(one, top_k=top_k, timeout_s=timeout_s) for one in picture)
        return self._run(requests.classify_many(picture, top_k), timeout_s)

    def ready(self, *, timeout_s: float | None = None) -> Readiness:
        """The state of the service's models. Raises ScoringServiceError where it says none."""
        return self._run(requests.ready(), timeout_s)

    def _run(self, call: Call[T], timeout_s: float | None) -> T:
        total_s = self._timeout_s if timeout_s is None else positive(timeout_s)
        conversation = converse(call, total_s, Patience(self._retries), self._clock)
        reply: Reply = None
        while True:
            try:
                step = conversation.send(reply)
            except StopIteration as ended:
                result: T = ended.value
                return result
            if isinstance(step, Send):
                reply = self._send(self._endpoint.request(call, step.left_s), step.left_s)
            else:
                time.sleep(step.seconds)
                reply = None

    def _send(self, request: httpx.Request, left_s: float) -> Reply:
        countdown = _Countdown(request, self._clock, self._clock.now() + left_s)
        request.extensions["trace"] = countdown
        try:
            answer = self._http.send(request, stream=True)
            with closing(answer):
                content = b"".join(countdown.checked(chunk) for chunk in answer.iter_bytes())
        except (httpx.RequestError, TimeIsUp) as error:
            return error
        return Answer(answer.status_code, answer.headers, content)


class _Countdown:
    """Shortens the timeouts of a request as its time passes.

    Those of httpx are for each step (a wait for a connection, connecting, each read), and would
    add up to several times the deadline.
    """

    def __init__(self, request: httpx.Request, clock: Clock, deadline: float) -> None:
        self._timeouts: dict[str, float | None] = request.extensions["timeout"]
        self._clock = clock
        self._deadline = deadline

    def __call__(self, _event: str, _info: dict[str, Any]) -> None:
        """Called by httpx ("trace") before and after each step."""
        left_s = max(0.001, self._deadline - self._clock.now())
        self._timeouts.update(dict.fromkeys(self._timeouts, left_s))

    def checked(self, chunk: bytes) -> bytes:
        """A part of the answer, where it is in time."""
        if self._clock.now() > self._deadline:
            raise TimeIsUp
        return chunk


def positive(timeout_s: float) -> float:
    """A time that can pass. Raises ValueError for another."""
    if not 0 < timeout_s < float("inf"):
        raise ValueError("a timeout is a number of seconds above 0")
    return timeout_s
