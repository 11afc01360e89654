"""The FAQ ranker scales on questions, however few calls carry them."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from deployments.faq.load import METRIC, QuestionLoad, QuestionsPolicy


@dataclass
class Context:
    aggregated_metrics: dict[str, dict[Any, float]] | None
    target_num_replicas: int = 2
    policy_state: dict[str, Any] = field(default_factory=dict)


def test_load_is_the_sum_of_each_routers_mean() -> None:
    load = QuestionLoad()
    for router, held in [("a", 10.0), ("a", 30.0), ("b", 5.0)]:
        load.report(router, held)
    assert load.take() == 25.0
    assert load.take() == 0.0


@pytest.mark.parametrize(
    ("loads", "replicas"),
    [([10.0], 1), ([64.0], 1), ([65.0], 2), ([100.0, 100.0], 4), ([0.0, 0.0], 0)],
)
def test_policy(loads: list[float], replicas: int) -> None:
    context = Context({METRIC: dict(enumerate(loads))})
    assert QuestionsPolicy(64)(context)[0] == replicas


def test_policy_without_figures_changes_nothing() -> None:
    assert QuestionsPolicy(64)(Context({}))[0] == 2
