"""The Ray Serve deployment of the FAQ ranker: serves a registered version, answers calls."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import ray
from ray import serve

from deployments.contracts import KnownDuplicates, Question, RankedBatch, VersionStatus
from deployments.direct import Address, Listener
from deployments.faq import wire
from deployments.faq.load import METRIC, QuestionLoad
from deployments.faq.served import Following, ServedModel
from deployments.registry import ModelVersion, Registry
from deployments.replica_log import log_to_the_replicas_file
from deployments.telemetry import Metrics, Report
from deployments.tracing import TracingOptions, below

if TYPE_CHECKING:
    from deployments.spans import Spans

LOOPBACK = "127.0.0.1"


class FaqRankerDeployment:
    """One replica: ready when a version is checked and loaded and one batch ranked.

    Routers call it over direct connections, and through the handle while they have none.
    """

    _spans: Spans | None = None  # also where the start failed, for `__del__`

    def __init__(
        self,
        version: ModelVersion,
        registry: Registry,
        following: Following | None,
        is_local: bool,
        tracing: TracingOptions | None = None,
    ):
        log_to_the_replicas_file()
        self._replica = serve.get_replica_context().replica_id.unique_id
        self._metrics = Metrics()
        self._spans = tracing.spans("FaqRanker", self._replica) if tracing else None
        self._model = ServedModel(registry, version, following, self._metrics)
        self._watch = asyncio.get_running_loop().create_task(self._model.watch())
        self._load = QuestionLoad()
        self._host = LOOPBACK if is_local else ray.util.get_node_ip_address()
        self._listener: Listener | None = None

    async def rank(
        self, questions: Sequence[Question], router: str, held_per_replica: float
    ) -> RankedBatch:
        """Ranks the questions of one call, on the loop: it is all CPU, and a thread costs a hop."""
        self._load.report(router, held_per_replica)
        return self._rank(questions)

    def __del__(self) -> None:
        """Ray Serve calls it when the replica ends."""
        if self._spans is not None:
            self._spans.close()

    async def address(self) -> Address:
        """Where routers connect; listens from the first time that one asks."""
        if self._listener is None:
            self._listener = await Listener.start(self._answer, self._host)
        return self._listener.address

    async def version(self) -> VersionStatus:
        """What answers, and what was refused."""
        return self._model.status()

    async def examples(self) -> KnownDuplicates:
        """Duplicates to try."""
        return self._model.examples()

    async def metrics(self) -> Report:
        """What this replica counted."""
        return self._metrics.report("FaqRanker", self._replica)

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Questions waiting and running for this replica, for `QuestionsPolicy`."""
        return {METRIC: self._load.take()}

    def _answer(self, frame: bytes) -> bytes:
        call = wire.decode_call(frame)
        self._load.report(call.router, call.held_per_replica)
        return wire.encode(self._rank(call.questions))

    def _rank(self, questions: Sequence[Question]) -> RankedBatch:
        # Whoever batched them gave all of them the batch's trace.
        with below(self._spans, "rank", questions[0].trace if questions else None):
            return self._model.rank(questions)
