"""Whether one ranker is better than another, both asked the same questions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, bootstrap, permutation_test

from deployments.faq.corpus import CorpusError
from deployments.faq.evaluation import Outcomes

CONFIDENCE = 0.95
RESAMPLES = 9_999

# Values held at once, in each of the arrays that the resampling needs.
_MOST_VALUES = 1 << 21


@dataclass(frozen=True)
class Difference:
    """One figure of both rankers; the interval is that of `second` - `first`.

    It is the percentile interval of a paired bootstrap over the questions (Efron and Tibshirani,
    "An Introduction to the Bootstrap", 1993, chapter 13), at 95 % confidence.
    """

    first: float
    second: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Both rankers over `questions` questions, and how likely chance alone makes such differences.

    `accuracy_p` is that of McNemar's exact test, two-sided, from the questions for which only one
    ranker has the right FAQ first (`only_first`, `only_second`). `mrr_p` is that of a paired
    randomisation test, two-sided: which ranker a reciprocal rank is from is drawn at random for
    each question (Smucker et al., "A Comparison of Statistical Significance Tests for Information
    Retrieval Evaluation", 2007).
    """

    questions: int
    accuracy_at_1: Difference
    accuracy_at_3: Difference
    mrr: Difference
    only_first: int
    only_second: int
    accuracy_p: float
    mrr_p: float


def compare(first: Outcomes, second: Outcomes, *, seed: int = 0) -> Comparison:
    """Deterministic for a given `seed`.

    Raises CorpusError for less than 2 questions, ValueError where the two were asked others.
    """
    if first.questions != second.questions:
        raise ValueError("the rankers were asked different questions")
    if len(first.questions) < 2:
        raise CorpusError("a comparison needs at least 2 held-out questions")
    only_first = int(np.count_nonzero(first.right & ~second.right))
    only_second = int(np.count_nonzero(second.right & ~first.right))
    apart = only_first + only_second
    return Comparison(
        questions=len(first.questions),
        accuracy_at_1=_difference(first.right, second.right, seed),
        accuracy_at_3=_difference(first.ranks <= 3, second.ranks <= 3, seed),
        mrr=_difference(first.reciprocal_ranks, second.reciprocal_ranks, seed),
        only_first=only_first,
        only_second=only_second,
        accuracy_p=float(binomtest(only_second, apart).pvalue) if apart else 1.0,
        mrr_p=_randomisation_p(first.reciprocal_ranks, second.reciprocal_ranks, seed),
    )


def _difference(
    first: NDArray[np.bool_] | NDArray[np.float64],
    second: NDArray[np.bool_] | NDArray[np.float64],
    seed: int,
) -> Difference:
    differences = second.astype(np.float64) - first.astype(np.float64)
    interval = bootstrap(
        (differences,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=_batch(len(differences)),
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=seed,
    ).confidence_interval
    return Difference(
        float(first.mean()), float(second.mean()), float(interval.low), float(interval.high)
    )


def _randomisation_p(first: NDArray[np.float64], second: NDArray[np.float64], seed: int) -> float:
    """Over all assignments where these are few, otherwise over a sample of them."""

    def mean_difference(
        one: NDArray[np.float64], other: NDArray[np.float64], axis: int
    ) -> NDArray[np.float64]:
        means: NDArray[np.float64] = (other - one).mean(axis=axis)
        return means

    tested = permutation_test(
        (first, second),
        mean_difference,
        permutation_type="samples",
        n_resamples=RESAMPLES,
        batch=_batch(len(first)),
        rng=seed,
    )
    return float(tested.pvalue)


def _batch(questions: int) -> int:
    return max(1, _MOST_VALUES // questions)
