"""What the test does to a cluster besides rolling out: pods made, deleted, asked and read."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from kubernetes import client, stream

from kuberay.rollout import Api, forward
from kuberay.rollout.api import POD, RAY_CLUSTER, RAY_SERVICE, Kind, Object
from kuberay.rollout.errors import NotFound
from kuberay.rollout.objects import in_order
from tests.kuberay.cluster.load_result import LoadResult, NoResult, parse

Found = TypeVar("Found")

NAMESPACE = Kind("v1", "Namespace", "namespaces", is_namespaced=False)
CLUSTER_LABEL, NODE_TYPE_LABEL = "ray.io/cluster", "ray.io/node-type"
"""KubeRay's labels of each Ray pod; the second is `head` or `worker`."""
PAUSE_S = 1.0
GONE_S = 900.0
"""For a namespace to go. KubeRay gives the job that empties the head's store 300 s."""
ENDED = ("Succeeded", "Failed")


class TooLate(AssertionError):
    """What was waited for did not come in time."""


def until(check: Callable[[], Found | None], limit_s: float, what: str) -> Found:
    """What `check` finds in the end. Raises TooLate."""
    deadline = time.monotonic() + limit_s
    while True:
        found = check()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise TooLate(f"not within {limit_s:.0f} s: {what}")
        time.sleep(PAUSE_S)


@dataclass(frozen=True)
class Pod:
    """One pod; a later one of the same name has another uid."""

    name: str
    uid: str
    address: str
    is_ready: bool
    is_ending: bool
    phase: str


class Kubelet(Protocol):
    """What happens to pods on their nodes, through the API server."""

    def log(self, pod: Pod) -> str:
        """All that its container has written."""

    def interrupt(self, pod: Pod) -> None:
        """SIGINT to its first process."""

    def delete(self, pod: Pod, *, force: bool) -> None:
        """Ends it, by force without its grace period."""


