"""The Router's side of FAQ ranking: gathers questions and sends them in few calls.

A call to another process costs many times what one question costs, so the questions that wait
while a call is in flight leave together in the next one. An idle service adds no wait.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deployments.batching import Batcher, BatchStats, Outcome, QueueFull
from deployments.batching import DeadlinePassed as BatchDeadlinePassed
from deployments.contracts import EncodedRanking, ModelIdentity, Question
from deployments.telemetry import ModelMetrics
from serve_app.backends import FaqBackend
from serve_app.errors import DeadlinePassed, ModelLoading, Overloaded
from serve_app.settings import FaqSettings

if TYPE_CHECKING:
    from deployments.spans import Spans

MESSAGE_BYTES = 2 * 1024 * 1024
"""What one message between deployments may weigh: half of Ray Serve's smallest limit (4 MiB)."""

UNKNOWN_MATCH_BYTES = 1024
"""Assumed size of one encoded match until the ranker has said the largest."""

MOST_REPEATS = 10
"""How often the questions of one request that met another version are asked again.

Once will do; each replica that changes over at that moment may cost one more.
"""


@dataclass(frozen=True, slots=True)
class Ranked:
    """The ranking of one question: who made it, and where its time went."""

    ranking: EncodedRanking
    model: ModelIdentity
    queue_ms: float
    inference_ms: float


@dataclass(frozen=True, slots=True)
class _Reply:
    ranking: EncodedRanking
    model: ModelIdentity
    inference_ms: float


class FaqGateway:
    """Submits questions to the ranker in gathered calls."""

    def __init__(
        self,
        backend: FaqBackend,
        settings: FaqSettings,
        metrics: ModelMetrics,
        spans: Spans | None = None,
    ):
        self._backend = backend
        self._spans = spans
        self._calls_per_replica = settings.calls_per_replica
        self._replicas = 1
        self._match_bytes = UNKNOWN_MATCH_BYTES
        self._metrics = metrics
        metrics.waiting.set_function(lambda: self._batcher.waiting)
        metrics.largest.set(settings.max_batch_size)
        self._batcher: Batcher[Question, _Reply] = Batcher(
            self._call,
            max_batch_size=settings.max_batch_size,
            max_batch_weight=MESSAGE_BYTES,
            weigh=self._weigh,
            max_queue=settings.max_queue,
            concurrency=settings.calls_per_replica,
            on_batch=self._observe,
        )

    @property
    def waiting(self) -> int:
        """Questions that wait for a call."""
        return self._batcher.waiting

    def set_replicas(self, replicas: int) -> None:
        """Lets the calls in flight grow with the ranker's replicas."""
        self._replicas = max(1, replicas)
        self._batcher.concurrency = self._calls_per_replica * self._replicas

    async def rank(self, question: Question, deadline: float) -> Ranked:
        """Ranks one question; `deadline` is a moment of the loop's clock.

        Raises:
            Overloaded: the queue is full.
            DeadlinePassed: not ranked in time.
            ScoringError: the ranker cannot answer.
        """
        ranked = await self._rank(question, deadline)
        self._metrics.answers.observe(ranked.model.version)
        return ranked

    async def _rank(self, question: Question, deadline: float) -> Ranked:
        try:
            outcome = await self._outcome(question, deadline)
        except QueueFull as error:
            raise Overloaded(
                "too many questions are waiting", retry_after_s=math.ceil(error.retry_after_s)
            ) from None
        except BatchDeadlinePassed:
            raise DeadlinePassed("the question was not ranked in time") from None
        return _ranked(outcome)

    async def _outcome(self, question: Question, deadline: float) -> Outcome[_Reply]:
        if self._spans is None:
            return await self._batcher.submit(question, deadline=deadline)
        trace = self._spans.current()
        submitted = self._batcher.submit(question._replace(trace=trace), deadline=deadline)
        return await self._spans.queued(submitted, trace)

    async def rank_many(self, questions: Sequence[Question], deadline: float) -> list[Ranked]:
        """Ranks all with one version, or fails as one: the first error, once all have ended.

        While replicas change over, questions that another version answered are asked again.

        Raises:
            ModelLoading: the versions went on to differ.
        """
        ranked = await self._rank_all(questions, deadline)
        newest = ranked[-1].model if ranked else None
        repeats = 0
        while others := [index for index, item in enumerate(ranked) if item.model != newest]:
            if repeats == MOST_REPEATS:
                raise ModelLoading("the FAQ model is being changed", retry_after_s=1)
            repeats += 1
            again = [questions[index]._replace(model=newest) for index in others]
            for index, item in zip(others, await self._rank_all(again, deadline), strict=True):
                ranked[index] = item
            # What was wanted may be gone by now; what answered last is there.
            newest = ranked[others[-1]].model
        if newest is not None:
            self._metrics.answers.observe(newest.version, len(ranked))
        return ranked

    async def _rank_all(self, questions: Sequence[Question], deadline: float) -> list[Ranked]:
        tasks = [asyncio.ensure_future(self._rank(question, deadline)) for question in questions]
        try:
            return await asyncio.gather(*tasks)
        except BaseException:
            # Nobody waits for the others any more: they must not reach the ranker.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def _call(self, questions: list[Question]) -> Sequence[_Reply | Exception]:
        if self._spans is None:
            return await self._replies(questions)
        with self._spans.batch([question.trace for question in questions]) as trace:
            # From here on they belong to the batch, which the links tie to them.
            return await self._replies([item._replace(trace=trace) for item in questions])

    async def _replies(self, questions: list[Question]) -> Sequence[_Reply | Exception]:
        held = self._batcher.waiting + self._batcher.running
        batch = await self._backend.rank(questions, held / self._replicas)
        self._match_bytes = batch.largest_match_bytes
        return [_Reply(ranking, batch.model, batch.inference_ms) for ranking in batch.rankings]

    def _weigh(self, question: Question) -> int:
        # The heavier direction counts: the question going there, or its matches coming back.
        return max(4 * len(question.text), question.top_k * self._match_bytes)

    def _observe(self, stats: BatchStats) -> None:
        self._metrics.observe_batch(stats.size, stats.queue_s, stats.run_s)


def _ranked(outcome: Outcome[_Reply]) -> Ranked:
    reply = outcome.value
    return Ranked(reply.ranking, reply.model, outcome.queue_s * 1000, reply.inference_ms)
