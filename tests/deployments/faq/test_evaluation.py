import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import label_ranking_average_precision_score, roc_auc_score

from deployments.faq.corpus import Corpus, CorpusError, Example, Faq
from deployments.faq.evaluation import (
    BINS,
    Evaluation,
    Outcomes,
    ask,
    evaluate,
    reliability,
    summarise,
)
from deployments.faq.ranker import FaqRanker
from tests.deployments.faq.test_ranker import FAQS, tiny_ranker

PROBABILITY = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


class TableRanker:
    """Its probabilities are given, a row for each question; the question is the row's number."""

    def __init__(self, rows: list[list[float]], faqs: Sequence[Faq] = (), threshold: float = 0.5):
        self.rows = np.array(rows, np.float32)
        self.faqs = faqs or [Faq(f"Q{n}", f"A{n}", "?", None) for n in range(len(rows[0]))]
        self.threshold = threshold
        self.batches: list[int] = []

    def probabilities(self, questions: Sequence[str]) -> NDArray[np.float32]:
        self.batches.append(len(questions))
        return self.rows[[int(question) for question in questions]]


def corpus(*test: Example, oos: tuple[str, ...] = ()) -> Corpus:
    return Corpus(tuple(FAQS), (), test, "made", "sha256:0", oos_test=oos)


def outcomes(
    ranks: list[int],
    *,
    best: list[float] | None = None,
    out_of_scope: Sequence[float] = (),
    threshold: float = 0.5,
    questions: Sequence[str] = (),
) -> Outcomes:
    """Of questions that all differ, unless they are given."""
    return Outcomes(
        tuple(questions) or tuple(f"question {number}" for number in range(len(ranks))),
        np.array(ranks, np.int64),
        np.array(best if best is not None else [0.9] * len(ranks), np.float64),
        np.array(out_of_scope, np.float64),
        threshold,
    )


def test_figures() -> None:
    examples = [Example("a", 0), Example("b", 1), Example("b", 2), Example("b", 0)]
    found = evaluate(tiny_ranker(), corpus(*examples))
    assert found.questions == 4
    assert found.accuracy_at_1 == 0.5
    assert found.accuracy_at_2 == 0.75
    assert found.accuracy_at_3 == 1.0
    assert found.mean_rank == (1 + 1 + 2 + 3) / 4
    assert found.mrr == pytest.approx((1 + 1 + 1 / 2 + 1 / 3) / 4)
    # "a" is right at about 1.0; "b" is right in one of three cases at about 0.5.
    assert found.expected_calibration_error == pytest.approx((3 * 0.5 - 1) / 4, abs=1e-3)


def test_questions_out_of_scope() -> None:
    # "a" has about 1.0, "b" about 0.5 and what is unknown 0; the threshold is 0.5.
    test = corpus(Example("a", 0), Example("a", 0), oos=("xyzzy", "a", "b", "?"))
    found = evaluate(tiny_ranker(), test)
    assert found.kept == 1.0
    assert found.out_of_scope_recall == pytest.approx(0.75)
    assert found.auroc == pytest.approx((3 + 1 / 2) / 4)
    assert found.metrics()["out_of_scope_recall"] == found.out_of_scope_recall


def test_what_has_no_questions_is_no_metric() -> None:
    found = summarise(outcomes([1, 2]))
    assert found.out_of_scope_recall is None
    assert found.auroc is None
    names = {field.name for field in dataclasses.fields(Evaluation)}
    assert names - found.metrics().keys() == {"out_of_scope_recall", "auroc"}


def test_the_threshold_itself_keeps() -> None:
    found = summarise(outcomes([1, 1], best=[0.5, 0.4], out_of_scope=[0.5, 0.4], threshold=0.5))
    assert found.kept == 0.5
    assert found.out_of_scope_recall == 0.5


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 3)), min_size=1, max_size=12))
def test_with_one_faq_for_each_text_the_map_is_the_mrr(asked: list[tuple[int, int]]) -> None:
    ranks, texts = [], []
    for number, (rank, times) in enumerate(asked):
        ranks += [rank] * times
        texts += [str(number)] * times
    found = summarise(outcomes(ranks, questions=texts))
    assert found.mean_average_precision == pytest.approx(found.mrr)


