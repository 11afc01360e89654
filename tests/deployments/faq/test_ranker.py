import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from deployments.faq.calibration import RIVALS, Calibration
from deployments.faq.corpus import Corpus, Faq
from deployments.faq.features import Block, FeatureExtractor
from deployments.faq.index import IndexedScores, Weights
from deployments.faq.ngrams import codes_of_word
from deployments.faq.ranker import FaqRanker
from deployments.faq.scores import Best, DenseScores, Features, Scores

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
    "<p></p>",
    "\ud800",
    "\u0130",
    "\U0001f469\u200d\U0001f4bb",
    "\u4f60\u597d",
    "x" * 8192,
    HUGE,
]


def three_blocks() -> tuple[Block, Block, Block]:
    """The words "a" and "b", no characters and no pairs."""
    codes = np.sort(np.concatenate([codes_of_word(word).tokens for word in ("a", "b")]))
    nothing = Block(np.empty(0, np.uint64), np.empty(0, np.float32))
    return Block(codes, np.ones(2, np.float32)), nothing, nothing


def tiny_ranker(*, indexed: bool = False) -> FaqRanker:
    """The word "a" means the first FAQ; "b" the second and the third, equally."""
    extractor = FeatureExtractor(*three_blocks())
    weights = np.zeros((2, 3), np.float32)
    weights[extractor.transform(["a", "b"]).indices] = [[8, 0, 0], [0, 8, 8]]
    scores: Scores = DenseScores(weights, np.zeros(3, np.float32))
    if indexed:
        scores = IndexedScores(Weights.quantise([csr_array(weights.T)], most=8.0))
    return FaqRanker(FAQS, extractor, scores, Calibration(0.0, 1.0, 0.0), 0.5, {"seed": "0"})


@pytest.fixture(params=["dense", "indexed"])
def tiny(request: pytest.FixtureRequest) -> FaqRanker:
    return tiny_ranker(indexed=request.param == "indexed")


def test_ranks_best_first(tiny: FaqRanker) -> None:
    ranking = tiny.rank("a")
    assert [match.id for match in ranking.matches] == ["Q1", "Q2", "Q3"]
    assert ranking.matched
    best = ranking.matches[0]
    assert (best.answer_id, best.question, best.answer) == ("A1", "a?", "an answer")
    assert best.probability == pytest.approx(1 / (1 + 2 * np.exp(-8)))


def test_equals_stay_in_the_order_of_the_corpus(tiny: FaqRanker) -> None:
    assert [match.id for match in tiny.rank("b").matches] == ["Q2", "Q3", "Q1"]


def test_matched_means_that_the_best_reaches_the_threshold(tiny: FaqRanker) -> None:
    tiny.threshold = tiny.rank("b").matches[0].probability
    assert tiny.rank("b").matched
    tiny.threshold = float(np.nextafter(tiny.threshold, 1))
    assert not tiny.rank("b").matched


@pytest.mark.parametrize("question", ["", "  ", "unknown", "\U0001f600"])
def test_a_question_in_which_nothing_is_known_matches_nothing(
    tiny: FaqRanker, question: str
) -> None:
    ranking = tiny.rank(question)
    assert [match.id for match in ranking.matches] == ["Q1", "Q2", "Q3"]
    assert [match.probability for match in ranking.matches] == [0, 0, 0]
    assert not ranking.matched


def test_each_question_has_its_own_top_k(tiny: FaqRanker) -> None:
    rankings = tiny.rank_many(["a", "b", "a"], [1, 2, 100])
    assert [len(ranking.matches) for ranking in rankings] == [1, 2, 3]


def test_refuses_impossible_top_k(tiny: FaqRanker) -> None:
    with pytest.raises(ValueError, match="starts at 1"):
        tiny.rank("a", 0)
    with pytest.raises(ValueError, match="2 questions with 1 values"):
        tiny.rank_many(["a", "b"], [1])


def test_no_questions_give_no_rankings(tiny: FaqRanker) -> None:
    assert tiny.rank_many([], []) == []
    assert tiny.probabilities([]).shape == (0, 3)


def texts(corpus: Corpus) -> st.SearchStrategy[str]:
    return st.one_of(
        st.sampled_from([example.text for example in corpus.test]),
        st.sampled_from(ODD),
        st.text(st.characters(), max_size=80),
    )


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_neighbours_in_a_batch_change_nothing(
    ranker: FaqRanker, javascript: Corpus, data: st.DataObject
) -> None:
    wanted = st.integers(1, 12) | st.sampled_from([RIVALS, RIVALS + 1, 150, 1_000])
    asked = data.draw(st.lists(st.tuples(texts(javascript), wanted), min_size=1, max_size=24))
    questions, top_k = [text for text, _ in asked], [k for _, k in asked]
    alone = [ranker.rank(text, k) for text, k in asked]
    assert ranker.rank_many(questions, top_k) == alone
    backwards = ranker.probabilities(questions[::-1])[::-1]
    assert np.array_equal(ranker.probabilities(questions), backwards)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_the_best_come_first_and_fewer_are_the_first_of_more(
    ranker: FaqRanker, javascript: Corpus, data: st.DataObject
) -> None:
    question = data.draw(texts(javascript))
    ranking = ranker.rank(question, RIVALS)
    found = [match.probability for match in ranking.matches]
    assert len(ranking.matches) == len({match.id for match in ranking.matches}) == RIVALS
    assert 0 <= min(found) <= max(found) <= 1
    assert found == sorted(found, reverse=True)
    assert ranking.matched is (found[0] >= ranker.threshold)
    for k in (1, 10):
        assert ranker.rank(question, k).matches == ranking.matches[:k]


