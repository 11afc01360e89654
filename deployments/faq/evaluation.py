"""How good a ranker is on the held-out questions of a corpus."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.faq.corpus import Corpus, CorpusError
from deployments.faq.ranker import FaqRanker

_BINS = 15
_BATCH = 256


@dataclass(frozen=True)
class Evaluation:
    """Figures over `questions` held-out questions; a rank is that of the right FAQ, from 1.

    `mrr` is the mean of 1/rank. `expected_calibration_error` is that of the best probability, over
    15 bins of equal width (Guo et al., "On Calibration of Modern Neural Networks", 2017).
    """

    accuracy_at_1: float
    accuracy_at_3: float
    mean_rank: float
    mrr: float
    expected_calibration_error: float
    questions: int


def evaluate(ranker: FaqRanker, corpus: Corpus) -> Evaluation:
    """Rank all of `corpus.test`; FAQs are matched by AnswerId, so the corpora may differ.

    Raises CorpusError where there is no such question, or none of its FAQ in the ranker.
    """
    if not corpus.test:
        raise CorpusError(f"{corpus.name}: no dupes_test.tsv to evaluate on")
    labels = _labels(ranker, corpus)
    best, ranks = np.empty(len(labels)), np.empty(len(labels))
    for start in range(0, len(labels), _BATCH):
        batch = slice(start, start + _BATCH)
        probabilities = ranker.probabilities([example.text for example in corpus.test[batch]])
        best[batch] = probabilities.max(axis=1)
        ranks[batch] = _ranks(probabilities, labels[batch])
    return Evaluation(
        accuracy_at_1=float((ranks == 1).mean()),
        accuracy_at_3=float((ranks <= 3).mean()),
        mean_rank=float(ranks.mean()),
        mrr=float((1 / ranks).mean()),
        expected_calibration_error=_calibration_error(best, ranks == 1),
        questions=len(labels),
    )


def _labels(ranker: FaqRanker, corpus: Corpus) -> NDArray[np.int64]:
    columns = {faq.answer_id: column for column, faq in enumerate(ranker.faqs)}
    answer_ids = [corpus.faqs[example.faq].answer_id for example in corpus.test]
    if unknown := set(answer_ids) - columns.keys():
        raise CorpusError(f"{corpus.name}: the model does not know the AnswerId {min(unknown)!r}")
    return np.array([columns[answer_id] for answer_id in answer_ids], np.int64)


def _ranks(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """As the ranker orders them: equals in the order of the FAQs."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    places: NDArray[np.int64] = np.argmax(order == labels[:, None], axis=1)
    return places + 1


def _calibration_error(best: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    bins = np.minimum((best * _BINS).astype(np.int64), _BINS - 1)
    gaps = np.abs(np.bincount(bins, best - right))
    return float(gaps.sum() / len(best))
