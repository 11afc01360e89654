import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.faq.calibration import Calibration
from deployments.faq.fitting import (
    PRIOR_CALIBRATION,
    PRIOR_THRESHOLD,
    PRIOR_WEIGHTS,
    choose_threshold,
    fit_calibration,
    fit_weights,
)

QUESTIONS, FAQS = 20_000, 6


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def drawn(rng: np.random.Generator, probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each row one column, drawn with these probabilities."""
    points = rng.random((len(probabilities), 1))
    within = probabilities.cumsum(axis=1)[:, :-1]
    columns: NDArray[np.int64] = (points > within).sum(axis=1)
    return columns


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = np.exp(scores)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def test_finds_the_weights_that_made_the_labels(rng: np.random.Generator) -> None:
    true = np.array([0.0, 2.0, 0.5, 1.0, 0.0, 3.0, 1.5])
    features = rng.normal(size=(QUESTIONS, FAQS, len(true))).astype(np.float32)
    labels = drawn(rng, softmax(features @ true))
    np.testing.assert_allclose(fit_weights(features, labels), true, atol=0.1)


def test_calibration_makes_up_for_scores_that_are_too_sure(rng: np.random.Generator) -> None:
    true = rng.normal(scale=2.0, size=(QUESTIONS, FAQS))
    labels = drawn(rng, softmax(true))
    calibration = fit_calibration(3.0 * true, labels)
    found = calibration.probabilities(3.0 * true)
    best = found.max(axis=1)
    right = found.argmax(axis=1) == labels
    for low, high in ((0.4, 0.6), (0.6, 0.8), (0.8, 1.0)):
        chosen = (best >= low) & (best < high)
        assert right[chosen].mean() == pytest.approx(best[chosen].mean(), abs=0.04)


def test_without_questions_the_prior_stands() -> None:
    nothing = np.empty((0, FAQS, len(PRIOR_WEIGHTS)), np.float32)
    labels = np.empty(0, np.int64)
    weights = fit_weights(nothing, labels)
    scores = nothing @ weights
    np.testing.assert_allclose(weights, PRIOR_WEIGHTS)
    assert fit_calibration(scores, labels) == PRIOR_CALIBRATION
    assert choose_threshold(scores, labels, PRIOR_CALIBRATION) == PRIOR_THRESHOLD


def test_threshold_parts_matches_from_the_rest(rng: np.random.Generator) -> None:
    calibration = Calibration(score=1.0, odds=0.0, offset=0.0)
    labels = rng.integers(0, FAQS, 200)
    scores = rng.uniform(-4.0, -2.0, (200, FAQS))
    scores[np.arange(200), labels] = rng.uniform(1.0, 3.0, 200)
    threshold = choose_threshold(scores, labels, calibration)
    assert threshold == pytest.approx(1 / (1 + np.exp(-1.0)), abs=0.02)


def test_of_two_faqs_no_threshold_can_be_told(rng: np.random.Generator) -> None:
    scores = rng.normal(size=(200, 2))
    threshold = choose_threshold(scores, drawn(rng, softmax(scores)), PRIOR_CALIBRATION)
    assert threshold == PRIOR_THRESHOLD
