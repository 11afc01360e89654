"""The end-to-end test's own steps, against a stand-in for API server, operator and service.

What a real cluster takes half an hour for takes seconds; each expectation is shown to bite.
"""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from kuberay.rollout import Api, Rollout, connect
from kuberay.rollout.api import Object
from tests.kuberay.cluster import cluster as cluster_module
from tests.kuberay.cluster.cluster import Cluster, Pod, TooLate
from tests.kuberay.cluster.conftest import new_credentials
from tests.kuberay.cluster.objects import PLACE, THE_API_SERVER, Objects
from tests.kuberay.cluster.scenario import NotEnforced, Scenario
from tests.kuberay.cluster.settings import TestSettings
from tests.kuberay.rollout import kuberay_operator, store
from tests.kuberay.rollout.api_server import ApiServer
from tests.kuberay.rollout.field_managers import Json
from tests.kuberay.rollout.kuberay_operator import NAMESPACE, Operator
from tests.kuberay.rollout.serve_stub import ServeStub

IMAGE, IMAGE_2, BROKEN = "scoring-cpu:1", "scoring-cpu:2", "broken:pull"
MORE_KINDS = {
    "v1": {"serviceaccounts": "ServiceAccount"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"},
}


class Service(ServeStub):
    """The stand-in, with the further routes that the test asks."""

    async def _listen(self, app: web.Application) -> int:
        if not self._runners:  # the service comes first, then the dashboard
            app.router.add_get("/openapi.json", self._openapi)
            app.router.add_get("/metrics", self._metrics)
            app.router.add_post("/v2/models/faq/infer", self._infer)
        return await super()._listen(app)

    async def _openapi(self, _request: web.Request) -> web.Response:
        with self.lock:
            config = self.applications["scoring"]["deployed_app_config"]
        return web.Response(status=404 if config["args"].get("http.docs") == "off" else 200)

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(text="scoring_requests_total 1\n")

    async def _infer(self, request: web.Request) -> web.Response:
        outputs = [{"name": "id"}, {"name": "probability"}]
        return self._problem(request) or web.json_response({"outputs": outputs})


@dataclass
class Node:
    """Starts the test's own pods; `lost` requests of each load fail, `entered` are let in."""

    server: ApiServer
    lost: int = 0
    kind: str = "connection dropped"
    entered: set[str] = field(default_factory=set)
    is_enforcing: bool = True
    deleted: list[tuple[str, bool]] = field(default_factory=list)
    returns: bool = True
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Node":
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(0.005):
            for pod in self.server.store.list_all("pods", NAMESPACE):
                place = pod["metadata"]["labels"].get(PLACE)
                if place is not None and "status" not in pod:
                    words = pod["spec"]["containers"][0]["command"]
                    self._set(pod["metadata"]["name"], self._phase(words))

    def _phase(self, words: list[str]) -> str:
        return "Succeeded" if words[0] == "python" and "-c" in words else "Running"

    def _set(self, name: str, phase: str) -> None:
        self.server.store.set_status("pods", NAMESPACE, name, {"phase": phase})

    def log(self, pod: Pod) -> str:
        """Of the load, or of a probe."""
        body = self.server.store.get("pods", NAMESPACE, pod.name)
        words = body["spec"]["containers"][0]["command"]
        if words[0] == "scoring":
            return "a table\n" + json.dumps(self._figures())
        place = body["metadata"]["labels"][PLACE]
        targets = [(host, port) for host, port in json.loads(words[-1])]
        return json.dumps({f"{h}:{p}": self._came(place, h, p) for h, p in targets})

    def _came(self, place: str, host: str, port: int) -> str:
        if (host, port) == THE_API_SERVER:
            return "silent" if self.is_enforcing else "open"
        is_door = place == "client" and port == 8000 and host != "10.0.0.9"
        return "open" if is_door or f"{place} {port}" in self.entered else "silent"

    def _figures(self) -> Json:
        failure = {"at_unix_s": time.time(), "kind": self.kind}
        return {
            "total": {
                "sent": 100,
                "answered": 100 - self.lost,
                "refused": 0,
                "errors": self.lost,
                "seconds": 5.0,
                "latency_ms": {"p99": 9.0, "max": 20.0},
            },
            "retries": 2,
            "failures": [failure] * self.lost,
        }

    def interrupt(self, pod: Pod) -> None:
        """The load ends."""
        self._set(pod.name, "Succeeded")

    def delete(self, pod: Pod, *, force: bool) -> None:
        """At once; the operator makes another."""
        self.deleted.append((pod.name, force))
        if self.returns:
            self.server.store.delete("pods", NAMESPACE, pod.name)


class LabelledObjects(Objects):
    """With the labels that the stand-in expects of every pod."""

    def _pod(self, *arguments: Any, **named: Any) -> Object:
        pod = super()._pod(*arguments, **named)
        pod["metadata"]["labels"] |= {"ray.io/cluster": "none", "ray.io/node-type": "none"}
        return pod


@dataclass
class Stage:
    """Everything that a scenario runs on."""

    scenario: Scenario
    node: Node
    operator: Operator
    server: ApiServer


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A cluster on which the service is installed."""
    for version, kinds in MORE_KINDS.items():
        monkeypatch.setitem(store.KINDS, version, {**store.KINDS.get(version, {}), **kinds})
    monkeypatch.setattr(kuberay_operator, "ServeStub", Service)
    monkeypatch.setattr(cluster_module, "PAUSE_S", 0.02)
    folder = tmp_path / "overlay"
    folder.mkdir()
    settings = TestSettings(
        IMAGE, image_2=IMAGE_2, broken_image=BROKEN, limit_s=10.0, settle_s=0.05
    )
    credentials = new_credentials()
    with ApiServer() as server, Node(server) as node:
        api: Api = connect(str(server.kubeconfig(tmp_path / "kubeconfig")))
        with Operator(server) as operator:
            for image in (IMAGE, IMAGE_2):
                operator.stub_settings[image] = {"key": credentials.key}
            scenario = Scenario(
                settings,
                credentials,
                LabelledObjects(settings, credentials, NAMESPACE, "kuberay-system", folder),
                Cluster(api, NAMESPACE, settings.limit_s, node),
                Rollout(api, namespace=NAMESPACE),
                patience_s=0.3,
            )
            scenario.install()
            yield Stage(scenario, node, operator, server)
        api.close()


def test_the_whole_way(stage: Stage) -> None:
    scenario, node = stage.scenario, stage.node
    first = scenario.active()
    scenario.answers()
    scenario.change_in_place()
    assert scenario.active() == first
    scenario.upgrade()
    assert scenario.active() != first
    node.lost = 2
    scenario.kill_worker()
    node.lost = 0
    scenario.delete_worker()
    scenario.delete_head()
    scenario.kill_head()
    scenario.reject_broken_image()
    scenario.remember()
    scenario.roll_back()
    scenario.sleep_and_wake()
    assert [force for _, force in node.deleted] == [True, False, False, True]
    assert [name.endswith("-head") for name, _ in node.deleted] == [False, False, True, True]
    assert set(scenario.results) == {
        "a change in place",
        "an upgrade to a new cluster",
        "a worker killed",
        "a worker deleted",
        "the head deleted",
        "the head killed",
        "a broken image",
        "a rollback",
    }


@pytest.mark.parametrize("step", ["change_in_place", "upgrade", "kill_head"])
def test_one_lost_request_fails_the_step(step: str, stage: Stage) -> None:
    stage.node.lost = 1
    with pytest.raises(AssertionError, match=r"requests were lost.*1 x connection dropped"):
        getattr(stage.scenario, step)()


def test_a_killed_worker_may_not_lose_more_than_it_had_under_way(stage: Stage) -> None:
    stage.node.lost = 11
    with pytest.raises(AssertionError, match="more were lost than 10 under way"):
        stage.scenario.kill_worker()


def test_a_pod_that_does_not_come_back_fails_the_step(stage: Stage) -> None:
    stage.node.returns = False
    stage.scenario.settings = TestSettings(IMAGE, limit_s=0.3, settle_s=0.05)
    with pytest.raises(TooLate, match="the end of"):
        stage.scenario.delete_worker()


def test_an_upgrade_that_stays_on_the_cluster_fails_the_step(stage: Stage) -> None:
    stage.operator.sees_new_clusters = False
    with pytest.raises(AssertionError, match="the same cluster"):
        stage.scenario.upgrade()


def test_a_change_in_place_that_is_not_one_fails_the_step(stage: Stage) -> None:
    """The image changes with the settings: a new cluster, and so no change in place."""
    stage.scenario.version = type(stage.scenario.version)(IMAGE_2)
    with pytest.raises(AssertionError):
        stage.scenario.change_in_place()


def test_a_service_that_answers_without_a_key_fails_the_step(stage: Stage) -> None:
    for each in stage.operator.clusters.values():
        each.stub.key = None
    with pytest.raises(AssertionError, match="401"):
        stage.scenario.answers()


def test_the_network_is_open_to_the_client_alone_or_the_step_fails(stage: Stage) -> None:
    stage.scenario.refuses_strangers()
    for entered in ("stranger 8000", "client 8404", "stranger 30000"):
        stage.node.entered = {entered}
        with pytest.raises(AssertionError, match="let in"):
            stage.scenario.refuses_strangers()
    stage.node.is_enforcing = False
    with pytest.raises(NotEnforced):  # no fault of the policies
        stage.scenario.refuses_strangers()


def test_what_the_test_made_goes_and_what_was_there_stays(stage: Stage) -> None:
    """The namespace and the priority class were there: somebody else's service has them too."""
    stage.operator.deletion_ticks = 0
    stage.scenario.cluster._made = [
        each for each in stage.scenario.cluster._made if each["kind"] != "PriorityClass"
    ]
    kinds = {kind for version in store.KINDS.values() for kind in version}
    before = {kind: stage.server.store.list_all(kind, NAMESPACE) for kind in kinds}
    assert before["secrets"]
    # The stand-in's operator keeps clusters whose service has gone; the garbage collector does not.
    with stage.operator.paused():
        for each in list(stage.operator.clusters.values()):
            stage.operator._delete(each)
        stage.scenario.cluster.clean_up()
    assert stage.server.store.find("rayservices", NAMESPACE, "scoring") is None
    assert stage.server.store.find("secrets", NAMESPACE, "scoring-keys") is None
    assert stage.server.store.find("namespaces", "", NAMESPACE) is not None
    assert stage.server.store.list_all("priorityclasses", "")
