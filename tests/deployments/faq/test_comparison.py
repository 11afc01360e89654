import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.faq.comparison import compare
from deployments.faq.corpus import CorpusError
from tests.deployments.faq.test_evaluation import outcomes


def test_the_same_ranks_differ_in_nothing() -> None:
    ranks = [1, 2, 5, 1]
    found = compare(outcomes(ranks), outcomes(ranks))
    for figure in (found.accuracy_at_1, found.accuracy_at_3, found.mrr):
        assert figure.first == figure.second
        assert (figure.low, figure.high) == (0, 0)
    assert (found.only_first, found.only_second) == (0, 0)
    assert (found.accuracy_p, found.mrr_p) == (1, 1)


def test_figures_are_those_of_each() -> None:
    found = compare(outcomes([1, 2, 4]), outcomes([3, 1, 1]))
    assert found.questions == 3
    assert (found.accuracy_at_1.first, found.accuracy_at_1.second) == (1 / 3, 2 / 3)
    assert (found.accuracy_at_3.first, found.accuracy_at_3.second) == (2 / 3, 1)
    assert found.mrr.second == pytest.approx((1 / 3 + 1 + 1) / 3)
    assert (found.only_first, found.only_second) == (1, 2)


def test_mcnemar_is_exact() -> None:
    # Of 10 questions that tell, 9 speak for the second: two-sided, (1 + 10) * 2 / 2 ** 10.
    found = compare(outcomes([2] * 9 + [1] * 11), outcomes([1] * 9 + [2] + [1] * 10))
    assert (found.only_first, found.only_second) == (1, 9)
    assert found.accuracy_p == pytest.approx(22 / 1024)


def test_randomisation_is_exact_where_questions_are_few() -> None:
    # All 6 differences point the same way: 2 of 2 ** 6 assignments are as extreme.
    assert compare(outcomes([2] * 6), outcomes([1] * 6)).mrr_p == pytest.approx(2 / 64)


def test_a_clear_difference_is_found_and_noise_is_not() -> None:
    rng = np.random.default_rng(1)
    ranks = rng.integers(1, 5, 400)
    better = compare(outcomes(ranks.tolist()), outcomes(np.maximum(1, ranks - 1).tolist()))
    assert better.mrr_p < 0.001
    assert better.accuracy_p < 0.001
    assert 0 < better.mrr.low < better.mrr.high
    noise = compare(outcomes(ranks.tolist()), outcomes(rng.permutation(ranks).tolist()))
    assert noise.mrr_p > 0.05
    assert noise.mrr.low < 0 < noise.mrr.high


def test_the_interval_is_that_of_the_normal_approximation_where_questions_are_many() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.integers(1, 3, 2000), rng.integers(1, 3, 2000)
    figure = compare(outcomes(first.tolist()), outcomes(second.tolist())).accuracy_at_1
    differences = (second == 1).astype(float) - (first == 1)
    half = 1.96 * differences.std() / np.sqrt(2000)
    assert figure.low == pytest.approx(differences.mean() - half, abs=0.003)
    assert figure.high == pytest.approx(differences.mean() + half, abs=0.003)


def test_same_seed_same_comparison() -> None:
    rng = np.random.default_rng(3)
    first, second = (outcomes(rng.integers(1, 5, 50).tolist()) for _ in range(2))
    assert compare(first, second, seed=5) == compare(first, second, seed=5)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=10))
@settings(max_examples=15, deadline=None)
def test_exchanging_the_models_mirrors_the_comparison(ranks: list[tuple[int, int]]) -> None:
    first, second = outcomes([one for one, _ in ranks]), outcomes([other for _, other in ranks])
    found, mirrored = compare(first, second), compare(second, first)
    assert (found.only_first, found.only_second) == (mirrored.only_second, mirrored.only_first)
    assert found.accuracy_p == pytest.approx(mirrored.accuracy_p)
    assert found.mrr_p == pytest.approx(mirrored.mrr_p)
    assert found.mrr.low == pytest.approx(-mirrored.mrr.high)
    assert 0 <= found.mrr_p <= 1
    assert found.mrr.low - 1e-9 <= found.mrr.second - found.mrr.first <= found.mrr.high + 1e-9


def test_refuses_other_questions() -> None:
    with pytest.raises(ValueError, match="different questions"):
        compare(outcomes([1, 2]), outcomes([1, 2], questions=["other", "ones"]))


def test_refuses_a_single_question() -> None:
    with pytest.raises(CorpusError, match="at least 2"):
        compare(outcomes([1]), outcomes([1]))
