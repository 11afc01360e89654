"""The features as scikit-learn makes them, and the codes of its n-grams."""

import re
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from deployments.faq.ngrams import (
    CHARACTER_NGRAMS,
    PAIR_WINDOW,
    TOKEN_PATTERN,
    WORD_NGRAMS,
    Codes,
    bigrams,
    pairs,
)

# Lower-casing makes two characters of the first and depends on the neighbours of the second; then
# blanks of other kinds, a separator that only str.split knows, an emoji of several code points, a
# lone surrogate, and a letter with a combining accent.
AWKWARD = (
    "\u0130 \u03a3\u03a3 a\u00a0b\u3000c\u2028d\x1ce \U0001f469\u200d\U0001f4bb \ud800x e\u0301"
)


def code(kind: bytes, ngram: str) -> int:
    """Of a word (kind `w`) or a character n-gram (`c`): what stored models were made with."""
    data = ngram.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8, person=kind).digest(), "little")


def token_codes(tokens: Sequence[str]) -> Codes:
    return np.array([code(b"w", token) for token in tokens], np.uint64)


def code_of_words(ngram: str) -> int:
    """Of one word or of two with a blank between."""
    tokens = token_codes(ngram.split(" "))
    return int(tokens[0] if len(tokens) == 1 else bigrams(tokens, np.zeros(2, int))[0][0])


def code_of_pair(pair: tuple[str, str]) -> int:
    return int(pairs(token_codes(pair), np.zeros(2, int))[0][0])


def pairs_of(text: str) -> list[tuple[str, str]]:
    """Words that stand near each other, in alphabetical order."""
    tokens = re.findall(TOKEN_PATTERN, text.lower())
    return [
        (min(one, other), max(one, other))
        for place, one in enumerate(tokens)
        for other in tokens[place + 1 : place + 1 + PAIR_WINDOW]
    ]


class Reference:
    """scikit-learn's vectorizers, fitted on `texts`, with the columns in the order of codes.

    `rarest` is in how many texts words and characters must occur; of pairs it is 2 at least.
    """

    def __init__(self, texts: Sequence[str], rarest: int = 1) -> None:
        self.words = TfidfVectorizer(
            ngram_range=WORD_NGRAMS,
            token_pattern=TOKEN_PATTERN,
            min_df=rarest,
            sublinear_tf=True,
            norm=None,
        ).fit(texts)
        self.characters = TfidfVectorizer(
            analyzer="char_wb",
            ngram_range=CHARACTER_NGRAMS,
            min_df=rarest,
            sublinear_tf=True,
            norm=None,
        ).fit(texts)
        self.pairs = TfidfVectorizer(analyzer=pairs_of, min_df=2, sublinear_tf=True, norm=None).fit(
            texts
        )

    def codes(self) -> list[Codes]:
        """Of words, characters and pairs, in scikit-learn's order of columns."""
        kinds = (
            (self.words, code_of_words),
            (self.characters, lambda ngram: code(b"c", ngram)),
            (self.pairs, code_of_pair),
        )
        return [
            np.array([code_of(name) for name in fitted.get_feature_names_out()], np.uint64)
            for fitted, code_of in kinds
        ]

    def transform(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Rows in which each block is divided by its length; unknowns weigh like the rarest."""
        blocks = []
        kinds = self.words, self.characters, self.pairs
        for fitted, codes in zip(kinds, self.codes(), strict=True):
            rows = fitted.transform(texts).toarray()
            squares = (rows**2).sum(axis=1) + self._unknown(fitted, texts)
            rows /= np.sqrt(np.maximum(squares, 1e-9))[:, None]
            blocks.append(rows[:, codes.argsort()])
        return np.concatenate(blocks, axis=1)

    def _unknown(self, fitted: TfidfVectorizer, texts: Sequence[str]) -> NDArray[np.float64]:
        # Pairs of words do not count: most pairs are new even in familiar questions.
        if fitted is self.pairs:
            return np.zeros(len(texts))
        analyse, known = fitted.build_analyzer(), fitted.vocabulary_
        counts = [
            sum(
                ngram not in known and not (fitted is self.words and " " in ngram)
                for ngram in analyse(text)
            )
            for text in texts
        ]
        return np.array(counts) * float(fitted.idf_.max()) ** 2
