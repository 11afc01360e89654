"""Fits the features on a corpus: which n-grams count, and how much each (training alone).

The same columns and weights that `TfidfVectorizer` would fit, in blocks of texts, so that memory
grows with the n-grams and not with the texts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from deployments.faq.embedding import Embedder
from deployments.faq.features import Block, FeatureExtractor
from deployments.faq.ngrams import Codes, Places, WordCodes, bigrams, codes_of_word, pairs, split

_BLOCK_TEXTS = 20_000
_MOST_UNMERGED = 1 << 24
# From so many texts on, an n-gram that a single one holds says too little for its place.
_MANY_TEXTS = 5_000
_MOST_PAIRS = 1 << 16


class DocumentFrequencies:
    """In how many texts each n-gram of one kind occurs.

    Counts of blocks are merged once more than `most_unmerged` have come together.
    """

    def __init__(self, most_unmerged: int = _MOST_UNMERGED) -> None:
        self._most_unmerged = most_unmerged
        self._parts: list[tuple[Codes, NDArray[np.int64]]] = []

    def add(self, codes: Codes, rows: Places) -> None:
        """Counts the n-grams of further texts; an n-gram counts once a row."""
        distinct, columns = np.unique(codes, return_inverse=True)
        cells = np.unique(rows * len(distinct) + columns)
        self._add(distinct, np.bincount(cells % max(len(distinct), 1), minlength=len(distinct)))

    def add_words(self, codes: Sequence[Codes], rows: Places, words: Places) -> None:
        """The same for n-grams that depend on a word: `words` (places in `codes`) stand in `rows`.

        Words repeat far more than texts do, so each is taken apart once.
        """
        sizes = np.fromiter(map(len, codes), np.int64, len(codes))
        distinct, columns = np.unique(np.concatenate(codes), return_inverse=True)
        starts = np.concatenate([np.zeros(1, np.int64), sizes.cumsum()])
        ngrams = csr_array(
            (np.ones(len(columns), bool), columns, starts), shape=(len(codes), len(distinct))
        )
        texts = csr_array(
            (np.ones(len(rows), bool), (rows, words)), shape=(rows[-1] + 1, len(codes))
        )
        self._add(distinct, np.bincount((texts @ ngrams).indices, minlength=len(distinct)))

    def _add(self, codes: Codes, counts: NDArray[np.int64]) -> None:
        self._parts.append((codes, counts))
        if sum(len(part) for part, _ in self._parts[1:]) > self._most_unmerged:
            self._parts = [self.total()]

    def total(self) -> tuple[Codes, NDArray[np.int64]]:
        """The codes, ascending, and their document frequencies."""
        codes = np.concatenate([part for part, _ in self._parts] or [np.empty(0, np.uint64)])
        counts = np.concatenate([part for _, part in self._parts] or [np.empty(0, np.int64)])
        distinct, places = np.unique(codes, return_inverse=True)
        return distinct, np.bincount(places, counts, len(distinct)).astype(np.int64)

    def block(self, texts: int, rarest: int, most: int) -> Block:
        """The n-grams of at least `rarest` of the `texts`, the commonest `most` of them."""
        codes, counts = self.total()
        kept = counts >= rarest
        if kept.sum() > most:
            # Equally common ones in the order of their codes, as good as any.
            kept[np.argsort(-counts, kind="stable")[most:]] = False
        # scikit-learn's smooth idf, as if one more text held every n-gram.
        idf = np.log((1 + texts) / (1 + counts[kept])) + 1
        return Block(codes[kept], idf.astype(np.float32))


def fit_features(
    texts: Sequence[str],
    *,
    most_features: int,
    with_pairs: bool,
    embedder: Embedder | None = None,
    on_texts: Callable[[int], object] = lambda _: None,
) -> FeatureExtractor:
    """The n-grams of `texts`, at most `most_features` and the commonest of each kind.

    `on_texts` hears of progress. A corpus without a word gives an extractor without a column.
    """
    words, characters, word_pairs = (DocumentFrequencies() for _ in range(3))
    for start in range(0, len(texts), _BLOCK_TEXTS):
        some = texts[start : start + _BLOCK_TEXTS]
        found = _Words.of(some)
        if len(found.rows):
            tokens, rows = found.tokens()
            after, after_rows = bigrams(tokens, rows)
            words.add(np.concatenate([tokens, after]), np.concatenate([rows, after_rows]))
            codes = [word.characters for word in found.distinct]
            characters.add_words(codes, found.rows, found.places)
            if with_pairs:
                word_pairs.add(*pairs(tokens, rows))
        on_texts(len(some))
    rarest = 2 if len(texts) >= _MANY_TEXTS else 1
    share = most_features // (3 if with_pairs else 2)
    return FeatureExtractor(
        words.block(len(texts), rarest, share),
        characters.block(len(texts), rarest, share),
        word_pairs.block(len(texts), 2, min(share, _MOST_PAIRS)),
        embedder=embedder,
        remembered_words=None,
    )


@dataclass(frozen=True)
class _Words:
    """The words of some texts: the `distinct` ones, and where each stands, in order."""

    distinct: list[WordCodes]
    places: Places
    rows: Places

    @classmethod
    def of(cls, texts: Sequence[str]) -> "_Words":
        numbers: dict[str, int] = {}
        words = [split(text) for text in texts]
        places = [numbers.setdefault(word, len(numbers)) for row in words for word in row]
        return cls(
            [codes_of_word(word) for word in numbers],
            np.array(places, np.int64),
            np.arange(len(words)).repeat([len(row) for row in words]),
        )

    def tokens(self) -> tuple[Codes, Places]:
        """The tokens of all texts in order, and their rows."""
        sizes = np.fromiter((len(word.tokens) for word in self.distinct), np.int64)
        tokens = np.concatenate([self.distinct[place].tokens for place in self.places.tolist()])
        return tokens, self.rows.repeat(sizes[self.places])
