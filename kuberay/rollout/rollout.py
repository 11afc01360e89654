"""Rolls a RayService out, watches it, and goes back where it fails."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from kuberay.rollout.api import (
    POD,
    RAY_CLUSTER,
    RAY_SERVICE,
    SERVICE,
    Api,
    Object,
)
from kuberay.rollout.errors import (
    ApiError,
    ChangedMeanwhile,
    Conflicted,
    NotFound,
    NothingToReturnTo,
    NotSuspendable,
    Refusal,
    Refused,
    RolloutError,
    RolloutFailed,
    Unreachable,
    UnusableObjects,
)
from kuberay.rollout.forwarding import forward
from kuberay.rollout.history import History, Revision, recordable
from kuberay.rollout.holding import HOLD, has_hold, parsed, with_hold, without_hold
from kuberay.rollout.lease import Lease
from kuberay.rollout.live import ASK_EVERY_S, Live, Observer, Silent, TimedOut
from kuberay.rollout.objects import full_name, in_order, is_service, the_service
from kuberay.rollout.plan import Plan, Scale, decide, scaling_patch
from kuberay.rollout.smoke import PORT, Smoke, SmokeFailed, SmokeResult
from kuberay.rollout.state import ClusterState, Condition, View
from kuberay.rollout.troubles import Patience, explain
from kuberay.rollout.watching import BUSY, WATCH_S

Found = TypeVar("Found")

SERVE_UPDATED = "UpdatedServeApplications"
"""KubeRay's event for a Serve config that it has sent to a cluster."""

FINAL = ("InitializingTimeout", "ValidationFailed")
"""How the reasons end with which KubeRay leaves a RayService alone until it is changed."""

FOUND = "found on the cluster"
PAUSE_S = 1.0


@dataclass(frozen=True)
class ApplyOptions:
    """How a rollout is carried out; times in seconds.

    `smoke` None leaves the test out. `patience_s` is how long pods may fail and applications be
    unhealthy, `unschedulable_s` how long a pod may wait for a node. `settle_s` is how long Serve
    must stay as wished after a change in place, where only KubeRay's copy of its state is seen;
    `ask_every_s` how often Serve's dashboard is asked, `watch_s` how long a watch lasts.
    """

    message: str = ""
    timeout_s: float = 1800.0
    force_conflicts: bool = False
    wait_old: bool = False
    smoke: Smoke | None = field(default_factory=Smoke)
    patience_s: float = 120.0
    unschedulable_s: float = 600.0
    settle_s: float = 6.0
    watch_s: int = WATCH_S
    ask_every_s: float = ASK_EVERY_S


@dataclass(frozen=True)
class Outcome:
    """A rollout that succeeded: the cluster that has the traffic, and the smoke tests' results."""

    plan: Plan
    revision: int | None
    cluster: str | None
    smokes: tuple[SmokeResult, ...] = ()


