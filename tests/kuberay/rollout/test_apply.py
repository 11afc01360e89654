"""Whole rollouts, against an API server and an operator that keep their rules."""

from dataclasses import replace
from itertools import pairwise

import pytest

from kuberay.rollout import (
    Api,
    ApplyOptions,
    NotSuspendable,
    Refused,
    Rollout,
    RolloutFailed,
    Smoke,
    UnusableObjects,
    View,
)
from kuberay.rollout.errors import ChangedMeanwhile
from kuberay.rollout.live import Observer
from tests.kuberay.rollout.api_server import ApiServer
from tests.kuberay.rollout.conftest import OPTIONS, Recorder
from tests.kuberay.rollout.field_managers import Json
from tests.kuberay.rollout.kuberay_operator import Operator
from tests.kuberay.rollout.manifests import config_map, ray_service

FIRST, SECOND = "scoring-00001", "scoring-00002"


def live(server: ApiServer) -> Json:
    """The RayService as the server has it."""
    return server.store.get("rayservices", "scoring", "scoring")


def is_held(server: ApiServer) -> bool:
    """Whether the hold is in its Serve config."""
    return "hold" in live(server)["spec"]["serveConfigV2"]


def outcomes(rollout: Rollout) -> list[tuple[int, str]]:
    """Of all revisions, newest first."""
    return [(each.number, each.outcome) for each in rollout.history()]


def test_the_first_rollout_starts_a_cluster_and_asks_it(
    rollout: Rollout, server: ApiServer, recorder: Recorder
) -> None:
    outcome = rollout.apply([ray_service(), config_map()], OPTIONS)
    assert outcome.plan.is_first
    assert (outcome.cluster, outcome.revision) == (FIRST, 1)
    assert [step.name for step in outcome.smokes[0].steps] == ["/readyz", "question", "picture"]
    assert server.store.get("configmaps", "scoring", "beside")["data"] == {"value": "1"}
    (revision,) = rollout.history()
    assert (revision.outcome, revision.message) == ("active", "a test")
    assert "@" in revision.who
    assert not any(view.holding for view in recorder.views)


def test_a_new_image_is_held_asked_and_then_gets_the_traffic(
    rollout: Rollout, server: ApiServer, operator: Operator, recorder: Recorder
) -> None:
    rollout.apply([ray_service()], OPTIONS)
    recorder.views.clear()
    outcome = rollout.apply([ray_service("scoring:2")], OPTIONS)
    assert outcome.plan.new_cluster
    assert outcome.cluster == SECOND
    assert len(outcome.smokes) == 2
    assert operator.promoted == [FIRST, SECOND]
    assert not is_held(server)
    held = [view for view in recorder.views if view.holding]
    assert held
    for view in held:
        assert view.active is not None
        assert (view.active.name, view.active.is_held) == (FIRST, False)
    # The first answer came while the first cluster still had the traffic.
    assert recorder.steps.index(f"asks the new cluster {SECOND}") < recorder.steps.index(
        f"the traffic may move to {SECOND}"
    )
    assert outcomes(rollout) == [(2, "active"), (1, "active")]


def test_replicas_of_each_deployment_come_from_serve_itself(
    rollout: Rollout, recorder: Recorder
) -> None:
    rollout.apply([ray_service()], OPTIONS)
    active = recorder.views[-1].active
    assert active is not None
    (application,) = active.applications
    (router,) = application.deployments
    assert (router.name, router.running, router.target) == ("Router", 2, 2)


def test_without_the_dashboard_kuberays_status_does(
    rollout: Rollout, operator: Operator, recorder: Recorder
) -> None:
    operator.has_dashboard = False
    rollout.apply([ray_service()], OPTIONS)
    rollout.apply([ray_service(args={"faq.top": 2})], OPTIONS)
    outcome = rollout.apply([ray_service("scoring:2")], OPTIONS)
    assert outcome.cluster == SECOND
    active = recorder.views[-1].active
    assert active is not None
    assert [each.running for each in active.applications[0].deployments] == [None]


