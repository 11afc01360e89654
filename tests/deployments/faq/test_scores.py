import numpy as np
import pytest
from scipy.sparse import csr_array

from deployments.faq.scores import DenseScores

WEIGHTS = np.array([[1, 2, 2, 0], [4, 0, 0, 1]], np.float32)
BIAS = np.array([0, 1, 1, 0.5], np.float32)
FEATURES = csr_array(np.array([[1, 0], [0, 2], [0, 0]], np.float32))


def test_scores_are_the_product_and_the_bias() -> None:
    scores = DenseScores(WEIGHTS, BIAS)
    assert scores.faqs == 4
    found = scores.all(FEATURES)
    assert found.dtype == np.float64
    assert found.tolist() == [[1, 3, 3, 0.5], [8, 1, 1, 2.5], [0, 1, 1, 0.5]]


def test_equals_stay_in_the_order_of_the_corpus() -> None:
    faqs, scores = DenseScores(WEIGHTS, BIAS).best(FEATURES, 3)
    assert faqs.tolist() == [[1, 2, 0], [0, 3, 1], [1, 2, 3]]
    assert scores.tolist() == [[3, 3, 1], [8, 2.5, 1], [1, 1, 0.5]]


def test_many_equals_stay_in_the_order_of_the_corpus() -> None:
    bias = np.tile(np.array([0, 1, 1], np.float32), 200)
    scores = DenseScores(np.zeros((2, 600), np.float32), bias)
    expected = [*bias.nonzero()[0], *(bias == 0).nonzero()[0]]
    assert (scores.best(FEATURES, 600).faqs == expected).all()


@pytest.mark.parametrize("count", [4, 100])
def test_all_where_there_are_fewer(count: int) -> None:
    assert DenseScores(WEIGHTS, BIAS).best(FEATURES, count).faqs.shape == (3, 4)