class Rollout:
    """The rollouts of one RayService."""

    def __init__(
        self,
        api: Api,
        *,
        namespace: str | None = None,
        name: str = "scoring",
        observer: Observer | None = None,
    ) -> None:
        """Without `namespace`, the one of the kubeconfig's context."""
        self._api = api
        self._namespace = namespace or api.namespace
        self._name = name
        self._observer = observer or Silent()
        self._history = History(api, self._namespace, name)

    def apply(self, objects: Sequence[Object], options: ApplyOptions | None = None) -> Outcome:
        """Rolls out what a folder holds.

        An interruption (KeyboardInterrupt) leaves the new cluster held back, so that the traffic
        stays where it is; a second `apply` of the same goes on.

        Raises:
            UnusableObjects: not one RayService of this name
            Refused: a dry run was refused; nothing was changed
            InProgress: another rollout is in progress
            NotSuspendable: the service is suspended
            ChangedMeanwhile: somebody else changed the RayService; it is left as they wrote it
            RolloutFailed: it failed, and was rolled back where there was something to return to
        """
        options = options or ApplyOptions()
        placed = [self._placed(each) for each in in_order(objects)]
        service = the_service(placed)
        if service["metadata"]["name"] != self._name or (
            service["metadata"].get("namespace") != self._namespace
        ):
            raise UnusableObjects(
                f"{full_name(service)} is not the RayService {self._namespace}/{self._name}"
            )
        body = _without_hold(service)
        placed = [body if each is service else each for each in placed]
        for each in self._checked(placed, options.force_conflicts):
            self._observer.step(each)
        lease = Lease(self._api, self._namespace, self._name)
        with lease.held():
            others = [each for each in placed if not is_service(each)]
            return self._roll_out(body, others, options, lease)

    def rollback(self, revision: int | None = None, options: ApplyOptions | None = None) -> Outcome:
        """Rolls out an earlier revision: the one before, or the last good one where another is
        half rolled out.

        Raises as `apply` does, and NothingToReturnTo.
        """
        options = options or ApplyOptions()
        lease = Lease(self._api, self._namespace, self._name)
        with lease.held():
            target = self._target(revision)
            self._observer.step(f"back to revision {target.number} ({target.message or '-'})")
            # What runs may belong to somebody who changed it by hand; going back takes it.
            options = replace(
                options,
                force_conflicts=True,
                message=options.message or f"rollback to revision {target.number}",
            )
            return self._roll_out(target.body, (), options, lease)

    def status(self) -> View:
        """The view at this moment. Raises NotFound where there is no such RayService."""
        self._api.get(RAY_SERVICE, self._name, self._namespace)
        with self._live(ApplyOptions()) as live:
            return live.wait(lambda view: view, time.monotonic() + 30.0, "the service's state")

    def history(self) -> tuple[Revision, ...]:
        """Newest first."""
        return self._history.revisions()

    def suspend(self, timeout_s: float = 600.0) -> View:
        """Ends all clusters of the service: nothing answers until `resume`.

        Raises:
            NotSuspendable: it is suspended already
            TimedOut: KubeRay has not done it in time
        """
        return self._set_suspended(True, timeout_s)

    def resume(self, timeout_s: float = 1800.0) -> View:
        """Starts the service again, on a new cluster.

        Raises:
            NotSuspendable: it is not suspended
            TimedOut: the service is not ready in time
        """
        return self._set_suspended(False, timeout_s)

    def _live(self, options: ApplyOptions) -> Live:
        return Live(
            self._api,
            self._namespace,
            self._name,
            self._observer,
            watch_s=options.watch_s,
            ask_every_s=options.ask_every_s,
        )

    def _placed(self, body: Object) -> Object:
        """With the namespace that an object of a namespaced kind does not name."""
        try:
            kind = self._api.kind(body["apiVersion"], body["kind"])
        except NotFound:
            return body  # the dry run says so
        if not kind.is_namespaced or body["metadata"].get("namespace"):
            return body
        return {**body, "metadata": {**body["metadata"], "namespace": self._namespace}}

    def _checked(self, objects: Sequence[Object], force: bool) -> list[str]:
        """Dry runs of all; what is new or changed. Raises Refused with all reasons.

        What lies in a namespace that is itself still to be made cannot be tried before: then the
        namespace is made, and the rest is tried.
        """
        refusals: list[Refusal] = []
        waiting: list[Object] = []
        lines: list[str] = []
        new_namespaces: list[Object] = []
        for body in objects:
            if body["metadata"].get("namespace") in {
                each["metadata"]["name"] for each in new_namespaces
            }:
                waiting.append(body)
                continue
            try:
                kind = self._api.kind(body["apiVersion"], body["kind"])
                before = self._api.find(
                    kind, body["metadata"]["name"], body["metadata"].get("namespace")
                )
                after = self._api.apply(kind, body, dry_run=True, force=force)
            except Unreachable:
                raise
            except ApiError as error:
                refusals.append(Refusal(full_name(body), error.message, error.conflicts))
                continue
            if before is None:
                lines.append(f"new: {full_name(body)}")
                if body["kind"] == "Namespace":
                    new_namespaces.append(body)
            elif _content(before) != _content(after):
                lines.append(f"changed: {full_name(body)}")
        if refusals:
            raise Refused(refusals)
        if not waiting:
            return lines
        for body in new_namespaces:
            self._api.apply(self._api.kind(body["apiVersion"], body["kind"]), body)
        return lines + self._checked(waiting, force)

    def _roll_out(
        self, body: Object, others: Sequence[Object], options: ApplyOptions, lease: Lease
    ) -> Outcome:
        api = self._api
        before = api.find(RAY_SERVICE, self._name, self._namespace)
        if before is not None and before["spec"].get("suspend"):
            raise NotSuspendable(
                f"{self._namespace}/{self._name} is suspended: `scoring rollout resume` first"
            )
        after = api.apply(RAY_SERVICE, body, dry_run=True, force=options.force_conflicts)
        plan = decide(before, after, self._active_cluster(before))
        self._observer.step(plan.summary)
        for each in others:
            kind = api.kind(each["apiVersion"], each["kind"])
            api.apply(kind, each, force=options.force_conflicts)
        if before is not None:
            self._adopt(before)
        if plan.is_nothing:
            api.apply(RAY_SERVICE, body, force=options.force_conflicts)
            return Outcome(plan, None, _active_name(before))
        return _Run(self, before, body, plan, options, lease).carry_out()

    def _active_cluster(self, service: Object | None) -> Object | None:
        name = _active_name(service)
        return self._api.find(RAY_CLUSTER, name, self._namespace) if name else None

    def _adopt(self, live: Object) -> None:
        """Records what somebody rolled out by other means, so that it can be returned to."""
        status = live.get("status") or {}
        is_settled = not (status.get("pendingServiceStatus") or {}).get("rayClusterName")
        ready = any(
            each["type"] == "Ready" and each["status"] == "True"
            for each in status.get("conditions") or ()
        )
        if not (is_settled and ready) or has_hold(live["spec"].get("serveConfigV2", "")):
            return
        # What a rollout of ours brought here is in the history, good or not.
        known = (_covers(live["spec"], each.spec) for each in self._history.revisions())
        if not any(known):
            self._history.record(live, recordable(live), FOUND, "active")

    def _target(self, number: int | None) -> Revision:
        live = self._api.get(RAY_SERVICE, self._name, self._namespace)
        if number is not None:
            return self._history.revision(number)
        good = self._history.last_good()
        if good is not None and _covers(live["spec"], good.spec):
            good = self._history.last_good(but=[good.number])
        if good is None:
            raise NothingToReturnTo("the history has no earlier revision that was active")
        return good

    def _set_suspended(self, wanted: bool, timeout_s: float) -> View:
        with Lease(self._api, self._namespace, self._name).held():
            live = self._api.get(RAY_SERVICE, self._name, self._namespace)
            if bool(live["spec"].get("suspend")) == wanted:
                state = "suspended already" if wanted else "not suspended"
                raise NotSuspendable(f"{self._namespace}/{self._name} is {state}")
            names = _application_names(live)
            patch = [{"op": "add", "path": "/spec/suspend", "value": wanted}]
            self._api.patch(RAY_SERVICE, self._name, self._namespace, patch)
            what = "the end of all clusters" if wanted else "a cluster that answers"
            self._observer.step(what)

            def done(view: View) -> View | None:
                suspended = view.condition("Suspended")
                if wanted:
                    return view if suspended is not None and suspended.is_true else None
                return view if _settled_on(view, names) is not None else None

            with self._live(ApplyOptions()) as watching:
                return watching.wait(done, time.monotonic() + timeout_s, what)


