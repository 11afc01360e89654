"""Pod templates wherever they are, and what schemas do not say about them."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.kuberay.validation.documents import read
from tests.kuberay.validation.keywords import Validator, complaints
from tests.kuberay.validation.metadata import map_problems

Object = Mapping[str, Any]

WORKLOADS = {
    "Pod": "",
    "Deployment": "spec.template",
    "DaemonSet": "spec.template",
    "StatefulSet": "spec.template",
    "Job": "spec.template",
    "CronJob": "spec.jobTemplate.spec.template",
}
CLUSTERS = {
    "RayService": "spec.rayClusterConfig",
    "RayCluster": "spec",
    "RayJob": "spec.rayClusterSpec",
    "RayCronJob": "spec.jobTemplate.rayClusterSpec",
}
UNITS = {
    **{unit: 1000.0**power for power, unit in enumerate(["n", "u", "m", "", "k", *"MGTPE"], -3)},
    **{f"{unit}i": 1024.0**power for power, unit in enumerate("KMGTPE", 1)},
}
NEVER_OVERCOMMITTED = re.compile(r".*/.*|hugepages-.*")
METRICS_PORT = 8080


@dataclass(frozen=True)
class Pods:
    """Pods that an object makes: where their template is, and the labels they will have.

    `ray` says that KubeRay makes them, the first container being Ray's.
    """

    namespace: str
    path: str
    labels: Mapping[str, str]
    metadata: Object
    spec: Object
    ray: bool = False

    def containers(self) -> Iterator[tuple[str, Object]]:
        """Every container, init containers included, with its path."""
        for group in ("initContainers", "containers"):
            for index, container in enumerate(self.spec.get(group, ())):
                yield f"{self.path}.spec.{group}[{index}]".lstrip("."), container

    def ports(self) -> dict[str, int]:
        """Ports by name, with the one that KubeRay adds to Ray's container."""
        added = {"metrics": METRICS_PORT} if self.ray else {}
        named = {
            port["name"]: port["containerPort"]
            for _, container in self.containers()
            for port in container.get("ports", ())
            if "name" in port
        }
        return added | named


def at(value: Any, path: str) -> Any:
    """The part of an object at a path of keys, or None."""
    for key in filter(None, path.split(".")):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def pods_of(owner: Object) -> Iterator[Pods]:
    """The pods that an object makes."""
    namespace = owner["metadata"].get("namespace", "")
    kind = owner["kind"]
    if kind in WORKLOADS:
        template = at(owner, WORKLOADS[kind]) or {}
        metadata = template.get("metadata", {})
        labels = metadata.get("labels", {})
        yield Pods(namespace, WORKLOADS[kind], labels, metadata, template.get("spec", {}))
    elif kind in CLUSTERS:
        path = CLUSTERS[kind]
        cluster = at(owner, path) or {}
        outside = at(owner, "spec.excludeHeadPodFromServeSvc")
        head = cluster["headGroupSpec"]
        yield _ray_pods(namespace, f"{path}.headGroupSpec", head, "head", serves=not outside)
        for index, group in enumerate(cluster.get("workerGroupSpecs", ())):
            yield _ray_pods(namespace, f"{path}.workerGroupSpecs[{index}]", group, "worker")


def _ray_pods(
    namespace: str, path: str, group: Object, node_type: str, *, serves: bool = True
) -> Pods:
    """Source: labelPod in KubeRay's controllers/ray/common/pod.go. The cluster's name is made up by
    KubeRay, so that no selector can know it."""
    metadata = group["template"].get("metadata", {})
    labels = {
        "app.kubernetes.io/name": "kuberay",
        "app.kubernetes.io/created-by": "kuberay-operator",
        "ray.io/is-ray-node": "yes",
        "ray.io/serve": "true" if serves else "false",
        **metadata.get("labels", {}),
        "ray.io/node-type": node_type,
        "ray.io/group": group.get("groupName", "headgroup"),
        "ray.io/cluster": "(made up by KubeRay)",
    }
    spec = group["template"].get("spec", {})
    return Pods(namespace, f"{path}.template", labels, metadata, spec, ray=True)


@cache
def _values() -> dict[str, Any]:
    """Validators by kind; the one of pod specifications has no kind."""
    (values,) = read(Path(__file__).with_name("values.yaml"))
    schemas = {**values["kinds"], "": {"$ref": "#/definitions/podSpec"}}
    return {
        kind: Validator({**schema, "definitions": values["definitions"]})
        for kind, schema in schemas.items()
    }


def value_problems(owner: Object) -> Iterator[str]:
    """Enumerations, ranges and formats of Kubernetes's own kinds, and nulls."""
    if owner["kind"] in _values() and "." not in owner["apiVersion"].replace(".k8s.io", ""):
        yield from complaints(_values()[owner["kind"]], owner)


