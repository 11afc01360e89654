"""The Ray Serve deployment of the FAQ ranker: loads a registered version, answers calls."""

from collections.abc import Sequence

from deployments.contracts import ModelIdentity, Question, RankedBatch
from deployments.faq.load import METRIC, QuestionLoad
from deployments.faq.ranker import FaqRanker
from deployments.faq.scorer import FaqScorer
from deployments.registry import ModelVersion, Registry


class FaqRankerDeployment:
    """One replica: ready when the digest is checked, the model loaded and one batch ranked."""

    def __init__(self, version: ModelVersion, registry: Registry):
        folder = registry.fetch(version)
        identity = ModelIdentity(version.name, version.version, version.digest)
        self._scorer = FaqScorer(FaqRanker.load(folder), identity)
        self._scorer.warm_up()
        self._load = QuestionLoad()

    async def rank(
        self, questions: Sequence[Question], router: str, held_per_replica: float
    ) -> RankedBatch:
        """Ranks the questions of one call, on the loop: it is all CPU, and a thread costs a hop."""
        self._load.report(router, held_per_replica)
        return self._scorer.rank(questions)

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Questions waiting and running for this replica, for `QuestionsPolicy`."""
        return {METRIC: self._load.take()}
