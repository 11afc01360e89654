"""Scores from the dense features of questions: kernel ridge regression over all known questions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.faq.scores import Best, DenseScores, Features, best_of

DEGREE = 8
"""Of the kernel ((1 + cosine) / 2) ** DEGREE: it sees how words go together, not words alone."""


@dataclass(frozen=True)
class Kernel:
    """`texts` (known questions, dimensions) and their `coefficients` (known questions, FAQs)."""

    texts: NDArray[np.float32]
    coefficients: NDArray[np.float32]

    def compare(self, questions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Near 1 where a question (questions, dimensions) is like those of an FAQ, else near 0."""
        closeness = (1 + questions @ self.texts.T) / 2
        compared: NDArray[np.float32] = np.power(closeness, DEGREE) @ self.coefficients
        return compared


class KernelScores:
    """The scores of `plain` from the first columns of features, and of `kernel` from the others."""

    def __init__(self, plain: DenseScores, kernel: Kernel) -> None:
        self.plain, self.kernel = plain, kernel

    @property
    def faqs(self) -> int:
        """See `Scores.faqs`."""
        return self.plain.faqs

    @property
    def width(self) -> int:
        """See `Scores.width`."""
        return self.plain.width + int(self.kernel.texts.shape[1])

    def all(self, features: Features) -> NDArray[np.float64]:
        """See `Scores.all`."""
        width = self.plain.width
        # Row by row: BLAS adds up in another order for another number of rows.
        dense = features[:, width:].toarray()
        kernel = np.concatenate([self.kernel.compare(row[None]) for row in dense])
        scores: NDArray[np.float64] = self.plain.all(features[:, :width]) + kernel
        return scores

    def best(self, features: Features, count: int) -> Best:
        """See `Scores.best`."""
        return best_of(self.all(features), count)