def test_a_changed_serve_config_is_sent_in_place(
    rollout: Rollout, operator: Operator, recorder: Recorder
) -> None:
    rollout.apply([ray_service()], OPTIONS)
    outcome = rollout.apply([ray_service(args={"faq.top": 2})], OPTIONS)
    assert (outcome.plan.serve_config, outcome.plan.new_cluster) == (True, False)
    assert outcome.cluster == FIRST
    assert operator.clusters[FIRST].stub.applications["scoring"]["deployed_app_config"]["args"] == {
        "faq.top": 2
    }
    assert not any(view.holding for view in recorder.views)


def test_what_is_the_same_changes_nothing(rollout: Rollout, server: ApiServer) -> None:
    rollout.apply([ray_service(), config_map()], OPTIONS)
    before = live(server)["metadata"]["generation"]
    outcome = rollout.apply([ray_service(), config_map()], OPTIONS)
    assert outcome.plan.is_nothing
    assert live(server)["metadata"]["generation"] == before
    assert len(rollout.history()) == 1


def test_only_what_is_beside_the_service_may_change(
    rollout: Rollout, server: ApiServer, recorder: Recorder
) -> None:
    rollout.apply([ray_service(), config_map()], OPTIONS)
    outcome = rollout.apply([ray_service(), config_map("2")], OPTIONS)
    assert outcome.plan.is_nothing
    assert recorder.said("changed: ConfigMap scoring/beside")
    assert server.store.get("configmaps", "scoring", "beside")["data"] == {"value": "2"}


def test_bounds_of_a_group_are_set_on_the_cluster_that_runs(
    rollout: Rollout, server: ApiServer, operator: Operator
) -> None:
    rollout.apply([ray_service(workers=1)], OPTIONS)
    outcome = rollout.apply([ray_service(workers=2, most=8)], OPTIONS)
    assert not outcome.plan.new_cluster
    assert operator.promoted == [FIRST]
    (group,) = server.store.get("rayclusters", "scoring", FIRST)["spec"]["workerGroupSpecs"]
    assert (group["minReplicas"], group["maxReplicas"]) == (2, 8)


def test_a_group_behind_the_others_is_added_in_place(rollout: Rollout, operator: Operator) -> None:
    rollout.apply([ray_service()], OPTIONS)
    outcome = rollout.apply([ray_service(groups=("cpu", "gpu"))], OPTIONS)
    assert outcome.plan.added_groups == ("gpu",)
    assert operator.promoted == [FIRST]


def test_an_upgrade_that_is_switched_off_is_said(rollout: Rollout, operator: Operator) -> None:
    none: Json = {"upgradeStrategy": {"type": "None"}}
    rollout.apply([ray_service(**none)], OPTIONS)
    outcome = rollout.apply([ray_service("scoring:2", **none)], OPTIONS)
    assert outcome.plan.ignored
    assert "waits for the next one" in outcome.plan.summary
    assert operator.promoted == [FIRST]


def test_traffic_that_moves_gradually_is_seen(rollout: Rollout, recorder: Recorder) -> None:
    gradual: Json = {
        "upgradeStrategy": {
            "type": "NewClusterWithIncrementalUpgrade",
            "clusterUpgradeOptions": {
                "gatewayClassName": "g",
                "intervalSeconds": 1,
                "stepSizePercent": 20,
            },
        }
    }
    rollout.apply([ray_service(**gradual)], OPTIONS)
    rollout.apply([ray_service("scoring:2", **gradual)], OPTIONS)
    shares = [
        view.pending.traffic_percent
        for view in recorder.views
        if view.pending is not None and view.pending.traffic_percent
    ]
    assert len(shares) > 1
    assert all(one <= other for one, other in pairwise(shares))


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("pull", "an image cannot be pulled"),
        ("crash", "a container does not stay up"),
        ("memory", "more memory than its limit"),
        ("unschedulable", "no node takes a pod"),
    ],
)
@pytest.mark.parametrize("returns", [False, True])
def test_pods_that_do_not_start_end_in_a_rollback(
    rollout: Rollout,
    server: ApiServer,
    operator: Operator,
    recorder: Recorder,
    tag: str,
    why: str,
    returns: bool,
) -> None:
    operator.returns_to_active = returns
    rollout.apply([ray_service()], OPTIONS)
    recorder.views.clear()
    with pytest.raises(RolloutFailed, match=why) as caught:
        rollout.apply([ray_service(f"broken:{tag}")], OPTIONS)
    failed = caught.value
    assert failed.rolled_back
    assert failed.cluster == (FIRST if returns else "scoring-00003")
    assert any("pod scoring-00002-" in line for line in failed.explanation)
    assert not is_held(server)
    # A cluster without the new image had the traffic all the time.
    assert SECOND not in operator.promoted
    assert outcomes(rollout) == [(2, "rolled back"), (1, "active")]
    assert rollout.status().is_ready


