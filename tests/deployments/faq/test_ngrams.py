import re
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from deployments.faq.corpus import Corpus
from deployments.faq.ngrams import (
    CHARACTER_NGRAMS,
    PAIR_WINDOW,
    TOKEN_PATTERN,
    bigrams,
    codes_of_word,
    pairs,
    split,
)
from tests.deployments.faq.reference import AWKWARD, code, code_of_pair, pairs_of, token_codes

TEXTS = st.one_of(st.text(st.characters()), st.lists(st.sampled_from(AWKWARD)).map("".join))
ROWS = st.lists(st.lists(st.sampled_from("abcde"), max_size=2 * PAIR_WINDOW), max_size=4)
analyse = TfidfVectorizer(analyzer="char_wb", ngram_range=CHARACTER_NGRAMS).build_analyzer()


def numbered(rows: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
    """The codes of the tokens of all rows, and their rows."""
    tokens = token_codes([token for row in rows for token in row])
    return tokens, np.arange(len(rows)).repeat([len(row) for row in rows])


def test_codes_stay_as_they_are_in_stored_models() -> None:
    found = codes_of_word("cat")
    assert found.tokens.tolist() == [0x1CEFCA3AA4BA84D9]
    assert found.characters[:2].tolist() == [0x4A408FB8D95E67B3, 0x7C39D2CF43943EC1]
    tokens, rows = numbered([["reset", "my", "password"]])
    assert bigrams(tokens, rows)[0].tolist() == [0xFB93E71DA11487FB, 0xE805AB0432E5EA3D]
    assert pairs(tokens, rows)[0].tolist() == [
        0xC51973B4B5FA9BCD,
        0xBB08A0AFEC92C22E,
        0x9923847F5D4A345,
    ]


@given(TEXTS)
def test_characters_are_those_of_scikit_learn(text: str) -> None:
    found = [each for word in split(text) for each in codes_of_word(word).characters.tolist()]
    assert found == [code(b"c", ngram) for ngram in analyse(text)]


@given(TEXTS)
def test_tokens_are_those_of_the_pattern(text: str) -> None:
    found = [each for word in split(text) for each in codes_of_word(word).tokens.tolist()]
    assert found == [code(b"w", token) for token in re.findall(TOKEN_PATTERN, text.lower())]


@given(ROWS)
def test_bigrams_are_the_neighbours_of_each_row(rows: list[list[str]]) -> None:
    codes, places = bigrams(*numbered(rows))
    expected = [
        (code_of, number)
        for number, row in enumerate(rows)
        for code_of in (
            bigrams(token_codes(row[place : place + 2]), np.zeros(2, int))[0][0]
            for place in range(len(row) - 1)
        )
    ]
    assert list(zip(codes, places, strict=True)) == expected


@given(ROWS)
def test_pairs_are_those_within_the_window_of_each_row(rows: list[list[str]]) -> None:
    codes, places = pairs(*numbered(rows))
    expected = [
        (code_of_pair(pair), number)
        for number, row in enumerate(rows)
        for pair in pairs_of(" ".join(row))
    ]
    assert list(zip(codes.tolist(), places.tolist(), strict=True)) == expected


def test_order_matters_in_bigrams_and_not_in_pairs() -> None:
    there, back = numbered([["a", "b"]]), numbered([["b", "a"]])
    assert bigrams(*there)[0] != bigrams(*back)[0]
    assert pairs(*there)[0] == pairs(*back)[0]


def test_no_two_ngrams_of_a_corpus_share_a_code(javascript: Corpus) -> None:
    texts = [faq.question for faq in javascript.faqs] + [each.text for each in javascript.train]
    found: dict[tuple[str, ...], int] = {}
    for text in texts:
        tokens = re.findall(TOKEN_PATTERN, text.lower())
        codes, rows = numbered([tokens])
        found |= {("token", token): code(b"w", token) for token in tokens}
        found |= {("characters", ngram): code(b"c", ngram) for ngram in analyse(text)}
        after = (("bigram", *two) for two in pairwise(tokens))
        found |= dict(zip(after, bigrams(codes, rows)[0].tolist(), strict=True))
        near = (("pair", *two) for two in pairs_of(text))
        found |= dict(zip(near, pairs(codes, rows)[0].tolist(), strict=True))
    assert len(found) > 40_000
    assert len(set(found.values())) == len(found)
