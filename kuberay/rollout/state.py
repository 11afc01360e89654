"""What a RayService is doing, read from the objects of the API server.

Source: KubeRay 1.7, api ray.io/v1 (`RayServiceStatuses`, `AppStatus`); core/v1 for pods and events.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from kuberay.rollout.api import Object
from kuberay.rollout.holding import HOLD, has_hold

CLUSTER_LABEL = "ray.io/cluster"
NODE_TYPE_LABEL = "ray.io/node-type"
GROUP_LABEL = "ray.io/group"
RAY_NODES = "ray.io/is-ray-node=yes"
OWNER_LABEL = "ray.io/originated-from-cr-name"

Role = Literal["active", "pending", "old"]
Trouble = Literal["image", "crash", "memory", "unschedulable", "failed"]

IMAGE_REASONS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
CRASH_REASONS = {
    *("CrashLoopBackOff", "RunContainerError", "CreateContainerError"),
    "CreateContainerConfigError",
}
OUT_OF_MEMORY = "OOMKilled"


@dataclass(frozen=True)
class Condition:
    """A condition (meta/v1)."""

    type: str
    status: str
    reason: str
    message: str

    @property
    def is_true(self) -> bool:
        """Whether it holds."""
        return self.status == "True"


@dataclass(frozen=True)
class DeploymentState:
    """One deployment of a Serve application; replicas only where the dashboard was asked."""

    name: str
    status: str
    message: str = ""
    running: int | None = None
    target: int | None = None


@dataclass(frozen=True)
class ApplicationState:
    """One Serve application; `config` is what was submitted, where the dashboard was asked."""

    name: str
    status: str
    message: str = ""
    deployments: tuple[DeploymentState, ...] = ()
    config: Mapping[str, Any] | None = field(default=None, compare=False)

    @property
    def is_running(self) -> bool:
        """Whether it answers."""
        return self.status == "RUNNING"


@dataclass(frozen=True)
class PodState:
    """One Ray pod; `trouble` is what keeps it from running, if anything does."""

    name: str
    cluster: str
    group: str
    is_head: bool
    phase: str
    is_ready: bool
    trouble: Trouble | None = None
    reason: str = ""
    restarts: int = 0


@dataclass(frozen=True)
class ClusterState:
    """One RayCluster of the service."""

    name: str
    role: Role
    state: str = ""
    pods: tuple[PodState, ...] = ()
    applications: tuple[ApplicationState, ...] = ()
    conditions: tuple[Condition, ...] = ()
    traffic_percent: int | None = None
    target_capacity: int | None = None

    @property
    def ready_pods(self) -> int:
        """How many pods are ready."""
        return sum(pod.is_ready for pod in self.pods)

    @property
    def is_held(self) -> bool:
        """Whether the application `hold` is on it."""
        return any(each.name == HOLD for each in self.applications)

    def are_running(self, names: Iterable[str]) -> bool:
        """Whether all these applications run on it."""
        states = {each.name: each for each in self.applications}
        return all(name in states and states[name].is_running for name in names)

    @property
    def ready_worker(self) -> str | None:
        """The name of a worker that is ready; of the head where there is no worker at all.

        The Service leaves the head out, so a ready head alone answers nobody.
        """
        workers = [pod for pod in self.pods if not pod.is_head]
        return min((pod.name for pod in workers or self.pods if pod.is_ready), default=None)

    @property
    def head(self) -> PodState | None:
        """The head's pod, once it runs."""
        return next((pod for pod in self.pods if pod.is_head and pod.phase == "Running"), None)


@dataclass(frozen=True)
class EventState:
    """An event of the service, its clusters or its pods; equal ones are one, counted."""

    type: str
    reason: str
    about: str
    message: str
    count: int
    last: str

    def line(self) -> str:
        """As it is shown."""
        times = f" (x{self.count})" if self.count > 1 else ""
        return f"{self.reason} {self.about}: {self.message}{times}"


