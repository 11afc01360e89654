"""From scores to probabilities: a logistic curve over a score and its odds against the others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RIVALS = 100
"""The best FAQs of a question, against which the odds are: what an index need find, and no more."""

# The probability is 0 in float32 long before; beyond -709 exp() would leave the range of float64.
_SMALLEST_LOGIT = -500.0
# The share of a winner's rivals that float64 can still tell from nothing.
_SMALLEST_SHARE = 1e-12


@dataclass(frozen=True)
class Calibration:
    """probability = 1 / (1 + exp(-(score * s + odds * o + offset))), s a score, o its `odds`.

    With `score` and `odds` not negative a higher score never gets a lower probability.
    """

    score: float
    odds: float
    offset: float

    def probabilities(self, scores: NDArray[np.float64]) -> NDArray[np.float32]:
        """The probability that each question matches each FAQ, of the shape of `scores`.

        Each is judged by itself: a question may match several, or none at all. The scores are of
        shape (questions, FAQs): of all FAQs, or of the RIVALS best at least.
        """
        logits = self.score * scores + self.odds * odds(scores) + self.offset
        np.maximum(logits, _SMALLEST_LOGIT, out=logits)
        return (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)


def odds(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each score minus the log of the summed exp of its rivals in its row (questions, FAQs).

    The rivals are the other ones among the RIVALS best.
    """
    rivals = scores
    if scores.shape[1] > RIVALS:
        rivals = np.partition(scores, scores.shape[1] - RIVALS, axis=1)[:, -RIVALS:]
    best = rivals.max(axis=1, keepdims=True)
    total = np.exp(rivals - best).sum(axis=1, keepdims=True)
    is_rival = scores >= rivals.min(axis=1, keepdims=True)
    others = total - np.where(is_rival, np.exp(scores - best), 0.0)
    odds: NDArray[np.float64] = scores - best - np.log(np.maximum(others, _SMALLEST_SHARE))
    return odds
