"""Known questions: what is chosen, what fails, and which files are refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.faq.known import TOLERANCE, KnownQuestion, KnownQuestions, KnownQuestionsFailed
from deployments.faq.ranker import FaqRanker, RankerFormatError
from tests.deployments.faq.small import QUESTIONS, train_small


@pytest.fixture(scope="module")
def ranker() -> FaqRanker:
    return train_small()


def test_a_model_answers_what_was_chosen_from_it(ranker: FaqRanker, tmp_path: Path) -> None:
    known = KnownQuestions.choose(ranker, QUESTIONS)
    assert [entry.answer_id for entry in known.questions] == ["A0", "A1", "A2", "A3"]
    known.save(tmp_path)
    read = KnownQuestions.load(tmp_path)
    assert read == known
    read.check(FaqRanker.load(_saved(ranker, tmp_path)))


def test_questions_without_a_clear_best_are_left_out(ranker: FaqRanker) -> None:
    known = KnownQuestions.choose(ranker, ["\N{SNOWMAN}", "", QUESTIONS[1]])
    assert [entry.question for entry in known.questions] == [QUESTIONS[1]]
    KnownQuestions.choose(ranker, []).check(ranker)


def test_another_best_match_fails(ranker: FaqRanker) -> None:
    known = KnownQuestions.choose(train_small(first=1), QUESTIONS)
    with pytest.raises(KnownQuestionsFailed, match=r"'How do.*expected AnswerId 'A3'.*'A0'"):
        known.check(ranker)


@pytest.mark.parametrize(("share", "fails"), [(0.5, False), (1.5, True)])
def test_probabilities_may_differ_a_little(ranker: FaqRanker, share: float, fails: bool) -> None:
    (entry,) = KnownQuestions.choose(ranker, QUESTIONS[:1]).questions
    moved = replace(entry, probability=entry.probability - share * TOLERANCE)
    if fails:
        with pytest.raises(KnownQuestionsFailed, match=f"{moved.probability:.4f}"):
            KnownQuestions((moved,)).check(ranker)
    else:
        KnownQuestions((moved,)).check(ranker)


def test_a_folder_without_the_file_has_none(tmp_path: Path) -> None:
    assert KnownQuestions.load(tmp_path) is None


@given(
    entries=st.lists(
        st.builds(
            KnownQuestion,
            st.text(),
            st.text(),
            st.floats(0, 1, width=32),
        )
    )
)
def test_any_text_comes_back(
    tmp_path_factory: pytest.TempPathFactory, entries: list[KnownQuestion]
) -> None:
    folder = tmp_path_factory.mktemp("known")
    known = KnownQuestions(tuple(entries))
    known.save(folder)
    assert KnownQuestions.load(folder) == known


ENTRY = {"question": "q", "answer_id": "A1", "probability": 0.5}
FILE: dict[str, Any] = {"format": "known-questions", "version": 1, "questions": [ENTRY]}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[" * 100_000,
        "[]",
        json.dumps({**FILE, "version": 2}),
        json.dumps({**FILE, "format": "other"}),
        json.dumps({**FILE, "more": 1}),
        json.dumps({**FILE, "questions": {}}),
        json.dumps({**FILE, "questions": ["q"]}),
        json.dumps({**FILE, "questions": [{**ENTRY, "more": 1}]}),
        json.dumps({**FILE, "questions": [{**ENTRY, "question": None}]}),
        json.dumps({**FILE, "questions": [{**ENTRY, "answer_id": 1}]}),
        json.dumps({**FILE, "questions": [{**ENTRY, "probability": "1"}]}),
        json.dumps({**FILE, "questions": [{**ENTRY, "probability": True}]}),
        json.dumps({**FILE, "questions": [{**ENTRY, "probability": float("nan")}]}),
        json.dumps({**FILE, "questions": [{"question": "q"}]}),
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "known.json").write_text(content)
    with pytest.raises(RankerFormatError, match=r"known\.json: "):
        KnownQuestions.load(tmp_path)


def _saved(ranker: FaqRanker, folder: Path) -> Path:
    ranker.save(folder)
    return folder
