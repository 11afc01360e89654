"""The TF-IDF features of questions, those of scikit-learn and many times faster.

Two blocks side by side: words (1-2) and characters within words (2-5), each as `TfidfVectorizer`
with sublinear term frequencies makes them. Its analyser forms every n-gram of every question in
Python; here the features of a word are looked up once and remembered, so that a question costs one
memory access a word and a few array operations a batch.

One thing differs. scikit-learn scales what it knows of a question to length 1, were it a single
syllable of gibberish; here words and character n-grams that the model has never seen count towards
the length, with the weight of the rarest, so that a question in which little is known is like
nothing. Knows nothing of training.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

TOKEN_PATTERN = r"\w+"
WORD_NGRAMS = (1, 2)
CHARACTER_NGRAMS = (2, 5)

_tokens = re.compile(TOKEN_PATTERN).findall
_NO_COLUMNS = np.empty(0, np.int64)
_REMEMBERED_WORDS = 1 << 15
_LONGEST_REMEMBERED_WORD = 64


@dataclass(frozen=True, slots=True)
class _Word:
    """What a blank-delimited word adds to a question: columns (with repeats), tokens, unknowns."""

    columns: NDArray[np.int64]
    tokens: tuple[str, ...]
    unknown_tokens: int
    unknown_characters: int


class FeatureExtractor:
    """Turns questions into rows of features: the columns are `words`, then `characters`.

    `words` and `characters` are the n-grams of the two blocks in column order; `idf` (float32) has
    one weight a column; `width` is the number of columns.
    """

    def __init__(
        self, words: Sequence[str], characters: Sequence[str], idf: NDArray[np.float32]
    ) -> None:
        if idf.shape != (len(words) + len(characters),):
            raise ValueError(f"{idf.shape} idf weights for {len(words)}+{len(characters)} n-grams")
        self.words = tuple(words)
        self.characters = tuple(characters)
        self.idf = idf
        self._word_columns = {ngram: column for column, ngram in enumerate(words)}
        self._character_columns = {
            ngram: column for column, ngram in enumerate(characters, len(words))
        }
        self.width = len(idf)
        rarest = [block.max(initial=0.0) for block in np.split(idf, [len(words)])]
        self._unknown_weights = np.square(rarest, dtype=np.float64)
        self._remembered = lru_cache(_REMEMBERED_WORDS)(self._analyse)

    def transform(self, questions: Sequence[str]) -> "csr_array[np.float32]":
        """Features of shape (questions, width).

        Each block of each row has length 1, less where something in it is unknown, or is empty. A
        row depends on its own question alone.
        """
        cells, counts, unknown = self._cells(questions)
        rows = cells // self.width
        columns = cells - rows * self.width
        values = (1.0 + np.log(counts)) * self.idf.take(columns)
        blocks = 2 * rows + (columns >= len(self.words))
        squares = np.bincount(blocks, values * values, 2 * len(questions))
        lengths = np.sqrt(squares + (unknown * self._unknown_weights).ravel())
        values /= lengths.take(blocks)
        starts = cells.searchsorted(self._first_cells(len(questions) + 1))
        return csr_array(
            (values.astype(np.float32), columns.astype(np.int32), starts.astype(np.int32)),
            shape=(len(questions), self.width),
        )

    def _cells(
        self, questions: Sequence[str]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Which cells of the table of features are not 0, ascending, and the n-gram counts there.

        The cell of a row and a column is row * width + column. With the unknowns of each row: words
        and character n-grams.
        """
        parts = [_NO_COLUMNS]
        sizes = np.zeros((len(questions), 3), np.int64)
        for row, question in enumerate(questions):
            sizes[row] = self._add_columns(question, parts)
        cells = np.concatenate(parts) + self._first_cells(len(questions)).repeat(sizes[:, 0])
        cells.sort()
        ends = np.ones(len(cells), bool)
        np.not_equal(cells[1:], cells[:-1], out=ends[:-1])
        lasts = ends.nonzero()[0]
        counts = lasts + 1
        counts[1:] -= counts[:-1].copy()
        return cells.take(lasts), counts, sizes[:, 1:]

    def _first_cells(self, rows: int) -> NDArray[np.int64]:
        return np.arange(0, rows * self.width, self.width)

    def _add_columns(self, question: str, parts: list[NDArray[np.int64]]) -> tuple[int, int, int]:
        """Append the columns of all n-grams of `question`, in any order.

        Returns how many they are, and how many tokens and character n-grams are unknown.
        """
        size = unknown_tokens = unknown_characters = 0
        tokens: list[str] = []
        for text in question.lower().split():
            word = self._word(text)
            parts.append(word.columns)
            size += len(word.columns)
            tokens += word.tokens
            unknown_tokens += word.unknown_tokens
            unknown_characters += word.unknown_characters
        pairs = [f"{first} {second}" for first, second in pairwise(tokens)]
        columns = _present(self._word_columns, pairs)
        parts.append(np.array(columns, np.int64))
        return size + len(columns), unknown_tokens, unknown_characters

    def _word(self, word: str) -> _Word:
        # Longer words do not come back, and would let strangers fill the memory.
        if len(word) > _LONGEST_REMEMBERED_WORD:
            return self._analyse(word)
        return self._remembered(word)

    def _analyse(self, word: str) -> _Word:
        tokens = tuple(_tokens(word))
        ngrams = list(_character_ngrams(word))
        of_tokens = _present(self._word_columns, tokens)
        of_ngrams = _present(self._character_columns, ngrams)
        return _Word(
            columns=np.array(of_tokens + of_ngrams, np.int64),
            tokens=tokens,
            unknown_tokens=len(tokens) - len(of_tokens),
            unknown_characters=len(ngrams) - len(of_ngrams),
        )


def _present(columns: Mapping[str, int], ngrams: Iterable[str]) -> list[int]:
    return [column for column in map(columns.get, ngrams) if column is not None]


def _character_ngrams(word: str) -> Iterable[str]:
    """As `analyzer="char_wb"` forms them: of the padded word, the whole of it once at most."""
    padded = f" {word} "
    shortest, longest = CHARACTER_NGRAMS
    for n in range(shortest, longest + 1):
        if n >= len(padded):
            yield padded
            return
        for start in range(len(padded) - n + 1):
            yield padded[start : start + n]
