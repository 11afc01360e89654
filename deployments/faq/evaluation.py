"""How good a ranker is on the held-out questions of a corpus."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from deployments.faq.corpus import Corpus, CorpusError, Faq

BINS = 15

# 16 MiB in float32: a batch has fewer questions where there are more FAQs.
_MOST_PROBABILITIES = 1 << 22


class Ranker(Protocol):
    """What evaluating needs of a `FaqRanker`."""

    @property
    def faqs(self) -> Sequence[Faq]:
        """In the order of the probabilities."""

    @property
    def threshold(self) -> float:
        """The best probability from which on a question is matched."""

    def probabilities(self, questions: Sequence[str]) -> NDArray[np.float32]:
        """Of shape (questions, FAQs), 0..1."""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What a ranker made of each held-out question.

    `ranks` (questions,) is the place of the right FAQ, from 1, and `best` (questions,) the
    probability of the FAQ in the first place; `out_of_scope` is that of each question that matches
    nothing. From `threshold` on the ranker says that a question is matched.
    """

    questions: tuple[str, ...]
    ranks: NDArray[np.int64]
    best: NDArray[np.float64]
    out_of_scope: NDArray[np.float64]
    threshold: float

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the right FAQ comes first."""
        right: NDArray[np.bool_] = self.ranks == 1
        return right

    @property
    def reciprocal_ranks(self) -> NDArray[np.float64]:
        """1/rank."""
        return 1.0 / self.ranks


@dataclass(frozen=True)
class Evaluation:
    """Figures over `questions` held-out questions; a rank is that of the right FAQ, from 1.

    - `mrr` is the mean of 1/rank.
    - `mean_average_precision` is over all FAQs that a text is held out for; with one FAQ for each
      text it equals `mrr`.
    - `expected_calibration_error` is that of the best probability, over 15 bins of equal width
      (Guo et al., "On Calibration of Modern Neural Networks", 2017).
    - `kept` is the share of these questions whose best probability reaches the threshold, and
      `out_of_scope_recall` the share of questions that match nothing whose best does not.
    - `auroc` is the area under the ROC curve of the best probability, which should tell the two
      apart. It and the recall are None where the corpus has no `oos_test`.
    """

    questions: int
    accuracy_at_1: float
    accuracy_at_2: float
    accuracy_at_3: float
    mean_rank: float
    mrr: float
    mean_average_precision: float
    expected_calibration_error: float
    kept: float
    out_of_scope_recall: float | None
    auroc: float | None

    def metrics(self) -> dict[str, float]:
        """The figures by name, without those that the corpus has no questions for."""
        return {name: float(value) for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, eq=False)
class Reliability:
    """The questions in bins by their best probability, each array of the shape (BINS,).

    How many they are, how many are right, and the sum of their best probabilities.
    """

    questions: NDArray[np.int64]
    right: NDArray[np.int64]
    probability: NDArray[np.float64]


def evaluate(ranker: Ranker, corpus: Corpus) -> Evaluation:
    """The figures of `ask`; raises CorpusError as it does."""
    return summarise(ask(ranker, corpus))


def ask(ranker: Ranker, corpus: Corpus, *, progress: bool = False) -> Outcomes:
    """Rank all of `corpus.test`; FAQs are matched by AnswerId, so the corpora may differ.

    Raises CorpusError where there is no such question, or none of its FAQ in the ranker. Shows a
    progress bar on stderr where `progress`.
    """
    if not corpus.test:
        raise CorpusError(f"{corpus.name}: no held-out questions to evaluate on")
    labels = _labels(ranker, corpus)
    questions = tuple(example.text for example in corpus.test)
    best, ranks = np.empty(len(questions)), np.empty(len(questions), np.int64)
    out_of_scope = np.empty(len(corpus.oos_test))
    size = max(1, _MOST_PROBABILITIES // len(ranker.faqs))
    asked = len(questions) + len(out_of_scope)
    with tqdm(total=asked, desc=f"Evaluating on {corpus.name}", disable=not progress) as bar:
        for batch in _batches(len(questions), size):
            probabilities = ranker.probabilities(questions[batch])
            best[batch] = probabilities.max(axis=1)
            ranks[batch] = _ranks(probabilities, labels[batch])
            bar.update(len(probabilities))
        for batch in _batches(len(out_of_scope), size):
            out_of_scope[batch] = ranker.probabilities(corpus.oos_test[batch]).max(axis=1)
            bar.update(len(out_of_scope[batch]))
    return Outcomes(questions, ranks, best, out_of_scope, ranker.threshold)


def summarise(outcomes: Outcomes) -> Evaluation:
    """The figures over at least one question."""
    ranks, best, strange = outcomes.ranks, outcomes.best, outcomes.out_of_scope
    bins = reliability(outcomes)
    gaps = np.abs(bins.probability - bins.right)
    return Evaluation(
        questions=len(ranks),
        accuracy_at_1=float((ranks <= 1).mean()),
        accuracy_at_2=float((ranks <= 2).mean()),
        accuracy_at_3=float((ranks <= 3).mean()),
        mean_rank=float(ranks.mean()),
        mrr=float(outcomes.reciprocal_ranks.mean()),
        mean_average_precision=_mean_average_precision(outcomes.questions, ranks),
        expected_calibration_error=float(gaps.sum() / len(ranks)),
        kept=float((best >= outcomes.threshold).mean()),
        out_of_scope_recall=float((strange < outcomes.threshold).mean()) if len(strange) else None,
        auroc=_auroc(best, strange) if len(strange) else None,
    )


def reliability(outcomes: Outcomes) -> Reliability:
    """The bins behind the calibration error and the reliability diagram."""
    bins = np.minimum((outcomes.best * BINS).astype(np.int64), BINS - 1)
    probability = np.zeros(BINS)
    np.add.at(probability, bins, outcomes.best)
    return Reliability(
        questions=np.bincount(bins, minlength=BINS),
        right=np.bincount(bins[outcomes.right], minlength=BINS),
        probability=probability,
    )


def _labels(ranker: Ranker, corpus: Corpus) -> NDArray[np.int64]:
    columns = {faq.answer_id: column for column, faq in enumerate(ranker.faqs)}
    answer_ids = [corpus.faqs[example.faq].answer_id for example in corpus.test]
    if unknown := set(answer_ids) - columns.keys():
        raise CorpusError(f"{corpus.name}: the model does not know the AnswerId {min(unknown)!r}")
    return np.array([columns[answer_id] for answer_id in answer_ids], np.int64)


def _batches(count: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]


def _ranks(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """As the ranker orders them: equals in the order of the FAQs."""
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    earlier = np.arange(probabilities.shape[1]) < labels[:, None]
    ahead = (probabilities > own) | ((probabilities == own) & earlier)
    ranks: NDArray[np.int64] = np.count_nonzero(ahead, axis=1) + 1
    return ranks


def _mean_average_precision(questions: Sequence[str], ranks: NDArray[np.int64]) -> float:
    """FAQs of the same text have different ranks, so that these can stand for them."""
    places: defaultdict[str, set[int]] = defaultdict(set)
    for text, rank in zip(questions, ranks.tolist(), strict=True):
        places[text].add(rank)
    precisions = {text: _average_precision(sorted(found)) for text, found in places.items()}
    return float(np.mean([precisions[text] for text in questions]))


def _average_precision(ranks: list[int]) -> float:
    return sum(place / rank for place, rank in enumerate(ranks, 1)) / len(ranks)


def _auroc(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    """The chance that one from inside is above one from outside; a tie counts half."""
    ordered = np.sort(outside)
    below = np.searchsorted(ordered, inside, "left") + np.searchsorted(ordered, inside, "right")
    return float(below.mean() / (2 * len(outside)))