@dataclass(frozen=True)
class View:
    """The service, its clusters and the newest events."""

    namespace: str
    name: str
    generation: int
    is_suspended: bool
    holding: bool
    """Whether the RayService's own Serve config has the hold."""
    conditions: tuple[Condition, ...]
    active: ClusterState | None
    pending: ClusterState | None
    old: tuple[ClusterState, ...] = ()
    events: tuple[EventState, ...] = ()
    endpoints: int = 0

    def condition(self, kind: str) -> Condition | None:
        """The condition of a type."""
        return next((each for each in self.conditions if each.type == kind), None)

    @property
    def is_ready(self) -> bool:
        """KubeRay's condition Ready: the Service has endpoints."""
        ready = self.condition("Ready")
        return ready is not None and ready.is_true

    @property
    def clusters(self) -> tuple[ClusterState, ...]:
        """Active, pending and old ones."""
        return tuple(each for each in (self.active, self.pending, *self.old) if each is not None)

    def warnings(self) -> tuple[str, ...]:
        """What should not be so."""
        found = []
        if self.active is not None and self.active.is_held:
            found.append(
                f"the application {HOLD} is on the active cluster {self.active.name}: "
                "`scoring rollout apply` of what should run takes it away"
            )
        if self.holding and self.pending is None:
            found.append(f"the Serve config has the application {HOLD}, and no cluster is pending")
        elif self.holding and self.pending is not None:
            found.append(
                f"the cluster {self.pending.name} is held back: `scoring rollout apply` of the "
                "same goes on, `scoring rollout rollback` goes back"
            )
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "is_ready": self.is_ready, "warnings": list(self.warnings())}


def view(
    service: Object,
    clusters: Sequence[Object],
    pods: Sequence[Object],
    events: Sequence[Object],
    *,
    newest: int = 8,
) -> View:
    """The view of one RayService; objects of others are passed over."""
    metadata, spec = service["metadata"], service["spec"]
    status = service.get("status") or {}
    name = metadata["name"]
    owned = {
        each["metadata"]["name"]: each
        for each in clusters
        if each["metadata"].get("labels", {}).get(OWNER_LABEL) == name
    }
    pod_states = [pod_state(each) for each in pods]

    def cluster(role: Role, name: str, serving: Object) -> ClusterState:
        body = owned.get(name, {})
        cluster_status = body.get("status") or {}
        return ClusterState(
            name=name,
            role=role,
            state=cluster_status.get("state", ""),
            pods=tuple(each for each in pod_states if each.cluster == name),
            applications=applications(serving.get("applicationStatuses") or {}),
            conditions=conditions(cluster_status),
            traffic_percent=serving.get("trafficRoutedPercent"),
            target_capacity=serving.get("targetCapacity"),
        )

    sides: dict[Role, ClusterState] = {}
    keys: tuple[tuple[Role, str], ...] = (
        ("active", "activeServiceStatus"),
        ("pending", "pendingServiceStatus"),
    )
    for role, key in keys:
        serving = status.get(key) or {}
        if serving.get("rayClusterName"):
            sides[role] = cluster(role, serving["rayClusterName"], serving)
    named = {each.name for each in sides.values()}
    old = tuple(cluster("old", each, {}) for each in sorted(owned) if each not in named)
    known = {("RayService", name)} | {("RayCluster", each) for each in (*owned, *named)}
    known |= {("Pod", pod.name) for pod in pod_states if pod.cluster in {*owned, *named}}
    # A pod that is gone still has its events, and its name begins with its cluster's.
    prefixes = tuple(f"{each}-" for each in (*owned, *named))
    return View(
        namespace=metadata["namespace"],
        name=name,
        generation=metadata.get("generation", 0),
        is_suspended=bool(spec.get("suspend")),
        holding=has_hold(spec.get("serveConfigV2", "")),
        conditions=conditions(status),
        active=sides.get("active"),
        pending=sides.get("pending"),
        old=old,
        events=event_states(events, known, prefixes)[:newest],
        endpoints=status.get("numServeEndpoints", 0),
    )


