"""The Ray Serve deployment of the FAQ ranker: loads a registered version, answers calls."""

from collections.abc import Sequence

import ray

from deployments.contracts import ModelIdentity, Question, RankedBatch
from deployments.direct import Address, Listener
from deployments.faq import wire
from deployments.faq.load import METRIC, QuestionLoad
from deployments.faq.ranker import FaqRanker
from deployments.faq.scorer import FaqScorer
from deployments.registry import ModelVersion, Registry

LOOPBACK = "127.0.0.1"


class FaqRankerDeployment:
    """One replica: ready when the digest is checked, the model loaded and one batch ranked.

    Routers call it over direct connections, and through the handle while they have none.
    """

    def __init__(self, version: ModelVersion, registry: Registry, is_local: bool):
        folder = registry.fetch(version)
        identity = ModelIdentity(version.name, version.version, version.digest)
        self._scorer = FaqScorer(FaqRanker.load(folder), identity)
        self._scorer.warm_up()
        self._load = QuestionLoad()
        self._host = LOOPBACK if is_local else ray.util.get_node_ip_address()
        self._listener: Listener | None = None

    async def rank(
        self, questions: Sequence[Question], router: str, held_per_replica: float
    ) -> RankedBatch:
        """Ranks the questions of one call, on the loop: it is all CPU, and a thread costs a hop."""
        self._load.report(router, held_per_replica)
        return self._scorer.rank(questions)

    async def address(self) -> Address:
        """Where routers connect; listens from the first time that one asks."""
        if self._listener is None:
            self._listener = await Listener.start(self._answer, self._host)
        return self._listener.address

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Questions waiting and running for this replica, for `QuestionsPolicy`."""
        return {METRIC: self._load.take()}

    def _answer(self, frame: bytes) -> bytes:
        call = wire.decode_call(frame)
        self._load.report(call.router, call.held_per_replica)
        return wire.encode(self._scorer.rank(call.questions))