def test_the_events_that_matter_are_told_once_each(rollout: Rollout) -> None:
    rollout.apply([ray_service()], OPTIONS)
    with pytest.raises(RolloutFailed) as caught:
        rollout.apply([ray_service("broken:pull")], OPTIONS)
    events = [line for line in caught.value.explanation if line.startswith("event: ")]
    assert events
    assert len(events) == len(set(events))
    assert all("ImagePullBackOff" in line for line in events)


def test_a_cluster_that_never_gets_ready_is_given_up_at_the_deadline(
    rollout: Rollout, server: ApiServer
) -> None:
    rollout.apply([ray_service()], OPTIONS)
    with pytest.raises(RolloutFailed, match="timed out while waiting for the applications"):
        rollout.apply([ray_service("broken:never")], replace(OPTIONS, timeout_s=1.5))
    assert not is_held(server)


def test_what_serve_says_of_a_failed_application_is_told(
    rollout: Rollout, operator: Operator
) -> None:
    rollout.apply([ray_service()], OPTIONS)
    new = ray_service("scoring:2", args={"fault": "DEPLOY_FAILED"})
    with pytest.raises(RolloutFailed, match="could not be deployed") as caught:
        rollout.apply([new], OPTIONS)
    assert any("faq.corpus names no file" in line for line in caught.value.explanation)
    assert SECOND not in operator.promoted


@pytest.mark.parametrize("fault", ["DEPLOY_FAILED", "UNHEALTHY"])
@pytest.mark.parametrize("has_dashboard", [True, False])
def test_a_serve_config_that_fails_in_place_is_taken_back(
    rollout: Rollout, server: ApiServer, operator: Operator, fault: str, has_dashboard: bool
) -> None:
    operator.has_dashboard = has_dashboard
    rollout.apply([ray_service()], OPTIONS)
    with pytest.raises(RolloutFailed) as caught:
        rollout.apply([ray_service(args={"fault": fault})], OPTIONS)
    assert caught.value.rolled_back
    assert caught.value.cluster == FIRST
    assert fault not in live(server)["spec"]["serveConfigV2"]
    assert operator.clusters[FIRST].statuses == {"scoring": "RUNNING"}


def test_a_cluster_that_fails_the_smoke_test_never_has_the_traffic(
    rollout: Rollout, server: ApiServer, operator: Operator
) -> None:
    operator.stub_settings["scoring:2"] = {"answers": False}
    rollout.apply([ray_service()], OPTIONS)
    with pytest.raises(RolloutFailed, match="fails the smoke test") as caught:
        rollout.apply([ray_service("scoring:2")], OPTIONS)
    assert caught.value.rolled_back
    assert SECOND not in operator.promoted
    assert not is_held(server)


def test_a_wrong_model_version_fails_the_smoke_test_at_once(
    rollout: Rollout, operator: Operator
) -> None:
    operator.stub_settings["scoring:2"] = {"faq_version": "2"}
    rollout.apply([ray_service()], OPTIONS)
    options = replace(OPTIONS, smoke=Smoke(timeout_s=60.0, expected={"faq": "3"}))
    with pytest.raises(RolloutFailed, match="the faq model has version 2, not 3"):
        rollout.apply([ray_service("scoring:2")], options)


