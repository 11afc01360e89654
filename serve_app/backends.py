"""The two model deployments as the Router sees them: protocols, so that tests need no Ray."""

from collections.abc import Sequence
from typing import Protocol

from deployments.contracts import ClassifiedBatch, Picture, Question, RankedBatch


class FaqBackend(Protocol):
    """Ranks questions; one call may carry many."""

    async def rank(self, questions: Sequence[Question], held_per_replica: float) -> RankedBatch:
        """Ranks in the order given.

        `held_per_replica` is how many questions this router holds, waiting or in a call, for each
        replica of the ranker: what the ranker's autoscaling goes by.

        Raises:
            ScoringError: the ranker cannot answer.
        """


class ImageBackend(Protocol):
    """Classifies decoded pictures; one call may carry many."""

    async def classify(self, pictures: Sequence[Picture], timeout_s: float) -> ClassifiedBatch:
        """Classifies in the order given; an item not run within `timeout_s` is refused.

        Raises:
            ScoringError: the classifier cannot answer.
        """
