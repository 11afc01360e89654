"""Who may talk to whom: nothing, but for what stands here.

The kubelet's probes and port forwarding come from the node itself and need no rule. The CNI must
keep policies, with ranges of ports (Cilium 1.16, Calico 3.20 or newer).
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from urllib.parse import urlsplit

from kuberay.manifests.cluster import ClusterSettings, GatewaySettings
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
from kuberay.manifests.pods import DASHBOARD_PORT, METRICS_PORT
from serve_app.fast_path import HAPROXY_PORTS
from serve_app.settings import Settings

UNPRIVILEGED, HIGHEST = 1024, 65535
DNS_PORT = 53
NODE_DNS = "169.254.0.0/16"
"""Caches of DNS on the node itself listen there."""
API_SERVER_PORTS = (443, 6443)
DEFAULT_PORTS = {"https": 443, "http": 80, "azureml": 443, "databricks": 443}

GATEWAY_LABEL = "gateway.networking.k8s.io/gateway-name"
"""Of the pods that a Gateway's implementation starts for it."""
NAMESPACE_LABEL = "kubernetes.io/metadata.name"


def policies(settings: Settings, cluster: ClusterSettings) -> list[Object]:
    """Default deny in the namespace, then each way that is needed."""
    serving = [settings.http.port] + ([settings.grpc.port] if settings.grpc.port else [])
    workers = {"matchLabels": PODS, "matchExpressions": [_in(CPU_WORKER, GPU_WORKER)]}
    head = {"matchLabels": {**PODS, **component(HEAD)}}
    everyone = {"matchLabels": PODS}
    found = [
        _policy(cluster, "default-deny", {}, ingress=[], egress=[]),
        _policy(
            cluster,
            "inside",
            everyone,
            ingress=[{"from": [{"podSelector": everyone}], "ports": _open_inside()}],
            egress=[{"to": [{"podSelector": everyone}], "ports": _open_inside()}],
        ),
        _policy(cluster, "dns", everyone, egress=_dns()),
        _policy(
            cluster,
            "operator",
            head,
            ingress=[
                {
                    "from": [{"namespaceSelector": _namespace(cluster.operator_namespace)}],
                    "ports": _tcp([DASHBOARD_PORT]),
                }
            ],
        ),
        _policy(
            cluster,
            "autoscaler",
            head,
            # The API server is no pod, and its address differs from cluster to cluster.
            egress=[{"ports": _tcp(API_SERVER_PORTS)}],
        ),
    ]
    if outside := sorted(set(_outside(settings))):
        found.append(_policy(cluster, "outside", everyone, egress=[{"ports": _tcp(outside)}]))
    if cluster.redis is not None:
        port = urlsplit(cluster.redis.address).port or 0
        found.append(_policy(cluster, "redis", head, egress=[{"ports": _tcp([port])}]))
    if cluster.gateway is not None:
        sources = [_gateway_pods(cluster.gateway)]
        if cluster.is_incremental:
            sources.append({"podSelector": _inner_gateway()})
            found.append(_inner_gateway_policy(cluster, cluster.gateway))
        found.append(
            _policy(
                cluster, "gateway", workers, ingress=[{"from": sources, "ports": _tcp(serving)}]
            )
        )
    if cluster.monitoring is not None:
        source = {"namespaceSelector": _namespace(cluster.monitoring.namespace)}
        rays = _policy(
            cluster,
            "metrics",
            everyone,
            ingress=[{"from": [source], "ports": _tcp([METRICS_PORT])}],
        )
        own = _policy(
            cluster,
            "application-metrics",
            workers,
            ingress=[{"from": [source], "ports": _tcp([settings.http.port])}],
        )
        found += [rays, own]
    return found


def _outside(settings: Settings) -> Iterator[int]:
    """Ports of what the settings name outside: registry, receiver of traces, issuer."""
    for url in (settings.registry_uri, settings.tracing.endpoint, settings.auth.issuer):
        parts = urlsplit(url or "")
        if parts.hostname is not None:
            port = parts.port or DEFAULT_PORTS.get(parts.scheme)
            if port is not None:
                yield port


def _open_inside() -> list[Object]:
    """All that Ray and its replicas use between pods; not what HAProxy tells everybody."""
    bounds = pairwise([UNPRIVILEGED - 1, *sorted(HAPROXY_PORTS), HIGHEST + 1])
    return [{"protocol": "TCP", "port": below + 1, "endPort": above - 1} for below, above in bounds]


def _dns() -> list[Object]:
    ports = [{"protocol": protocol, "port": DNS_PORT} for protocol in ("UDP", "TCP")]
    places = [
        {"namespaceSelector": _namespace("kube-system")},
        {"ipBlock": {"cidr": NODE_DNS}},
    ]
    return [{"to": places, "ports": ports}]


def _gateway_pods(gateway: GatewaySettings) -> Object:
    return {
        "namespaceSelector": _namespace(gateway.pods_namespace or gateway.namespace),
        "podSelector": {"matchLabels": dict(gateway.pod_labels)},
    }


def _inner_gateway() -> Object:
    """Of the gateway that KubeRay makes for an upgrade in steps, in the service's namespace."""
    return {"matchLabels": {GATEWAY_LABEL: f"{NAME}-gateway"}}


def _inner_gateway_policy(cluster: ClusterSettings, gateway: GatewaySettings) -> Object:
    return _policy(
        cluster,
        "inner-gateway",
        _inner_gateway(),
        ingress=[{"from": [_gateway_pods(gateway)], "ports": _tcp([80])}],
        # To the workers, DNS, and its own control plane, wherever that runs.
        egress=[{}],
    )


def _policy(
    cluster: ClusterSettings,
    name: str,
    pods: Mapping[str, object],
    ingress: list[Object] | None = None,
    egress: list[Object] | None = None,
) -> Object:
    policy = made("networking.k8s.io/v1", "NetworkPolicy", f"{NAME}-{name}", cluster.namespace)
    spec: Object = {"podSelector": dict(pods), "policyTypes": []}
    for direction, rules in (("Ingress", ingress), ("Egress", egress)):
        if rules is not None:
            spec["policyTypes"].append(direction)
            if rules:
                spec[direction.lower()] = rules
    policy["spec"] = spec
    return policy


def _tcp(ports: Sequence[int]) -> list[Object]:
    return [{"protocol": "TCP", "port": port} for port in ports]


def _namespace(name: str) -> Object:
    return {"matchLabels": {NAMESPACE_LABEL: name}}


def _in(*roles: str) -> Object:
    return {"key": next(iter(component(""))), "operator": "In", "values": list(roles)}
