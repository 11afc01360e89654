"""How many pods may be taken away at once, by whoever empties a node.

Of KubeRay's pods a budget can only say how many must stay: their owner has no scale to take a share
of. The head has none: there is one, a budget would keep its node from ever being emptied, and what
it knows outlives it.
"""

from kuberay.manifests.cluster import ClusterSettings
from kuberay.manifests.objects import (
    CPU_WORKER,
    GPU_WORKER,
    NAME,
    PODS,
    Object,
    component,
    made,
)


def budgets(cluster: ClusterSettings) -> list[Object]:
    """All but one of the fewest workers stay, those of both clusters of an upgrade together."""
    groups = [(CPU_WORKER, cluster.cpu), (GPU_WORKER, cluster.gpu)]
    return [
        _budget(cluster, role, group.min_pods - 1)
        for role, group in groups
        if group is not None and group.min_pods > 1
    ]


def _budget(cluster: ClusterSettings, role: str, stay: int) -> Object:
    name = f"{NAME}-{role}"
    budget = made("policy/v1", "PodDisruptionBudget", name, cluster.namespace, component(role))
    budget["spec"] = {
        "minAvailable": stay,
        "selector": {"matchLabels": {**PODS, **component(role)}},
        # A pod that is not ready serves nobody: it must not keep a node from being emptied.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    return budget
