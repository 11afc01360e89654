"""What KubeRay's operator refuses after the API server has accepted an object.

Source: ray-operator/controllers/ray/utils/validation.go of KubeRay 1.7 (ValidateRayServiceMetadata,
ValidateRayServiceSpec, ValidateRayClusterSpec, ValidateClusterUpgradeOptions,
validateGcsFaultToleranceBackend, validateNetworkPolicy), the limits of constant.go, and
BuildServeService in controllers/ray/common/service.go. A refused RayService shows an event and
stays as it is.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.kuberay.validation.metadata import LABEL, STARTS_WITH_A_LETTER
from tests.kuberay.validation.pods import CLUSTERS, at

Object = Mapping[str, Any]

CLUSTER_NAME = 53
NAME_LENGTHS = {
    "RayCluster": CLUSTER_NAME,
    # The cluster's name is this one and six characters.
    "RayService": CLUSTER_NAME - 6,
    "RayJob": CLUSTER_NAME - 6,
}
UPGRADES = ("NewCluster", "NewClusterWithIncrementalUpgrade", "None")
FEATURE_GATES = frozenset({"RayServiceIncrementalUpgrade", "GCSFaultToleranceEmbeddedStorage"})
"""Those that our installations of the operator switch on; all that are asked for here are off by
default."""
GATED = {
    "networkPolicy": "RayClusterNetworkPolicy",
    "tlsOptions": "RayClusterMTLS",
    "historyServerOptions": "RayClusterHistoryServer",
}
RESOURCE_PARAMETERS = ("num-cpus", "num-gpus", "memory", "resources")
DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+|[0-9]+")
TOKENS_SINCE = (2, 52)
GCS_MOUNT = "/data/gcs"
EXTERNAL_STORAGE = "ray.io/external-storage-namespace"


def operator_problems(value: Object) -> Iterator[str]:
    """`path: message` for what the operator refuses in one object of its kinds."""
    kind = value["kind"]
    if kind not in CLUSTERS:
        return
    name, longest = value["metadata"]["name"], NAME_LENGTHS.get(kind)
    if longest and (len(name) > longest or not STARTS_WITH_A_LETTER.fullmatch(name)):
        yield f"metadata.name: {name} is no DNS label of at most {longest} characters"
    annotations = value["metadata"].get("annotations", {})
    path = CLUSTERS[kind]
    cluster = at(value, path)
    if cluster is not None:
        yield from _cluster(path, cluster, annotations)
    if kind == "RayService":
        yield from _service(value["spec"], annotations)
    for where, gate in needed_gates(value):
        if gate not in FEATURE_GATES:
            yield f"{where}: needs the feature gate {gate}"


def needed_gates(value: Object) -> Iterator[tuple[str, str]]:
    """Places in an object that the operator takes with a feature gate alone, and the gates."""
    if value["kind"] not in CLUSTERS:
        return
    path = CLUSTERS[value["kind"]]
    cluster = at(value, path) or {}
    for name, gate in GATED.items():
        if name in cluster:
            yield f"{path}.{name}", gate
    if at(cluster, "gcsFaultToleranceOptions.backend") == "rocksdb":
        yield f"{path}.gcsFaultToleranceOptions.backend", "GCSFaultToleranceEmbeddedStorage"
    if at(value, "spec.upgradeStrategy.type") == "NewClusterWithIncrementalUpgrade":
        yield "spec.upgradeStrategy.type", "RayServiceIncrementalUpgrade"


def _service(spec: Object, annotations: Object) -> Iterator[str]:
    timeout = annotations.get("ray.io/initializing-timeout", "1s")
    if not DURATION.fullmatch(timeout) or not re.search("[1-9]", timeout):
        yield f"metadata.annotations.ray.io/initializing-timeout: {timeout} is no duration"
    cluster = spec["rayClusterConfig"]
    head = cluster["headGroupSpec"]
    if at(head, "headService.metadata.name"):
        yield "spec.rayClusterConfig.headGroupSpec.headService.metadata.name: must not be set"
    ports = [port.get("name") for port in _ray_container(head).get("ports", ())]
    if ports and "serve" not in ports and "serveService" not in spec:
        yield (
            "spec.rayClusterConfig.headGroupSpec.template.spec.containers[0].ports: none is named "
            "serve, so that no Service for Ray Serve is made"
        )
    if cluster.get("authOptions", {}).get("enableK8sTokenAuth"):
        yield "spec.rayClusterConfig.authOptions.enableK8sTokenAuth: not for a RayService"
    strategy = spec.get("upgradeStrategy", {})
    if strategy.get("type", "NewCluster") not in UPGRADES:
        yield f"spec.upgradeStrategy.type: {strategy['type']} is none of {', '.join(UPGRADES)}"
    if strategy.get("type") == "NewClusterWithIncrementalUpgrade":
        yield from _incremental(strategy, cluster)


def _incremental(strategy: Object, cluster: Object) -> Iterator[str]:
    path = "spec.upgradeStrategy.clusterUpgradeOptions"
    if not cluster.get("enableInTreeAutoscaling"):
        yield "spec.rayClusterConfig.enableInTreeAutoscaling: an incremental upgrade needs it"
    options = strategy.get("clusterUpgradeOptions")
    if options is None:
        yield f"{path}: an incremental upgrade needs it"
        return
    surge, step = options.get("maxSurgePercent", 100), options["stepSizePercent"]
    for name, percent in (("maxSurgePercent", surge), ("stepSizePercent", step)):
        if not 0 <= percent <= 100:
            yield f"{path}.{name}: {percent} is not within 0 and 100"
    if step > surge:
        yield f"{path}.stepSizePercent: {step} is over maxSurgePercent, {surge}"
    if options["intervalSeconds"] <= 0:
        yield f"{path}.intervalSeconds: must be greater than 0"
    if not options["gatewayClassName"]:
        yield f"{path}.gatewayClassName: is empty"


def _cluster(path: str, cluster: Object, annotations: Object) -> Iterator[str]:
    head = cluster["headGroupSpec"]
    workers = cluster.get("workerGroupSpecs", ())
    groups = [(f"{path}.headGroupSpec", head)]
    groups += [
        (f"{path}.workerGroupSpecs[{number}]", group) for number, group in enumerate(workers)
    ]
    for where, group in groups:
        yield from _group(where, group)
    names = [group["groupName"] for group in workers]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{path}.workerGroupSpecs: the group {name} is given twice"
    autoscaled = cluster.get("enableInTreeAutoscaling", False)
    second = autoscaled and at(cluster, "autoscalerOptions.version") == "v2"
    for where, group in groups[1:]:
        yield from _worker(where, group, autoscaled=autoscaled, second=second)
    if second:
        for where, group in groups:
            policy = group["template"]["spec"].get("restartPolicy", "Never")
            if policy != "Never":
                yield f"{where}.template.spec.restartPolicy: {policy}; autoscaler v2 takes Never"
    yield from _autoscaler(path, cluster, autoscaled=autoscaled)
    yield from _fault_tolerance(path, cluster, annotations)
    yield from _tokens(path, cluster)
    for number, group in enumerate(workers):
        if not LABEL.fullmatch(group["groupName"]):
            yield f"{path}.workerGroupSpecs[{number}].groupName: {group['groupName']} is no label"


def _group(path: str, group: Object) -> Iterator[str]:
    parameters = group.get("rayStartParams", {})
    if not group["template"].get("spec", {}).get("containers"):
        yield f"{path}.template.spec.containers: at least one"
    if group.get("resources") and any(parameters.get(name) for name in RESOURCE_PARAMETERS):
        yield f"{path}.resources: rayStartParams says resources, too"
    if "labels" in parameters:
        yield f"{path}.rayStartParams.labels: belongs into labels"


def _worker(path: str, group: Object, *, autoscaled: bool, second: bool) -> Iterator[str]:
    least, most = group.get("minReplicas", 0), group.get("maxReplicas", 2**31 - 1)
    for name in ("minReplicas", "maxReplicas", "replicas", "idleTimeoutSeconds"):
        if group.get(name, 0) < 0:
            yield f"{path}.{name}: {group[name]} is negative"
    if least > most:
        yield f"{path}.minReplicas: {least} is over maxReplicas, {most}"
    if not least <= group.get("replicas", least) <= most:
        yield f"{path}.replicas: {group['replicas']} is not within {least} and {most}"
    if "idleTimeoutSeconds" in group and not second:
        yield f"{path}.idleTimeoutSeconds: autoscaler v2 alone has it"
    if group.get("priority") and not second:
        yield f"{path}.priority: autoscaler v2 alone has it"
    if group.get("suspend") and autoscaled:
        yield f"{path}.suspend: not while an autoscaler runs"


def _autoscaler(path: str, cluster: Object, *, autoscaled: bool) -> Iterator[str]:
    options = cluster.get("autoscalerOptions", {})
    environment = _environment(_ray_container(cluster["headGroupSpec"]))
    switch = environment.get("RAY_enable_autoscaler_v2")
    if not autoscaled and switch in ("1", "true"):
        yield f"{path}.headGroupSpec: RAY_enable_autoscaler_v2 without enableInTreeAutoscaling"
    if autoscaled and "RAY_enable_autoscaler_v2" in environment and "version" in options:
        yield f"{path}.autoscalerOptions.version: RAY_enable_autoscaler_v2 says it, too"
    if options.get("idleTimeoutSeconds", 0) < 0:
        yield f"{path}.autoscalerOptions.idleTimeoutSeconds: is negative"
    if options and not autoscaled:
        yield f"{path}.autoscalerOptions: nothing reads it without enableInTreeAutoscaling"


def _fault_tolerance(path: str, cluster: Object, annotations: Object) -> Iterator[str]:
    options = cluster.get("gcsFaultToleranceOptions")
    head = cluster["headGroupSpec"]
    container, parameters = _ray_container(head), head.get("rayStartParams", {})
    environment = _environment(container)
    where = f"{path}.gcsFaultToleranceOptions"
    if parameters.get("redis-username") or "REDIS_USERNAME" in environment:
        yield f"{path}.headGroupSpec: the user of Redis belongs into gcsFaultToleranceOptions"
    if options is None:
        if "RAY_REDIS_ADDRESS" in environment and "ray.io/ft-enabled" not in annotations:
            yield f"{path}.headGroupSpec: RAY_REDIS_ADDRESS without gcsFaultToleranceOptions"
        return
    if annotations.get("ray.io/ft-enabled"):
        yield f"{where}: the annotation ray.io/ft-enabled says it, too"
    for name in ("REDIS_PASSWORD", "RAY_REDIS_ADDRESS"):
        if name in environment:
            yield f"{path}.headGroupSpec: {name} belongs into gcsFaultToleranceOptions"
    if parameters.get("redis-password"):
        yield f"{path}.headGroupSpec.rayStartParams.redis-password: belongs into {where}"
    if annotations.get(EXTERNAL_STORAGE):
        yield f"metadata.annotations.{EXTERNAL_STORAGE}: belongs into {where}"
    if options.get("backend") == "rocksdb":
        yield from _embedded(where, options, head)
    else:
        if "storage" in options:
            yield f"{where}.storage: for the backend rocksdb alone"
        if "redisAddress" not in options:
            yield f"{where}.redisAddress: is missing"


def _embedded(path: str, options: Object, head: Object) -> Iterator[str]:
    for name in ("redisAddress", "redisUsername", "redisPassword", "externalStorageNamespace"):
        if name in options:
            yield f"{path}.{name}: for the backend redis alone"
    storage = options.get("storage", {})
    if "claimName" in storage and storage.keys() & {"size", "storageClassName", "accessModes"}:
        yield f"{path}.storage.claimName: excludes size, storageClassName and accessModes"
    container = _ray_container(head)
    if _environment(container).keys() & {"RAY_gcs_storage", "RAY_gcs_storage_path"}:
        yield f"{path}: KubeRay sets RAY_gcs_storage itself"
    mounts = container.get("volumeMounts", ())
    if any(mount["mountPath"] == GCS_MOUNT for mount in mounts):
        yield f"{path}: KubeRay mounts {GCS_MOUNT} itself"


def _tokens(path: str, cluster: Object) -> Iterator[str]:
    if at(cluster, "authOptions.mode") != "token":
        return
    version = cluster.get("rayVersion", "")
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < TOKENS_SINCE:
        yield f"{path}.rayVersion: {version or 'absent'}; tokens need 2.52 or newer"


def _ray_container(group: Object) -> Object:
    """Ray's container is the first one."""
    containers = group["template"].get("spec", {}).get("containers") or [{}]
    first: Object = containers[0]
    return first


def _environment(container: Object) -> dict[str, str | None]:
    return {entry["name"]: entry.get("value") for entry in container.get("env", ())}
