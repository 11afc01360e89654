"""How many Router replicas there should be: by all requests in flight.

Ray Serve counts what takes its own way through a replica; questions take the straight way
(`serve_app.edge`), so each replica reports them.
"""

from typing import Any, Protocol

METRIC = "straight_requests"


class ScalingContext(Protocol):
    """What the policy reads of `ray.serve.config.AutoscalingContext`."""

    aggregated_metrics: dict[str, dict[Any, float]] | None
    total_num_requests: float


class RequestsPolicy:
    """As many routers as keep each at `target` requests; Ray Serve applies bounds and delays."""

    def __init__(self, target: int):
        self._target = target

    def __call__(self, context: ScalingContext) -> tuple[float, dict[str, Any]]:
        """The wanted number of replicas, and no state."""
        straight = sum((context.aggregated_metrics or {}).get(METRIC, {}).values())
        return (straight + context.total_num_requests) / self._target, {}
