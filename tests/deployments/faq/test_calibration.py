import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from deployments.faq.calibration import Calibration, odds

CALIBRATION = Calibration(score=0.2, odds=0.8, offset=-0.1)

scores = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=6),
    elements=st.floats(-1e4, 1e4),
)


@given(scores)
def test_a_higher_score_never_gets_a_lower_probability(scores: np.ndarray) -> None:
    probabilities = CALIBRATION.probabilities(scores)
    assert probabilities.dtype == np.float32
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    order = np.argsort(scores, axis=1)
    assert (np.diff(np.take_along_axis(probabilities, order, axis=1)) >= 0).all()


@given(scores)
def test_a_row_depends_on_itself_alone(scores: np.ndarray) -> None:
    alone = [CALIBRATION.probabilities(scores[row : row + 1]) for row in range(len(scores))]
    assert np.array_equal(CALIBRATION.probabilities(scores), np.concatenate(alone))


def test_odds_are_against_the_sum_of_the_others() -> None:
    shares = np.array([[0.5, 0.3, 0.2]])
    np.testing.assert_allclose(odds(np.log(shares)), np.log(shares / (1 - shares)))


def test_odds_of_two_are_their_difference() -> None:
    np.testing.assert_allclose(odds(np.array([[3.0, 1.0]])), [[2.0, -2.0]])
