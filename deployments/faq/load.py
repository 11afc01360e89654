"""How busy the FAQ rankers are, in questions: what their autoscaling goes by.

The Router gathers questions into few calls, so the number of calls in flight says nothing about
load. Each call therefore tells its replica how many questions its router holds for each replica,
waiting or running; the sum over routers is the replica's load.
"""

import math
from typing import Any, Protocol

METRIC = "questions"


class QuestionLoad:
    """The load of one replica: for each router the mean of what it said since the last look."""

    def __init__(self) -> None:
        self._reports: dict[str, tuple[float, int]] = {}

    def report(self, router: str, questions: float) -> None:
        """Notes that `router` holds `questions` for each replica."""
        total, reports = self._reports.get(router, (0.0, 0))
        self._reports[router] = (total + questions, reports + 1)

    def take(self) -> float:
        """The load since the last look; 0 where nothing came."""
        reports, self._reports = self._reports, {}
        return sum(total / count for total, count in reports.values())


class ScalingContext(Protocol):
    """What the policy reads of `ray.serve.config.AutoscalingContext`."""

    aggregated_metrics: dict[str, dict[Any, float]] | None
    target_num_replicas: int
    policy_state: dict[str, Any]


class QuestionsPolicy:
    """As many rankers as keep each at `target` questions; Ray Serve applies bounds and delays."""

    def __init__(self, target: int):
        self._target = target

    def __call__(self, context: ScalingContext) -> tuple[int, dict[str, Any]]:
        """The wanted number of replicas, and no state."""
        loads = (context.aggregated_metrics or {}).get(METRIC)
        if not loads:
            return context.target_num_replicas, {}
        return math.ceil(sum(loads.values()) / self._target), {}
