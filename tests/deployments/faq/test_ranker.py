import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.faq.calibration import Calibration
from deployments.faq.corpus import Corpus, Faq
from deployments.faq.features import FeatureExtractor
from deployments.faq.ranker import FaqRanker

FAQS = [
    Faq("Q1", "A1", "a?", "an answer"),
    Faq("Q2", "A2", "b?", None),
    Faq("Q3", "A3", "c?", None),
]
HUGE = "why " * 2048
ODD = [
    "",
    " \n\t",
    "?",
    "\ud800",
    "\u0130",
    "\U0001f469\u200d\U0001f4bb",
    "\u4f60\u597d",
    "x" * 8192,
    HUGE,
]


def tiny_ranker() -> FaqRanker:
    """The word "a" means the first FAQ; "b" the second and the third, equally."""
    extractor = FeatureExtractor(["a", "b"], [], np.ones(2, np.float32))
    weights = np.array([[8, 0, 0], [0, 8, 8]], np.float32)
    bias = np.zeros(3, np.float32)
    return FaqRanker(FAQS, extractor, weights, bias, Calibration(0.0, 1.0, 0.0), threshold=0.5)


def test_ranks_best_first() -> None:
    ranking = tiny_ranker().rank("a")
    assert [match.id for match in ranking.matches] == ["Q1", "Q2", "Q3"]
    assert ranking.matched
    best = ranking.matches[0]
    assert (best.answer_id, best.question, best.answer) == ("A1", "a?", "an answer")
    assert best.probability == pytest.approx(1 / (1 + 2 * np.exp(-8)))


def test_equals_stay_in_the_order_of_the_corpus() -> None:
    assert [match.id for match in tiny_ranker().rank("b").matches] == ["Q2", "Q3", "Q1"]


def test_matched_means_that_the_best_reaches_the_threshold() -> None:
    ranker = tiny_ranker()
    ranker.threshold = ranker.rank("b").matches[0].probability
    assert ranker.rank("b").matched
    ranker.threshold = float(np.nextafter(ranker.threshold, 1))
    assert not ranker.rank("b").matched


@pytest.mark.parametrize("question", ["", "  ", "unknown", "\U0001f600"])
def test_a_question_in_which_nothing_is_known_matches_nothing(question: str) -> None:
    ranking = tiny_ranker().rank(question)
    assert [match.id for match in ranking.matches] == ["Q1", "Q2", "Q3"]
    assert [match.probability for match in ranking.matches] == [0, 0, 0]
    assert not ranking.matched


def test_each_question_has_its_own_top_k() -> None:
    rankings = tiny_ranker().rank_many(["a", "b", "a"], [1, 2, 100])
    assert [len(ranking.matches) for ranking in rankings] == [1, 2, 3]


def test_refuses_impossible_top_k() -> None:
    with pytest.raises(ValueError, match="starts at 1"):
        tiny_ranker().rank("a", 0)
    with pytest.raises(ValueError, match="2 questions with 1 values"):
        tiny_ranker().rank_many(["a", "b"], [1])


def test_no_questions_give_no_rankings() -> None:
    assert tiny_ranker().rank_many([], []) == []
    assert tiny_ranker().probabilities([]).shape == (0, 3)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_neighbours_in_a_batch_change_nothing(
    javascript_ranker: FaqRanker, javascript: Corpus, data: st.DataObject
) -> None:
    texts = st.one_of(
        st.sampled_from([example.text for example in javascript.test]),
        st.sampled_from(ODD),
        st.text(st.characters(), max_size=80),
    )
    asked = data.draw(st.lists(st.tuples(texts, st.integers(1, 12)), min_size=1, max_size=24))
    questions, top_k = [text for text, _ in asked], [k for _, k in asked]
    alone = [javascript_ranker.rank(text, k) for text, k in asked]
    assert javascript_ranker.rank_many(questions, top_k) == alone
    backwards = javascript_ranker.probabilities(questions[::-1])[::-1]
    assert np.array_equal(javascript_ranker.probabilities(questions), backwards)


@pytest.mark.parametrize("question", ODD)
def test_any_text_is_legal(javascript_ranker: FaqRanker, question: str) -> None:
    probabilities = javascript_ranker.probabilities([question])
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert probabilities.max() < javascript_ranker.threshold


def test_save_and_load_give_the_same_ranker(
    javascript_ranker: FaqRanker, javascript: Corpus, tmp_path: Path
) -> None:
    javascript_ranker.save(tmp_path / "model")
    loaded = FaqRanker.load(tmp_path / "model")
    questions = [example.text for example in javascript.test]
    assert loaded.faqs == javascript_ranker.faqs
    assert loaded.threshold == javascript_ranker.threshold
    top_k = [10] * len(questions)
    assert loaded.rank_many(questions, top_k) == javascript_ranker.rank_many(questions, top_k)


def test_serving_imports_neither_scikit_learn_nor_ray() -> None:
    code = (
        "import sys, deployments.faq.ranker as ranker\n"
        "print(sorted({'sklearn', 'ray', 'scipy.optimize', 'mlflow'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
