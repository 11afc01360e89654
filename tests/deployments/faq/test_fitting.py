import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.faq.calibration import Calibration
from deployments.faq.fitting import (
    PRIOR_CALIBRATION,
    PRIOR_THRESHOLD,
    choose_threshold,
    fit_calibration,
    fit_weights,
    prior_weights,
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


def one_hot(labels: NDArray[np.int64], columns: int = FAQS) -> NDArray[np.bool_]:
    """True where a question's right FAQ is."""
    return np.asarray(labels[:, None] == np.arange(columns))


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = np.exp(scores)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("true", [[0.0, 2.0, 0.5, 1.0, 0.0, 3.0, 1.5], [1.0, 0.0, 3.0]])
def test_finds_the_weights_that_made_the_labels(
    rng: np.random.Generator, true: list[float]
) -> None:
    features = rng.normal(size=(QUESTIONS, FAQS, len(true))).astype(np.float32)
    labels = drawn(rng, softmax(features @ np.array(true)))
    found = fit_weights(features, one_hot(labels), np.ones(len(true)))
    np.testing.assert_allclose(found, true, atol=0.1)


def test_weights_that_mislead_are_0_and_never_negative(rng: np.random.Generator) -> None:
    labels = rng.integers(0, FAQS, 1_000)
    misleading = np.where(one_hot(labels), 0, 1)[:, :, None].astype(np.float32)
    assert fit_weights(misleading, one_hot(labels), np.full(1, 4.0)) == 0


def test_calibration_makes_up_for_scores_that_are_too_sure(rng: np.random.Generator) -> None:
    true = rng.normal(scale=2.0, size=(QUESTIONS, FAQS))
    labels = drawn(rng, softmax(true))
    calibration = fit_calibration(3.0 * true, one_hot(labels))
    found = calibration.probabilities(3.0 * true)
    best = found.max(axis=1)
    right = found.argmax(axis=1) == labels
    for low, high in ((0.4, 0.6), (0.6, 0.8), (0.8, 1.0)):
        chosen = (best >= low) & (best < high)
        assert right[chosen].mean() == pytest.approx(best[chosen].mean(), abs=0.04)


def test_calibration_learns_from_strangers(rng: np.random.Generator) -> None:
    labels = rng.integers(0, FAQS, 500)
    scores = rng.normal(size=(500, FAQS)) + 5.0 * one_hot(labels)
    strangers = rng.normal(size=(500, FAQS)) + 3.0 * one_hot(rng.integers(0, FAQS, 500))
    nothing = np.zeros_like(one_hot(labels))
    without = fit_calibration(scores, one_hot(labels))
    with_them = fit_calibration(
        np.concatenate([scores, strangers]), np.concatenate([one_hot(labels), nothing])
    )
    before, after = (each.probabilities(strangers).max(axis=1) for each in (without, with_them))
    assert after.mean() < before.mean() - 0.3


@pytest.mark.parametrize("with_margins", [True, False])
def test_without_questions_the_prior_stands(with_margins: bool) -> None:
    prior = prior_weights(with_margins)
    assert len(prior) == 6 + with_margins
    nothing, is_right = np.empty((0, FAQS, len(prior)), np.float32), np.empty((0, FAQS), bool)
    weights = fit_weights(nothing, is_right, prior)
    scores = nothing @ weights
    np.testing.assert_allclose(weights, prior)
    assert fit_calibration(scores, is_right) == PRIOR_CALIBRATION
    assert choose_threshold(scores, is_right, PRIOR_CALIBRATION) == PRIOR_THRESHOLD


PLAIN = Calibration(score=1.0, odds=0.0, offset=0.0)
"""A score is the logit of its probability."""


def logistic(score: float) -> float:
    return float(1 / (1 + np.exp(-score)))


def answered(rng: np.random.Generator, questions: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of 1 to 3 for the right FAQ and -4 to -2 for others, and which is right."""
    is_right = one_hot(rng.integers(0, FAQS, questions))
    low, high = rng.uniform(-4.0, -2.0, is_right.shape), rng.uniform(1.0, 3.0, is_right.shape)
    return np.where(is_right, high, low), is_right


def test_threshold_parts_matches_from_the_rest(rng: np.random.Generator) -> None:
    threshold = choose_threshold(*answered(rng, 200), PLAIN)
    assert threshold == pytest.approx(logistic(1.0), abs=0.02)


@pytest.mark.parametrize(("strangers", "expected"), [(29, 1.0), (30, 2.0), (300, 2.0)])
def test_threshold_parts_matches_from_strangers_where_there_are_enough(
    rng: np.random.Generator, strangers: int, expected: float
) -> None:
    scores, is_right = answered(rng, 400)
    strange = np.full((strangers, FAQS), 2.0) - rng.uniform(0.0, 0.05, (strangers, FAQS))
    nothing = np.zeros((strangers, FAQS), bool)
    threshold = choose_threshold(
        np.concatenate([strange, scores]), np.concatenate([nothing, is_right]), PLAIN
    )
    assert threshold == pytest.approx(logistic(expected), abs=0.02)


def test_threshold_of_few_questions_is_that_of_the_prior(rng: np.random.Generator) -> None:
    assert choose_threshold(*answered(rng, 29), PLAIN) == PRIOR_THRESHOLD
    assert choose_threshold(*answered(rng, 30), PLAIN) != PRIOR_THRESHOLD


def test_of_two_faqs_no_threshold_can_be_told(rng: np.random.Generator) -> None:
    scores = rng.normal(size=(200, 2))
    is_right = one_hot(drawn(rng, softmax(scores)), 2)
    assert choose_threshold(scores, is_right, PRIOR_CALIBRATION) == PRIOR_THRESHOLD
