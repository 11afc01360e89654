"""Whether what objects name is there: other objects, keys in them, ports, pods for selectors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.kuberay.validation.pods import Pods, at, pods_of

Object = Mapping[str, Any]
SERVE_PORT = 8000
ALWAYS_THERE = frozenset(
    {
        *("Namespace/default", "Namespace/kube-system"),
        *("ServiceAccount/default", "ConfigMap/kube-root-ca.crt"),
    }
)
"""Kubernetes makes these, the last two in every namespace."""
SYSTEM_CLASSES = ("system-cluster-critical", "system-node-critical")


@dataclass
class Scene:
    """Everything that a set of objects makes, and what is there without it."""

    objects: Sequence[Object]
    external: frozenset[str]
    pods: list[Pods] = field(default_factory=list)
    keys: dict[tuple[str, str, str], frozenset[str] | None] = field(default_factory=dict)
    """Kind, namespace and name of each object; of maps their keys, None where nobody knows."""
    ports: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    """Ports of each Service by name."""

    def __post_init__(self) -> None:
        for item in self.objects:
            metadata = item["metadata"]
            namespace, name = metadata.get("namespace", ""), metadata["name"]
            self._add(item["kind"], namespace, name, _keys(item))
            self.pods += pods_of(item)
            self._add_made(item, namespace, name)

    def _add(self, kind: str, namespace: str, name: str, keys: frozenset[str] | None) -> None:
        self.keys[kind, namespace, name] = keys

    def _add_made(self, item: Object, namespace: str, name: str) -> None:
        """Objects that controllers make from this one."""
        spec = item.get("spec", {})
        if item["kind"] == "Service":
            entries = enumerate(spec.get("ports", ()))
            self.ports[namespace, name] = {
                entry.get("name", f"#{number}"): entry["port"] for number, entry in entries
            }
        elif item["kind"] == "Certificate":
            pair = frozenset({"tls.crt", "tls.key", "ca.crt"})
            self._add("Secret", namespace, spec["secretName"], pair)
        elif item["kind"] == "SecretProviderClass":
            for secret in spec.get("secretObjects", ()):
                keys = frozenset(entry["key"] for entry in secret["data"])
                self._add("Secret", namespace, secret["secretName"], keys)
        elif item["kind"] == "RayService":
            self._add("Service", namespace, f"{name}-serve-svc", None)
            self._add("Service", namespace, f"{name}-head-svc", None)
            (head, *_) = pods_of(item)
            self.ports[namespace, f"{name}-serve-svc"] = {
                "serve": head.ports().get("serve", SERVE_PORT)
            }
            gateway = at(spec, "upgradeStrategy.clusterUpgradeOptions.gatewayClassName")
            if gateway is not None:
                self._add("Gateway", namespace, f"{name}-gateway", None)
                self._add_gateway(namespace, f"{name}-gateway", gateway)
        elif item["kind"] == "Gateway":
            self._add_gateway(namespace, name, spec["gatewayClassName"])

    def _add_gateway(self, namespace: str, name: str, class_name: str) -> None:
        """Source: GEP-1762 of Gateway API, what a controller makes in the cluster for a Gateway."""
        self._add("Service", namespace, f"{name}-{class_name}", None)
        labels = {"gateway.networking.k8s.io/gateway-name": name}
        self.pods.append(Pods(namespace, "", labels, {}, {}))

    def has(self, kind: str, namespace: str, name: str) -> bool:
        """Whether an object is there, by these objects or without them."""
        known = {f"{kind}/{name}", f"{kind}/{namespace}/{name}"} & (self.external | ALWAYS_THERE)
        return bool(known) or (kind, namespace, name) in self.keys

    def lacks_key(self, kind: str, namespace: str, name: str, key: str) -> bool:
        """Whether a ConfigMap or Secret is known not to have a key."""
        keys = self.keys.get((kind, namespace, name))
        return keys is not None and key not in keys


def _keys(item: Object) -> frozenset[str] | None:
    if item["kind"] not in ("ConfigMap", "Secret"):
        return None
    return frozenset(
        key for part in ("data", "binaryData", "stringData") for key in item.get(part, {})
    )


def reference_problems(scene: Scene) -> Iterator[tuple[Object, str]]:
    """Each object with `path: message` for every name in it that leads nowhere."""
    for item in scene.objects:
        namespace = item["metadata"].get("namespace", "")
        if namespace and not scene.has("Namespace", "", namespace):
            yield item, f"metadata.namespace: there is no Namespace {namespace}"
        for pods in pods_of(item):
            yield from ((item, problem) for problem in _pods(scene, pods))
        check = CHECKS.get(item["kind"])
        if check is not None:
            yield from ((item, problem) for problem in check(scene, item, namespace))


def _missing(scene: Scene, path: str, kind: str, namespace: str, name: Any) -> Iterator[str]:
    if name and not scene.has(kind, namespace, name):
        yield f"{path}: there is no {kind} {name}"


def _pods(scene: Scene, pods: Pods) -> Iterator[str]:
    prefix, namespace, spec = f"{pods.path}.spec".lstrip("."), pods.namespace, pods.spec
    account = spec.get("serviceAccountName", "default")
    yield from _missing(scene, f"{prefix}.serviceAccountName", "ServiceAccount", namespace, account)
    priority = spec.get("priorityClassName")
    if priority not in SYSTEM_CLASSES:
        yield from _missing(scene, f"{prefix}.priorityClassName", "PriorityClass", "", priority)
    for index, secret in enumerate(spec.get("imagePullSecrets", ())):
        path = f"{prefix}.imagePullSecrets[{index}].name"
        yield from _missing(scene, path, "Secret", namespace, secret["name"])
    for index, volume in enumerate(spec.get("volumes", ())):
        yield from _volume(scene, f"{prefix}.volumes[{index}]", namespace, volume)
    for path, container in pods.containers():
        yield from environment_problems(scene, path, namespace, container)
    yield from _spread(scene, prefix, pods)


def _volume(scene: Scene, path: str, namespace: str, volume: Object) -> Iterator[str]:
    for source_path, source in [
        (path, volume),
        *(
            (f"{path}.projected.sources[{index}]", source)
            for index, source in enumerate(at(volume, "projected.sources") or ())
        ),
    ]:
        secret, config = source.get("secret", {}), source.get("configMap", {})
        for kind, part, key in (("Secret", secret, "secretName"), ("ConfigMap", config, "name")):
            name = part.get(key, part.get("name"))
            if name is None or part.get("optional"):
                continue
            where = f"{source_path}.{kind[0].lower()}{kind[1:]}"
            yield from _missing(scene, where, kind, namespace, name)
            for item in part.get("items", ()):
                if scene.lacks_key(kind, namespace, name, item["key"]):
                    yield f"{where}.items: the {kind} {name} has no key {item['key']}"
    claim, where = at(volume, "persistentVolumeClaim.claimName"), f"{path}.persistentVolumeClaim"
    yield from _missing(scene, where, "PersistentVolumeClaim", namespace, claim)
    if at(volume, "csi.driver") == "secrets-store.csi.k8s.io":
        name = at(volume, "csi.volumeAttributes.secretProviderClass") or "(none)"
        where = f"{path}.csi.volumeAttributes.secretProviderClass"
        yield from _missing(scene, where, "SecretProviderClass", namespace, name)


def environment_problems(
    scene: Scene, path: str, namespace: str, container: Object
) -> Iterator[str]:
    """Sources of a container's environment."""
    for index, entry in enumerate(container.get("env", ())):
        yield from _value_source(scene, f"{path}.env[{index}].valueFrom", namespace, entry)
    for index, entry in enumerate(container.get("envFrom", ())):
        for kind, field_name in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            source = entry.get(field_name, {})
            if not source.get("optional"):
                where = f"{path}.envFrom[{index}].{field_name}"
                yield from _missing(scene, where, kind, namespace, source.get("name"))


