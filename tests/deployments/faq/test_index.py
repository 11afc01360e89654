import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.sparse import csr_array

from deployments.faq.index import IndexedScores, Weights
from deployments.faq.vocabulary import fit_features

MOST = 8.0
VALUES = st.sampled_from([0.0, 0.0, 0.0, 0.001, 0.5, 1.0, 3.0, MOST])
SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 8))

tables = SHAPES.flatmap(lambda shape: arrays(np.float32, shape, elements=VALUES))


def index(table: NDArray[np.float32], rows: int = 5) -> IndexedScores:
    """Of a table (FAQs, features), given in blocks of `rows`."""
    starts = range(0, len(table), rows)
    blocks = (csr_array(table[start : start + rows]) for start in starts)
    return IndexedScores(Weights.quantise(blocks, most=MOST))


def questions(data: st.DataObject, width: int) -> csr_array:
    shape = data.draw(st.integers(0, 4)), width
    return csr_array(data.draw(arrays(np.float32, shape, elements=st.sampled_from([0, 0.2, 1.0]))))


@given(tables)
def test_weights_change_by_half_a_step_at_most(table: NDArray[np.float32]) -> None:
    weights = index(table).weights
    assert weights.by_faq.dtype == weights.by_ngram.dtype == np.int16
    assert np.array_equal(weights.by_faq.toarray(), weights.by_ngram.toarray().T)
    quantised = weights.by_faq.toarray() * weights.step
    assert np.abs(quantised - table).max() <= MOST / 65534 * 1.001
    holders = np.maximum((table > 0).sum(axis=0), 1)
    np.testing.assert_allclose(weights.means, quantised.sum(axis=0) / holders, rtol=1e-6)


@given(tables, st.integers(1, 12))
def test_blocks_do_not_matter(table: NDArray[np.float32], rows: int) -> None:
    whole, parts = index(table, len(table)).weights, index(table, rows).weights
    assert np.array_equal(whole.by_faq.toarray(), parts.by_faq.toarray())
    assert np.array_equal(whole.means, parts.means)


def test_no_weight_at_all_gives_no_score() -> None:
    scores = IndexedScores(Weights.quantise([csr_array(np.zeros((3, 2), np.float32))], most=0.0))
    asked = csr_array(np.ones((1, 2), np.float32))
    assert scores.all(asked).tolist() == [[0, 0, 0]]
    assert scores.best(asked, 2).faqs.tolist() == [[0, 1]]


@given(tables, st.data())
def test_all_scores_are_the_product(table: NDArray[np.float32], data: st.DataObject) -> None:
    scores, asked = index(table), questions(data, table.shape[1])
    expected = asked.toarray() @ (scores.weights.by_faq.toarray().T * scores.weights.step)
    assert scores.faqs == len(table)
    np.testing.assert_allclose(scores.all(asked), expected, rtol=1e-5, atol=1e-6)


@given(tables, st.integers(1, 15), st.data())
@settings(max_examples=200)
def test_the_best_have_their_exact_scores_and_are_sorted(
    table: NDArray[np.float32], count: int, data: st.DataObject
) -> None:
    scores, asked = index(table), questions(data, table.shape[1])
    best, exact = scores.best(asked, count), scores.all(asked)
    assert best.faqs.dtype == np.int64
    assert best.faqs.shape == best.scores.shape == (asked.shape[0], min(count, len(table)))
    for row, (faqs, found) in enumerate(zip(best.faqs, best.scores, strict=True)):
        assert len(set(faqs.tolist())) == len(faqs)
        np.testing.assert_allclose(found, exact[row, faqs], rtol=1e-5, atol=1e-6)
        ranked = list(zip((-found).tolist(), faqs.tolist(), strict=True))
        assert ranked == sorted(ranked)


@given(tables, st.data())
def test_with_as_many_as_there_are_all_are_found(
    table: NDArray[np.float32], data: st.DataObject
) -> None:
    scores, asked = index(table), questions(data, table.shape[1])
    faqs, found = scores.best(asked, len(table))
    assert np.array_equal(np.sort(faqs), np.tile(np.arange(len(table)), (len(faqs), 1)))
    expected = -np.sort(-scores.all(asked), axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@given(tables, st.integers(1, 12), st.data())
def test_a_row_depends_on_its_question_alone(
    table: NDArray[np.float32], count: int, data: st.DataObject
) -> None:
    scores, asked = index(table), questions(data, table.shape[1])
    together, everything = scores.best(asked, count), scores.all(asked)
    for row in range(asked.shape[0]):
        alone = scores.best(asked[[row]], count)
        assert np.array_equal(alone.faqs[0], together.faqs[row])
        assert np.array_equal(alone.scores[0], together.scores[row])
        assert np.array_equal(scores.all(asked[[row]])[0], everything[row])


@pytest.mark.parametrize("count", [1, 3, 700])
def test_where_few_share_anything_the_first_others_follow(count: int) -> None:
    table = np.zeros((700, 2), np.float32)
    table[[650, 20], 0] = 1.0, 2.0
    asked = csr_array(np.array([[1, 0], [0, 1], [0, 0]], np.float32))
    faqs = index(table, 100).best(asked, count).faqs
    others = [number for number in range(700) if number not in (20, 650)]
    assert faqs[0].tolist() == [20, 650, *others][:count]
    assert faqs[1].tolist() == faqs[2].tolist() == list(range(count))


def test_more_equals_than_candidates_stay_in_the_order_of_the_corpus() -> None:
    table = np.ones((2_000, 1), np.float32)
    faqs = index(table, 500).best(csr_array(np.ones((1, 1), np.float32)), 3).faqs
    assert faqs.tolist() == [[0, 1, 2]]


def test_finds_the_best_of_many() -> None:
    """So many, and of so few letters, that most of what speaks for an FAQ is left out."""
    faqs, questions = 20_000, 200
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 9, 8_000)
    words = rng.permutation(
        np.unique(["".join(rng.choice(list("aeinrst"), length)) for length in lengths])
    )
    # As common as words are in real text: the n-th has a share like 1 / n.
    common = 1 / np.arange(1, len(words) + 1)
    drawn = rng.choice(words, size=(faqs, 9), p=common / common.sum())
    texts = [" ".join(row) for row in drawn]
    extractor = fit_features(texts, most_features=1 << 20, with_pairs=False)
    known = extractor.transform(texts) * np.float32(MOST)
    blocks = (known[start : start + 8_000] for start in range(0, faqs, 8_000))
    scores = IndexedScores(Weights.quantise(blocks, most=MOST))
    chosen = rng.permuted(drawn, axis=1)[rng.permutation(faqs)[:questions]]
    asked = [" ".join([*row[:5], *rng.choice(words, 2)]) for row in chosen]
    features = extractor.transform(asked)
    tenth = np.partition(scores.all(features), -10, axis=1)[:, [-10]]
    found = scores.best(features, 10).scores
    assert (found >= tenth - 1e-5).mean() >= 0.999


def test_blocks_may_differ_in_the_order_of_their_cells() -> None:
    table = np.array([[1, 2, 3], [4, 0, 5]], np.float32)
    shuffled = csr_array(
        (np.array([3, 1, 2, 5, 4], np.float32), np.array([2, 0, 1, 2, 0]), np.array([0, 3, 5])),
        shape=(2, 3),
    )
    found = IndexedScores(Weights.quantise([shuffled], most=MOST))
    asked = csr_array(np.eye(3, dtype=np.float32))
    np.testing.assert_allclose(found.all(asked), table.T, atol=MOST / 65534)