def with_applications(state: ClusterState, details: tuple[ApplicationState, ...]) -> ClusterState:
    """The cluster with what its own dashboard says of the applications."""
    return replace(state, applications=details)


def conditions(status: Object) -> tuple[Condition, ...]:
    """Of any status that has them."""
    return tuple(
        Condition(each["type"], each["status"], each.get("reason", ""), each.get("message", ""))
        for each in status.get("conditions") or ()
    )


def applications(statuses: Mapping[str, Object]) -> tuple[ApplicationState, ...]:
    """From `applicationStatuses`."""
    return tuple(
        ApplicationState(
            name,
            found.get("status", ""),
            found.get("message", ""),
            tuple(
                DeploymentState(each, one.get("status", ""), one.get("message", ""))
                for each, one in sorted((found.get("serveDeploymentStatuses") or {}).items())
            ),
        )
        for name, found in sorted(statuses.items())
    )


def pod_state(body: Object) -> PodState:
    """One pod, and what is wrong with it."""
    metadata, status = body["metadata"], body.get("status") or {}
    labels = metadata.get("labels") or {}
    containers = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    found = conditions(status)
    trouble, reason = _trouble(status, containers, found)
    return PodState(
        name=metadata["name"],
        cluster=labels.get(CLUSTER_LABEL, ""),
        group=labels.get(GROUP_LABEL, ""),
        is_head=labels.get(NODE_TYPE_LABEL) == "head",
        phase=status.get("phase", ""),
        is_ready=any(each.type == "Ready" and each.is_true for each in found),
        trouble=trouble,
        reason=reason,
        restarts=sum(each.get("restartCount", 0) for each in containers),
    )


def _trouble(
    status: Object, containers: Sequence[Object], found: Sequence[Condition]
) -> tuple[Trouble | None, str]:
    for each in containers:
        waiting = (each.get("state") or {}).get("waiting") or {}
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        ended = [(each.get(key) or {}).get("terminated") or {} for key in ("state", "lastState")]
        if any(one.get("reason") == OUT_OF_MEMORY for one in ended):
            return "memory", f"container {each['name']}: {OUT_OF_MEMORY}"
        if reason in IMAGE_REASONS:
            return "image", f"container {each['name']}: {reason}: {message}".rstrip(": ")
        if reason in CRASH_REASONS:
            return "crash", f"container {each['name']}: {reason}: {message}".rstrip(": ")
    for condition in found:
        if condition.type == "PodScheduled" and condition.reason == "Unschedulable":
            return "unschedulable", f"Unschedulable: {condition.message}"
    if status.get("phase") == "Failed":
        return "failed", f"{status.get('reason') or 'Failed'}: {status.get('message', '')}"
    return None, ""


def event_states(
    events: Sequence[Object], known: set[tuple[str, str]], prefixes: tuple[str, ...] = ()
) -> tuple[EventState, ...]:
    """Warnings first, then the newest first; those of one reason, object and message are one."""
    merged: dict[tuple[str, str, str], EventState] = {}
    for body in events:
        about = body.get("involvedObject") or {}
        kind, name = about.get("kind", ""), about.get("name", "")
        if (kind, name) not in known and not (kind == "Pod" and name.startswith(prefixes)):
            continue
        series = body.get("series") or {}
        state = EventState(
            type=body.get("type", ""),
            reason=body.get("reason", ""),
            about=f"{kind}/{name}",
            message=body.get("message", "").strip(),
            count=series.get("count") or body.get("count") or 1,
            last=series.get("lastObservedTime")
            or body.get("lastTimestamp")
            or body.get("eventTime")
            or body["metadata"].get("creationTimestamp", ""),
        )
        key = (state.reason, state.about, state.message)
        if (earlier := merged.get(key)) is not None:
            state = replace(
                state, count=state.count + earlier.count, last=max(state.last, earlier.last)
            )
        merged[key] = state
    newest = sorted(merged.values(), key=lambda each: each.last, reverse=True)
    return tuple(sorted(newest, key=lambda each: each.type != "Warning"))
