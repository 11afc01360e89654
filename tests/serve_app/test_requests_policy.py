"""Router replicas follow all requests in flight, whichever way they take."""

from dataclasses import dataclass
from typing import Any

import pytest

from serve_app.requests_policy import METRIC, RequestsPolicy


@dataclass
class Context:
    aggregated_metrics: dict[str, dict[Any, float]] | None
    total_num_requests: float


@pytest.mark.parametrize(
    ("straight", "seen_by_ray_serve", "replicas"),
    [({}, 0.0, 0.0), ({"a": 100.0, "b": 100.0}, 0.0, 1.0), ({"a": 100.0}, 500.0, 3.0)],
)
def test_policy(straight: dict[str, float], seen_by_ray_serve: float, replicas: float) -> None:
    context = Context({METRIC: straight}, seen_by_ray_serve)
    assert RequestsPolicy(200)(context)[0] == replicas


def test_policy_before_any_replica_reported() -> None:
    assert RequestsPolicy(200)(Context(None, 50.0))[0] == 0.25