class Cluster:
    """One namespace of one cluster."""

    def __init__(self, api: Api, namespace: str, limit_s: float, kubelet: Kubelet) -> None:
        self._api = api
        self._namespace = namespace
        self._limit_s = limit_s
        self._kubelet = kubelet
        self._made: list[Object] = []

    # Objects

    def apply(self, objects: Sequence[Object]) -> None:
        """Applies them; those that were not there before go with `clean_up`."""
        for body in in_order(objects):
            kind = self._api.kind(body["apiVersion"], body["kind"])
            self.will_make([body])
            self._api.apply(kind, body, force=True)

    def will_make(self, objects: Sequence[Object]) -> None:
        """Remembers what is not there yet, whoever makes it."""
        for body in objects:
            kind = self._api.kind(body["apiVersion"], body["kind"])
            metadata = body["metadata"]
            if self._api.find(kind, metadata["name"], metadata.get("namespace")) is None:
                self._made.append(body)

    def clean_up(self) -> None:
        """Deletes what the test made: the service first, since its clusters empty their stores."""
        for body in reversed(in_order(self._made)):
            kind = self._api.kind(body["apiVersion"], body["kind"])
            metadata = body["metadata"]
            live = self._api.find(kind, metadata["name"], metadata.get("namespace"))
            if live is not None:
                with suppress(NotFound):
                    name, namespace = metadata["name"], metadata.get("namespace")
                    self._api.delete(kind, name, namespace, uid=live["metadata"]["uid"])
            if kind.name == RAY_SERVICE.name:
                until(self._has_no_clusters, GONE_S, "the end of all Ray clusters")
            if kind.name == NAMESPACE.name:
                name = metadata["name"]
                until(partial(self._is_gone, name), GONE_S, f"the end of {name}")

    def _has_no_clusters(self) -> bool | None:
        found, _ = self._api.list_all(RAY_CLUSTER, self._namespace)
        return None if found else True

    def _is_gone(self, namespace: str) -> bool | None:
        return True if self._api.find(NAMESPACE, namespace, None) is None else None

    # Ray's pods

    def heads(self, cluster: str) -> list[Pod]:
        """The head of a Ray cluster: one, or two while one goes."""
        return self._pods(cluster, "head")

    def workers(self, cluster: str) -> list[Pod]:
        """The workers of a Ray cluster."""
        return self._pods(cluster, "worker")

    def delete(self, pod: Pod, *, force: bool) -> float:
        """Deletes a pod, by force without its grace period; the Unix time at which it was asked."""
        asked_s = time.time()
        self._kubelet.delete(pod, force=force)
        return asked_s

    def is_gone(self, pod: Pod) -> bool:
        """Whether this very pod is no more."""
        body = self._api.find(POD, pod.name, self._namespace)
        return body is None or body["metadata"]["uid"] != pod.uid

    def containers(self, pod: Pod) -> list[Object]:
        """The containers of a pod, as it was made."""
        found: list[Object] = self._api.get(POD, pod.name, self._namespace)["spec"]["containers"]
        return found

    @contextmanager
    def reached(self, pod: Pod, port: int = 8000) -> Iterator[str]:
        """The URL of a pod's port, by port forwarding."""
        with forward(self._api, self._namespace, pod.name, port) as url:
            yield url

    def _pods(self, cluster: str, node_type: str) -> list[Pod]:
        labels = f"{CLUSTER_LABEL}={cluster},{NODE_TYPE_LABEL}={node_type}"
        found, _ = self._api.list_all(POD, self._namespace, labels=labels)
        return sorted(map(_pod, found), key=lambda each: each.name)

    # The test's own pods

    def output(self, body: Object) -> str:
        """What a pod that ends by itself has written; it is deleted then."""
        pod = self._started(body)
        try:
            until(lambda: self._ended(pod), self._limit_s, f"the end of {pod.name}")
            return self._kubelet.log(pod)
        finally:
            self._remove(pod)

    @contextmanager
    def load(self, body: Object, settle_s: float) -> Iterator[list[LoadResult]]:
        """Load while the block lasts, and `settle_s` before and after; the list gets the result."""
        results: list[LoadResult] = []
        pod = self._started(body)
        try:
            until(lambda: self._runs(pod), self._limit_s, f"{pod.name} to run")
            _pass(settle_s, lambda: self._ended(pod))
            yield results
            _pass(settle_s, lambda: self._ended(pod))
            self._kubelet.interrupt(pod)
            until(lambda: self._ended(pod), self._limit_s, f"the end of {pod.name}")
            results.append(parse(self._kubelet.log(pod)))
        finally:
            self._remove(pod)

    def _started(self, body: Object) -> Pod:
        """Instead of one of the same name that an earlier step has left."""
        name = body["metadata"]["name"]
        old = self._api.find(POD, name, self._namespace)
        if old is not None:
            self._remove(_pod(old))
        return _pod(self._api.create(POD, body))

    def _remove(self, pod: Pod) -> None:
        with suppress(NotFound):
            self._api.delete(POD, pod.name, self._namespace, uid=pod.uid)
        until(lambda: self.is_gone(pod) or None, self._limit_s, f"the end of {pod.name}")

    def _ended(self, pod: Pod) -> bool | None:
        return True if self._phase(pod) in ENDED else None

    def _runs(self, pod: Pod) -> bool | None:
        phase = self._phase(pod)
        if phase in ENDED:
            raise NoResult(f"{pod.name} has {phase}: {self._kubelet.log(pod)[-2000:]}")
        return True if phase == "Running" else None

    def _phase(self, pod: Pod) -> str:
        return _pod(self._api.get(POD, pod.name, self._namespace)).phase


class ApiKubelet:
    """By the official client: logs, `exec` and deletion."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._configuration = api.configuration
        self._namespace = namespace

    def log(self, pod: Pod) -> str:
        """All that its container has written."""
        return str(self._core().read_namespaced_pod_log(pod.name, self._namespace))

    def interrupt(self, pod: Pod) -> None:
        """SIGINT to its first process, by the shell's own `kill`."""
        stream.stream(
            self._core().connect_get_namespaced_pod_exec,
            pod.name,
            self._namespace,
            command=["bash", "-c", "kill -INT 1"],
            stderr=True,
            stdin=False,
            stdout=True,
            tty=False,
        )

    def delete(self, pod: Pod, *, force: bool) -> None:
        """Ends this very pod, by force without its grace period."""
        options = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=pod.uid))
        if force:
            options.grace_period_seconds = 0
        self._core().delete_namespaced_pod(pod.name, self._namespace, body=options)

    def _core(self) -> Any:
        # `stream` replaces a method of its client object for a moment: each call has its own.
        return client.CoreV1Api(client.ApiClient(self._configuration))


def _pass(seconds: float, ended: Callable[[], bool | None]) -> None:
    """Lets time pass under load. Raises NoResult where the load ends by itself."""
    deadline = time.monotonic() + seconds
    while (left_s := deadline - time.monotonic()) > 0:
        if ended():
            raise NoResult("the load ended before it was stopped")
        time.sleep(min(PAUSE_S, left_s))


def _pod(body: Object) -> Pod:
    metadata, status = body["metadata"], body.get("status") or {}
    conditions = status.get("conditions") or ()
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        address=status.get("podIP", ""),
        is_ready=any(each["type"] == "Ready" and each["status"] == "True" for each in conditions),
        is_ending="deletionTimestamp" in metadata,
        phase=status.get("phase", ""),
    )
