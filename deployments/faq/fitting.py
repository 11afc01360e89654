"""What training fits on held-out questions: how much each similarity counts, and the calibration.

Both fits have a weak normal prior around fixed values, so that a corpus with few duplicates, or
none, gets a model as well.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

from deployments.faq.calibration import Calibration, odds

PRIOR_WEIGHTS = np.array([1.0, 1.0, 4.0, 3.0, 3.0, 6.0, 4.0])
"""Of the cosines to original, centroid and answer, for words and then for characters, and of the
margin: between what a corpus of short questions with very many duplicates leads to and one of
long answers with few."""

PRIOR_CALIBRATION = Calibration(score=0.2, odds=0.8, offset=0.0)
PRIOR_THRESHOLD = 0.5

_PRIOR_PRECISION = 1.0
_FEWEST_QUESTIONS = 30
# With one taken away, another must be left for the odds to be against.
_FEWEST_FAQS = 3


def fit_weights(features: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights, none negative, of the last axis of `features` (questions, FAQs, similarities).

    Maximises the likelihood of the right FAQ (`labels`) under a softmax over the FAQs: a
    conditional logit model.
    """
    rows = np.arange(len(labels))
    right = features[rows, labels]

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = features @ weights
        normaliser = logsumexp(scores, axis=1)
        shares = np.exp(scores - normaliser[:, None])
        expected = np.einsum("qf,qfs->s", shares, features)
        away = weights - PRIOR_WEIGHTS
        value = normaliser.sum() - (right @ weights).sum() + _PRIOR_PRECISION * (away @ away) / 2
        return float(value), expected - right.sum(axis=0) + _PRIOR_PRECISION * away

    return _minimum(loss, PRIOR_WEIGHTS, [(0.0, None)] * len(PRIOR_WEIGHTS))


def fit_calibration(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> Calibration:
    """The logistic curve of scores (questions, FAQs) under which the `labels` are likeliest."""
    prior = np.array([PRIOR_CALIBRATION.score, PRIOR_CALIBRATION.odds, PRIOR_CALIBRATION.offset])
    columns = np.stack([scores, odds(scores), np.ones_like(scores)], axis=2)
    right = np.zeros(scores.shape, bool)
    right[np.arange(len(labels)), labels] = True

    def loss(curve: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = columns @ curve
        value = np.logaddexp(0.0, np.where(right, -logits, logits)).sum()
        away = curve - prior
        gradient = np.einsum("qf,qfc->c", expit(logits) - right, columns)
        penalty = _PRIOR_PRECISION * (away @ away) / 2
        return float(value + penalty), gradient + _PRIOR_PRECISION * away

    score, slope, offset = _minimum(loss, prior, [(0.0, None), (0.0, None), (None, None)])
    return Calibration(float(score), float(slope), float(offset))


def choose_threshold(
    scores: NDArray[np.float64], labels: NDArray[np.int64], calibration: Calibration
) -> float:
    """The best probability from which on a question counts as matched.

    It best separates (balanced accuracy) the questions as they are from the same questions with
    their own FAQ taken away, which then match nothing but sound as if they did. Where there are
    too few to tell, it is PRIOR_THRESHOLD.
    """
    if len(labels) < _FEWEST_QUESTIONS or scores.shape[1] < _FEWEST_FAQS:
        return PRIOR_THRESHOLD
    inside = calibration.probabilities(scores).max(axis=1)
    strangers = np.arange(scores.shape[1]) != labels[:, None]
    remaining = scores[strangers].reshape(len(labels), -1)
    outside = calibration.probabilities(remaining).max(axis=1)
    candidates = np.unique(inside)
    kept = 1.0 - np.searchsorted(np.sort(inside), candidates) / len(inside)
    refused = np.searchsorted(np.sort(outside), candidates) / len(outside)
    return float(candidates[np.argmax(kept + refused)])


def _minimum(
    loss: Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]],
    start: NDArray[np.float64],
    bounds: Sequence[tuple[float | None, float | None]],
) -> NDArray[np.float64]:
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    minimum: NDArray[np.float64] = found.x
    return minimum
