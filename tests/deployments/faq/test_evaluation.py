import dataclasses

import pytest

from deployments.faq.corpus import Corpus, CorpusError, Example, Faq
from deployments.faq.training import evaluate
from tests.deployments.faq.test_ranker import FAQS, tiny_ranker


def corpus(*test: Example) -> Corpus:
    return Corpus(tuple(FAQS), (), test, "made", "sha256:0")


def test_figures() -> None:
    examples = [Example("a", 0), Example("b", 1), Example("b", 2), Example("b", 0)]
    found = evaluate(tiny_ranker(), corpus(*examples))
    assert found.questions == 4
    assert found.accuracy_at_1 == 0.5
    assert found.accuracy_at_3 == 1.0
    assert found.mean_rank == (1 + 1 + 2 + 3) / 4
    assert found.mrr == pytest.approx((1 + 1 + 1 / 2 + 1 / 3) / 4)
    # "a" is right at about 1.0; "b" is right in one of three cases at about 0.5.
    assert found.expected_calibration_error == pytest.approx((3 * 0.5 - 1) / 4, abs=1e-3)


def test_faqs_are_found_by_answer_id() -> None:
    other = dataclasses.replace(corpus(Example("a", 2)), faqs=tuple(FAQS[::-1]))
    assert evaluate(tiny_ranker(), other).accuracy_at_1 == 1.0


def test_refuses_a_corpus_without_held_out_questions() -> None:
    with pytest.raises(CorpusError, match=r"no dupes_test\.tsv"):
        evaluate(tiny_ranker(), corpus())


def test_refuses_faqs_that_the_model_does_not_know() -> None:
    faqs = (*FAQS, Faq("Q9", "A9", "z?", None))
    other = dataclasses.replace(corpus(Example("z", 3)), faqs=faqs)
    with pytest.raises(CorpusError, match="does not know the AnswerId 'A9'"):
        evaluate(tiny_ranker(), other)
