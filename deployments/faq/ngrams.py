"""The n-grams of a question, as 64-bit codes instead of strings.

Three kinds, each in a space of codes of its own: words (1-2), characters within words (2-5), and
pairs of words that stand near each other in any order. Sorted codes in a plain array take a tenth
of the memory of a dictionary of strings, are memory-mapped, and are looked up for a whole batch at
once. Two n-grams share a code with a probability of 2^-64: among 10 million n-grams one time in
370,000 corpora.
"""

import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint64]
Places = NDArray[np.int64]

TOKEN_PATTERN = r"\w+"
WORD_NGRAMS = (1, 2)
CHARACTER_NGRAMS = (2, 5)
PAIR_WINDOW = 16
"""Words that follow a word and make a pair with it: all in most questions, few in a long story."""

_tokens = re.compile(TOKEN_PATTERN).findall
# Codes of words are uniform, so sums of their odd multiples are as well.
_BIGRAM = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], np.uint64)
_PAIR = np.array([0xD6E8FEB86659FD93, 0xA0761D6478BD642F], np.uint64)


class WordCodes(NamedTuple):
    """The codes that one blank-delimited word adds: of its tokens, of its character n-grams."""

    tokens: Codes
    characters: Codes


def split(question: str) -> list[str]:
    """The blank-delimited words of a question in lower case."""
    return question.lower().split()


def codes_of_word(word: str) -> WordCodes:
    """In order, with repeats; `word` is in lower case and without blanks."""
    return WordCodes(
        np.array([_code(b"w", token) for token in _tokens(word)], np.uint64),
        np.array([_code(b"c", ngram) for ngram in _character_ngrams(word)], np.uint64),
    )


def bigrams(tokens: Codes, rows: Places) -> tuple[Codes, Places]:
    """Codes of the neighbours among `tokens`, and their rows; `rows` (ascending) is of tokens."""
    (first,) = (rows[1:] == rows[:-1]).nonzero()
    return _mix(_BIGRAM, tokens[first], tokens[first + 1]), rows[first]


def pairs(tokens: Codes, rows: Places) -> tuple[Codes, Places]:
    """Codes of the pairs within PAIR_WINDOW, in any order, and their rows, as `bigrams`."""
    place = np.arange(len(tokens))
    row_end = rows.searchsorted(rows, side="right")
    partners = np.minimum(PAIR_WINDOW, row_end - place - 1)
    first = place.repeat(partners)
    earlier = partners.cumsum() - partners
    second = first + 1 + np.arange(len(first)) - earlier.repeat(partners)
    one, other = tokens[first], tokens[second]
    return _mix(_PAIR, np.minimum(one, other), np.maximum(one, other)), rows[first]


def _mix(factors: Codes, one: Codes, other: Codes) -> Codes:
    mixed: Codes = one * factors[0] + other * factors[1]
    return mixed


def _code(kind: bytes, ngram: str) -> int:
    # A question may hold a lone surrogate, which UTF-8 proper cannot.
    data = ngram.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8, person=kind).digest(), "little")


def _character_ngrams(word: str) -> Iterator[str]:
    """As scikit-learn's `char_wb` forms them: of the padded word, the whole of it once at most."""
    padded = f" {word} "
    shortest, longest = CHARACTER_NGRAMS
    for n in range(shortest, longest + 1):
        if n >= len(padded):
            yield padded
            return
        for start in range(len(padded) - n + 1):
            yield padded[start : start + n]
