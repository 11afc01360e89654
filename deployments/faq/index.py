"""The scores of very many FAQs, from an inverted index.

Every similarity is linear in a question's features, so one weight for each n-gram of each FAQ holds
them all. They are stored twice: by n-gram, to find the FAQs that share a question's n-grams, and by
FAQ, to score exactly those that look best.

Finding goes from the rarest n-gram to the commonest and stops once those that are left hardly
matter: the commonest n-grams of a question make most of the work and tell the least. What that
loses of the true best is measured by `python -m benchmarks scale`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from deployments.faq.scores import Best, Features

_COVERAGE = 0.9
"""Share of the score that a question's n-grams promise which those used for finding make up."""
_CANDIDATES = 300
"""FAQs that are scored exactly, and three times as many as are asked for where that is more."""
_CHEAP_POSTINGS = 1 << 17
"""So many FAQs of n-grams are gone through in any case: it takes a quarter of a millisecond."""
_STEPS = 32_767


@dataclass(frozen=True)
class Weights:
    """Weights of n-grams in FAQs, none negative: int16 values in steps of `step`.

    `by_faq` has the shape (FAQs, features), `by_ngram` is the same transposed. `means` (features,),
    float32, is what an n-gram weighs on average in the FAQs that have it.
    """

    by_faq: csr_array
    by_ngram: csr_array
    means: NDArray[np.float32]
    step: float

    @classmethod
    def quantise(cls, blocks: "Iterable[csr_array[np.float32]]", *, most: float) -> "Weights":
        """From weights of shape (FAQs, features) up to `most`, which come in blocks of FAQs.

        Each changes by half a step at most, `most` / 65534. Raises ValueError for more than
        2^31 - 1 weights, which int32 cannot count.
        """
        # Where no weight is above 0 any step will do.
        step = (most or 1.0) / _STEPS
        rounded = [
            csr_array(
                (
                    np.rint(block.data * np.float32(1 / step)).astype(np.int16),
                    block.indices.astype(np.int32, copy=False),
                    block.indptr.astype(np.int32, copy=False),
                ),
                shape=block.shape,
            )
            for block in blocks
        ]
        count = sum(block.nnz for block in rounded)
        if count > np.iinfo(np.int32).max:
            raise ValueError(f"{count} weights are more than an index can hold")
        by_faq = csr_array(vstack(rounded, format="csr"))
        del rounded
        by_ngram = csr_array(by_faq.T)
        holders = np.diff(by_ngram.indptr)
        sums = by_ngram @ np.ones(by_ngram.shape[1], np.float32)
        means = sums / np.maximum(holders, 1) * step
        return cls(by_faq, by_ngram, means.astype(np.float32), step)


class IndexedScores:
    """Scores are those of `weights`: 0 for an FAQ that shares no n-gram with a question."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self._holders = np.diff(weights.by_ngram.indptr)

    @property
    def faqs(self) -> int:
        """See `Scores.faqs`."""
        return int(self.weights.by_faq.shape[0])

    @property
    def width(self) -> int:
        """See `Scores.width`."""
        return int(self.weights.by_faq.shape[1])

    def all(self, features: Features) -> NDArray[np.float64]:
        """See `Scores.all`; uses every n-gram of each question."""
        scores = np.empty((features.shape[0], self.faqs))
        for row in range(features.shape[0]):
            scores[row] = self._through(*_row(features, row))
        return scores

    def best(self, features: Features, count: int) -> Best:
        """See `Scores.best`."""
        count = min(count, self.faqs)
        faqs = np.empty((features.shape[0], count), np.int64)
        scores = np.empty((features.shape[0], count))
        for row in range(features.shape[0]):
            columns, values = _row(features, row)
            candidates = self._candidates(columns, values, count)
            exact = self._exact(candidates, columns, values)
            order = np.lexsort((candidates, -exact))[:count]
            faqs[row], scores[row] = candidates[order], exact[order]
        return Best(faqs, scores)

    def _candidates(
        self, columns: NDArray[np.int32], values: NDArray[np.float32], count: int
    ) -> NDArray[np.int64]:
        """At least `count` FAQs, those that the rarer n-grams speak for."""
        holders = self._holders[columns]
        rarest_first = holders.argsort(kind="stable")
        promised = (values * self.weights.means[columns])[rarest_first].cumsum()
        if len(promised):
            enough = 1 + promised.searchsorted(_COVERAGE * promised[-1])
            cheap = holders[rarest_first].cumsum().searchsorted(_CHEAP_POSTINGS)
            rarest_first = np.sort(rarest_first[: max(enough, cheap)])
        scores = self._through(columns[rarest_first], values[rarest_first])
        wanted = max(_CANDIDATES, 3 * count)
        found = scores.nonzero()[0]
        if len(found) > wanted:
            # Of those found alone: a million zeros, all equal, make a partition slow.
            scores = scores[found]
            found = found[scores >= np.partition(scores, -wanted)[-wanted]]
        # FAQs that nothing speaks for are equals; the first of them are as good as any.
        if len(found) < count:
            first = np.arange(min(count + len(found), self.faqs))
            others = np.setdiff1d(first, found, assume_unique=True)
            found = np.concatenate([found, others[: count - len(found)]])
        return found

    def _through(
        self, columns: NDArray[np.int32], values: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The score of every FAQ from these n-grams."""
        lists = self.weights.by_ngram[columns]
        scores: NDArray[np.float32] = lists.T @ (values * np.float32(self.weights.step))
        return scores

    def _exact(
        self, faqs: NDArray[np.int64], columns: NDArray[np.int32], values: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        question = np.zeros(self.weights.by_faq.shape[1], np.float32)
        question[columns] = values * np.float32(self.weights.step)
        scores: NDArray[np.float32] = self.weights.by_faq[faqs] @ question
        return scores.astype(np.float64)


def _row(features: Features, row: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    cells = slice(features.indptr[row], features.indptr[row + 1])
    return features.indices[cells], features.data[cells]
