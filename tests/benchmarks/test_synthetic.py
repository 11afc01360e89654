"""Synthetic FAQs follow the laws that their module states."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.synthetic import (
    DIGEST,
    FUNCTION_WORDS,
    HELD_OUT,
    MOST_WORDS,
    ZIPF_EXPONENT,
    mistype,
    synthetic_blocks,
    synthetic_corpus,
    vocabulary,
    vocabulary_size,
)
from deployments.faq.corpus import Corpus, CorpusError


def words(text: str) -> list[str]:
    return text.lower().removesuffix("?").split()


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return synthetic_corpus(5_000, duplicates=2, progress=False)


def test_there_are_as_many_as_were_asked_for(corpus: Corpus) -> None:
    assert len({faq.id for faq in corpus.faqs}) == len(corpus.faqs) == 5_000
    assert Counter(each.faq for each in corpus.train) == dict.fromkeys(range(5_000), 2)
    assert len(corpus.test) == HELD_OUT
    assert (corpus.val, corpus.digest) == ((), DIGEST)
    assert all(faq.answer is None for faq in corpus.faqs)


def test_a_seed_gives_one_corpus() -> None:
    first = synthetic_corpus(50, progress=False)
    assert synthetic_corpus(50, progress=False) == first
    assert synthetic_corpus(50, seed=1, progress=False) != first


def test_blocks_are_bounded_and_number_their_faqs_through() -> None:
    blocks = list(synthetic_blocks(45_000, duplicates=1, seed=0))
    assert [len(block.faqs) for block in blocks] == [20_000, 20_000, 5_000]
    assert [block.faqs[0].id for block in blocks] == ["Q0", "Q20000", "Q40000"]
    assert [block.train[0].faq for block in blocks] == [0, 20_000, 40_000]
    assert sum(len(block.test) for block in blocks) == HELD_OUT
    assert all(20_000 <= each.faq < 40_000 for each in blocks[1].test)


def test_lengths_are_those_of_questions(corpus: Corpus) -> None:
    lengths = [len(words(faq.question)) for faq in corpus.faqs]
    assert (min(lengths), max(lengths)) == (3, MOST_WORDS)
    assert np.median(lengths) == 11


def test_words_follow_zipfs_law(corpus: Corpus) -> None:
    counts = Counter(word for faq in corpus.faqs for word in words(faq.question))
    ranks = np.arange(1, vocabulary_size(5_000) + 1) ** -ZIPF_EXPONENT
    expected = ranks / ranks.sum() * counts.total()
    found = np.array([count for _, count in counts.most_common(20)])
    np.testing.assert_allclose(found, expected[:20], rtol=0.15)
    head = sum(count for _, count in counts.most_common(FUNCTION_WORDS))
    assert head == pytest.approx(expected[:FUNCTION_WORDS].sum(), rel=0.05)


def test_duplicates_keep_the_stated_share_of_words(corpus: Corpus) -> None:
    for examples in (corpus.train, corpus.test):
        originals = [Counter(words(corpus.faqs[each.faq].question)) for each in examples]
        kept = [
            (original & Counter(words(each.text))).total()
            for original, each in zip(originals, examples, strict=True)
        ]
        share = sum(kept) / sum(original.total() for original in originals)
        # 0.75 are not dropped, 0.85 of those not replaced and 0.95 of those spelt as they were;
        # some of the replacements are words of the original too.
        assert 0.60 < share < 0.66
        assert all(words(each.text) for each in examples)


def test_half_of_the_content_words_are_those_of_the_topic() -> None:
    one_topic = synthetic_corpus(99, progress=False)
    known = vocabulary(vocabulary_size(99), np.random.default_rng(0))
    content = Counter(
        word
        for faq in one_topic.faqs
        for word in words(faq.question)
        if word not in known[:FUNCTION_WORDS]
    )
    assert set(content) <= set(known[FUNCTION_WORDS:])
    # Zipf's law alone gives the 50 commonest a third.
    share = sum(count for _, count in content.most_common(50)) / content.total()
    assert 0.5 < share < 0.75


@pytest.mark.parametrize("faqs", [-1, 0, 1])
def test_one_faq_is_no_corpus(faqs: int) -> None:
    with pytest.raises(CorpusError, match=f"at least 2 FAQs, not {faqs}"):
        synthetic_corpus(faqs, progress=False)


@pytest.mark.parametrize("faqs", [2, 100_000])
def test_a_vocabulary_has_different_words_with_short_ones_at_its_head(faqs: int) -> None:
    size = vocabulary_size(faqs)
    found = vocabulary(size, np.random.default_rng(0))
    assert len(set(found)) == len(found) == size
    assert max(map(len, found[:FUNCTION_WORDS])) < np.mean([len(word) for word in found])


def test_heaps_law_has_a_floor() -> None:
    assert [vocabulary_size(faqs) for faqs in (2, 77, 100_000)] == [1_000, 1_000, 10_000]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [(0, "wword"), (1, "ord"), (2, "owrd"), (3, "xord"), (4, "woord"), (14, "worx"), (15, "worx")],
)
def test_a_word_is_mistyped_by_one_letter(edit: int, expected: str) -> None:
    assert mistype("word", edit, "x") == expected


@given(st.text("abc", min_size=1, max_size=6), st.integers(0, 1_000), st.sampled_from("abcdefghij"))
def test_a_mistyped_word_is_a_word(word: str, edit: int, letter: str) -> None:
    found = mistype(word, edit, letter)
    assert found.isalpha()
    assert abs(len(found) - len(word)) <= 1
