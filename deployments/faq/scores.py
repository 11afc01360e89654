"""The scores of FAQs for questions, from a dense matrix: for corpora of up to about 1,000 FAQs."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Features = csr_array


class Best(NamedTuple):
    """The best FAQs of each question, best first; equals in the corpus' order.

    `faqs` (int64 indices) and `scores` (float64) have the shape (questions, count).
    """

    faqs: NDArray[np.int64]
    scores: NDArray[np.float64]


class Scores(Protocol):
    """Scores the FAQs of one model."""

    @property
    def faqs(self) -> int:
        """How many FAQs there are."""

    @property
    def width(self) -> int:
        """How many features a question has."""

    def all(self, features: Features) -> NDArray[np.float64]:
        """The score of every FAQ, of shape (questions, FAQs)."""

    def best(self, features: Features, count: int) -> Best:
        """The `count` best FAQs, or all where there are fewer."""


class DenseScores:
    """Scores are features @ `weights` (features, FAQs) + `bias` (FAQs,), both float32."""

    def __init__(self, weights: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        self.weights, self.bias = weights, bias

    @property
    def faqs(self) -> int:
        """See `Scores.faqs`."""
        return len(self.bias)

    @property
    def width(self) -> int:
        """See `Scores.width`."""
        return len(self.weights)

    def all(self, features: Features) -> NDArray[np.float64]:
        """See `Scores.all`."""
        scores: NDArray[np.float64] = (features @ self.weights + self.bias).astype(np.float64)
        return scores

    def best(self, features: Features, count: int) -> Best:
        """See `Scores.best`."""
        return best_of(self.all(features), count)


def best_of(scores: NDArray[np.float64], count: int) -> Best:
    """The `count` best of all scores (questions, FAQs)."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return Best(order, np.take_along_axis(scores, order, axis=1))
