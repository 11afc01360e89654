"""The pods: head and workers of the Ray cluster."""

from kuberay.manifests.access import WORKER
from kuberay.manifests.cluster import ClusterSettings, GpuGroup, Group, PodSize
from kuberay.manifests.objects import (
    CPU_WORKER,
    GPU_WORKER,
    HEAD,
    NAME,
    PART_OF,
    PODS,
    Object,
    component,
    cpus,
    mebibytes,
)
from kuberay.manifests.times import grace_s
from serve_app.fast_path import EVERY_MACHINE, FAST_PATH, HAPROXY_THREADS
from serve_app.settings import Settings

CPU_IMAGE, GPU_IMAGE = "scoring-cpu", "scoring-gpu"
"""Kustomize's `images:` puts registry and tag in their place."""

USER = 10001
AGENT_PORT, METRICS_PORT, GCS_PORT, DASHBOARD_PORT = 52365, 8080, 6379, 8265
"""Ray's, as KubeRay expects them: the node's agent, its metrics, the state, the dashboard."""
NODE_HEALTH = "/api/healthz"
"""Of the node's agent: whether the raylet lives, and on the head the state too."""
PROXY_HEALTH = "/-/healthz"
"""Of HAProxy: whether it knows a running replica."""
REDIS_FOLDER = "/etc/scoring-redis"
ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"

PERIOD_S, PROBE_TIMEOUT_S = 5, 4
START_S = 300
"""Time for Ray to start: a node that pulls its image first is not counted, the image is there."""
SHM_SPARE_MIB = 64
SIDECAR_MIB = 128

CONFINED: Object = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "privileged": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""Of every container; KubeRay gives it to the one that it injects into workers too."""


def environment(cluster: ClusterSettings) -> list[Object]:
    """What Ray's processes must find in their environment, on each node the same."""
    variables = {**FAST_PATH, **EVERY_MACHINE, HAPROXY_THREADS: str(cluster.haproxy_threads)}
    return [{"name": name, "value": value} for name, value in variables.items()]


