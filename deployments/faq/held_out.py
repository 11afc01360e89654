"""Similarities of questions to what was fitted without them, for fits that must not flatter."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from deployments.faq.fitting import PRIOR_WEIGHTS
from deployments.faq.similarity import Known, Similarity

FOLDS = 5

_MOST_PAIRS = 1 << 22


def held_out(
    known: Known, seed: int, on_fold: Callable[[], object]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The similarities (questions, FAQs, 7) of duplicates to what the other folds led to.

    With the FAQs of these duplicates. They are all there are, or a sample where the pairs of a
    question and an FAQ would be more than memory should hold.
    """
    rng = np.random.default_rng(seed)
    folds = _folds(known.labels, rng)
    count = known.originals.shape[0]
    sampled = rng.permutation(len(folds)) < _MOST_PAIRS // count
    similarities = [np.empty((0, count, len(PRIOR_WEIGHTS)), np.float32)]
    labels = [np.empty(0, np.int64)]
    for fold in range(FOLDS):
        asked = known.only(sampled & (folds == fold))
        if len(asked.labels):
            fitted = Similarity.fit(known.only(folds != fold), seed)
            similarities.append(fitted.compare(asked.duplicates))
            labels.append(asked.labels)
        on_fold()
    return np.concatenate(similarities), np.concatenate(labels)


def _folds(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A fold for each duplicate; those of one FAQ are spread evenly."""
    shuffled = rng.permutation(len(labels))
    by_faq = shuffled[np.argsort(labels[shuffled], kind="stable")]
    folds = np.empty(len(labels), np.int64)
    folds[by_faq] = np.arange(len(labels)) % FOLDS
    return folds
