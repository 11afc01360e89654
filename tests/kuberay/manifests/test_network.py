"""Who reaches whom, by the policies as Kubernetes defines them."""

import ipaddress
from dataclasses import dataclass, field
from typing import Any

import pytest

from kuberay.manifests.network import policies
from serve_app.settings import Settings
from tests.kuberay.manifests.rendering import FOLDERS, find, of, templates

Object = dict[str, Any]
every_folder = pytest.mark.parametrize("name", FOLDERS)

HEAD_PORTS = (6379, 8265, 8080, 10001, 52365, 10002, 19999)
REPLICA_PORTS = (30000, 31000, 40000, 41000, 9500)
CLOSED = (8404, 9101)


@dataclass(frozen=True)
class End:
    """One end of a connection: a pod, or an address outside."""

    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    address: str = "10.0.0.1"


def pod(name: str, role: str) -> End:
    """A pod of the service, with the labels that KubeRay adds."""
    for template in templates(name):
        labels = template["metadata"]["labels"]
        if labels["app.kubernetes.io/component"] == role:
            added = {"ray.io/cluster": "scoring-abcde", "ray.io/is-ray-node": "yes"}
            return End("scoring", {**labels, **added})
    raise LookupError(role)


def reaches(name: str, source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    """Whether every policy of both ends lets a connection through."""
    return _lets(name, "Egress", source, target, port, protocol) and _lets(
        name, "Ingress", target, source, port, protocol
    )


def _lets(name: str, way: str, own: End, other: End, port: int, protocol: str) -> bool:
    peers, rules = ("from", "ingress") if way == "Ingress" else ("to", "egress")
    chosen = [
        policy["spec"]
        for policy in find(name, "NetworkPolicy")
        if policy["metadata"]["namespace"] == own.namespace
        and _selects(policy["spec"]["podSelector"], own.labels)
        and way in policy["spec"]["policyTypes"]
    ]
    if not chosen:
        return True
    return any(
        _is_peer(rule.get(peers), other) and _is_port(rule.get("ports"), port, protocol)
        for spec in chosen
        for rule in spec.get(rules, [])
    )


def _is_peer(peers: list[Object] | None, end: End) -> bool:
    if not peers:
        return True
    return any(_matches(peer, end) for peer in peers)


def _matches(peer: Object, end: End) -> bool:
    if "ipBlock" in peer:
        network = ipaddress.ip_network(peer["ipBlock"]["cidr"])
        return ipaddress.ip_address(end.address) in network
    if "namespaceSelector" in peer:
        names = {"kubernetes.io/metadata.name": end.namespace}
        if not end.namespace or not _selects(peer["namespaceSelector"], names):
            return False
    elif end.namespace != "scoring":
        return False
    return _selects(peer.get("podSelector", {}), end.labels)


def _is_port(ports: list[Object] | None, port: int, protocol: str) -> bool:
    if not ports:
        return True
    return any(
        entry["protocol"] == protocol and port in range(entry["port"], _last(entry) + 1)
        for entry in ports
    )


def _last(entry: Object) -> int:
    return int(entry.get("endPort") or entry["port"])


def _selects(selector: Object, labels: dict[str, str]) -> bool:
    named = labels.items() >= selector.get("matchLabels", {}).items()
    return named and all(
        labels.get(rule["key"]) in rule["values"]
        for rule in selector.get("matchExpressions", [])
        if rule["operator"] == "In"
    )


STRANGER = End("default", {"app": "stranger"})
NEIGHBOUR = End("scoring", {"app": "neighbour"})
OPERATOR = End("kuberay-system", {"app.kubernetes.io/name": "kuberay-operator"})
DNS = End("kube-system", {"k8s-app": "kube-dns"})
AGENT = End("kube-system", {"rsName": "ama-metrics"})
GATEWAY = End("scoring-gateway", {"gateway.networking.k8s.io/gateway-name": "scoring"})
OTHER_GATEWAY = End("scoring-gateway", {"gateway.networking.k8s.io/gateway-name": "other"})
WORLD = End(address="203.0.113.7")


@every_folder
def test_strangers_reach_nothing(name: str) -> None:
    for template in templates(name):
        target = pod(name, template["metadata"]["labels"]["app.kubernetes.io/component"])
        for stranger in (STRANGER, NEIGHBOUR, OTHER_GATEWAY, WORLD):
            for port in (8000, 8001, *HEAD_PORTS, *REPLICA_PORTS, *CLOSED):
                assert not reaches(name, stranger, target, port), (stranger, port)


@every_folder
def test_the_pods_of_the_service_reach_each_other_on_rays_ports(name: str) -> None:
    head, worker = pod(name, "head"), pod(name, "cpu-worker")
    for source, target in ((head, worker), (worker, head), (worker, worker)):
        for port in (8000, *HEAD_PORTS, *REPLICA_PORTS):
            assert reaches(name, source, target, port), port


@every_folder
def test_haproxys_own_ports_are_closed_to_all(name: str) -> None:
    for role in ("head", "cpu-worker"):
        for source in (pod(name, "cpu-worker"), OPERATOR, GATEWAY, AGENT, STRANGER, WORLD):
            for port in CLOSED:
                assert not reaches(name, source, pod(name, role), port)


def test_only_the_gateway_reaches_the_service() -> None:
    for role in ("cpu-worker", "gpu-worker"):
        worker = pod("production", role)
        for port in (8000, 8001):
            assert reaches("production", GATEWAY, worker, port)
        for port in (*HEAD_PORTS, *REPLICA_PORTS, *CLOSED):
            assert not reaches("production", GATEWAY, worker, port)
    for port in (8000, 8001, *HEAD_PORTS):
        assert not reaches("production", GATEWAY, pod("production", "head"), port)


@every_folder
def test_the_dashboard_is_for_the_operator(name: str) -> None:
    head = pod(name, "head")
    assert reaches(name, OPERATOR, head, 8265)
    assert not reaches(name, OPERATOR, head, 6379)
    assert not reaches(name, OPERATOR, pod(name, "cpu-worker"), 8265)
    for other in (GATEWAY, AGENT, DNS, STRANGER):
        assert not reaches(name, other, head, 8265)


def test_metrics_are_for_monitoring() -> None:
    head, worker = pod("production", "head"), pod("production", "cpu-worker")
    assert reaches("production", AGENT, head, 8080)
    assert reaches("production", AGENT, worker, 8080)
    assert reaches("production", AGENT, worker, 8000)
    assert not reaches("production", AGENT, head, 6379)
    for other in (GATEWAY, OPERATOR, STRANGER):
        assert not reaches("production", other, worker, 8080)


@every_folder
def test_what_goes_out_is_named(name: str) -> None:
    head, worker = pod(name, "head"), pod(name, "cpu-worker")
    for source in (head, worker):
        assert reaches(name, source, DNS, 53, "UDP")
        assert reaches(name, source, DNS, 53, "TCP")
        assert reaches(name, source, End(address="169.254.20.10"), 53, "UDP")
        # The cloud's metadata, by which a pod would become its node.
        assert not reaches(name, source, End(address="169.254.169.254"), 80)
        for port in (22, 25, 80, 8080):
            assert not reaches(name, source, WORLD, port)
    assert reaches(name, head, WORLD, 443)  # the API server, for the autoscaler
    assert not reaches(name, worker, WORLD, 443)


def test_redis_is_for_the_head() -> None:
    assert reaches("production", pod("production", "head"), WORLD, 10000)
    assert not reaches("production", pod("production", "cpu-worker"), WORLD, 10000)


@pytest.mark.parametrize(
    ("application", "port"),
    [
        ({"registry.uri": "https://mlflow.example"}, 443),
        ({"registry.uri": "http://mlflow.models.svc:5000"}, 5000),
        ({"tracing.endpoint": "http://collector.tracing:4318/v1/traces"}, 4318),
        ({"auth.issuer": "https://login.example/v2.0", "auth.audience": "a"}, 443),
    ],
)
def test_what_the_settings_name_outside_can_be_reached(
    application: dict[str, str], port: int
) -> None:
    (outside,) = (
        policy
        for policy in policies(Settings.model_validate(application), of("base").cluster)
        if policy["metadata"]["name"] == "scoring-outside"
    )
    assert outside["spec"]["egress"] == [{"ports": [{"protocol": "TCP", "port": port}]}]


def test_in_gradual_the_inner_gateway_stands_between() -> None:
    inner = End("scoring", {"gateway.networking.k8s.io/gateway-name": "scoring-gateway"})
    assert reaches("gradual", GATEWAY, inner, 80)
    assert reaches("gradual", inner, pod("gradual", "cpu-worker"), 8000)
    assert not reaches("gradual", STRANGER, inner, 80)
    assert not reaches("gradual", inner, pod("gradual", "head"), 8265)
    # gRPC goes past it.
    assert reaches("gradual", GATEWAY, pod("gradual", "cpu-worker"), 8001)