def test_the_smoke_test_uses_the_key(rollout: Rollout, operator: Operator) -> None:
    operator.stub_settings["scoring:1"] = {"key": "sk-right"}
    with pytest.raises(RolloutFailed, match="unauthorized") as caught:
        rollout.apply([ray_service()], OPTIONS)
    assert not caught.value.rolled_back
    assert "nothing to go back to" in caught.value.explanation[-1]
    smoke = Smoke(timeout_s=0.5, key="sk-right")
    assert rollout.apply([ray_service(args={"a": 1})], replace(OPTIONS, smoke=smoke)).smokes


@pytest.mark.parametrize("state", ["scaled_to_zero", "unavailable", None])
def test_only_a_classifier_that_runs_is_asked(
    rollout: Rollout, operator: Operator, state: str | None
) -> None:
    operator.stub_settings["scoring:1"] = {"image_state": state}
    outcome = rollout.apply([ray_service()], OPTIONS)
    assert [step.name for step in outcome.smokes[0].steps] == ["/readyz", "question"]


def test_a_first_rollout_that_fails_is_left_and_said(rollout: Rollout, server: ApiServer) -> None:
    with pytest.raises(RolloutFailed, match="an image cannot be pulled") as caught:
        rollout.apply([ray_service("broken:pull")], OPTIONS)
    assert not caught.value.rolled_back
    assert not is_held(server)
    assert outcomes(rollout) == [(1, "failed")]


def test_what_the_schema_refuses_changes_nothing(
    rollout: Rollout, server: ApiServer, recorder: Recorder
) -> None:
    server.store.validate = lambda body: (
        ["spec.replicaz: unknown field"] if "replicaz" in body["spec"] else []
    )
    rollout.apply([ray_service()], OPTIONS)
    version = server.store.version
    with pytest.raises(Refused, match=r"spec\.replicaz") as caught:
        rollout.apply([ray_service(replicaz=1), config_map("7")], OPTIONS)
    assert len(caught.value.refusals) == 1
    assert server.store.find("configmaps", "scoring", "beside") is None
    assert server.store.version == version


def test_all_refusals_are_told_together(rollout: Rollout) -> None:
    unknown = {**config_map(), "kind": "ConfigMup"}
    elsewhere = {**config_map(), "metadata": {"name": "x", "namespace": "nowhere"}}
    with pytest.raises(Refused) as caught:
        rollout.apply([ray_service(), unknown, elsewhere], OPTIONS)
    assert "ConfigMup" in str(caught.value)
    assert 'namespaces "nowhere" not found' in str(caught.value)


def test_fields_of_others_are_not_taken_unless_forced(rollout: Rollout, server: ApiServer) -> None:
    service = ray_service()
    server.store.apply("rayservices", "scoring", "scoring", service, "kubectl")
    with pytest.raises(Refused, match="serveConfigV2 belongs to 'kubectl'"):
        rollout.apply([ray_service(args={"a": 1})], OPTIONS)
    assert live(server)["spec"] == service["spec"]
    options = replace(OPTIONS, force_conflicts=True)
    rollout.apply([ray_service(args={"a": 1})], options)
    assert "a: 1" in live(server)["spec"]["serveConfigV2"]


def test_what_others_rolled_out_can_be_returned_to(
    rollout: Rollout, server: ApiServer, operator: Operator
) -> None:
    server.store.apply("rayservices", "scoring", "scoring", ray_service(), "kubectl")
    rollout_wait_ready(rollout)
    options = replace(OPTIONS, force_conflicts=True)
    with pytest.raises(RolloutFailed) as caught:
        rollout.apply([ray_service("broken:pull")], options)
    assert caught.value.rolled_back
    assert [each.message for each in rollout.history()] == ["a test", "found on the cluster"]


def rollout_wait_ready(rollout: Rollout) -> None:
    """Until KubeRay has made of the service what it should be."""
    with rollout._live(OPTIONS) as watching:
        import time

        watching.wait(lambda view: view.is_ready or None, time.monotonic() + 10, "ready")


