"""How many pods may be taken away at once, by whoever empties a node."""

from kuberay.manifests.cluster import ClusterSettings
from kuberay.manifests.objects import (
    CPU_WORKER,
    GPU_WORKER,
    HEAD,
    NAME,
    PODS,
    Object,
    component,
    made,
)


def budgets(cluster: ClusterSettings) -> list[Object]:
    """One pod of each kind at a time, of both clusters of an upgrade together."""
    roles = [HEAD, CPU_WORKER] + ([GPU_WORKER] if cluster.gpu else [])
    return [_budget(cluster, role) for role in roles]


def _budget(cluster: ClusterSettings, role: str) -> Object:
    name = f"{NAME}-{role}"
    budget = made("policy/v1", "PodDisruptionBudget", name, cluster.namespace, component(role))
    budget["spec"] = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": {**PODS, **component(role)}},
        # A pod that is not ready serves nobody: it must not keep a node from being emptied.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return budget
