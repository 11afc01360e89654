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

_PRIOR_WEIGHTS = np.array([0.7, 1.5, 8.0, 5.0, 6.0, 13.0, 3.0])
"""Of the cosines to original, centroid and answer, for words and then for characters, and of the
margin: between what a corpus of short questions with very many duplicates leads to and one of
long answers with few."""
_PRIOR_WEIGHTS_WITHOUT_MARGINS = np.array([1.2, 3.5, 8.0, 5.5, 9.0, 13.0])

_PRIOR_KERNEL_WEIGHT = 6.0

PRIOR_CALIBRATION = Calibration(score=0.05, odds=0.7, offset=-0.6)
PRIOR_THRESHOLD = 0.5

_PRIOR_PRECISION = 1.0
_CALIBRATED_ON = 3
_FEWEST_QUESTIONS = 30
# With one taken away, another must be left for the odds to be against.
_FEWEST_FAQS = 3


def prior_weights(with_margins: bool, with_kernel: bool = False) -> NDArray[np.float64]:
    """How much each similarity counts before a question has been seen."""
    weights = _PRIOR_WEIGHTS if with_margins else _PRIOR_WEIGHTS_WITHOUT_MARGINS
    return np.append(weights, _PRIOR_KERNEL_WEIGHT) if with_kernel else weights


def fit_weights(
    similarities: NDArray[np.float32], is_right: NDArray[np.bool_], prior: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weights, none negative, of the last axis of `similarities` (questions, FAQs, similarities).

    Maximises the likelihood of the right FAQ, one in each row of `is_right` (questions, FAQs),
    under a softmax over the FAQs: a conditional logit model.
    """
    right = similarities[is_right]

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = similarities @ weights
        normaliser = logsumexp(scores, axis=1)
        shares = np.exp(scores - normaliser[:, None])
        expected = np.einsum("qf,qfs->s", shares, similarities)
        away = weights - prior
        value = normaliser.sum() - (right @ weights).sum() + _PRIOR_PRECISION * (away @ away) / 2
        return float(value), expected - right.sum(axis=0) + _PRIOR_PRECISION * away

    return _minimum(loss, prior, [(0.0, None)] * len(prior))


def fit_calibration(scores: NDArray[np.float64], is_right: NDArray[np.bool_]) -> Calibration:
    """The logistic curve of scores (questions, FAQs) under which `is_right` is likeliest.

    Of each question the few best FAQs count, whose probabilities people look at: where all do, the
    many that are plainly wrong bend the curve, and the best ones' calibration error doubles.
    """
    prior = np.array([PRIOR_CALIBRATION.score, PRIOR_CALIBRATION.odds, PRIOR_CALIBRATION.offset])
    best = np.argsort(-scores, axis=1, kind="stable")[:, :_CALIBRATED_ON]
    right = np.take_along_axis(is_right, best, axis=1)
    columns = np.stack([scores, odds(scores), np.ones_like(scores)], axis=2)
    columns = np.take_along_axis(columns, best[:, :, None], axis=1)

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
    scores: NDArray[np.float64], is_right: NDArray[np.bool_], calibration: Calibration
) -> float:
    """The best probability from which on a question counts as matched.

    It best separates (balanced accuracy) the questions that match from those that match nothing.
    Where there are too few of the latter, from the former with their own FAQ taken away: these
    match nothing but sound as if they did. Where it still cannot be told, it is PRIOR_THRESHOLD.
    """
    matches = is_right.any(axis=1)
    if matches.sum() < _FEWEST_QUESTIONS or scores.shape[1] < _FEWEST_FAQS:
        return PRIOR_THRESHOLD
    inside = calibration.probabilities(scores[matches]).max(axis=1)
    strangers = scores[~matches]
    if len(strangers) < _FEWEST_QUESTIONS:
        strangers = scores[matches][~is_right[matches]].reshape(len(inside), -1)
    outside = calibration.probabilities(strangers).max(axis=1)
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
