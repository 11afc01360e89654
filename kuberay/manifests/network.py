"""Who may talk to whom."""

from kuberay.manifests.cluster import ClusterSettings
from kuberay.manifests.objects import NAME, PODS, Object, made
from serve_app.settings import Settings


def policies(settings: Settings, cluster: ClusterSettings) -> list[Object]:
    """Nothing at first; then what is needed."""
    closed = made(
        "networking.k8s.io/v1", "NetworkPolicy", f"{NAME}-default-deny", cluster.namespace
    )
    closed["spec"] = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    inside = made("networking.k8s.io/v1", "NetworkPolicy", f"{NAME}-inside", cluster.namespace)
    pods = {"podSelector": {"matchLabels": PODS}}
    inside["spec"] = {
        "podSelector": {"matchLabels": PODS},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [pods]}],
        "egress": [{"to": [pods]}],
    }
    return [closed, inside]
