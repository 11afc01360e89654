from dataclasses import replace

import numpy as np
import pytest

from deployments.faq.corpus import Corpus, CorpusError, Example, Faq
from deployments.faq.ranker import FaqRanker
from deployments.faq.training import train
from tests.deployments.faq import small
from tests.deployments.faq.corpora import make_corpus

QUESTIONS = ["How do I reset my password?", "Where is my parcel?", "Can I pay by card?"]
DUPLICATES = {"forgot password": 0, "new passphrase please": 0, "track my order": 1}

DENSE, INDEXED = 10, 1
"""Values of `largest_with_margins`."""

both_kinds = pytest.mark.parametrize("largest_with_margins", [DENSE, INDEXED])


def train_quietly(corpus: Corpus, largest_with_margins: int) -> FaqRanker:
    return train(corpus, progress=False, largest_with_margins=largest_with_margins)


@both_kinds
def test_learns_from_duplicates(largest_with_margins: int) -> None:
    ranker = train_quietly(make_corpus(QUESTIONS, DUPLICATES), largest_with_margins)
    assert ranker.rank("passphrase").matches[0].id == "Q0"
    assert ranker.rank("order").matches[0].id == "Q1"
    assert ranker.rank("card").matches[0].id == "Q2"


@both_kinds
def test_learns_from_validation_too(largest_with_margins: int) -> None:
    examples = tuple(Example(text, faq) for text, faq in DUPLICATES.items())
    corpus = replace(make_corpus(QUESTIONS, {}), val=examples)
    ranker = train_quietly(corpus, largest_with_margins)
    assert ranker.rank("passphrase").matches[0].id == "Q0"
    assert ranker.rank("order").matches[0].id == "Q1"
    trained_on = train_quietly(make_corpus(QUESTIONS, DUPLICATES), largest_with_margins)
    assert np.array_equal(ranker.probabilities(QUESTIONS), trained_on.probabilities(QUESTIONS))


@both_kinds
def test_does_not_learn_from_the_test(largest_with_margins: int) -> None:
    corpus = make_corpus(QUESTIONS, DUPLICATES)
    with_test = replace(corpus, test=(Example("xyzzy", 0),), oos_test=("plugh",))
    rankers = [train_quietly(each, largest_with_margins) for each in (corpus, with_test)]
    found = [ranker.probabilities(["xyzzy", "plugh", *QUESTIONS]) for ranker in rankers]
    assert np.array_equal(found[0], found[1])


@both_kinds
def test_learns_from_answers(largest_with_margins: int) -> None:
    corpus = make_corpus(QUESTIONS, DUPLICATES)
    first, *others = corpus.faqs
    told = replace(corpus, faqs=(replace(first, answer="Open the settings dialogue."), *others))
    ranker = train_quietly(told, largest_with_margins)
    match = ranker.rank("settings dialogue").matches[0]
    assert (match.id, match.answer) == ("Q0", "Open the settings dialogue.")
    assert [faq.answer for faq in ranker.faqs[1:]] == [None, None]


@both_kinds
@pytest.mark.parametrize("used", ["oos_train", "oos_val"])
def test_strangers_that_were_seen_match_less(used: str, largest_with_margins: int) -> None:
    strangers = tuple(
        f"{start} {word}"
        for start in ("who invented the", "what is the best colour for a")
        for word in ("password", "parcel", "card", "sunday")
    )
    corpus = make_corpus(small.QUESTIONS, small.DUPLICATES)
    told = Corpus(**{**vars(corpus), used: strangers})
    unseen, seen = (train_quietly(each, largest_with_margins) for each in (corpus, told))
    before, after = (ranker.probabilities(strangers).max(axis=1) for ranker in (unseen, seen))
    assert (after < before - 0.1).all()
    assert (seen.probabilities([*small.DUPLICATES]).max(axis=1) > 0.9).all()


