"""Who the pods are to the API server, and who gives way to whom."""

from kuberay.manifests.cluster import ClusterSettings
from kuberay.manifests.objects import HEAD, NAME, Object, component, made


def accounts(cluster: ClusterSettings) -> list[Object]:
    """Accounts without any right. KubeRay binds the head's to what its autoscaler needs."""
    return [
        {
            **made("v1", "ServiceAccount", f"{NAME}-{role}", cluster.namespace, component(role)),
            "automountServiceAccountToken": False,
        }
        for role in (HEAD, "worker")
    ]


def priorities() -> list[Object]:
    """Without the head nothing new starts; workers are next."""
    return [
        {
            **made("scheduling.k8s.io/v1", "PriorityClass", f"{NAME}-{role}"),
            "value": value,
            "globalDefault": False,
            "preemptionPolicy": "PreemptLowerPriority",
            "description": f"realtime-scoring: {role} of the Ray cluster",
        }
        for role, value in ((HEAD, 1_000_000), ("worker", 900_000))
    ]