def head_group(settings: Settings, cluster: ClusterSettings) -> Object:
    """The head: Ray's state, Serve's controller and the autoscaler; no replica."""
    container = {
        "name": "ray-head",
        **_ray_container(settings, cluster, cluster.head, CPU_IMAGE),
        "startupProbe": _probe(AGENT_PORT, NODE_HEALTH, failures=START_S // PERIOD_S),
        "readinessProbe": _probe(AGENT_PORT, NODE_HEALTH, failures=3),
        "livenessProbe": _probe(AGENT_PORT, NODE_HEALTH, failures=12),
    }
    # KubeRay makes the head's service of these, and finds the dashboard by its port's name.
    container["ports"] += [_port("gcs-server", GCS_PORT), _port("dashboard", DASHBOARD_PORT)]
    spec = _pod(settings, cluster, cluster.head, container, HEAD)
    spec["serviceAccountName"] = f"{NAME}-{HEAD}"
    spec["priorityClassName"] = f"{NAME}-{HEAD}"
    spec["volumes"] += [{"name": "autoscaler-tmp", "emptyDir": {}}, _account_token()]
    if cluster.key_vault is not None and cluster.redis is not None:
        # The driver keeps KubeRay's secret for as long as a pod has the volume.
        spec["volumes"].append({"name": "redis", **_from_vault(cluster.redis.secret)})
        container["volumeMounts"].append(
            {"name": "redis", "mountPath": REDIS_FOLDER, "readOnly": True}
        )
    return {
        "rayStartParams": {**_told(cluster.head, ray_cpus=0), "dashboard-host": "0.0.0.0"},
        "template": {"metadata": _metadata(HEAD, cluster), "spec": spec},
    }


def worker_groups(settings: Settings, cluster: ClusterSettings) -> list[Object]:
    """The group `cpu`, and `gpu` where there are GPUs."""
    groups = [_worker_group("cpu", CPU_WORKER, CPU_IMAGE, settings, cluster, cluster.cpu)]
    if cluster.gpu is not None:
        group = _worker_group("gpu", GPU_WORKER, GPU_IMAGE, settings, cluster, cluster.gpu)
        groups.append(_with_gpu(group, cluster.gpu))
    return groups


def autoscaler(cluster: ClusterSettings) -> Object:
    """KubeRay's `autoscalerOptions`: a container of its own beside the head."""
    size = cluster.autoscaler
    return {
        "version": "v2",
        "upscalingMode": "Default",
        "resources": _resources(size.cpu_request, size.cpus, size.memory_mib),
        "securityContext": CONFINED,
        # The token is mounted here alone: Ray's own processes in the pod have none.
        "volumeMounts": [
            {"name": "autoscaler-tmp", "mountPath": "/tmp"},
            {"name": "account-token", "mountPath": ACCOUNT_FOLDER, "readOnly": True},
        ],
    }


def _worker_group(
    name: str,
    role: str,
    image: str,
    settings: Settings,
    cluster: ClusterSettings,
    group: Group,
) -> Object:
    container = {
        "name": "ray-worker",
        **_ray_container(settings, cluster, group, image),
        "startupProbe": _probe(AGENT_PORT, NODE_HEALTH, failures=START_S // PERIOD_S),
        "readinessProbe": _probe(settings.http.port, PROXY_HEALTH, failures=1),
        "livenessProbe": _probe(AGENT_PORT, NODE_HEALTH, failures=12),
        "lifecycle": {
            "preStop": {
                "exec": {"command": ["scoring", "drain", "--timeout-s", str(cluster.drain_s)]}
            }
        },
    }
    spec = _pod(settings, cluster, group, container, role)
    spec["serviceAccountName"] = f"{NAME}-{WORKER}"
    spec["priorityClassName"] = f"{NAME}-{WORKER}"
    return {
        "groupName": name,
        "replicas": group.min_pods,
        "minReplicas": group.min_pods,
        "maxReplicas": group.max_pods,
        "idleTimeoutSeconds": group.idle_s,
        "rayStartParams": _told(group, ray_cpus=group.cpus),
        "template": {"metadata": _metadata(role, cluster), "spec": spec},
    }


def _with_gpu(group: Object, gpu: GpuGroup) -> Object:
    group["rayStartParams"]["num-gpus"] = "1"
    spec = group["template"]["spec"]
    for amounts in spec["containers"][0]["resources"].values():
        amounts[gpu.resource] = "1"
    spec["tolerations"] = [
        {
            "key": gpu.taint_key,
            "operator": "Equal",
            "value": gpu.taint_value,
            "effect": "NoSchedule",
        }
    ]
    return group


def _metadata(role: str, cluster: ClusterSettings) -> Object:
    identity = {"azure.workload.identity/use": "true"} if cluster.key_vault else {}
    return {
        "labels": {**PODS, **PART_OF, **component(role), **identity},
        # Which pod may go, Ray's autoscaler knows; the cluster's takes nodes that are empty.
        "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
    }


def _told(size: PodSize, *, ray_cpus: int) -> dict[str, str]:
    """`ray start`'s parameters: what the limits say, in Ray's words."""
    mib = 1024 * 1024
    return {
        "num-cpus": str(ray_cpus),
        "num-gpus": "0",
        "memory": str(size.memory_mib * mib),
        "object-store-memory": str(size.object_store_mib * mib),
        "metrics-export-port": str(METRICS_PORT),
        "dashboard-agent-listen-port": str(AGENT_PORT),
    }


def _ray_container(
    settings: Settings, cluster: ClusterSettings, size: PodSize, image: str
) -> Object:
    ports = [_port("metrics", METRICS_PORT), _port("serve", settings.http.port)]
    if settings.grpc.port:
        ports.append(_port("grpc", settings.grpc.port))
    return {
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": environment(cluster),
        "ports": ports,
        "resources": _resources(
            size.cpu_request or size.cpus, size.cpus, size.memory_mib, disk_mib=size.disk_mib
        ),
        "securityContext": CONFINED,
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "shm", "mountPath": "/dev/shm"},
            {"name": "data", "mountPath": str(settings.data_dir)},
            {"name": "keys", "mountPath": str(settings.keys_file.parent), "readOnly": True},
        ],
    }


