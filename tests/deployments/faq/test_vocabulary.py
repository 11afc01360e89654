from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.faq.corpus import Corpus
from deployments.faq.features import FeatureExtractor
from deployments.faq.vocabulary import DocumentFrequencies, fit_features
from tests.deployments.faq.reference import Reference

TEXTS = st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=5)


def count(parts: list[list[list[int]]], *, by_words: bool, unmerged: int) -> DocumentFrequencies:
    """Counts codes (here small numbers) of texts that come in parts."""
    frequencies = DocumentFrequencies(unmerged)
    for texts in parts:
        flat = np.array([code for text in texts for code in text], np.uint64)
        rows = np.arange(len(texts)).repeat([len(text) for text in texts])
        if not by_words:
            frequencies.add(flat, rows)
        elif len(flat):
            # A word has its code and the next, and one code twice.
            words = [np.array([code, code + 1, code], np.uint64) for code in range(10)]
            frequencies.add_words(words, rows, flat.astype(np.int64))
    return frequencies


@pytest.mark.parametrize("by_words", [False, True])
@given(parts=st.lists(TEXTS, max_size=4), unmerged=st.integers(0, 30))
def test_a_code_counts_once_a_text(
    by_words: bool, parts: list[list[list[int]]], unmerged: int
) -> None:
    expected: Counter[int] = Counter()
    for text in (text for texts in parts for text in texts):
        expected.update({code + more for code in text for more in range(1 + by_words)})
    codes, counts = count(parts, by_words=by_words, unmerged=unmerged).total()
    assert (np.diff(codes.astype(np.int64)) > 0).all()
    found = dict(zip(codes.tolist(), counts.tolist(), strict=True))
    # Of words that no text has, the codes count 0.
    assert {code: count for code, count in found.items() if count} == expected


def test_a_block_keeps_the_commonest() -> None:
    texts = [[1, 5, 7, 9], [1, 5, 7, 8], [1, 5, 8], [1]]
    frequencies = count([texts], by_words=False, unmerged=0)
    block = frequencies.block(texts=4, rarest=2, most=3)
    # 7 and 8 are equally common.
    assert block.codes.tolist() == [1, 5, 7]
    np.testing.assert_allclose(block.idf, np.log(5 / np.array([5, 4, 3])) + 1, rtol=1e-6)
    assert frequencies.block(texts=4, rarest=2, most=9).codes.tolist() == [1, 5, 7, 8]
    assert len(frequencies.block(texts=4, rarest=5, most=9)) == 0


def assert_fitted(extractor: FeatureExtractor, reference: Reference) -> None:
    blocks = extractor.words, extractor.characters, extractor.pairs
    fitted = reference.words, reference.characters, reference.pairs
    for block, codes, vectorizer in zip(blocks, reference.codes(), fitted, strict=True):
        assert np.array_equal(block.codes, np.sort(codes))
        np.testing.assert_allclose(block.idf, vectorizer.idf_[codes.argsort()], rtol=1e-6)


def test_fits_what_scikit_learn_does(javascript: Corpus) -> None:
    texts = [faq.question for faq in javascript.faqs] + [each.text for each in javascript.train]
    heard: list[int] = []
    extractor = fit_features(texts, most_features=1 << 20, with_pairs=True, on_texts=heard.append)
    assert_fitted(extractor, Reference(texts))
    assert sum(heard) == len(texts)


def test_many_texts_come_in_blocks_and_lose_what_is_in_one_alone() -> None:
    rng = np.random.default_rng(0)
    words = np.array([f"{number:x}" for number in range(10_000, 30_000)])
    texts = [" ".join(row) for row in words[(20_000 * rng.random((20_500, 3)) ** 2).astype(int)]]
    heard: list[int] = []
    extractor = fit_features(texts, most_features=1 << 20, with_pairs=True, on_texts=heard.append)
    assert heard == [20_000, 500]
    assert_fitted(extractor, Reference(texts, rarest=2))


def test_kinds_share_the_features() -> None:
    texts = ["one two three four five six", "one two three four", "one two three"]
    three = fit_features(texts, most_features=9, with_pairs=True)
    assert [len(block) for block in (three.words, three.characters, three.pairs)] == [3, 3, 3]
    two = fit_features(texts, most_features=9, with_pairs=False)
    assert [len(block) for block in (two.words, two.characters, two.pairs)] == [4, 4, 0]


@pytest.mark.parametrize("texts", [[], [""], [" ", "\n\t"]])
def test_without_words_there_are_no_columns(texts: list[str]) -> None:
    assert fit_features(texts, most_features=100, with_pairs=True).width == 0