class _Failure(Exception):
    """Why the rollout is given up."""


class _InPlace(Exception):
    """KubeRay sees no new cluster in the change: the hold has come to the active one."""


class _Run:
    """One rollout that is carried out."""

    def __init__(
        self,
        rollout: Rollout,
        before: Object | None,
        body: Object,
        plan: Plan,
        options: ApplyOptions,
        lease: Lease,
    ) -> None:
        self._api = rollout._api
        self._namespace = rollout._namespace
        self._name = rollout._name
        self._observer = rollout._observer
        self._history = rollout._history
        self._live = rollout._live(options)
        self._before = before
        self._body = body
        self._plan = plan
        self._options = options
        self._lease = lease
        self._names = _application_names(body)
        self._deadline = time.monotonic() + options.timeout_s
        self._patience = Patience(options.patience_s, options.unschedulable_s)
        self._generation = 0
        self._smokes: list[SmokeResult] = []
        self._concerned: str | None = None
        self._sent_before = 0
        self._ready_before: Condition | None = None
        self._sent_at = time.monotonic()
        self._revision: Revision | None = None

    def carry_out(self) -> Outcome:
        """To its end, or back."""
        if self._before is None:
            applied = self._api.apply(RAY_SERVICE, self._body, force=self._options.force_conflicts)
            self._generation = applied["metadata"]["generation"]
            with self._live:
                return self._watched(applied)
        with self._live:
            # The events before the change tell afterwards which are new.
            view = self._live.wait(lambda view: view, self._deadline, "the service's state")
            self._ready_before = view.condition("Ready")
            self._sent_before = self._live.times(SERVE_UPDATED)
            return self._watched(self._send(self._first_body()))

    def _first_body(self) -> Object:
        plan = self._plan
        assert self._before is not None
        holds = plan.new_cluster and not plan.returns
        if plan.continues:
            # What was released goes on without a hold.
            holds = has_hold(self._before["spec"]["serveConfigV2"])
        return _with_hold(self._body) if holds else self._body

    def _watched(self, applied: Object) -> Outcome:
        try:
            self._revision = self._recorded(applied)
            self._scale(self._plan.scale)
            cluster = self._settled()
        except (_Failure, TimedOut, SmokeFailed) as error:
            raise self._returned(str(error)) from error
        except ChangedMeanwhile:
            self._note("failed")
            raise
        except ApiError as error:
            raise self._returned(f"the API server: {error}") from error
        except KeyboardInterrupt:
            self._observer.step(self._interrupted())
            raise
        self._note("active")
        return Outcome(self._plan, self._revision.number, cluster, smokes=tuple(self._smokes))

    def _recorded(self, applied: Object) -> Revision:
        if self._plan.continues:
            for each in self._history.revisions()[:1]:
                if each.outcome == "in progress" and each.body == self._body:
                    return each
        return self._history.record(applied, self._body, self._options.message, "in progress")

    # Forward

    def _settled(self) -> str:
        plan = self._plan
        if plan.new_cluster:
            try:
                cluster = self._new_cluster()
            except _InPlace:
                self._observer.step("KubeRay takes the change in place; the hold goes")
                self._send(self._body)
                cluster = self._in_place()
        elif plan.is_first:
            cluster = self._wait(lambda view: _settled_on(view, self._names), "the first cluster")
        elif plan.serve_config:
            cluster = self._in_place()
        else:
            cluster = self._wait(lambda view: _settled_on(view, self._names), "the service")
        self._smoke("the service", self._service_pod)
        if self._options.wait_old and plan.new_cluster:
            self._wait(lambda view: True if not view.old else None, "the end of the old cluster")
        return cluster

    def _new_cluster(self) -> str:
        assert self._before is not None
        old = _active_name(self._before)
        holds = has_hold(self._first_body()["spec"]["serveConfigV2"])
        if holds:

            def running(view: View) -> str | None:
                if view.active is not None and view.active.is_held:
                    raise _InPlace
                pending = view.pending
                if pending is None:
                    return None
                return pending.name if pending.are_running(self._names) else None

            pending = self._wait(running, "the applications on the new cluster")
            # Waits for it also without a smoke test: the traffic would move to nobody.
            worker = self._pod_of(pending)
            self._smoke(f"the new cluster {pending}", lambda: worker)
            self._observer.step(f"the traffic may move to {pending}")
            self._send(self._body)

        def switched(view: View) -> str | None:
            name = _settled_on(view, self._names)
            # Back to what the active cluster has may be that cluster, or a new one of the same.
            return None if name == old and not self._plan.returns else name

        return self._wait(switched, "the traffic to move")

    def _in_place(self) -> str:
        """Serve has the config, and all of it runs."""
        wanted = {each["name"]: each for each in parsed(self._config())["applications"]}
        since: float | None = None

        def done(view: View) -> str | None:
            nonlocal since
            active = view.active
            if active is None:
                return None
            configs = {each.name: each.config for each in active.applications}
            if not all(_is_deployed(configs.get(name), wanted[name]) for name in wanted):
                if self._live.times(SERVE_UPDATED) <= self._sent_before:
                    return None
                # KubeRay has sent it; its copy of Serve's state may be from before.
                since = since or time.monotonic()
                if time.monotonic() - since < self._options.settle_s:
                    return None
            self._give_up_on(active)
            return _settled_on(view, self._names)

        return self._wait(done, "Serve to take the config", patient=False)

    def _scale(self, scale: Sequence[Scale]) -> None:
        """On the active cluster: what KubeRay leaves out of its hash, it does not carry there."""
        if not scale or self._plan.new_cluster:
            return
        name = _active_name(self._before)
        assert name is not None
        patch = scaling_patch(self._api.get(RAY_CLUSTER, name, self._namespace), scale)
        if patch:
            self._observer.step(f"scales {name}: {', '.join(map(str, scale))}")
            self._insist(lambda: self._api.patch(RAY_CLUSTER, name, self._namespace, patch))

    def _wait(
        self, check: Callable[[View], Found | None], what: str, *, patient: bool = True
    ) -> Found:
        self._observer.step(f"waits for {what}")

        def checked(view: View) -> Found | None:
            if self._lease.is_lost:
                raise ChangedMeanwhile("another rollout has taken over the lease")
            if view.generation > self._generation:
                raise ChangedMeanwhile(
                    f"somebody else changed {self._namespace}/{self._name} (generation "
                    f"{view.generation}, ours is {self._generation}); it stays as they wrote it"
                )
            if view.generation < self._generation:
                return None  # the watch has not yet brought what was sent
            self._give_up_for(view.condition("Ready"))
            newest = view.pending or view.active
            self._concerned = newest.name if newest is not None else self._concerned
            if patient and newest is not None:
                self._give_up_on(newest)
            return check(view)

        return self._live.wait(checked, self._deadline, what)

    def _give_up_for(self, ready: Condition | None) -> None:
        if ready is None or not ready.reason.endswith(FINAL):
            return
        # One from before stays until KubeRay has looked at what was sent.
        waited_s = time.monotonic() - self._sent_at
        if ready != self._ready_before or waited_s > self._options.patience_s:
            raise _Failure(f"KubeRay gives up: {ready.reason}: {ready.message}")

    def _give_up_on(self, cluster: ClusterState) -> None:
        if why := self._patience.exhausted(cluster):
            raise _Failure(why)

    def _smoke(self, where: str, pod: Callable[[], str | None]) -> None:
        smoke = self._options.smoke
        if smoke is None:
            return
        self._observer.step(f"asks {where}")
        name = pod()
        if name is None:
            raise SmokeFailed(f"{where} has no ready pod to ask")
        with forward(self._api, self._namespace, name, PORT) as url:
            try:
                result = smoke.run(url)
            except SmokeFailed as error:
                raise SmokeFailed(f"{where} (pod {name}) fails the smoke test: {error}") from error
        self._smokes.append(result)
        for step in result.steps:
            self._observer.step(f"  {step}")

    def _pod_of(self, cluster: str) -> str:
        def ready(view: View) -> str | None:
            for each in view.clusters:
                if each.name == cluster:
                    return each.ready_worker
            return None

        return self._wait(ready, f"a ready pod of {cluster}")

    def _service_pod(self) -> str | None:
        """A ready pod that the Service for the traffic chooses."""
        service = self._api.find(SERVICE, f"{self._name}-serve-svc", self._namespace)
        if service is None:
            return None
        selector = service["spec"].get("selector") or {}
        labels = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
        pods, _ = self._api.list_all(POD, self._namespace, labels=labels)
        for pod in sorted(pods, key=lambda each: str(each["metadata"]["name"])):
            for each in (pod.get("status") or {}).get("conditions") or ():
                if each["type"] == "Ready" and each["status"] == "True":
                    return str(pod["metadata"]["name"])
        return None

    def _config(self) -> str:
        config: str = self._body["spec"]["serveConfigV2"]
        return config

    def _send(self, body: Object) -> Object:
        """Applies the RayService."""
        # A field that another manager has taken since the first time is a conflict.
        force = self._options.force_conflicts and self._generation == 0
        try:
            applied = self._insist(lambda: self._api.apply(RAY_SERVICE, body, force=force))
        except Conflicted as error:
            if self._generation == 0:
                raise
            raise ChangedMeanwhile(f"somebody else changed it meanwhile: {error}") from error
        self._generation = applied["metadata"]["generation"]
        self._sent_at = time.monotonic()
        return applied

    def _insist(self, request: Callable[[], Found]) -> Found:
        """Repeats a request that the server was too busy for, until the deadline."""
        while True:
            try:
                return request()
            except ApiError as error:
                passing = isinstance(error, Unreachable) or error.status in BUSY
                if not passing or time.monotonic() + PAUSE_S > self._deadline:
                    raise
            time.sleep(PAUSE_S)

    # Back

    def _returned(self, why: str) -> RolloutFailed:
        """Goes back to the last good revision; what the rollout ends with."""
        view = self._seen()
        explanation: list[str] = []
        if view is not None:
            chosen = [each for each in view.clusters if each.name == self._concerned]
            explanation = explain(view, chosen or view.clusters)
        self._observer.step(f"failed: {why}")
        number = [self._revision.number] if self._revision is not None else []
        target = self._history.last_good(but=number) if self._before is not None else None
        if target is None:
            self._note("failed")
            explanation.append("there is nothing to go back to: it is left as it is")
            name = view.active.name if view is not None and view.active is not None else None
            return RolloutFailed(why, explanation, rolled_back=False, cluster=name)
        self._observer.step(f"rolls back to revision {target.number}")
        try:
            cluster = self._back_at(target)
        except (TimedOut, ApiError, ChangedMeanwhile, _Failure) as error:
            self._note("failed")
            explanation.append(f"rolling back to revision {target.number} is not complete: {error}")
            explanation.append(self._traffic())
            return RolloutFailed(
                why, explanation, rolled_back=False, cluster=_active_name(self._before)
            )
        self._note("rolled back")
        explanation.append(f"rolled back to revision {target.number}; the traffic is on {cluster}")
        return RolloutFailed(why, explanation, rolled_back=True, cluster=cluster)

    def _back_at(self, target: Revision) -> str:
        self._deadline = time.monotonic() + self._options.timeout_s
        self._patience = Patience(self._options.patience_s, self._options.unschedulable_s)
        self._sent_before = self._live.times(SERVE_UPDATED)
        body = _without_hold(target.body)
        applied = self._insist(lambda: self._api.apply(RAY_SERVICE, body, force=True))
        self._generation = applied["metadata"]["generation"]
        self._scale(
            [replace(each, before=each.after, after=each.before) for each in self._plan.scale]
        )
        names = _application_names(body)
        if self._plan.new_cluster or not self._plan.serve_config:
            return self._wait(lambda view: _settled_on(view, names), "the state before")
        self._body, self._names = body, names
        return self._in_place()

    def _seen(self) -> View | None:
        """The view, where the cluster shows one."""
        try:
            return self._live.view()
        except RolloutError:
            return None

    def _traffic(self) -> str:
        view = self._seen()
        if view is None or view.active is None:
            return "no cluster has the traffic"
        return f"the traffic is on {view.active.name}"

    def _interrupted(self) -> str:
        """What an interruption leaves behind."""
        view = self._seen()
        if view is None:
            return "interrupted"
        lines = [f"interrupted; {self._traffic()}"]
        if view.pending is not None and view.holding:
            lines.append(f"{view.pending.name} is held back, and takes no traffic")
        elif view.pending is not None:
            lines.append(f"{view.pending.name} takes the traffic as soon as it is ready")
        lines.append("`scoring rollout apply` of the same goes on; `rollback` goes back")
        return "; ".join(lines)

    def _note(self, outcome: Any) -> None:
        if self._revision is not None:
            revision = self._revision
            try:
                self._history.note(revision, outcome)
            except ApiError as error:
                self._observer.step(f"the history could not be written: {error}")


