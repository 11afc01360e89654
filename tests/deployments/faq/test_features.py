"""The extractor's features are those of scikit-learn's own vectorizers, unknowns apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.faq.corpus import Corpus
from deployments.faq.features import Block, FeatureExtractor
from deployments.faq.vocabulary import fit_features
from tests.deployments.faq.reference import AWKWARD, Reference, code

LEARNT = [
    "How do I reset my password?",
    "my password, my PASSWORD and my pass-word",
    "it's a.b?.c === d[0] || x",
    "x or a or d? Do I reset it, or is it how it's done",
    "\u00bfD\u00f3nde est\u00e1? \u4f60\u597d\u5417 \u0395\u03a3\u03a3",
    AWKWARD,
]
PIECES = [*"aAbxyz_0?.' \t\n", *AWKWARD, "password ", "my ", "reset ", "pass-word", "\u4f60\u597d"]

questions = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=60).map("".join),
    st.text(st.characters(), max_size=200),
)

REFERENCE = Reference(LEARNT)
EXTRACTOR = fit_features(LEARNT, most_features=1 << 20, with_pairs=True)
NOTHING = Block(np.empty(0, np.uint64), np.empty(0, np.float32))


def assert_same(asked: list[str]) -> None:
    found = EXTRACTOR.transform(asked)
    found.check_format()
    assert found.has_canonical_format
    assert found.dtype == np.float32
    expected = REFERENCE.transform(asked)
    assert np.array_equal(found.toarray() != 0, expected != 0)
    np.testing.assert_allclose(found.toarray(), expected, rtol=2e-6)


def test_columns_and_weights_are_those_of_scikit_learn() -> None:
    blocks = EXTRACTOR.words, EXTRACTOR.characters, EXTRACTOR.pairs
    fitted = REFERENCE.words, REFERENCE.characters, REFERENCE.pairs
    for block, codes, vectorizer in zip(blocks, REFERENCE.codes(), fitted, strict=True):
        assert len(block) > 5
        assert np.array_equal(block.codes, np.sort(codes))
        np.testing.assert_allclose(block.idf, vectorizer.idf_[codes.argsort()], rtol=1e-6)


def test_blocks_of_known_questions_have_length_1() -> None:
    rows = EXTRACTOR.transform(LEARNT).power(2)
    words, pairs = EXTRACTOR.first_character, EXTRACTOR.first_pair
    np.testing.assert_allclose(rows[:, :words].sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(rows[:, words:pairs].sum(axis=1), 1, rtol=1e-5)
    of_pairs = rows[:, pairs:].toarray().sum(axis=1)
    np.testing.assert_allclose(of_pairs[[0, 1, 3]], 1, rtol=1e-5)
    assert of_pairs[4] == 0


def test_the_unknown_makes_a_question_like_nothing() -> None:
    known, half_known = EXTRACTOR.transform(["password", "password grblfx"]).toarray()
    assert half_known @ half_known < 0.7 * (known @ known)


@given(st.lists(questions, min_size=1, max_size=5))
@settings(max_examples=200, deadline=None)
def test_features_are_those_of_scikit_learn(asked: list[str]) -> None:
    assert_same(asked)


@pytest.mark.parametrize(
    "asked",
    [LEARNT, ["", " ", "\n"], ["a"], ["password " * 900], ["p" * 8192], [AWKWARD * 200, "x"]],
    ids=["learnt", "empty", "one letter", "repeated", "one long word", "awkward"],
)
def test_extreme_questions(asked: list[str]) -> None:
    assert_same(asked)


def test_real_questions(javascript: Corpus) -> None:
    assert_same([example.text for example in javascript.test])


@given(st.lists(questions, min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_a_row_depends_on_its_question_alone(asked: list[str]) -> None:
    together = EXTRACTOR.transform(asked)
    for row, question in enumerate(asked):
        alone = EXTRACTOR.transform([question])
        cells = slice(together.indptr[row], together.indptr[row + 1])
        assert np.array_equal(together.indices[cells], alone.indices)
        assert np.array_equal(together.data[cells], alone.data)


@pytest.mark.parametrize("remembered", [None, 0, 2])
def test_what_is_remembered_changes_nothing(remembered: int | None) -> None:
    forgetful = FeatureExtractor(
        EXTRACTOR.words, EXTRACTOR.characters, EXTRACTOR.pairs, remembered_words=remembered
    )
    for _ in range(2):
        found, expected = forgetful.transform(LEARNT), EXTRACTOR.transform(LEARNT)
        assert np.array_equal(found.toarray(), expected.toarray())


def test_no_questions_give_no_rows() -> None:
    assert EXTRACTOR.transform([]).shape == (0, EXTRACTOR.width)


def test_without_columns_every_question_is_empty() -> None:
    extractor = FeatureExtractor(NOTHING, NOTHING, NOTHING)
    assert extractor.transform(["password", ""]).shape == (2, 0)


def test_a_block_finds_its_codes_and_no_others() -> None:
    codes = np.array([3, code(b"w", "a"), 2**64 - 1], np.uint64)
    block = Block(np.sort(codes), np.ones(3, np.float32))
    asked = np.array([0, 3, 4, 2**64 - 1, code(b"w", "a"), code(b"c", "a")], np.uint64)
    places, known = block.find(asked)
    assert known.tolist() == [False, True, False, True, True, False]
    assert np.array_equal(block.codes[places[known]], asked[known])
    assert not NOTHING.find(asked)[1].any()


def test_refuses_weights_of_another_length() -> None:
    with pytest.raises(ValueError, match="2 idf weights for 1 n-grams"):
        Block(np.zeros(1, np.uint64), np.ones(2, np.float32))
