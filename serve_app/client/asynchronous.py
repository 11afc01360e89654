"""The client for asyncio."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import httpx

from serve_app.client import requests
from serve_app.client.conversation import Answer, Clock, Reply, Send, TimeIsUp, converse
from serve_app.client.endpoint import DEFAULT_TIMEOUT_S, Endpoint
from serve_app.client.requests import Call, Picture
from serve_app.client.results import Classification, Ranking, Readiness, RefusedPicture
from serve_app.client.retries import Patience, Retries
from serve_app.client.synchronous import positive

T = TypeVar("T")


class AsyncScoringClient:
    """What `ScoringClient` is, for one event loop; any number of calls may be under way."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retries: Retries | None = None,
        connections: int = 16,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """As `ScoringClient`'s; more calls than `connections` wait for one of them."""
        if connections < 1:
            raise ValueError("a client needs a connection")
        self._endpoint = Endpoint(url, key)
        self._timeout_s = positive(timeout_s)
        self._retries = retries or Retries()
        self._clock = Clock()
        # httpx looks through all that wait for a connection at each turn: a thousand take seconds.
        self._turns = asyncio.Semaphore(connections)
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        transport = transport or httpx.AsyncHTTPTransport(limits=limits, trust_env=False)
        self._http = httpx.AsyncClient(transport=transport, trust_env=False)

    def __repr__(self) -> str:
        return f"AsyncScoringClient({self._endpoint.url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections; the client cannot be used any more."""
        await self._http.aclose()

    @overload
    async def rank(
        self,
        question: str,
        *,
        top_k: int = ...,
        min_probability: float = ...,
        timeout_s: float | None = ...,
    ) -> Ranking: ...
    @overload
    async def rank(
        self,
        question: list[str] | tuple[str, ...],
        *,
        top_k: int = ...,
        min_probability: float = ...,
        timeout_s: float | None = ...,
    ) -> tuple[Ranking, ...]: ...
    async def rank(
        self,
        question: str | list[str] | tuple[str, ...],
        *,
        top_k: int = 10,
        min_probability: float = 0.0,
        timeout_s: float | None = None,
    ) -> Ranking | tuple[Ranking, ...]:
        """As `ScoringClient.rank`."""
        if isinstance(question, str):
            return await self._run(requests.rank_one(question, top_k, min_probability), timeout_s)
        if not question:
            return ()
        return await self._run(requests.rank_many(question, top_k, min_probability), timeout_s)

    @overload
    async def classify(
        self, picture: Picture, *, top_k: int = ..., timeout_s: float | None = ...
    ) -> Classification: ...
    @overload
    async def classify(
        self, picture: Sequence[Picture], *, top_k: int = ..., timeout_s: float | None = ...
    ) -> tuple[Classification | RefusedPicture, ...]: ...
    async def classify(
        self,
        picture: Picture | Sequence[Picture],
        *,
        top_k: int = 5,
        timeout_s: float | None = None,
    ) -> Classification | tuple[Classification | RefusedPicture, ...]:
        """As `ScoringClient.classify`."""
        if isinstance(picture, requests.Picture):
            return await self._run(requests.classify_one(picture, top_k), timeout_s)
        if not picture:
            return ()
        if len(picture) == 1:
            return (await self.classify(picture[0], top_k=top_k, timeout_s=timeout_s),)
        return await self._run(requests.classify_many(picture, top_k), timeout_s)

    async def ready(self, *, timeout_s: float | None = None) -> Readiness:
        """As `ScoringClient.ready`."""
        return await self._run(requests.ready(), timeout_s)

    async def _run(self, call: Call[T], timeout_s: float | None) -> T:
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
                reply = await self._send(call, step.left_s)
            else:
                await asyncio.sleep(step.seconds)
                reply = None

    async def _send(self, call: Call[Any], left_s: float) -> Reply:
        deadline = self._clock.now() + left_s
        try:
            async with asyncio.timeout(left_s), self._turns:
                request = await self._request(call, deadline - self._clock.now())
                answer = await self._http.send(request)
        except TimeoutError:
            return TimeIsUp()
        except httpx.RequestError as error:
            return error
        return Answer(answer.status_code, answer.headers, answer.content)

    async def _request(self, call: Call[Any], left_s: float) -> httpx.Request:
        if call.from_files:
            return await asyncio.to_thread(self._endpoint.request, call, left_s)
        return self._endpoint.request(call, left_s)