def _settled_on(view: View, names: Sequence[str]) -> str | None:
    """The one cluster, where it has the traffic and runs all of these applications and no hold."""
    active = view.active
    if active is None or view.pending is not None or not view.is_ready:
        return None
    return active.name if active.are_running(names) and not active.is_held else None


def _active_name(service: Object | None) -> str | None:
    status = (service or {}).get("status") or {}
    name: str | None = (status.get("activeServiceStatus") or {}).get("rayClusterName")
    return name or None


def _application_names(service: Object) -> list[str]:
    config = parsed(service["spec"]["serveConfigV2"])
    return [each["name"] for each in config["applications"] if each["name"] != HOLD]


def _with_config(service: Object, config: str) -> Object:
    return {**service, "spec": {**service["spec"], "serveConfigV2": config}}


def _with_hold(service: Object) -> Object:
    return _with_config(service, with_hold(service["spec"]["serveConfigV2"]))


def _without_hold(service: Object) -> Object:
    try:
        config = service["spec"]["serveConfigV2"]
    except (KeyError, TypeError):
        raise UnusableObjects(f"{full_name(service)} has no spec.serveConfigV2") from None
    return _with_config(service, without_hold(config))


def _covers(found: Any, wanted: Any) -> bool:
    """Whether everything that is wanted is found; defaults of the server may stand beside it."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            _covers(found.get(key), value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(map(_covers, found, wanted))
        )
    return bool(found == wanted)


def _is_deployed(found: Mapping[str, Any] | None, wanted: Object) -> bool:
    """Whether Serve's copy of an application's config is the one that was sent."""
    if found is None:
        return False
    keys = {*wanted, "args", "deployments", "runtime_env"}
    return all((found.get(key) or None) == (wanted.get(key) or None) for key in keys)


def _content(body: Object) -> Object:
    """What a change is seen in."""
    metadata = body["metadata"]
    kept = {key: metadata.get(key) for key in ("labels", "annotations")}
    rest = {key: value for key, value in body.items() if key not in ("metadata", "status")}
    return {**rest, "metadata": kept}
