"""Synthetic FAQs of any number, drawn from a stated distribution; no text of anybody is in them.

- Vocabulary: V = 10 * N^0.6 words for N FAQs (Heaps' law), 1,000 at least, made of syllables;
  a word of a text has 5 letters in the mean, and a question 74 characters.
- Words: the word of rank r has a probability proportional to r^-1.05 (Zipf's law). The 100
  commonest are function words: short, and in every topic.
- Topics: one for each 50 FAQs, with 50 content words drawn by the same law, repeats allowed. Each
  FAQ has one topic, and each of its content words comes from there with probability 1/2. FAQs
  therefore have near rivals, and the law of the words as a whole stays as it is.
- Length in words: log-normal with median 11 and sigma 0.45, rounded, 3 at least and 40 at most.
- Duplicates: of the original's words each is dropped with probability 0.25 (one stays), and each
  that is left is replaced by a word of the topic with probability 0.15; then two neighbours change
  places, and each word is mistyped by one letter with probability 0.05.

Word order is otherwise random, and a word has one meaning: neither grammar nor synonyms are
modelled, so accuracy here says how a ranker copes with rivals and not how well it understands.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from deployments.faq.corpus import Corpus, CorpusError, Example, Faq

DIGEST = "sha256:" + 64 * "0"
"""Stands for the digest of a folder, which a synthetic corpus does not have."""

HELD_OUT = 600
DUPLICATES = 1
FUNCTION_WORDS = 100
FAQS_PER_TOPIC = 50
WORDS_PER_TOPIC = 50
ZIPF_EXPONENT = 1.05
MEDIAN_WORDS, SIGMA_WORDS = 11, 0.45
FEWEST_WORDS, MOST_WORDS = 3, 40
FROM_TOPIC, DROPPED, REPLACED, MISTYPED = 0.5, 0.25, 0.15, 0.05

_ONSETS = "t|s|r|k|p|d|m|n|l|b|f|g|h|w|v|st|tr|pr|pl|kr|sh|ch|th|br|fl|sp"
_VOWELS = "e|a|i|o|u|ea|ou|ai|oo"
_CODAS = "|n|r|s|t|l|d|m|nd|st|ng|rk|ck"
_SHARES_BY_SYLLABLES = (0.1, 0.45, 0.35, 0.1)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_BLOCK = 20_000

_Words = NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Consecutive FAQs with their duplicates, and held-out questions about some of them."""

    faqs: list[Faq]
    train: list[Example]
    test: list[Example]


def synthetic_corpus(
    faqs: int, *, duplicates: int = DUPLICATES, seed: int = 0, progress: bool = True
) -> Corpus:
    """A corpus of `faqs` FAQs without answers, each with `duplicates` duplicates in `train`.

    `test` has HELD_OUT questions, each a further duplicate of an FAQ drawn at random. Deterministic
    for a given `seed`. Shows a progress bar on stderr where `progress`. Raises CorpusError for less
    than 2 FAQs.
    """
    name = f"synthetic-{faqs}"
    questions: list[Faq] = []
    train: list[Example] = []
    test: list[Example] = []
    with tqdm(total=faqs, desc=f"Making {name}", unit="FAQ", disable=not progress) as bar:
        for block in synthetic_blocks(faqs, duplicates, seed):
            questions += block.faqs
            train += block.train
            test += block.test
            bar.update(len(block.faqs))
    return Corpus(tuple(questions), tuple(train), tuple(test), name, DIGEST)


def synthetic_blocks(faqs: int, duplicates: int, seed: int) -> Iterator[Block]:
    """The FAQs in blocks of at most 20,000, so that not all of them need be held at once.

    Raises CorpusError for less than 2 FAQs.
    """
    if faqs < 2:
        raise CorpusError(f"a synthetic corpus needs at least 2 FAQs, not {faqs}")
    rng = np.random.default_rng(seed)
    writer = _Writer(faqs, rng)
    asked = rng.integers(faqs, size=HELD_OUT)
    for first in range(0, faqs, _BLOCK):
        count = min(_BLOCK, faqs - first)
        originals = writer.originals(count)
        train = [
            Example(text, first + row)
            for _ in range(duplicates)
            for row, text in enumerate(writer.mistyped(writer.paraphrases(originals)))
        ]
        rows = asked[(asked >= first) & (asked < first + count)] - first
        held_out = writer.mistyped(writer.paraphrases(originals.take(rows)))
        yield Block(
            [
                Faq(f"Q{number}", f"A{number}", text, None)
                for number, text in enumerate(writer.texts(originals), first)
            ],
            train,
            [Example(text, first + row) for text, row in zip(held_out, rows.tolist(), strict=True)],
        )


def vocabulary_size(faqs: int) -> int:
    """Heaps' law: 10 * faqs^0.6, 1,000 at least."""
    return max(1_000, round(10 * math.pow(faqs, 0.6)))


def vocabulary(size: int, rng: Generator) -> list[str]:
    """`size` different words, commonest first; the FUNCTION_WORDS at the head are short."""
    found: dict[str, None] = {}
    # Words repeat: four times as many as are needed give enough, as the longer ones hardly do.
    counts = 1 + rng.choice(len(_SHARES_BY_SYLLABLES), 4 * size, p=_SHARES_BY_SYLLABLES)
    syllables = iter(_syllables(int(counts.sum()), rng))
    for count in counts.tolist():
        found["".join(next(syllables) for _ in range(count))] = None
    words = list(found)[:size]
    if len(words) < size:
        raise ValueError(f"the syllables give {len(words)} words, {size} are needed")
    head = sorted(words[:300], key=len)[:FUNCTION_WORDS]
    short = set(head)
    return head + [word for word in words if word not in short]