class ThoroughScores(DenseScores):
    """Finds better FAQs the more it is asked for, as an index may."""

    def best(self, features: Features, count: int) -> Best:
        faqs, scores = super().best(features, count)
        return Best(faqs, scores + count)


def test_a_neighbour_with_a_larger_top_k_changes_nothing() -> None:
    scores = ThoroughScores(np.eye(2, 3, dtype=np.float32), np.zeros(3, np.float32))
    extractor = FeatureExtractor(*three_blocks())
    ranker = FaqRanker(FAQS, extractor, scores, Calibration(0.01, 1.0, 0.0), 0.5, {})
    asked, top_k = ["a", "b", "a", "a"], [1, 1_000, 100, 101]
    alone = [ranker.rank(question, k) for question, k in zip(asked, top_k, strict=True)]
    assert ranker.rank_many(asked, top_k) == alone


def test_more_than_there_are_gives_every_faq(ranker: FaqRanker) -> None:
    for question in ("how do I copy an array", *ODD):
        matches = ranker.rank(question, 10_000).matches
        assert {match.id for match in matches} == {faq.id for faq in ranker.faqs}
        assert len(matches) == len(ranker.faqs)


def test_rankings_agree_with_the_probabilities(ranker: FaqRanker, javascript: Corpus) -> None:
    questions = [*ODD, *(example.text for example in javascript.test)]
    places = {faq.id: place for place, faq in enumerate(ranker.faqs)}
    rankings = ranker.rank_many(questions, [len(places)] * len(questions))
    for row, ranking in zip(ranker.probabilities(questions), rankings, strict=True):
        ranked = row[[places[match.id] for match in ranking.matches]]
        found = [match.probability for match in ranking.matches]
        np.testing.assert_allclose(found, ranked, rtol=1e-3, atol=1e-6)


def test_the_ten_best_are_those_of_the_probabilities(ranker: FaqRanker, javascript: Corpus) -> None:
    questions = [example.text for example in javascript.test]
    rankings = ranker.rank_many(questions, [10] * len(questions))
    probabilities = ranker.probabilities(questions)
    tenth = np.partition(probabilities, -10, axis=1)[:, [-10]]
    found = np.array([[match.probability for match in each.matches] for each in rankings])
    assert (found >= tenth * 0.99).mean() >= 0.999
    np.testing.assert_allclose(found[:, 0], probabilities.max(axis=1), atol=0.01)


@pytest.mark.parametrize("kind", ["javascript_ranker", "indexed_ranker"])
def test_case_does_not_matter(
    kind: str, javascript: Corpus, request: pytest.FixtureRequest
) -> None:
    # With embeddings it does: capitals make names.
    ranker: FaqRanker = request.getfixturevalue(kind)
    for example in javascript.test[:50]:
        assert ranker.rank(example.text.upper()) == ranker.rank(example.text)


def test_blanks_do_not_matter(ranker: FaqRanker, javascript: Corpus) -> None:
    for example in javascript.test[:50]:
        plain = ranker.rank(example.text)
        spaced = "\n  " + "\t \u00a0".join(example.text.split()) + " "
        assert ranker.rank(spaced) == plain


@pytest.mark.parametrize("question", ODD)
def test_any_text_is_legal(ranker: FaqRanker, question: str) -> None:
    probabilities = ranker.probabilities([question])
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert probabilities.max() < ranker.threshold
    assert not ranker.rank(question).matched


@pytest.mark.parametrize("word", ["array", "a", "promise?", "xyzzy"])
def test_a_question_may_be_one_word(ranker: FaqRanker, word: str) -> None:
    probabilities = [match.probability for match in ranker.rank(word, 100).matches]
    assert 0 <= probabilities[-1] <= probabilities[0] <= 1


def test_save_and_load_give_the_same_ranker(
    ranker: FaqRanker, javascript: Corpus, tmp_path: Path
) -> None:
    ranker.save(tmp_path)
    loaded = FaqRanker.load(tmp_path)
    questions = [example.text for example in javascript.test]
    assert loaded.faqs == ranker.faqs
    assert (loaded.threshold, loaded.parameters) == (ranker.threshold, ranker.parameters)
    top_k = [10] * len(questions)
    assert loaded.rank_many(questions, top_k) == ranker.rank_many(questions, top_k)
    assert np.array_equal(loaded.probabilities(questions), ranker.probabilities(questions))


def test_serving_imports_neither_scikit_learn_nor_ray() -> None:
    code = (
        "import sys, deployments.faq.ranker as ranker\n"
        "print(sorted({'sklearn', 'ray', 'scipy.optimize', 'mlflow'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
