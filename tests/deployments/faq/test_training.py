import numpy as np
import pytest

from deployments.faq.corpus import Corpus, CorpusError
from deployments.faq.ranker import FaqRanker
from deployments.faq.training import LARGEST_CORPUS, train
from tests.deployments.faq.corpora import make_corpus

QUESTIONS = ["How do I reset my password?", "Where is my parcel?", "Can I pay by card?"]
DUPLICATES = {"forgot password": 0, "new passphrase please": 0, "track my order": 1}


def test_learns_from_duplicates() -> None:
    ranker = train(make_corpus(QUESTIONS, DUPLICATES), progress=False)
    assert ranker.rank("passphrase").matches[0].id == "Q0"
    assert ranker.rank("order").matches[0].id == "Q1"
    assert ranker.rank("card").matches[0].id == "Q2"


@pytest.mark.parametrize("count", [2, 3])
def test_needs_no_duplicates(count: int) -> None:
    ranker = train(make_corpus(QUESTIONS[:count], {}), progress=False)
    for number, question in enumerate(QUESTIONS[:count]):
        ranking = ranker.rank(question)
        assert ranking.matches[0].id == f"Q{number}"
        assert ranking.matched
    assert not ranker.rank("xyzzy").matched


def test_two_faqs_with_duplicates() -> None:
    ranker = train(make_corpus(QUESTIONS[:2], DUPLICATES), progress=False)
    assert ranker.rank("passphrase").matches[0].id == "Q0"
    assert ranker.rank("track order").matches[0].id == "Q1"


def test_same_seed_same_ranker(javascript: Corpus, javascript_ranker: FaqRanker) -> None:
    questions = [example.text for example in javascript.test]
    again = train(javascript, progress=False)
    assert np.array_equal(
        again.probabilities(questions), javascript_ranker.probabilities(questions)
    )
    assert again.threshold == javascript_ranker.threshold


def test_progress_goes_to_stderr_and_only_when_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    corpus = make_corpus(QUESTIONS, DUPLICATES)
    train(corpus, progress=False)
    assert capsys.readouterr() == ("", "")
    train(corpus)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Training made: 100%" in shown.err


def test_refuses_a_corpus_without_words() -> None:
    with pytest.raises(CorpusError, match="no words"):
        train(make_corpus(["?", "!!"], {}), progress=False)


def test_refuses_a_corpus_too_large_for_memory() -> None:
    corpus = make_corpus([f"question {n}" for n in range(LARGEST_CORPUS + 1)], {})
    with pytest.raises(CorpusError, match=rf"at most {LARGEST_CORPUS}"):
        train(corpus, progress=False)