def _syllables(count: int, rng: Generator) -> list[str]:
    """Onset, vowel and coda, each commoner the earlier it stands in its list."""
    parts = []
    for choices in (_ONSETS.split("|"), _VOWELS.split("|"), _CODAS.split("|")):
        weights = 1 / np.arange(1, 1 + len(choices))
        drawn = rng.choice(len(choices), count, p=weights / weights.sum())
        parts.append([choices[index] for index in drawn.tolist()])
    return ["".join(syllable) for syllable in zip(*parts, strict=True)]


@dataclass(frozen=True)
class _Questions:
    """Numbers of words, one question after the other: `words[starts[i]:starts[i + 1]]` is one."""

    words: _Words
    starts: _Words
    topics: _Words

    @property
    def rows(self) -> _Words:
        """The question that each word belongs to."""
        return np.arange(len(self.topics)).repeat(np.diff(self.starts))

    def take(self, rows: _Words) -> "_Questions":
        spans = zip(self.starts[rows].tolist(), self.starts[rows + 1].tolist(), strict=True)
        parts = [self.words[start:end] for start, end in spans]
        words = np.concatenate([*parts, np.empty(0, np.int64)])
        return _Questions(words, _starts([len(part) for part in parts]), self.topics[rows])


class _Writer:
    """Draws questions and writes them down; see the module for the laws that it follows."""

    def __init__(self, faqs: int, rng: Generator) -> None:
        self._rng = rng
        self._vocabulary = np.array(vocabulary(vocabulary_size(faqs), rng), object)
        ranks = np.arange(1, len(self._vocabulary) + 1)
        self._cumulative = np.cumsum(ranks**-ZIPF_EXPONENT)
        topics = max(1, faqs // FAQS_PER_TOPIC)
        self._topics = self._draw((topics, WORDS_PER_TOPIC), FUNCTION_WORDS)

    def originals(self, count: int) -> _Questions:
        lengths = np.exp(self._rng.normal(np.log(MEDIAN_WORDS), SIGMA_WORDS, count)).round()
        starts = _starts(lengths.clip(FEWEST_WORDS, MOST_WORDS))
        topics = self._rng.integers(len(self._topics), size=count)
        questions = _Questions(self._draw((int(starts[-1]),)), starts, topics)
        moved = self._rng.random(len(questions.words)) < FROM_TOPIC
        self._replace(questions, moved & (questions.words >= FUNCTION_WORDS))
        return questions

    def paraphrases(self, originals: _Questions) -> _Questions:
        rows = originals.rows
        kept = self._rng.random(len(rows)) >= DROPPED
        lengths = np.bincount(rows, kept, len(originals.topics))
        kept[originals.starts[:-1][lengths == 0]] = True
        starts = _starts(np.bincount(rows, kept, len(originals.topics)))
        found = _Questions(originals.words[kept], starts, originals.topics)
        self._replace(found, self._rng.random(len(found.words)) < REPLACED)
        self._swap_neighbours(found)
        return found

    def mistyped(self, questions: _Questions) -> list[str]:
        words = self._spelt(questions)
        places = (self._rng.random(len(words)) < MISTYPED).nonzero()[0].tolist()
        edits = self._rng.integers(1 << 16, size=len(places)).tolist()
        letters = self._rng.integers(len(_LETTERS), size=len(places)).tolist()
        for place, edit, letter in zip(places, edits, letters, strict=True):
            words[place] = mistype(words[place], edit, _LETTERS[letter])
        return _sentences(words, questions.starts)

    def texts(self, questions: _Questions) -> list[str]:
        return _sentences(self._spelt(questions), questions.starts)

    def _draw(self, shape: tuple[int, ...], first: int = 0) -> _Words:
        """Words by Zipf's law, from those of rank `first` (0 is the commonest) on."""
        below = self._cumulative[first - 1] if first else 0.0
        drawn = self._rng.uniform(below, self._cumulative[-1], shape)
        return self._cumulative.searchsorted(drawn, side="right").clip(
            max=len(self._cumulative) - 1
        )

    def _replace(self, questions: _Questions, chosen: NDArray[np.bool_]) -> None:
        topics = questions.topics[questions.rows[chosen]]
        places = self._rng.integers(WORDS_PER_TOPIC, size=len(topics))
        questions.words[chosen] = self._topics[topics, places]

    def _swap_neighbours(self, questions: _Questions) -> None:
        lengths = np.diff(questions.starts)
        several = lengths > 1
        left = questions.starts[:-1][several] + self._rng.integers(lengths[several] - 1)
        words = questions.words
        words[left], words[left + 1] = words[left + 1], words[left]

    def _spelt(self, questions: _Questions) -> list[str]:
        spelt: list[str] = self._vocabulary[questions.words].tolist()
        return spelt


def mistype(word: str, edit: int, letter: str) -> str:
    """`word` with a letter left out, doubled, exchanged with the next, or replaced by `letter`.

    `edit` (from 0) says which and where; a word of one letter is doubled.
    """
    where, kind = edit // 4 % len(word), edit % 4
    before, after = word[:where], word[where + 1 :]
    if len(word) == 1 or kind == 0:
        return before + 2 * word[where] + after
    if kind == 1:
        return before + after
    if kind == 2 and after:
        return before + after[0] + word[where] + after[1:]
    return before + letter + after


def _starts(lengths: ArrayLike) -> _Words:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _sentences(words: list[str], starts: _Words) -> list[str]:
    spans = pairwise(starts.tolist())
    return [" ".join(words[start:end]).capitalize() + "?" for start, end in spans]
