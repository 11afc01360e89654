"""Ranks the FAQs of a trained model for users' questions.

Needs numpy and scipy.sparse only: what trains the model stays out of the serving process. Scores
are one product of a question's sparse features with one weight for each feature and FAQ, into which
training has folded every similarity: a dense matrix, or an inverted index for very many FAQs.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from deployments.faq.artifact import Artifact, RankerFormatError
from deployments.faq.calibration import RIVALS, Calibration
from deployments.faq.corpus import Faq
from deployments.faq.embedding import EmbeddingsUnavailable, load_embedder
from deployments.faq.features import FeatureExtractor
from deployments.faq.scores import Features, Scores

__all__ = ["FaqRanker", "Match", "RankerFormatError", "Ranking"]


class Match(msgspec.Struct, frozen=True):
    """An FAQ and the calibrated probability, 0..1, that the question asks the same.

    A struct, because ten are made for each question, and a frozen dataclass takes 1 us to make.
    """

    id: str
    answer_id: str
    question: str
    answer: str | None
    probability: float


class Ranking(msgspec.Struct, frozen=True):
    """The best matches, best first; `matched` says that the best reaches the model's threshold."""

    matches: tuple[Match, ...]
    matched: bool


class FaqRanker:
    """The trained model. Answers depend on the question alone, never on its neighbours in a batch.

    Any text is a legal question. One in which nothing is known gets probability 0 for every FAQ.
    `parameters` says how the model was trained.
    """

    def __init__(
        self,
        faqs: Sequence[Faq],
        extractor: FeatureExtractor,
        scores: Scores,
        calibration: Calibration,
        threshold: float,
        parameters: Mapping[str, str],
    ) -> None:
        self.faqs = faqs
        self.threshold = threshold
        self.parameters = parameters
        self._extractor = extractor
        self._scores = scores
        self._calibration = calibration

    def probabilities(self, questions: Sequence[str]) -> NDArray[np.float32]:
        """Of every FAQ, of shape (questions, FAQs), 0..1."""
        if not questions:
            return np.empty((0, len(self.faqs)), np.float32)
        features = self._extractor.transform(questions)
        return self._probabilities(features, self._scores.all(features))

    def rank(self, question: str, top_k: int = 10) -> Ranking:
        """The `top_k` best FAQs, or all where there are fewer; equals stay in the corpus' order."""
        return self.rank_many([question], [top_k])[0]

    def rank_many(self, questions: Sequence[str], top_k: Sequence[int]) -> list[Ranking]:
        """`rank` for each question with its own `top_k`, in the same order.

        In one pass, where no `top_k` is above RIVALS.
        """
        if len(questions) != len(top_k):
            raise ValueError(f"{len(questions)} questions with {len(top_k)} values of top_k")
        if min(top_k, default=1) < 1:
            raise ValueError("top_k starts at 1")
        if not questions:
            return []
        if len(questions) > 1 and max(top_k) > RIVALS:
            # An index finds better the more it is asked for: neighbours should not gain by that.
            return [self.rank(*asked) for asked in zip(questions, top_k, strict=True)]
        features = self._extractor.transform(questions)
        best = self._scores.best(features, max(RIVALS, *top_k))
        probabilities = self._probabilities(features, best.scores)
        most = max(top_k)
        return [
            self._ranking(faqs[:k], values[:k])
            for faqs, values, k in zip(
                best.faqs[:, :most].tolist(), probabilities[:, :most].tolist(), top_k, strict=True
            )
        ]

    def _probabilities(
        self, features: Features, scores: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        probabilities = self._calibration.probabilities(scores)
        probabilities[features.indptr[1:] == features.indptr[:-1]] = 0.0
        return probabilities

    def _ranking(self, indices: list[int], probabilities: list[float]) -> Ranking:
        matches = []
        for faq, probability in zip(
            map(self.faqs.__getitem__, indices), probabilities, strict=True
        ):
            matches.append(Match(faq.id, faq.answer_id, faq.question, faq.answer, probability))
        return Ranking(tuple(matches), matched=probabilities[0] >= self.threshold)

    def save(self, folder: Path) -> None:
        """Write the model into `folder`, which is made where it does not exist."""
        Artifact(
            faqs=self.faqs,
            words=self._extractor.words,
            characters=self._extractor.characters,
            pairs=self._extractor.pairs,
            scores=self._scores,
            calibration=self._calibration,
            threshold=self.threshold,
            parameters=self.parameters,
            embeddings=self._extractor.embedder.name if self._extractor.embedder else None,
        ).save(folder)

    @classmethod
    def load(cls, folder: Path) -> "FaqRanker":
        """Read what `save` wrote, its arrays memory-mapped; raises RankerFormatError.

        Also where the model needs embeddings that are not installed.
        """
        read = Artifact.load(folder)
        try:
            embedder = load_embedder(read.embeddings) if read.embeddings is not None else None
        except EmbeddingsUnavailable as error:
            raise RankerFormatError(f"{folder}: {error}") from error
        extractor = FeatureExtractor(read.words, read.characters, read.pairs, embedder=embedder)
        if extractor.width != read.scores.width:
            raise RankerFormatError(
                f"{folder}: kernel_texts.npy: {extractor.width} features in a question, "
                f"{read.scores.width} in the model"
            )
        return cls(
            read.faqs, extractor, read.scores, read.calibration, read.threshold, read.parameters
        )
