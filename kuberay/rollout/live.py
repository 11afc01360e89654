"""The view of a service that is kept current, and waiting for what it should show."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeVar

from kuberay.rollout.api import EVENT, POD, RAY_CLUSTER, RAY_SERVICE, Api
from kuberay.rollout.dashboard import Dashboards
from kuberay.rollout.errors import ChangedMeanwhile, RolloutError
from kuberay.rollout.state import (
    OWNER_LABEL,
    RAY_NODES,
    ApplicationState,
    ClusterState,
    View,
    view,
    with_applications,
)
from kuberay.rollout.watching import WATCH_S, Watched

Found = TypeVar("Found")

ASK_EVERY_S = 2.0

TICK_S = 0.5
"""How often what no event tells of is looked at: Serve's own view, and what has taken too long."""


class Observer(Protocol):
    """Who is shown how a rollout goes."""

    def step(self, text: str) -> None:
        """What is done now."""

    def view(self, view: View) -> None:
        """What the cluster shows; called whenever it may have changed."""


class Silent:
    """Nobody."""

    def step(self, text: str) -> None:
        """Shows nothing."""

    def view(self, view: View) -> None:
        """Shows nothing."""


class TimedOut(RolloutError):
    """What was waited for did not come in time."""


class Live:
    """Watches one RayService, its clusters, their pods and the events while its block lasts."""

    def __init__(
        self,
        api: Api,
        namespace: str,
        service: str,
        observer: Observer,
        *,
        watch_s: int = WATCH_S,
        ask_every_s: float = ASK_EVERY_S,
    ) -> None:
        """`ask_every_s`: how often each dashboard is asked."""
        self._observer = observer
        self._ask_every_s = ask_every_s
        self._name = f"{namespace}/{service}"
        self._changed = threading.Event()
        self._dashboards = Dashboards(api, namespace)
        self._asked: dict[str, tuple[float, tuple[ApplicationState, ...] | None]] = {}

        def watched(kind_of: str) -> Watched:
            kind, labels, fields = {
                "service": (RAY_SERVICE, "", f"metadata.name={service}"),
                "clusters": (RAY_CLUSTER, f"{OWNER_LABEL}={service}", ""),
                "pods": (POD, RAY_NODES, ""),
                "events": (EVENT, "", ""),
            }[kind_of]
            return Watched(
                api,
                kind,
                namespace,
                self._changed.set,
                labels=labels,
                fields=fields,
                watch_s=watch_s,
            )

        self._service, self._clusters = watched("service"), watched("clusters")
        self._pods, self._events = watched("pods"), watched("events")
        self._all = (self._service, self._clusters, self._pods, self._events)

    def __enter__(self) -> "Live":
        for each in self._all:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._all:
            each.stop()
        self._dashboards.__exit__()

    def wait(self, check: Callable[[View], Found | None], deadline: float, what: str) -> Found:
        """What `check` finds in the view, at the latest at `deadline` (of `time.monotonic`).

        Raises:
            TimedOut: it found nothing in time; `what` was waited for
            ChangedMeanwhile: there is no such RayService any more
            ApiError: the API server does not let it be watched
        """
        while True:
            self._changed.clear()
            now = self.view()
            if now is not None:
                self._observer.view(now)
                found = check(now)
                if found is not None:
                    return found
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimedOut(f"timed out while waiting for {what}")
            self._changed.wait(min(TICK_S, left_s))

    def view(self) -> View | None:
        """As it is now; None until everything has been listed once."""
        for each in (self._service, self._clusters, self._pods):
            if each.error is not None:
                raise each.error
        if not all(each.is_listed for each in (self._service, self._clusters, self._pods)):
            return None
        # Events explain; without the right to read them a rollout still goes.
        if self._events.error is None and not self._events.is_listed:
            return None
        services = self._service.objects
        if not services:
            raise ChangedMeanwhile(f"the RayService {self._name} was deleted")
        found = view(services[0], self._clusters.objects, self._pods.objects, self._events.objects)
        return self._with_serve(found)

    def times(self, reason: str) -> int:
        """How often an event of this reason was recorded for the RayService."""
        service = self._name.partition("/")[2]
        return sum(
            (each.get("series") or {}).get("count") or each.get("count") or 1
            for each in self._events.objects
            if each.get("reason") == reason
            and (each.get("involvedObject") or {}).get("name") == service
        )

    def _with_serve(self, found: View) -> View:
        return replace(
            found, active=self._asked_of(found.active), pending=self._asked_of(found.pending)
        )

    def _asked_of(self, cluster: ClusterState | None) -> ClusterState | None:
        if cluster is None or cluster.head is None:
            return cluster
        asked, details = self._asked.get(cluster.name, (float("-inf"), None))
        if time.monotonic() - asked >= self._ask_every_s:
            details = self._dashboards.applications(cluster)
            self._asked[cluster.name] = (time.monotonic(), details)
        return cluster if details is None else with_applications(cluster, details)
