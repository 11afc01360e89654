"""What keeps a cluster from getting ready, told from what only takes its time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from kuberay.rollout.holding import HOLD
from kuberay.rollout.state import ApplicationState, ClusterState, Trouble, View

Key = TypeVar("Key")

SHOWN_EVENTS = 5
LONGEST_MESSAGE = 600

HINTS: dict[Trouble, str] = {
    "image": "an image cannot be pulled",
    "crash": "a container does not stay up",
    "memory": "a container needed more memory than its limit",
    "unschedulable": "no node takes a pod",
    "failed": "a pod failed",
}


@dataclass
class Patience:
    """How long each trouble of a worker group may last, in seconds.

    A pod that fails is replaced by one of another name, so a group's trouble is over when its pods
    are ready, not when the pod is gone.
    """

    ordinary_s: float
    unschedulable_s: float
    now: Callable[[], float] = time.monotonic
    _since: dict[tuple[str, str, Trouble], float] = field(default_factory=dict)
    _unhealthy: dict[tuple[str, str], float] = field(default_factory=dict)

    def exhausted(self, cluster: ClusterState) -> str | None:
        """Why this cluster is given up, or None."""
        for each in cluster.applications:
            if each.name == HOLD:
                continue
            if each.status == "DEPLOY_FAILED":
                return f"the application {each.name} on {cluster.name} could not be deployed"
        return self._pods(cluster) or self._applications(cluster)

    def _applications(self, cluster: ClusterState) -> str | None:
        for each in cluster.applications:
            key = (cluster.name, each.name)
            if each.status != "UNHEALTHY":
                self._unhealthy.pop(key, None)
            elif self._lasts(self._unhealthy, key) > self.ordinary_s:
                return (
                    f"the application {each.name} on {cluster.name} has been unhealthy for "
                    f"{self.ordinary_s:.0f} s"
                )
        return None

    def _pods(self, cluster: ClusterState) -> str | None:
        for group in {pod.group for pod in cluster.pods}:
            pods = [pod for pod in cluster.pods if pod.group == group]
            if all(pod.is_ready for pod in pods):
                for key in [each for each in self._since if each[:2] == (cluster.name, group)]:
                    del self._since[key]
                continue
            for pod in pods:
                if pod.trouble is None:
                    continue
                allowed_s = (
                    self.unschedulable_s if pod.trouble == "unschedulable" else self.ordinary_s
                )
                if self._lasts(self._since, (cluster.name, group, pod.trouble)) > allowed_s:
                    return (
                        f"{HINTS[pod.trouble]}, for more than {allowed_s:.0f} s: pod {pod.name}, "
                        f"{pod.reason}"
                    )
        return None

    def _lasts(self, since: dict[Key, float], key: Key) -> float:
        return self.now() - since.setdefault(key, self.now())


def explain(view: View, clusters: Sequence[ClusterState]) -> list[str]:
    """What the cluster says that matters: pods, Serve's messages, the newest warnings."""
    lines = []
    for condition in view.conditions:
        if condition.type == "Ready" and not condition.is_true and condition.message:
            lines.append(f"RayService not ready: {condition.reason}: {condition.message}")
    for cluster in clusters:
        for pod in cluster.pods:
            if pod.trouble is not None:
                lines.append(f"pod {pod.name}: {pod.reason}")
        for application in cluster.applications:
            if application.name != HOLD and not application.is_running:
                lines += _serve_lines(cluster, application)
    warnings = [each for each in view.events if each.type == "Warning"]
    lines += [f"event: {each.line()}" for each in warnings[:SHOWN_EVENTS]]
    return lines


def _serve_lines(cluster: ClusterState, application: ApplicationState) -> list[str]:
    lines = [f"Serve on {cluster.name}: {application.name} {application.status}"]
    if application.message:
        lines[0] += f": {_short(application.message)}"
    for each in application.deployments:
        if each.status != "HEALTHY" and each.message:
            lines.append(f"Serve: {each.name} {each.status}: {_short(each.message)}")
    return lines


def _short(message: str) -> str:
    """The end of a traceback says what happened."""
    text = message.strip()
    return text if len(text) <= LONGEST_MESSAGE else f"… {text[-LONGEST_MESSAGE:]}"