def _value_source(scene: Scene, path: str, namespace: str, entry: Object) -> Iterator[str]:
    for kind, field_name in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
        source = at(entry, f"valueFrom.{field_name}")
        if source is None or source.get("optional"):
            continue
        where, name = f"{path}.{field_name}", source.get("name")
        yield from _missing(scene, where, kind, namespace, name)
        if scene.lacks_key(kind, namespace, name, source["key"]):
            yield f"{where}: the {kind} {name} has no key {source['key']}"


def matches(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes an object; the empty one takes all."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for term in selector.get("matchExpressions", ()):
        value, values = labels.get(term["key"]), term.get("values", ())
        holds = {
            "In": value in values,
            "NotIn": value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }[term["operator"]]
        if not holds:
            return False
    return True


def _selected(scene: Scene, selector: Object, namespace: str | None) -> list[Pods]:
    return [
        pods
        for pods in scene.pods
        if namespace in (None, pods.namespace) and matches(selector, pods.labels)
    ]


def _selects(scene: Scene, path: str, selector: Any, namespace: str) -> Iterator[str]:
    if selector is not None and not _selected(scene, selector, namespace):
        yield f"{path}: selects no pod of these objects"


def _spread(scene: Scene, prefix: str, pods: Pods) -> Iterator[str]:
    for index, rule in enumerate(pods.spec.get("topologySpreadConstraints", ())):
        if not matches(rule.get("labelSelector", {"matchLabels": {"": ""}}), pods.labels):
            yield f"{prefix}.topologySpreadConstraints[{index}].labelSelector: not these pods"
        for key in rule.get("matchLabelKeys", ()):
            if key not in pods.labels:
                yield f"{prefix}.topologySpreadConstraints[{index}].matchLabelKeys: no label {key}"
    for side in ("podAffinity", "podAntiAffinity"):
        rules = at(pods.spec, f"affinity.{side}") or {}
        terms = [*rules.get("requiredDuringSchedulingIgnoredDuringExecution", ())]
        weighted = rules.get("preferredDuringSchedulingIgnoredDuringExecution", ())
        terms += [term["podAffinityTerm"] for term in weighted]
        for term in terms:
            if "namespaces" not in term and "namespaceSelector" not in term:
                path = f"{prefix}.affinity.{side}"
                yield from _selects(scene, path, term.get("labelSelector"), pods.namespace)


def _disruption_budget(scene: Scene, item: Object, namespace: str) -> Iterator[str]:
    yield from _selects(scene, "spec.selector", at(item, "spec.selector"), namespace)
    chosen = _selected(scene, item["spec"]["selector"], namespace)
    for other in scene.objects:
        if other is item or other["kind"] != item["kind"]:
            continue
        selector = other["spec"]["selector"]
        if any(matches(selector, pods.labels) for pods in chosen):
            # The eviction API answers 500 for a pod with two budgets.
            yield f"spec.selector: takes pods that {other['metadata']['name']} takes, too"


def _network_policy(scene: Scene, item: Object, namespace: str) -> Iterator[str]:
    spec = item["spec"]
    yield from _selects(scene, "spec.podSelector", spec["podSelector"], namespace)
    own = _selected(scene, spec["podSelector"], namespace)
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for number, rule in enumerate(spec.get(direction, ())):
            path = f"spec.{direction}[{number}]"
            targets = own
            for index, peer in enumerate(rule.get(peers, ())):
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    where = f"{path}.{peers}[{index}].podSelector"
                    yield from _selects(scene, where, peer["podSelector"], namespace)
                    if direction == "egress":
                        targets = _selected(scene, peer["podSelector"], namespace)
            for index, port in enumerate(rule.get("ports", ())):
                name = port.get("port")
                if isinstance(name, str) and not any(name in pods.ports() for pods in targets):
                    yield f"{path}.ports[{index}].port: no pod has a port named {name}"


def _service(scene: Scene, item: Object, namespace: str) -> Iterator[str]:
    labels = at(item, "spec.selector")
    if not labels:
        return
    selector = {"matchLabels": labels}
    yield from _selects(scene, "spec.selector", selector, namespace)
    chosen = _selected(scene, selector, namespace)
    for index, port in enumerate(item["spec"].get("ports", ())):
        name = port.get("targetPort")
        if isinstance(name, str) and not all(name in pods.ports() for pods in chosen):
            yield f"spec.ports[{index}].targetPort: not every pod has a port named {name}"


def _pod_monitor(scene: Scene, item: Object, namespace: str) -> Iterator[str]:
    spec = item["spec"]
    anywhere = at(spec, "namespaceSelector.any")
    names = at(spec, "namespaceSelector.matchNames") or [namespace]
    chosen = [
        pods
        for pods in _selected(scene, spec["selector"], None)
        if anywhere or pods.namespace in names
    ]
    if not chosen:
        yield "spec.selector: selects no pod of these objects"
    for index, endpoint in enumerate(spec["podMetricsEndpoints"]):
        name = endpoint.get("port")
        if name is not None and not any(name in pods.ports() for pods in chosen):
            yield f"spec.podMetricsEndpoints[{index}].port: no pod has a port named {name}"


def _service_monitor(scene: Scene, item: Object, namespace: str) -> Iterator[str]:
    spec = item["spec"]
    chosen = [
        other
        for other in scene.objects
        if other["kind"] == "Service"
        and matches(spec["selector"], other["metadata"].get("labels", {}))
    ]
    if not chosen:
        yield "spec.selector: selects no Service of these objects"
    for index, endpoint in enumerate(spec["endpoints"]):
        name = endpoint.get("port")
        names = {port.get("name") for other in chosen for port in other["spec"].get("ports", ())}
        if name is not None and name not in names:
            yield f"spec.endpoints[{index}].port: no Service has a port named {name}"


def _gateway(scene: Scene, item: Object, namespace: str) -> Iterator[str]:
    spec = item["spec"]
    name = spec["gatewayClassName"]
    yield from _missing(scene, "spec.gatewayClassName", "GatewayClass", "", name)
    for number, listener in enumerate(spec["listeners"]):
        for index, reference in enumerate(at(listener, "tls.certificateRefs") or ()):
            path = f"spec.listeners[{number}].tls.certificateRefs[{index}].name"
            where = reference.get("namespace", namespace)
            yield from _missing(scene, path, "Secret", where, reference["name"])
            yield from _covered(scene, f"spec.listeners[{number}].hostname", listener, reference)


def _covered(scene: Scene, path: str, listener: Object, reference: Object) -> Iterator[str]:
    """A certificate of these objects is for the name that a listener answers to."""
    for other in scene.objects:
        if other["kind"] == "Certificate" and other["spec"]["secretName"] == reference["name"]:
            names = other["spec"].get("dnsNames", ())
            hostname = listener.get("hostname")
            if hostname is not None and not any(intersect(hostname, known) for known in names):
                yield f"{path}: {hostname} is none of the names of the Certificate"


def intersect(one: str, other: str) -> bool:
    """Whether two host names, perhaps with `*.` before them, have a name in common."""
    if one.startswith("*.") and other.startswith("*."):
        return one.endswith(other[1:]) or other.endswith(one[1:])
    for wild, plain in ((one, other), (other, one)):
        if wild.startswith("*.") and plain.endswith(wild[1:]):
            return True
    return one == other


def _route(scene: Scene, item: Object, namespace: str) -> Iterator[str]:
    spec = item["spec"]
    for index, parent in enumerate(spec.get("parentRefs", ())):
        yield from _parent(scene, f"spec.parentRefs[{index}]", item, parent)
    for number, rule in enumerate(spec.get("rules", ())):
        backends = list(enumerate(rule.get("backendRefs", ())))
        for index, backend in backends:
            path = f"spec.rules[{number}].backendRefs[{index}]"
            where, name = backend.get("namespace", namespace), backend["name"]
            if backend.get("kind", "Service") != "Service":
                continue
            yield from _missing(scene, f"{path}.name", "Service", where, name)
            ports = scene.ports.get((where, name))
            if ports is not None and backend.get("port") not in ports.values():
                yield f"{path}.port: the Service {name} has no port {backend.get('port')}"


def _parent(scene: Scene, path: str, route: Object, parent: Object) -> Iterator[str]:
    if parent.get("kind", "Gateway") != "Gateway":
        return
    namespace = route["metadata"].get("namespace", "")
    where, name = parent.get("namespace", namespace), parent["name"]
    if not scene.has("Gateway", where, name):
        yield f"{path}.name: there is no Gateway {name}"
    for gateway in scene.objects:
        metadata = gateway["metadata"]
        if gateway["kind"] != "Gateway" or (metadata.get("namespace", ""), metadata["name"]) != (
            where,
            name,
        ):
            continue
        listeners = [
            listener
            for listener in gateway["spec"]["listeners"]
            if parent.get("sectionName", listener["name"]) == listener["name"]
            and parent.get("port", listener["port"]) == listener["port"]
        ]
        if not listeners:
            yield f"{path}: the Gateway {name} has no such listener"
        for index, hostname in enumerate(route["spec"].get("hostnames", ())):
            if listeners and not any(
                intersect(hostname, listener.get("hostname", hostname)) for listener in listeners
            ):
                yield f"spec.hostnames[{index}]: no listener answers to {hostname}"
        allowed = {at(listener, "allowedRoutes.namespaces.from") for listener in listeners}
        if where != namespace and allowed <= {None, "Same"} and listeners:
            yield f"{path}.namespace: the listeners take routes of their own namespace alone"


def _certificate(scene: Scene, item: Object, namespace: str) -> Iterator[str]:
    issuer = item["spec"]["issuerRef"]
    kind = issuer.get("kind", "Issuer")
    where = "" if kind == "ClusterIssuer" else namespace
    yield from _missing(scene, "spec.issuerRef.name", kind, where, issuer["name"])


def _issuer(scene: Scene, item: Object, namespace: str) -> Iterator[str]:
    for number, solver in enumerate(at(item, "spec.acme.solvers") or ()):
        for index, parent in enumerate(at(solver, "http01.gatewayHTTPRoute.parentRefs") or ()):
            path = f"spec.acme.solvers[{number}].http01.gatewayHTTPRoute.parentRefs[{index}].name"
            where = parent.get("namespace", namespace)
            yield from _missing(scene, path, "Gateway", where, parent["name"])


def _ray_service(scene: Scene, item: Object, namespace: str) -> Iterator[str]:
    cluster = item["spec"]["rayClusterConfig"]
    prefix = "spec.rayClusterConfig"
    for name in ("redisUsername", "redisPassword"):
        source = at(cluster, f"gcsFaultToleranceOptions.{name}") or {}
        path = f"{prefix}.gcsFaultToleranceOptions.{name}.valueFrom"
        yield from _value_source(scene, path, namespace, source)
    claim = at(cluster, "gcsFaultToleranceOptions.storage.claimName")
    path = f"{prefix}.gcsFaultToleranceOptions.storage.claimName"
    yield from _missing(scene, path, "PersistentVolumeClaim", namespace, claim)
    secret = at(cluster, "authOptions.secretName")
    yield from _missing(scene, f"{prefix}.authOptions.secretName", "Secret", namespace, secret)
    options = cluster.get("autoscalerOptions", {})
    yield from environment_problems(scene, f"{prefix}.autoscalerOptions", namespace, options)
    of_head = at(cluster, "headGroupSpec.template.spec.volumes") or ()
    volumes = {volume["name"] for volume in of_head}
    for index, mount in enumerate(options.get("volumeMounts", ())):
        if mount["name"] not in volumes:
            path = f"{prefix}.autoscalerOptions.volumeMounts[{index}].name"
            yield f"{path}: no volume of the head is named {mount['name']}"
    gateway = at(item, "spec.upgradeStrategy.clusterUpgradeOptions.gatewayClassName")
    path = "spec.upgradeStrategy.clusterUpgradeOptions.gatewayClassName"
    yield from _missing(scene, path, "GatewayClass", "", gateway)


def _role_binding(scene: Scene, item: Object, namespace: str) -> Iterator[str]:
    role = item["roleRef"]
    where = "" if role["kind"] == "ClusterRole" else namespace
    yield from _missing(scene, "roleRef.name", role["kind"], where, role["name"])
    for index, subject in enumerate(item.get("subjects", ())):
        if subject["kind"] == "ServiceAccount":
            path = f"subjects[{index}].name"
            own = subject.get("namespace", namespace)
            yield from _missing(scene, path, "ServiceAccount", own, subject["name"])


def _workload(scene: Scene, item: Object, namespace: str) -> Iterator[str]:
    (pods,) = pods_of(item)
    if not matches(item["spec"]["selector"], pods.labels):
        yield "spec.selector: does not take the pods of its own template"


CHECKS = {
    "PodDisruptionBudget": _disruption_budget,
    "NetworkPolicy": _network_policy,
    "Service": _service,
    "PodMonitor": _pod_monitor,
    "ServiceMonitor": _service_monitor,
    "Gateway": _gateway,
    "HTTPRoute": _route,
    "GRPCRoute": _route,
    "Certificate": _certificate,
    "Issuer": _issuer,
    "ClusterIssuer": _issuer,
    "RayService": _ray_service,
    "RoleBinding": _role_binding,
    "ClusterRoleBinding": _role_binding,
    "Deployment": _workload,
    "DaemonSet": _workload,
    "StatefulSet": _workload,
}
