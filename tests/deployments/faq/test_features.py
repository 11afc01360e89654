"""The extractor's features are those of scikit-learn's own vectorizers, unknowns apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array, hstack
from sklearn.feature_extraction.text import TfidfVectorizer

from deployments.faq.corpus import Corpus
from deployments.faq.features import (
    CHARACTER_NGRAMS,
    TOKEN_PATTERN,
    WORD_NGRAMS,
    FeatureExtractor,
)
from deployments.faq.training import fit_features

# Lower-casing makes two characters of the first and depends on the neighbours of the second; then
# blanks of other kinds, a separator that only str.split knows, an emoji of several code points, a
# lone surrogate, and a letter with a combining accent.
AWKWARD = (
    "\u0130 \u03a3\u03a3 a\u00a0b\u3000c\u2028d\x1ce \U0001f469\u200d\U0001f4bb \ud800x e\u0301"
)
LEARNT = [
    "How do I reset my password?",
    "my password, my PASSWORD and my pass-word",
    "it's a.b?.c === d[0] || x",
    "\u00bfD\u00f3nde est\u00e1? \u4f60\u597d\u5417 \u0395\u03a3\u03a3",
    AWKWARD,
]
PIECES = [*"aAbxyz_0?.' \t\n", *AWKWARD, "password", "my", "reset ", "pass-word", "\u4f60\u597d"]

questions = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=60).map("".join),
    st.text(st.characters(), max_size=200),
)


WORDS = TfidfVectorizer(
    ngram_range=WORD_NGRAMS, token_pattern=TOKEN_PATTERN, sublinear_tf=True, norm=None
).fit(LEARNT)
CHARACTERS = TfidfVectorizer(
    analyzer="char_wb", ngram_range=CHARACTER_NGRAMS, sublinear_tf=True, norm=None
).fit(LEARNT)
EXTRACTOR = fit_features(LEARNT, most_features=1 << 20)


def block(vectorizer: TfidfVectorizer, asked: list[str]) -> csr_array:
    """scikit-learn's rows divided by their lengths, in which unknowns weigh like the rarest."""
    analyse, known = vectorizer.build_analyzer(), vectorizer.vocabulary_
    rows = csr_array(vectorizer.transform(asked))
    # Pairs of words do not count: most pairs are new even in familiar questions.
    pairs = vectorizer.analyzer == "word"
    unknown = [
        sum(ngram not in known and not (pairs and " " in ngram) for ngram in analyse(question))
        for question in asked
    ]
    squares = rows.power(2).sum(axis=1) + np.array(unknown) * vectorizer.idf_.max() ** 2
    return csr_array(rows.multiply(1 / np.sqrt(np.maximum(squares, 1e-9))[:, None]))


def assert_same(asked: list[str]) -> None:
    expected = hstack([block(WORDS, asked), block(CHARACTERS, asked)], format="csr")
    found = EXTRACTOR.transform(asked)
    found.check_format()
    expected.sort_indices()
    assert np.array_equal(found.indptr, expected.indptr)
    assert np.array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.data, expected.data, rtol=2e-6)


def test_columns_are_those_of_scikit_learn() -> None:
    assert list(EXTRACTOR.words) == WORDS.get_feature_names_out().tolist()
    assert list(EXTRACTOR.characters) == CHARACTERS.get_feature_names_out().tolist()


def test_blocks_of_known_questions_have_length_1() -> None:
    rows = EXTRACTOR.transform(LEARNT).power(2)
    count = len(EXTRACTOR.words)
    np.testing.assert_allclose(rows[:, :count].sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(rows[:, count:].sum(axis=1), 1, rtol=1e-5)


def test_the_unknown_makes_a_question_like_nothing() -> None:
    known, half_known = EXTRACTOR.transform(["password", "password grblfx"]).toarray()
    assert half_known @ half_known < 0.7 * (known @ known)


@given(st.lists(questions, min_size=1, max_size=5))
@settings(max_examples=300, deadline=None)
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


def test_no_questions_give_no_rows() -> None:
    assert EXTRACTOR.transform([]).shape == (0, EXTRACTOR.width)


def test_refuses_weights_of_another_width() -> None:
    with pytest.raises(ValueError, match="idf weights"):
        FeatureExtractor(["a"], [" a", "a "], np.ones(2, np.float32))