def _pod(
    settings: Settings, cluster: ClusterSettings, size: PodSize, ray: Object, role: str
) -> Object:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_s(cluster),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            _spread("topology.kubernetes.io/zone", role),
            _spread("kubernetes.io/hostname", role),
        ],
        "initContainers": [_log_sidecar(settings, ray["image"])],
        "containers": [ray],
        "volumes": [
            {"name": "tmp", "emptyDir": {"sizeLimit": mebibytes(size.disk_mib)}},
            {
                "name": "shm",
                "emptyDir": {
                    "medium": "Memory",
                    "sizeLimit": mebibytes(size.object_store_mib + SHM_SPARE_MIB),
                },
            },
            {"name": "data", "emptyDir": {"sizeLimit": mebibytes(size.disk_mib)}},
            {"name": "keys", **_keys(cluster)},
        ],
    }


def _log_sidecar(settings: Settings, image: str) -> Object:
    """Ships the request log to the pod's output; starts before Ray and ends after it."""
    return {
        "name": "request-log",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "command": ["scoring", "logs", f"data_dir={settings.data_dir}"],
        "resources": _resources(0.02, 0.2, SIDECAR_MIB, disk_mib=64),
        "securityContext": CONFINED,
        "volumeMounts": [
            {"name": "data", "mountPath": str(settings.data_dir), "readOnly": True},
        ],
    }


def _keys(cluster: ClusterSettings) -> Object:
    if cluster.key_vault is not None:
        return _from_vault(cluster.keys_secret)
    return {"secret": {"secretName": cluster.keys_secret, "defaultMode": 0o440}}


def _from_vault(provider: str) -> Object:
    return {
        "csi": {
            "driver": "secrets-store.csi.k8s.io",
            "readOnly": True,
            "volumeAttributes": {"secretProviderClass": provider},
        }
    }


def _port(name: str, number: int) -> Object:
    return {"name": name, "containerPort": number}


def _account_token() -> Object:
    """What `automountServiceAccountToken` would mount, for one container to mount alone."""
    return {
        "name": "account-token",
        "projected": {
            "defaultMode": 0o440,
            "sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                {
                    "configMap": {
                        "name": "kube-root-ca.crt",
                        "items": [{"key": "ca.crt", "path": "ca.crt"}],
                    }
                },
                {
                    "downwardAPI": {
                        "items": [
                            {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
                        ]
                    }
                },
            ],
        },
    }


def _spread(topology: str, role: str) -> Object:
    return {
        "maxSkew": 1,
        "topologyKey": topology,
        # A missing zone must not keep a pod from starting.
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {**PODS, **component(role)}},
        # Of one cluster: during an upgrade the other one does not count.
        "matchLabelKeys": ["ray.io/cluster"],
    }


def _probe(port: int, path: str, *, failures: int) -> Object:
    return {
        "httpGet": {"port": port, "path": path},
        "periodSeconds": PERIOD_S,
        "timeoutSeconds": PROBE_TIMEOUT_S,
        "failureThreshold": failures,
    }


def _resources(
    cpu_request: float, cpu_limit: float, memory_mib: int, *, disk_mib: int | None = None
) -> Object:
    def amounts(cpu: float) -> dict[str, str]:
        disk = {} if disk_mib is None else {"ephemeral-storage": mebibytes(disk_mib)}
        return {"cpu": cpus(cpu), "memory": mebibytes(memory_mib), **disk}

    return {"requests": amounts(cpu_request), "limits": amounts(cpu_limit)}