def test_a_new_namespace_is_made_before_what_lies_in_it(
    api: Api, server: ApiServer, recorder: Recorder
) -> None:
    rollout = Rollout(api, namespace="other", observer=recorder)
    service = ray_service()
    service["metadata"]["namespace"] = "other"
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}
    with pytest.raises(RolloutFailed, match="timed out"):
        rollout.apply([service, namespace], replace(OPTIONS, timeout_s=0.3))
    assert server.store.find("rayservices", "other", "scoring") is not None


@pytest.mark.parametrize("objects", [[], [config_map()], [ray_service(), ray_service("b:1")]])
def test_not_one_service_is_refused(rollout: Rollout, objects: list[Json]) -> None:
    with pytest.raises(UnusableObjects, match="a rollout is of one RayService"):
        rollout.apply(objects, OPTIONS)


def test_another_service_is_refused(rollout: Rollout) -> None:
    other = ray_service()
    other["metadata"]["name"] = "other"
    with pytest.raises(UnusableObjects, match="is not the RayService scoring/scoring"):
        rollout.apply([other], OPTIONS)


def test_a_hold_that_was_left_behind_is_taken_away(
    rollout: Rollout, server: ApiServer, operator: Operator
) -> None:
    rollout.apply([ray_service()], OPTIONS)
    body = live(server)
    config = body["spec"]["serveConfigV2"]
    body["spec"]["serveConfigV2"] = config + "- name: hold\n  import_path: serve_app.hold:app\n"
    server.store.replace("rayservices", "scoring", "scoring", body, "scoring-rollout")
    wait_until(rollout, lambda view: view.active is not None and view.active.is_held)
    assert "is on the active cluster" in rollout.status().warnings()[0]
    rollout.apply([ray_service()], replace(OPTIONS, force_conflicts=True))
    assert not is_held(server)
    assert rollout.status().warnings() == ()


def wait_until(rollout: Rollout, check: object) -> None:
    """Until the view is as wished."""
    import time

    assert callable(check)
    with rollout._live(OPTIONS) as watching:
        watching.wait(lambda view: check(view) or None, time.monotonic() + 10, "the state")


def test_a_change_that_kuberay_takes_in_place_loses_its_hold(
    rollout: Rollout, server: ApiServer, operator: Operator, recorder: Recorder
) -> None:
    rollout.apply([ray_service()], OPTIONS)
    operator.sees_new_clusters = False
    outcome = rollout.apply([ray_service("scoring:2")], OPTIONS)
    assert outcome.cluster == FIRST
    assert recorder.said("the hold goes")
    assert not is_held(server)


