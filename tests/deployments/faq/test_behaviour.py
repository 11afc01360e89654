"""What people may expect of a trained model, whatever is inside."""

import pytest

from deployments.faq.corpus import Corpus
from deployments.faq.ranker import FaqRanker
from deployments.faq.training import evaluate

LIKE_DUPLICATES = [
    ("what is the difference between == and ===", "What is the difference between == and ==="),
    ("whats a closure", "What is a closure"),
    ("how to remove one item from an array", "How do I remove a specific item from an array"),
]
STRANGE = ["xqzt wvvk plorb", "asdf", "lorem ipsum dolor sit amet", "zzz zzz zzz", "\u706b\u9505"]


def test_originals_find_themselves(javascript: Corpus, ranker: FaqRanker) -> None:
    questions = [faq.question for faq in javascript.faqs]
    rankings = ranker.rank_many(questions, [1] * len(questions))
    assert [ranking.matches[0].question for ranking in rankings] == questions
    assert all(ranking.matched for ranking in rankings)


@pytest.mark.parametrize(("asked", "expected"), LIKE_DUPLICATES)
def test_near_duplicates_match(ranker: FaqRanker, asked: str, expected: str) -> None:
    ranking = ranker.rank(asked)
    assert ranking.matches[0].question.startswith(expected)
    assert ranking.matched


@pytest.mark.parametrize("asked", STRANGE)
def test_gibberish_matches_nothing(ranker: FaqRanker, asked: str) -> None:
    ranking = ranker.rank(asked)
    assert ranking.matches[0].probability < 0.2
    assert not ranking.matched


def test_strangers_mostly_match_nothing(javascript: Corpus, ranker: FaqRanker) -> None:
    seen = ranker.rank_many(javascript.oos_train, [1] * len(javascript.oos_train))
    assert sum(ranking.matched for ranking in seen) <= 0.35 * len(seen)
    known = ranker.rank_many([example.text for example in javascript.train], [1] * 960)
    assert sum(ranking.matched for ranking in known) >= 0.9 * len(known)


def test_quality_on_the_embedded_corpus(javascript: Corpus, ranker: FaqRanker) -> None:
    found = evaluate(ranker, javascript)
    assert found.accuracy_at_1 >= 0.42
    assert found.mrr >= 0.54
    assert found.expected_calibration_error <= 0.12


def test_quality_on_banking77(banking77: Corpus, banking77_ranker: FaqRanker) -> None:
    found = evaluate(banking77_ranker, banking77)
    assert found.questions == 3080
    assert found.accuracy_at_1 >= 0.90
    assert found.accuracy_at_3 >= 0.97
    assert found.mean_rank <= 1.35
    assert found.mrr >= 0.94
    assert found.expected_calibration_error <= 0.03
