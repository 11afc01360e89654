"""A stand-in for KubeRay's operator: it moves clusters and status as the real one does.

Source: KubeRay 1.7, rayservice_controller.go (reconcileRayCluster, reconcileServe, calculateStatus,
shouldPrepareNewCluster, cleanUpRayClusterInstance). What takes a real cluster minutes takes ticks.
"""

import base64
import contextlib
import copy
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.kuberay.rollout.api_server import ApiServer
from tests.kuberay.rollout.field_managers import Json
from tests.kuberay.rollout.serve_stub import DASHBOARD_TOKEN, ServeStub
from tests.kuberay.rollout.store import Problem, now

MANAGER = "kuberay-operator"
NAMESPACE, NAME = "scoring", "scoring"
TICK_S = 0.01
SCALING = ("replicas", "minReplicas", "maxReplicas", "scaleStrategy")

WAITING = {
    "pull": ("ImagePullBackOff", "Back-off pulling image"),
    "crash": ("CrashLoopBackOff", "back-off 10s restarting failed container"),
}


@dataclass
class Cluster:
    """One RayCluster: how far it has come, and what Serve was told."""

    name: str
    body: Json
    stub: ServeStub
    ticks: int = 0
    config: str = ""
    since_config: int = 0
    statuses: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    dangling: int = 0

    @property
    def image(self) -> str:
        """The head's image; its tag plants faults."""
        template = self.body["spec"]["headGroupSpec"]["template"]
        image: str = template["spec"]["containers"][0]["image"]
        return image

    @property
    def fault(self) -> str:
        """The tag of an image such as `broken:pull`."""
        repository, _, tag = self.image.partition(":")
        return tag if repository == "broken" else ""