def pod_problems(owner: Object) -> Iterator[str]:
    """`path: message` for every pod template of an object."""
    for pods in pods_of(owner):
        prefix = f"{pods.path}.spec".lstrip(".")
        if owner["kind"] != "Pod":
            yield from (f"{prefix}.{found}" for found in complaints(_values()[""], pods.spec))
        yield from map_problems(pods.metadata, f"{pods.path}.metadata".lstrip("."))
        yield from _names(pods)
        volumes = {volume["name"] for volume in pods.spec.get("volumes", ())}
        mounted = set()
        for path, container in pods.containers():
            yield from _container(path, container, volumes)
            mounted |= {mount["name"] for mount in container.get("volumeMounts", ())}
        mounted |= _autoscaler_mounts(owner) if pods.ray else set()
        for name in sorted(volumes - mounted):
            yield f"{prefix}.volumes: nothing mounts {name}"
        yield from _made_by_kuberay(pods)


def _autoscaler_mounts(owner: Object) -> set[str]:
    options = at(owner, f"{CLUSTERS[owner['kind']]}.autoscalerOptions") or {}
    return {mount["name"] for mount in options.get("volumeMounts", ())}


def _names(pods: Pods) -> Iterator[str]:
    """Within one list of containers the schemas see to it."""
    prefix = f"{pods.path}.spec".lstrip(".")
    containers = [container["name"] for _, container in pods.containers()]
    ports = [
        port["name"]
        for _, container in pods.containers()
        for port in container.get("ports", ())
        if "name" in port
    ]
    for what, names in (("container", containers), ("port", ports)):
        for name in _repeated(names):
            yield f"{prefix}: {what} name {name} is given twice"
    numbers = [
        (port["containerPort"], port.get("protocol", "TCP"))
        for _, container in pods.containers()
        for port in container.get("ports", ())
    ]
    for number, protocol in _repeated(numbers):
        yield f"{prefix}: port {number}/{protocol} is given twice"


def _repeated(items: list[Any]) -> list[Any]:
    return [item for item, times in Counter(items).items() if times > 1]


def _container(path: str, container: Object, volumes: set[str]) -> Iterator[str]:
    for index, mount in enumerate(container.get("volumeMounts", ())):
        if mount["name"] not in volumes:
            yield f"{path}.volumeMounts[{index}].name: no volume is named {mount['name']}"
    names = {port["name"] for port in container.get("ports", ()) if "name" in port}
    for where, port in _asked_ports(container):
        if isinstance(port, str) and port not in names:
            yield f"{path}.{where}: the container has no port named {port}"
    yield from _resources(path, container.get("resources", {}))


def _asked_ports(container: Object) -> Iterator[tuple[str, Any]]:
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        for way in ("httpGet", "tcpSocket"):
            if way in container.get(probe, {}):
                yield f"{probe}.{way}.port", container[probe][way].get("port")
    for hook, handler in container.get("lifecycle", {}).items():
        if isinstance(handler, Mapping) and "httpGet" in handler:
            yield f"lifecycle.{hook}.httpGet.port", handler["httpGet"].get("port")


def _resources(path: str, resources: Object) -> Iterator[str]:
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    for side, amounts in (("requests", requests), ("limits", limits)):
        for name, amount in amounts.items():
            if quantity(amount) < 0:
                yield f"{path}.resources.{side}.{name}: {amount} is negative"
    for name, amount in requests.items():
        if name in limits and quantity(amount) > quantity(limits[name]):
            yield f"{path}.resources.requests.{name}: {amount} is over the limit of {limits[name]}"
    for name, amount in limits.items():
        if NEVER_OVERCOMMITTED.fullmatch(name) and requests.get(name, amount) != amount:
            yield f"{path}.resources.requests.{name}: must equal the limit of {amount}"
    for name in requests:
        if NEVER_OVERCOMMITTED.fullmatch(name) and name not in limits:
            yield f"{path}.resources.limits.{name}: must equal the request"


def quantity(amount: Any) -> float:
    """`"1500m"` as 1.5; the schemas have checked the form."""
    found = re.fullmatch(r"([+-]?[\d.]+(?:[eE][+-]?\d+)?)([a-zA-Z]*)", str(amount))
    if found is None or found[2] not in UNITS:
        raise ValueError(f"{amount!r} is no quantity")
    return float(found[1]) * UNITS[found[2]]


def _made_by_kuberay(pods: Pods) -> Iterator[str]:
    """Labels that KubeRay sets over ours, and the container that it adds."""
    if not pods.ray:
        return
    for key in ("ray.io/node-type", "ray.io/group", "ray.io/cluster"):
        if key in pods.metadata.get("labels", {}):
            yield f"{pods.path}.metadata.labels.{key}: KubeRay sets this one over ours"
    for path, container in pods.containers():
        if container["name"] == "autoscaler":
            yield f"{path}.name: KubeRay adds a container of this name"
