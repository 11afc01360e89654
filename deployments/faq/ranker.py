"""Ranks the FAQs of a trained model for users' questions.

Needs numpy and scipy.sparse only: what trains the model stays out of the serving process. Scores
are one product of a question's sparse features with a dense matrix, features x FAQs, into which
training has folded every similarity and margin.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deployments.faq.artifact import Artifact, RankerFormatError
from deployments.faq.calibration import Calibration
from deployments.faq.corpus import Faq
from deployments.faq.features import FeatureExtractor

__all__ = ["FaqRanker", "Match", "RankerFormatError", "Ranking"]


@dataclass(frozen=True)
class Match:
    """An FAQ and the calibrated probability, 0..1, that the question asks the same."""

    id: str
    answer_id: str
    question: str
    answer: str | None
    probability: float


@dataclass(frozen=True)
class Ranking:
    """The best matches, best first; `matched` says that the best reaches the model's threshold."""

    matches: tuple[Match, ...]
    matched: bool


class FaqRanker:
    """The trained model. Answers depend on the question alone, never on its neighbours in a batch.

    Any text is a legal question. One in which nothing is known gets probability 0 for every FAQ.
    """

    def __init__(
        self,
        faqs: Sequence[Faq],
        extractor: FeatureExtractor,
        weights: NDArray[np.float32],
        bias: NDArray[np.float32],
        calibration: Calibration,
        threshold: float,
    ) -> None:
        """`weights` has the shape (features, FAQs) and `bias` (FAQs,)."""
        self.faqs = tuple(faqs)
        self.threshold = threshold
        self._extractor = extractor
        self._weights = weights
        self._bias = bias
        self._calibration = calibration

    def probabilities(self, questions: Sequence[str]) -> NDArray[np.float32]:
        """Of shape (questions, FAQs), 0..1."""
        if not questions:
            return np.empty((0, len(self.faqs)), np.float32)
        features = self._extractor.transform(questions)
        scores = (features @ self._weights + self._bias).astype(np.float64)
        probabilities = self._calibration.probabilities(scores)
        probabilities[features.indptr[1:] == features.indptr[:-1]] = 0.0
        return probabilities

    def rank(self, question: str, top_k: int = 10) -> Ranking:
        """The `top_k` best FAQs, or all where there are fewer; equals stay in the corpus' order."""
        return self.rank_many([question], [top_k])[0]

    def rank_many(self, questions: Sequence[str], top_k: Sequence[int]) -> list[Ranking]:
        """`rank` for each question with its own `top_k`, in the same order, in one pass."""
        if len(questions) != len(top_k):
            raise ValueError(f"{len(questions)} questions with {len(top_k)} values of top_k")
        if min(top_k, default=1) < 1:
            raise ValueError("top_k starts at 1")
        probabilities = self.probabilities(questions)
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, : max(top_k, default=0)]
        best = probabilities[np.arange(len(questions))[:, None], order]
        return [
            self._ranking(indices[:k], values[:k])
            for indices, values, k in zip(order.tolist(), best.tolist(), top_k, strict=True)
        ]

    def _ranking(self, indices: list[int], probabilities: list[float]) -> Ranking:
        matches = []
        for index, probability in zip(indices, probabilities, strict=True):
            faq = self.faqs[index]
            matches.append(Match(faq.id, faq.answer_id, faq.question, faq.answer, probability))
        return Ranking(tuple(matches), matched=probabilities[0] >= self.threshold)

    def save(self, folder: Path) -> None:
        """Write the model into `folder`, which is made where it does not exist."""
        Artifact(
            faqs=self.faqs,
            words=self._extractor.words,
            characters=self._extractor.characters,
            idf=self._extractor.idf,
            weights=self._weights,
            bias=self._bias,
            calibration=self._calibration,
            threshold=self.threshold,
        ).save(folder)

    @classmethod
    def load(cls, folder: Path) -> "FaqRanker":
        """Read what `save` wrote, its largest array memory-mapped; raises RankerFormatError."""
        read = Artifact.load(folder)
        extractor = FeatureExtractor(read.words, read.characters, read.idf)
        return cls(read.faqs, extractor, read.weights, read.bias, read.calibration, read.threshold)