@both_kinds
@pytest.mark.parametrize("count", [2, 3])
def test_needs_no_duplicates(count: int, largest_with_margins: int) -> None:
    ranker = train_quietly(make_corpus(QUESTIONS[:count], {}), largest_with_margins)
    for number, question in enumerate(QUESTIONS[:count]):
        ranking = ranker.rank(question)
        assert ranking.matches[0].id == f"Q{number}"
        assert ranking.matched
    assert not ranker.rank("xyzzy").matched


@both_kinds
def test_two_faqs_with_duplicates(largest_with_margins: int) -> None:
    ranker = train_quietly(make_corpus(QUESTIONS[:2], DUPLICATES), largest_with_margins)
    assert ranker.rank("passphrase").matches[0].id == "Q0"
    assert ranker.rank("track order").matches[0].id == "Q1"


@both_kinds
def test_faqs_with_the_same_question_stay_in_order(largest_with_margins: int) -> None:
    ranker = train_quietly(make_corpus([QUESTIONS[0]] * 3, {}), largest_with_margins)
    matches = ranker.rank(QUESTIONS[0]).matches
    assert [match.id for match in matches] == ["Q0", "Q1", "Q2"]


@both_kinds
def test_duplicates_that_mislead_give_a_ranker_all_the_same(largest_with_margins: int) -> None:
    wrong = {f"{QUESTIONS[n % 3]} {n}": (n + 1) % 3 for n in range(300)}
    faqs = [Faq(f"Q{n}", f"A{n}", text, QUESTIONS[(n + 1) % 3]) for n, text in enumerate(QUESTIONS)]
    corpus = replace(make_corpus(QUESTIONS, wrong), faqs=tuple(faqs))
    probabilities = train_quietly(corpus, largest_with_margins).probabilities(QUESTIONS)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


@both_kinds
@pytest.mark.parametrize("questions", [["?", "!!"], ["\u2764", "\u2603?"]])
def test_signs_are_learnt_where_there_is_nothing_else(
    questions: list[str], largest_with_margins: int
) -> None:
    ranker = train_quietly(make_corpus(questions, {}), largest_with_margins)
    for number, question in enumerate(questions):
        assert ranker.rank(question).matches[0].id == f"Q{number}"
        assert ranker.rank(question).matched


@both_kinds
def test_refuses_a_corpus_without_words(largest_with_margins: int) -> None:
    with pytest.raises(CorpusError, match="made: the corpus has no words"):
        train_quietly(make_corpus(["", " \n", "\t"], {}), largest_with_margins)


def test_margins_are_for_corpora_up_to_a_size() -> None:
    corpus = make_corpus(QUESTIONS, DUPLICATES)
    weights = [train_quietly(corpus, most).parameters["weights"].split() for most in (3, 2)]
    assert [len(each) for each in weights] == [7, 6]


def test_parameters_say_how_it_was_trained() -> None:
    ranker = train(make_corpus(QUESTIONS, DUPLICATES), seed=7, progress=False)
    assert (ranker.parameters["seed"], ranker.parameters["fitted_on"]) == ("7", "3")


@pytest.mark.parametrize("largest_with_margins", [1_000, 10])
def test_same_seed_same_ranker(
    javascript: Corpus,
    javascript_ranker: FaqRanker,
    indexed_ranker: FaqRanker,
    largest_with_margins: int,
) -> None:
    first = javascript_ranker if largest_with_margins > 10 else indexed_ranker
    again = train_quietly(javascript, largest_with_margins)
    questions = [example.text for example in javascript.test]
    assert np.array_equal(again.probabilities(questions), first.probabilities(questions))
    assert (again.threshold, again.parameters) == (first.threshold, first.parameters)


@both_kinds
def test_progress_goes_to_stderr_and_only_when_wanted(
    largest_with_margins: int, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = replace(make_corpus(QUESTIONS, DUPLICATES), oos_train=("what is the weather",))
    train_quietly(corpus, largest_with_margins)
    assert capsys.readouterr() == ("", "")
    train(corpus, largest_with_margins=largest_with_margins)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Training made: 100%" in shown.err