class Operator:
    """Reconciles the one RayService of the test, in a thread, while its block lasts."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.store = server.store
        self.clusters: dict[str, Cluster] = {}
        self.pod_ticks, self.serve_ticks, self.deletion_ticks = 3, 3, 20
        self.returns_to_active = False
        """Whether going back to what the active cluster has drops the pending one."""
        self.has_dashboard = True
        self.sees_new_clusters = True
        """False: as if no change of `rayClusterConfig` changed the hash."""
        self.stub_settings: dict[str, dict[str, Any]] = {}
        """For clusters of an image: attributes of their `ServeStub`."""
        self.promoted: list[str] = []
        self._stopping = threading.Event()
        self._paused = threading.Event()
        self._count = 0
        self._thread = threading.Thread(target=self._run, name="operator")
        self.error: Exception | None = None

    def __enter__(self) -> "Operator":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        for each in self.clusters.values():
            each.stub.stop()
        if self.error is not None:
            raise self.error

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """As if the operator were down."""
        self._paused.set()
        try:
            yield
        finally:
            self._paused.clear()

    def _run(self) -> None:
        while not self._stopping.wait(TICK_S):
            if self._paused.is_set():
                continue
            try:
                with self.store.lock:
                    service = self.store.find("rayservices", NAMESPACE, NAME)
                if service is not None:
                    self._reconcile(service)
            except Problem as problem:  # the object was changed or deleted beneath it
                if problem.code not in (404, 409):
                    self.error = problem
                    return
            except Exception as error:  # noqa: BLE001  the test shall see it
                self.error = error
                return

    def _reconcile(self, service: Json) -> None:
        spec, status = service["spec"], copy.deepcopy(service.get("status") or {})
        if self._suspend(spec, status):
            return
        active = self._cluster(status, "activeServiceStatus")
        pending = self._cluster(status, "pendingServiceStatus")
        pending_name = (status.get("pendingServiceStatus") or {}).get("rayClusterName")
        self._clean_up(status)
        if pending_name and pending is None:
            pending = self._create(service, pending_name)
        for each in (active, pending):
            if each is not None:
                each.ticks += 1
                self._pods(each)
        added = None if active is None else self._added_groups(spec, active)
        if active is not None and pending is None and added:
            active.body["spec"]["workerGroupSpecs"] += added
            self.store.replace("rayclusters", NAMESPACE, active.name, active.body, MANAGER)
        ready = False
        if pending is not None:
            ready = self._serve(spec, pending)
        elif active is not None and not self._needs_cluster(spec, active):
            self._serve(spec, active)
        target = pending if ready else None
        if target is not None and not self._moves_gradually(spec, status, target):
            self._point_service_at(target.name)
            status["activeServiceStatus"] = {"rayClusterName": target.name}
            status["pendingServiceStatus"] = {}
            self.promoted.append(target.name)
            active, pending = target, None
        elif active is None and pending is None:
            status["pendingServiceStatus"] = {"rayClusterName": self._new_name()}
        else:
            newest = pending or active
            goes_back = active is not None and not self._differs(spec, active)
            if pending is not None and self.returns_to_active and goes_back:
                status["pendingServiceStatus"] = {}
                pending, newest = None, active
            if newest is not None and self._needs_cluster(spec, newest):
                status["pendingServiceStatus"] = {"rayClusterName": self._new_name()}
        self._write(service, status, active, pending)

    def _write(
        self, service: Json, status: Json, active: Cluster | None, pending: Cluster | None
    ) -> None:
        for key, cluster in (("activeServiceStatus", active), ("pendingServiceStatus", pending)):
            side = status.setdefault(key, {})
            # KubeRay looks at the newest cluster alone.
            shown = cluster is not None and not (cluster is active and pending is not None)
            if cluster is not None and shown and side.get("rayClusterName") == cluster.name:
                side["applicationStatuses"] = {
                    name: {
                        "status": state,
                        "message": cluster.messages.get(name, ""),
                        "serveDeploymentStatuses": {
                            "Router": {
                                "status": "HEALTHY" if state == "RUNNING" else "UPDATING",
                                "message": cluster.messages.get(name, ""),
                            }
                        },
                    }
                    for name, state in cluster.statuses.items()
                }
            else:
                side.pop("applicationStatuses", None)
        serving = self.store.find("services", NAMESPACE, f"{NAME}-serve-svc")
        endpoints = 0
        if serving is not None:
            name = serving["spec"]["selector"]["ray.io/cluster"]
            endpoints = sum(
                each["metadata"]["labels"]["ray.io/cluster"] == name
                and each["metadata"]["labels"]["ray.io/node-type"] == "worker"
                and _is_ready(each)
                for each in self.store.list_all("pods", NAMESPACE)
            )
        status["numServeEndpoints"] = endpoints
        names = [
            status[key].get("rayClusterName")
            for key in ("activeServiceStatus", "pendingServiceStatus")
        ]
        if endpoints:
            _set(status, "Ready", "True", "NonZeroServeEndpoints", "endpoints")
        elif _has(status, "Ready", "True"):
            _set(status, "Ready", "False", "ZeroServeEndpoints", "endpoints dropped to 0")
        elif not status.get("conditions"):
            _set(status, "Ready", "False", "Initializing", "RayService is initializing")
        if all(names):
            _set(status, "UpgradeInProgress", "True", "BothActivePendingClustersExist", "both")
        elif names[0]:
            _set(status, "UpgradeInProgress", "False", "NoPendingCluster", "one")
        if _has(status, "Suspended", "True"):
            _set(status, "Suspended", "False", "RayServiceResumed", "")
        status["observedGeneration"] = service["metadata"]["generation"]
        self.store.set_status("rayservices", NAMESPACE, NAME, status)

    # Clusters

    def _cluster(self, status: Json, key: str) -> Cluster | None:
        name = (status.get(key) or {}).get("rayClusterName")
        cluster = self.clusters.get(name) if name else None
        if cluster is not None:
            cluster.body = self.store.get("rayclusters", NAMESPACE, cluster.name)
        return cluster

    def _new_name(self) -> str:
        self._count += 1
        return f"{NAME}-{self._count:05d}"

    def _create(self, service: Json, name: str) -> Cluster:
        body = self.store.create(
            "rayclusters",
            NAMESPACE,
            {
                "apiVersion": "ray.io/v1",
                "kind": "RayCluster",
                "metadata": {
                    "name": name,
                    "labels": {"ray.io/originated-from-cr-name": service["metadata"]["name"]},
                },
                "spec": copy.deepcopy(service["spec"]["rayClusterConfig"]),
            },
            MANAGER,
        )
        cluster = Cluster(name, body, ServeStub(self.server))
        for key, value in self.stub_settings.get(cluster.image, {}).items():
            setattr(cluster.stub, key, value)
        service_port, dashboard_port = cluster.stub.start()
        self.clusters[name] = cluster
        for pod in self._pod_names(cluster):
            self.server.backends[pod, 8000] = service_port
        if self.has_dashboard:
            self.server.backends[f"{name}-head", 8265] = dashboard_port
        token = base64.b64encode(DASHBOARD_TOKEN.encode()).decode()
        self.store.create(
            "secrets",
            NAMESPACE,
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name},
                "data": {"auth_token": token},
            },
        )
        self._event("RayService", NAME, "Normal", "CreatedRayCluster", f"Created {name}")
        return cluster

    def _pod_names(self, cluster: Cluster) -> dict[str, str]:
        """The pods of a cluster and their groups."""
        names = {f"{cluster.name}-head": "headgroup"}
        for group in cluster.body["spec"].get("workerGroupSpecs") or ():
            for index in range(group.get("minReplicas") or group.get("replicas") or 0):
                names[f"{cluster.name}-{group['groupName']}-{index}"] = group["groupName"]
        return names

    def _pods(self, cluster: Cluster) -> None:
        for name, group in self._pod_names(cluster).items():
            pod = self.store.find("pods", NAMESPACE, name)
            if pod is None:
                pod = self._create_pod(cluster, name, group)
            status = self._pod_status(cluster, name)
            if status != pod.get("status"):
                self.store.set_status("pods", NAMESPACE, name, status)

    def _create_pod(self, cluster: Cluster, name: str, group: str) -> Json:
        node_type = "head" if group == "headgroup" else "worker"
        token = {"secretKeyRef": {"name": cluster.name, "key": "auth_token"}}
        return self.store.create(
            "pods",
            NAMESPACE,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "labels": {
                        "ray.io/cluster": cluster.name,
                        "ray.io/node-type": node_type,
                        "ray.io/group": group,
                        "ray.io/is-ray-node": "yes",
                        "ray.io/serve": str(node_type == "worker").lower(),
                    },
                },
                "spec": {
                    "containers": [
                        {
                            "name": f"ray-{node_type}",
                            "image": cluster.image,
                            "env": [{"name": "RAY_AUTH_TOKEN", "valueFrom": token}],
                        }
                    ]
                },
            },
            MANAGER,
        )

    def _pod_status(self, cluster: Cluster, name: str) -> Json:
        if cluster.fault in WAITING:
            reason, message = WAITING[cluster.fault]
            if cluster.ticks % 10 == 0:
                self._event("Pod", name, "Warning", "Failed", f"{reason}: {cluster.image}")
            waiting = {"reason": reason, "message": f"{message} {cluster.image}"}
            return _pod_status("Pending", False, {"waiting": waiting})
        if cluster.fault == "memory":
            return _pod_status("Running", False, {"terminated": {"reason": "OOMKilled"}})
        if cluster.fault == "unschedulable":
            unschedulable = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "0/3 nodes are available: 3 Insufficient cpu.",
            }
            return {"phase": "Pending", "conditions": [unschedulable]}
        is_ready = cluster.ticks > self.pod_ticks and cluster.fault != "never"
        return _pod_status("Running" if cluster.ticks > 1 else "Pending", is_ready, {"running": {}})

    def _clean_up(self, status: Json) -> None:
        named = {
            (status.get(key) or {}).get("rayClusterName")
            for key in ("activeServiceStatus", "pendingServiceStatus")
        }
        for cluster in list(self.clusters.values()):
            if cluster.name not in named:
                cluster.dangling += 1
                if cluster.dangling > self.deletion_ticks:
                    self._delete(cluster)

    def _delete(self, cluster: Cluster) -> None:
        for pod in self.store.list_all("pods", NAMESPACE):
            if pod["metadata"]["labels"]["ray.io/cluster"] == cluster.name:
                self.store.delete("pods", NAMESPACE, pod["metadata"]["name"])
        self.store.delete("rayclusters", NAMESPACE, cluster.name)
        del self.clusters[cluster.name]
        cluster.stub.stop()

    def _differs(self, spec: Json, cluster: Cluster) -> bool:
        return _hash(spec["rayClusterConfig"]) != _hash(cluster.body["spec"])

    def _needs_cluster(self, spec: Json, cluster: Cluster) -> bool:
        strategy = (spec.get("upgradeStrategy") or {}).get("type")
        return (
            self.sees_new_clusters
            and strategy != "None"
            and self._differs(spec, cluster)
            and not self._added_groups(spec, cluster)
        )

    def _added_groups(self, spec: Json, cluster: Cluster) -> list[Json]:
        goal = copy.deepcopy(spec["rayClusterConfig"])
        count = len(cluster.body["spec"].get("workerGroupSpecs") or ())
        groups = goal.get("workerGroupSpecs") or []
        goal["workerGroupSpecs"] = groups[:count]
        same = _hash(goal) == _hash(cluster.body["spec"])
        return groups[count:] if same else []

    # Serve

    def _serve(self, spec: Json, cluster: Cluster) -> bool:
        head = self.store.find("pods", NAMESPACE, f"{cluster.name}-head")
        if head is None or not _is_ready(head):
            return False
        ready = bool(cluster.statuses) and all(
            state == "RUNNING" for state in cluster.statuses.values()
        )
        if cluster.config != spec["serveConfigV2"]:
            cluster.config, cluster.since_config = spec["serveConfigV2"], 0
            self._event("RayService", NAME, "Normal", "UpdatedServeApplications", cluster.name)
        else:
            cluster.since_config += 1
        self._advance(cluster)
        return ready

    def _advance(self, cluster: Cluster) -> None:
        applications = yaml.safe_load(cluster.config)["applications"]
        cluster.statuses = {}
        details: Json = {}
        for each in applications:
            name, fault = each["name"], (each.get("args") or {}).get("fault")
            state, message = "DEPLOYING", ""
            if name != "hold" and cluster.since_config >= self.serve_ticks:
                state = "RUNNING"
                if fault is not None:
                    state, message = fault, "ValueError: faq.corpus names no file"
            cluster.statuses[name], cluster.messages[name] = state, message
            running = state == "RUNNING"
            details[name] = {
                "status": state,
                "message": message,
                "deployed_app_config": each,
                "deployments": {
                    "Router": {
                        "status": "HEALTHY" if running else "UPDATING",
                        "message": message,
                        "target_num_replicas": 2,
                        "replicas": [{"state": "RUNNING" if running else "STARTING"}] * 2,
                    }
                },
            }
        with cluster.stub.lock:
            cluster.stub.applications = details

    def _moves_gradually(self, spec: Json, status: Json, target: Cluster) -> bool:
        """Whether the traffic is still on its way to the new cluster."""
        strategy = (spec.get("upgradeStrategy") or {}).get("type")
        active = status.get("activeServiceStatus") or {}
        if strategy != "NewClusterWithIncrementalUpgrade" or not active.get("rayClusterName"):
            return False
        pending = status["pendingServiceStatus"]
        percent = min(100, pending.get("trafficRoutedPercent", 0) + 20)
        pending["trafficRoutedPercent"], active["trafficRoutedPercent"] = percent, 100 - percent
        return target.ticks % 5 != 0 or percent < 100

    def _point_service_at(self, cluster: str) -> None:
        name = f"{NAME}-serve-svc"
        body = self.store.find("services", NAMESPACE, name)
        selector = {"ray.io/cluster": cluster, "ray.io/serve": "true"}
        if body is None:
            new = {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name},
                "spec": {"selector": selector},
            }
            self.store.create("services", NAMESPACE, new, MANAGER)
        else:
            body["spec"]["selector"] = selector
            self.store.replace("services", NAMESPACE, name, body, MANAGER)

    # The rest

    def _suspend(self, spec: Json, status: Json) -> bool:
        if not spec.get("suspend"):
            return False
        if _has(status, "Suspended", "True"):
            return True
        if not _has(status, "Suspending", "True"):
            _set(status, "Suspending", "True", "SuspendInProgress", "")
        else:
            for cluster in list(self.clusters.values()):
                self._delete(cluster)
            if self.store.find("services", NAMESPACE, f"{NAME}-serve-svc"):
                self.store.delete("services", NAMESPACE, f"{NAME}-serve-svc")
            status.update(activeServiceStatus={}, pendingServiceStatus={}, numServeEndpoints=0)
            _set(status, "Ready", "False", "SuspendComplete", "")
            _set(status, "Suspending", "False", "SuspendComplete", "")
            _set(status, "Suspended", "True", "SuspendComplete", "")
        self.store.set_status("rayservices", NAMESPACE, NAME, status)
        return True

    def _event(self, kind: str, name: str, type_: str, reason: str, message: str) -> None:
        key = f"{name}.{reason}.{abs(hash(message)):x}"
        body = self.store.find("events", NAMESPACE, key)
        if body is not None:
            body["count"] += 1
            body["lastTimestamp"] = now()
            self.store.replace("events", NAMESPACE, key, body, MANAGER)
            return
        self.store.create(
            "events",
            NAMESPACE,
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": key},
                "involvedObject": {"kind": kind, "name": name, "namespace": NAMESPACE},
                "type": type_,
                "reason": reason,
                "message": message,
                "count": 1,
                "lastTimestamp": now(),
            },
            MANAGER,
        )


def _hash(cluster: Json) -> str:
    body = copy.deepcopy(cluster)
    for group in body.get("workerGroupSpecs") or ():
        for key in SCALING:
            group.pop(key, None)
    return json.dumps(body, sort_keys=True)


def _pod_status(phase: str, is_ready: bool, state: Json) -> Json:
    return {
        "phase": phase,
        "conditions": [{"type": "Ready", "status": str(is_ready)}],
        "containerStatuses": [{"name": "ray", "state": state, "restartCount": 0}],
    }


def _is_ready(pod: Json) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _has(status: Json, kind: str, value: str) -> bool:
    found = status.get("conditions") or ()
    return any(each["type"] == kind and each["status"] == value for each in found)


def _set(status: Json, kind: str, value: str, reason: str, message: str) -> None:
    conditions = [each for each in status.get("conditions") or () if each["type"] != kind]
    new = {"type": kind, "status": value, "reason": reason, "message": message}
    status["conditions"] = sorted([*conditions, new], key=lambda each: str(each["type"]))
