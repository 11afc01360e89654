import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from deployments.faq.calibration import RIVALS, Calibration, odds

CALIBRATION = Calibration(score=0.2, odds=0.8, offset=-0.1)

small = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=6),
    elements=st.floats(-1e4, 1e4),
)
# Of more FAQs than there are rivals, with ties among them.
large = arrays(
    np.float64,
    st.tuples(st.integers(1, 2), st.integers(RIVALS - 1, RIVALS + 40)),
    elements=st.integers(-20, 60).map(lambda tenths: tenths / 10) | st.floats(-50, 50),
)
scores = small | large


@given(scores)
def test_a_higher_score_never_gets_a_lower_probability(scores: np.ndarray) -> None:
    probabilities = CALIBRATION.probabilities(scores)
    assert probabilities.dtype == np.float32
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    order = np.argsort(scores, axis=1)
    assert (np.diff(np.take_along_axis(probabilities, order, axis=1)) >= 0).all()


@given(scores)
def test_equal_scores_get_equal_probabilities(scores: np.ndarray) -> None:
    for row, probabilities in zip(scores, CALIBRATION.probabilities(scores), strict=True):
        assert len(set(zip(row, probabilities, strict=True))) == len(set(row))


@given(scores)
def test_a_row_depends_on_itself_alone(scores: np.ndarray) -> None:
    alone = [CALIBRATION.probabilities(scores[row : row + 1]) for row in range(len(scores))]
    assert np.array_equal(CALIBRATION.probabilities(scores), np.concatenate(alone))


@given(large)
def test_the_best_alone_get_the_same_probabilities(scores: np.ndarray) -> None:
    best = -np.sort(-scores, axis=1)
    found = CALIBRATION.probabilities(best[:, :RIVALS])
    expected = CALIBRATION.probabilities(best)[:, :RIVALS]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_odds_are_against_the_sum_of_the_others() -> None:
    shares = np.array([[0.5, 0.3, 0.2]])
    np.testing.assert_allclose(odds(np.log(shares)), np.log(shares / (1 - shares)))


def test_odds_are_against_the_best_rivals_only() -> None:
    scores = np.concatenate([[2.0], np.ones(RIVALS - 1), np.zeros(1_000)])[None]
    expected = [2 - 1 - np.log(RIVALS - 1), 1 - np.log(np.exp(2) + (RIVALS - 2) * np.exp(1))]
    found = odds(scores)[0]
    np.testing.assert_allclose(found[:2], expected)
    np.testing.assert_allclose(found[-1], -np.log(np.exp(2) + (RIVALS - 1) * np.exp(1)))


def test_odds_of_two_are_their_difference() -> None:
    np.testing.assert_allclose(odds(np.array([[3.0, 1.0]])), [[2.0, -2.0]])
