"""The TF-IDF features of questions, those of scikit-learn and many times faster.

Three blocks side by side, as `TfidfVectorizer` with sublinear term frequencies makes them: words
(1-2), characters within words (2-5), and pairs of words. Its analyser forms every n-gram of every
question in Python; here the columns of a word are looked up once and remembered, so that a question
costs one memory access a word and a few array operations a batch.

One thing differs. scikit-learn scales what it knows of a question to length 1, were it a single
syllable of gibberish; here words and character n-grams that the model has never seen count towards
the length, with the weight of the rarest, so that a question in which little is known is like
nothing. Knows nothing of training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

from deployments.faq.embedding import Embedder
from deployments.faq.ngrams import Codes, Places, bigrams, codes_of_word, pairs, split

_REMEMBERED_WORDS = 1 << 15
_LONGEST_REMEMBERED_WORD = 64


@dataclass(frozen=True)
class Block:
    """The n-grams of one kind: their `codes`, ascending, and one `idf` weight each."""

    codes: Codes
    idf: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.codes.shape != self.idf.shape:
            raise ValueError(f"{len(self.idf)} idf weights for {len(self.codes)} n-grams")

    def __len__(self) -> int:
        return len(self.codes)

    def find(self, codes: Codes) -> tuple[Places, NDArray[np.bool_]]:
        """The place of each code in the block, meaningless where the second array is False."""
        if not len(self.codes):
            return np.zeros(len(codes), np.int64), np.zeros(len(codes), bool)
        places = self.codes.searchsorted(codes)
        np.minimum(places, len(self.codes) - 1, out=places)
        return places, self.codes[places] == codes


class _Word(NamedTuple):
    """What a blank-delimited word adds to a question: columns (with repeats), tokens, unknowns."""

    columns: Places
    tokens: Codes
    unknown_tokens: int
    unknown_characters: int


class FeatureExtractor:
    """Turns questions into rows of features: the columns are `words`, `characters`, `pairs`.

    Where there is an `embedder`, its dimensions follow from column `first_embedding` on. `width` is
    the number of all. `remembered_words` bounds what is kept of words seen (None: nothing does, for
    training).
    """

    def __init__(
        self,
        words: Block,
        characters: Block,
        pairs: Block,
        *,
        embedder: Embedder | None = None,
        remembered_words: int | None = _REMEMBERED_WORDS,
    ) -> None:
        self.words, self.characters, self.pairs = words, characters, pairs
        self.first_character = len(words)
        self.first_pair = len(words) + len(characters)
        self.first_embedding = self.first_pair + len(pairs)
        self.embedder = embedder
        self.width = self.first_embedding + (embedder.dimensions if embedder else 0)
        self._idf = np.concatenate([words.idf, characters.idf, pairs.idf])
        rarest = [block.idf.max(initial=0.0) for block in (words, characters)]
        # A pair of words is mostly new even in a familiar question.
        self._unknown_weights = np.square([*rarest, 0.0], dtype=np.float64)
        self._remembered = lru_cache(remembered_words)(self._analyse)

    def transform(self, questions: Sequence[str]) -> "csr_array[np.float32]":
        """Features of shape (questions, width).

        Each block of each row has length 1, less where something in it is unknown, or is empty. A
        row depends on its own question alone.
        """
        ngrams = self._transform(questions)
        if self.embedder is None:
            return ngrams
        embedded = csr_array(self.embedder.embed(questions))
        both: csr_array[np.float32] = hstack([ngrams, embedded], format="csr")
        return both

    def _transform(self, questions: Sequence[str]) -> "csr_array[np.float32]":
        cells, counts, unknown = self._cells(questions)
        rows = cells // self.first_embedding
        columns = cells - rows * self.first_embedding
        values = (1.0 + np.log(counts)) * self._idf.take(columns)
        blocks = 3 * rows + (columns >= self.first_character) + (columns >= self.first_pair)
        squares = np.bincount(blocks, values * values, 3 * len(questions))
        lengths = np.sqrt(squares + (unknown * self._unknown_weights).ravel())
        values /= lengths.take(blocks)
        starts = cells.searchsorted(self._first_cells(len(questions) + 1))
        return csr_array(
            (values.astype(np.float32), columns.astype(np.int32), starts.astype(np.int32)),
            shape=(len(questions), self.first_embedding),
        )

    def _cells(self, questions: Sequence[str]) -> tuple[Places, Places, NDArray[np.float64]]:
        """Which cells of the table of features are not 0, ascending, and the n-gram counts there.

        The cell of a row and a column is row * width + column. With the unknowns of each row: words
        and character n-grams (and 0).
        """
        words = [[self._word(word) for word in split(question)] for question in questions]
        unknown = np.array(
            [
                (
                    sum([word.unknown_tokens for word in row]),
                    sum([word.unknown_characters for word in row]),
                    0,
                )
                for row in words
            ]
        ).reshape(len(words), 3)
        flat = [word for row in words for word in row]
        if not flat:
            nothing = np.empty(0, np.int64)
            return nothing, nothing, unknown
        word_rows = np.arange(len(words)).repeat([len(row) for row in words])
        columns = np.concatenate([word.columns for word in flat])
        tokens = np.concatenate([word.tokens for word in flat])
        parts = [
            columns
            + (word_rows * self.first_embedding).repeat([len(word.columns) for word in flat])
        ]
        token_rows = word_rows.repeat([len(word.tokens) for word in flat])
        parts.append(self._present(self.words, 0, *bigrams(tokens, token_rows)))
        if len(self.pairs):
            parts.append(self._present(self.pairs, self.first_pair, *pairs(tokens, token_rows)))
        cells = np.concatenate(parts)
        cells.sort()
        ends = np.ones(len(cells), bool)
        np.not_equal(cells[1:], cells[:-1], out=ends[:-1])
        lasts = ends.nonzero()[0]
        counts = lasts + 1
        counts[1:] -= counts[:-1].copy()
        return cells.take(lasts), counts, unknown

    def _present(self, block: Block, first: int, codes: Codes, rows: Places) -> Places:
        """The cells of those codes that the block knows."""
        places, known = block.find(codes)
        cells: Places = places[known] + (rows[known] * self.first_embedding + first)
        return cells

    def _first_cells(self, rows: int) -> Places:
        return np.arange(rows) * self.first_embedding

    def _word(self, word: str) -> _Word:
        # Longer words do not come back, and would let strangers fill the memory.
        if len(word) > _LONGEST_REMEMBERED_WORD:
            return self._analyse(word)
        return self._remembered(word)

    def _analyse(self, word: str) -> _Word:
        tokens, characters = codes_of_word(word)
        places, known = self.words.find(tokens)
        character_places, known_characters = self.characters.find(characters)
        character_places += self.first_character
        return _Word(
            columns=np.concatenate([places[known], character_places[known_characters]]),
            tokens=tokens,
            unknown_tokens=int(len(tokens) - known.sum()),
            unknown_characters=int(len(characters) - known_characters.sum()),
        )