class Interrupter(Recorder):
    """Presses Ctrl-C when a step has certain words."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self.part = part

    def step(self, text: str) -> None:
        """Remembers the step, or ends everything."""
        super().step(text)
        if self.part and self.part in text:
            self.part = ""
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "moment", ["waits for the applications on the new", "asks the new", "may move"]
)
def test_an_interrupted_rollout_holds_and_a_second_one_goes_on(
    api: Api, server: ApiServer, operator: Operator, moment: str
) -> None:
    Rollout(api).apply([ray_service()], OPTIONS)
    interrupter = Interrupter(moment)
    new = ray_service("scoring:2")
    with pytest.raises(KeyboardInterrupt):
        Rollout(api, observer=interrupter).apply([new], OPTIONS)
    assert interrupter.said("interrupted; the traffic is on scoring-00001")
    assert is_held(server)
    wait_until(Rollout(api), lambda view: view.pending is not None and view.pending.is_held)
    assert "is held back" in Rollout(api).status().warnings()[0]
    assert operator.promoted == [FIRST]
    outcome = Rollout(api).apply([new], OPTIONS)
    assert outcome.plan.continues
    assert (outcome.cluster, outcome.revision) == (SECOND, 2)
    assert operator.promoted == [FIRST, SECOND]
    assert not is_held(server)
    assert outcomes(Rollout(api)) == [(2, "active"), (1, "active")]


@pytest.mark.parametrize("returns", [False, True])
def test_an_interrupted_rollout_can_be_rolled_back(
    api: Api, server: ApiServer, operator: Operator, returns: bool
) -> None:
    operator.returns_to_active = returns
    Rollout(api).apply([ray_service()], OPTIONS)
    observer: Observer = Interrupter("asks the new")
    with pytest.raises(KeyboardInterrupt):
        Rollout(api, observer=observer).apply([ray_service("scoring:2")], OPTIONS)
    outcome = Rollout(api).rollback(options=OPTIONS)
    assert outcome.plan.returns
    assert outcome.cluster == (FIRST if returns else "scoring-00003")
    assert SECOND not in operator.promoted
    assert not is_held(server)


def test_a_change_by_somebody_else_ends_the_rollout_and_stays(
    api: Api, server: ApiServer, operator: Operator
) -> None:
    Rollout(api).apply([ray_service()], OPTIONS)

    class Meddler(Recorder):
        def step(self, text: str) -> None:
            super().step(text)
            if "asks the new" in text:
                body = live(server)
                body["spec"]["serveConfigV2"] = ray_service(args={"b": 2})["spec"]["serveConfigV2"]
                server.store.replace("rayservices", "scoring", "scoring", body, "kubectl-edit")

    with pytest.raises(ChangedMeanwhile):
        Rollout(api, observer=Meddler()).apply([ray_service("scoring:2")], OPTIONS)
    assert not is_held(server)
    assert outcomes(Rollout(api))[0] == (2, "failed")


def test_an_operator_that_is_down_ends_in_the_spec_before(
    rollout: Rollout, server: ApiServer, operator: Operator
) -> None:
    rollout.apply([ray_service()], OPTIONS)
    with operator.paused(), pytest.raises(RolloutFailed, match="timed out") as caught:
        rollout.apply([ray_service("scoring:2")], replace(OPTIONS, timeout_s=1.0))
    assert caught.value.cluster == FIRST
    assert not is_held(server)
    assert "scoring:2" not in str(live(server)["spec"])


def test_watches_that_break_and_versions_that_are_gone_do_not_matter(
    api: Api, server: ApiServer, operator: Operator
) -> None:
    class Breaker(Recorder):
        def view(self, view: View) -> None:
            super().view(view)
            if len(self.views) % 3 == 0:
                server.store.compact()
                server.cut_watches()

    operator.pod_ticks = operator.serve_ticks = 20
    breaker = Breaker()
    Rollout(api, observer=breaker).apply([ray_service()], OPTIONS)
    outcome = Rollout(api, observer=breaker).apply([ray_service("scoring:2")], OPTIONS)
    assert outcome.cluster == SECOND


def test_the_old_cluster_can_be_waited_for(rollout: Rollout, operator: Operator) -> None:
    rollout.apply([ray_service()], OPTIONS)
    rollout.apply([ray_service("scoring:2")], replace(OPTIONS, wait_old=True))
    assert list(operator.clusters) == [SECOND]


def test_a_suspended_service_is_not_rolled_out(
    rollout: Rollout, operator: Operator, server: ApiServer
) -> None:
    rollout.apply([ray_service()], OPTIONS)
    view = rollout.suspend(10.0)
    assert (view.active, view.endpoints) == (None, 0)
    with pytest.raises(NotSuspendable, match="resume"):
        rollout.apply([ray_service("scoring:2")], OPTIONS)
    with pytest.raises(NotSuspendable, match="suspended already"):
        rollout.suspend(10.0)
    view = rollout.resume(10.0)
    assert view.active is not None
    assert view.active.name == SECOND
    with pytest.raises(NotSuspendable, match="not suspended"):
        rollout.resume(10.0)


def test_a_smoke_test_can_be_left_out(rollout: Rollout, operator: Operator) -> None:
    operator.stub_settings["scoring:1"] = {"answers": False}
    options: ApplyOptions = replace(OPTIONS, smoke=None)
    assert rollout.apply([ray_service()], options).smokes == ()
