"""Similarities of questions to what was fitted without them, for fits that must not flatter."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.faq.calibration import RIVALS
from deployments.faq.fitting import prior_weights
from deployments.faq.similarity import Known, Similarity

FOLDS = 5

_MOST_PAIRS = 1 << 22
# Of which one fold is asked.
_MOST_SAMPLED_FOR_AN_INDEX = 5_000


@dataclass(frozen=True)
class HeldOut:
    """Questions with their candidates: the best FAQs, and the right one where there is one.

    `similarities` has the shape (questions, candidates, similarities); `is_right` (questions,
    candidates) has no True in the row of a question that matches nothing.
    """

    similarities: NDArray[np.float32]
    is_right: NDArray[np.bool_]

    def matching(self) -> "HeldOut":
        """Those that match an FAQ."""
        rows = self.is_right.any(axis=1)
        return HeldOut(self.similarities[rows], self.is_right[rows])


def held_out(
    known: Known, seed: int, on_fold: Callable[[], object], *, with_margins: bool
) -> HeldOut:
    """Duplicates and strangers against what the other folds led to.

    All there are, or a sample where the pairs of a question and an FAQ would be more than memory
    should hold. Without margins, one fold of a thousand: such a corpus is large.
    """
    rng = np.random.default_rng(seed)
    candidates = min(RIVALS, known.originals.shape[0])
    folds = _folds(known.labels, rng)
    stranger_folds = _folds(np.zeros(known.strangers.shape[0], np.int64), rng)
    most = _MOST_PAIRS // known.originals.shape[0] if with_margins else _MOST_SAMPLED_FOR_AN_INDEX
    sampled = rng.permutation(len(folds)) < most
    parts = [
        HeldOut(
            np.empty(
                (0, candidates, len(prior_weights(with_margins, known.has_embeddings))), np.float32
            ),
            np.empty((0, candidates), bool),
        )
    ]
    for fold in range(FOLDS if with_margins else 1):
        asked = known.only(sampled & (folds == fold), stranger_folds == fold)
        if len(asked.labels) or asked.strangers.shape[0]:
            others = known.only(~sampled | (folds != fold), stranger_folds != fold)
            fitted = Similarity.fit(others, seed, with_margins=with_margins)
            parts += _ask(fitted, asked, candidates)
        on_fold()
    return HeldOut(
        np.concatenate([part.similarities for part in parts]),
        np.concatenate([part.is_right for part in parts]),
    )


def _ask(fitted: Similarity, asked: Known, count: int) -> list[HeldOut]:
    scores = fitted.scores(prior_weights(fitted.margins is not None, fitted.kernel is not None))
    parts = []
    nothing = np.full(asked.strangers.shape[0], -1)
    for questions, labels in ((asked.duplicates, asked.labels), (asked.strangers, nothing)):
        if len(labels):
            candidates = scores.best(questions, count).faqs
            missed = (candidates != labels[:, None]).all(axis=1) & (labels >= 0)
            candidates[missed, -1] = labels[missed]
            is_right = candidates == labels[:, None]
            parts.append(HeldOut(fitted.compare(questions, candidates), is_right))
    return parts


def _folds(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A fold for each question; those of one FAQ are spread evenly."""
    shuffled = rng.permutation(len(labels))
    by_faq = shuffled[np.argsort(labels[shuffled], kind="stable")]
    folds = np.empty(len(labels), np.int64)
    folds[by_faq] = np.arange(len(labels)) % FOLDS
    return folds