@given(st.permutations(range(6)), st.integers(1, 6))
def test_map_is_over_all_faqs_of_a_text(order: list[int], right: int) -> None:
    places = [order.index(faq) + 1 for faq in range(right)]
    found = summarise(outcomes(places, questions=["same"] * right))
    expected = label_ranking_average_precision_score(
        [[faq < right for faq in range(6)]], [[-order.index(faq) for faq in range(6)]]
    )
    assert found.mean_average_precision == pytest.approx(expected)


@given(st.lists(PROBABILITY, min_size=1), st.lists(PROBABILITY, min_size=1))
def test_auroc(inside: list[float], outside: list[float]) -> None:
    found = summarise(outcomes([1] * len(inside), best=inside, out_of_scope=outside))
    truth = [True] * len(inside) + [False] * len(outside)
    assert found.auroc == pytest.approx(roc_auc_score(truth, inside + outside))


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 3)), min_size=1))
def test_every_question_is_in_one_bin(asked: list[tuple[float, int]]) -> None:
    given_ = outcomes([rank for _, rank in asked], best=[best for best, _ in asked])
    bins = reliability(given_)
    assert bins.questions.sum() == len(asked)
    assert bins.right.sum() == given_.right.sum()
    filled = bins.questions > 0
    means = bins.probability[filled] / bins.questions[filled]
    edges = np.arange(BINS + 1) / BINS
    assert (means >= edges[:-1][filled] - 1e-9).all()
    assert (means <= edges[1:][filled] + 1e-9).all()
    assert 0 <= summarise(given_).expected_calibration_error <= 1


@given(st.data(), st.integers(2, 5))
def test_ranks_are_those_of_a_stable_order(data: st.DataObject, faqs: int) -> None:
    row = st.lists(PROBABILITY, min_size=faqs, max_size=faqs)
    rows = data.draw(st.lists(row, min_size=1, max_size=6))
    labels = data.draw(st.lists(st.integers(0, faqs - 1), min_size=len(rows), max_size=len(rows)))
    ranker = TableRanker(rows)
    test = tuple(Example(str(number), label) for number, label in enumerate(labels))
    made = Corpus(tuple(ranker.faqs), (), test, "made", "sha256:0")
    expected = [
        sorted(range(faqs), key=lambda faq: -row[faq]).index(label) + 1
        for row, label in zip(rows, labels, strict=True)
    ]
    assert ask(ranker, made).ranks.tolist() == expected


def test_ranks_are_the_places_that_the_ranker_gives(
    javascript: Corpus, javascript_ranker: FaqRanker
) -> None:
    few = dataclasses.replace(javascript, test=javascript.test[:40])
    found = ask(javascript_ranker, few)
    for example, rank in zip(few.test, found.ranks.tolist(), strict=True):
        place = javascript_ranker.rank(example.text, rank).matches[-1]
        assert place.id == javascript.faqs[example.faq].id


def test_asks_fewer_questions_at_once_where_there_are_more_faqs() -> None:
    filler = Faq("Q", "A", "?", None)
    many = [filler] * (1 << 21)
    ranker = TableRanker([[0.0]], faqs=[*FAQS, *many])
    examples = [Example("0", 0)] * 3
    assert ask(ranker, corpus(*examples, oos=("0", "0"))).ranks.tolist() == [1, 1, 1]
    assert ranker.batches == [1, 1, 1, 1, 1]


def test_progress_goes_to_stderr_and_only_when_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    test = corpus(Example("a", 0), oos=("b",))
    ask(tiny_ranker(), test)
    assert capsys.readouterr() == ("", "")
    ask(tiny_ranker(), test, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Evaluating on made: 100%" in shown.err


def test_faqs_are_found_by_answer_id() -> None:
    other = dataclasses.replace(corpus(Example("a", 2)), faqs=tuple(FAQS[::-1]))
    assert evaluate(tiny_ranker(), other).accuracy_at_1 == 1.0


def test_refuses_a_corpus_without_held_out_questions() -> None:
    with pytest.raises(CorpusError, match="no held-out questions"):
        evaluate(tiny_ranker(), corpus())


def test_refuses_faqs_that_the_model_does_not_know() -> None:
    faqs = (*FAQS, Faq("Q9", "A9", "z?", None))
    other = dataclasses.replace(corpus(Example("z", 3)), faqs=faqs)
    with pytest.raises(CorpusError, match="does not know the AnswerId 'A9'"):
        evaluate(tiny_ranker(), other)
