"""Pods that end, gracefully and not, under load: which requests are lost.

A head and workers, each a Ray node with an address, processes and HAProxy of its own.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.fast_path import FAST_PATH, LOCAL
from tests.application.callers import Callers
from tests.application.pods import Pod, missing, network, wait_until

START_S = 180
ENDPOINTS_S = 5.0
"""Time from the end of a pod until Kubernetes has taken it out of the endpoints everywhere."""
DRAIN_S = 120
STEADY_S = 5.0
CALLERS = 8

if reason := missing():
    pytest.skip(reason, allow_module_level=True)

pytestmark = pytest.mark.timeout(600)


class Cluster:
    """The head and its workers, with the real application."""

    def __init__(self, folder: Path, data: Path):
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RAY_", "SCORING_"))
        }
        environment |= {**LOCAL, **FAST_PATH, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "t" * 32}
        self._data = data
        # What the head knows outlives it, and workers wait for it as long as KubeRay lets them.
        storage = {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(folder / "gcs")}
        patience = {"RAY_gcs_rpc_server_reconnect_timeout_s": "600"}
        self.head = Pod("head", 2, folder, environment | storage)
        self.workers = [Pod(f"worker{n}", 2 + n, folder, environment | patience) for n in (1, 2, 3)]
        self._dashboard = httpx.Client(
            base_url=f"http://{self.head.address}:8265",
            headers={"authorization": f"Bearer {environment['RAY_AUTH_TOKEN']}"},
            timeout=60,
            trust_env=False,
        )

    def start_head(self) -> None:
        self.head.start(
            *_ray_start(self.head), "--head", "--num-cpus=0", "--dashboard-host=0.0.0.0"
        )
        wait_until("the dashboard answers", lambda: self.state() is not None, START_S)

    def two_workers(self) -> list[Pod]:
        """Two workers with a replica of each deployment, and one that does not run."""
        running = [worker for worker in self.workers if worker.is_running]
        stopped = [worker for worker in self.workers if not worker.is_running]
        while len(running) < 2:
            self.start_worker(stopped[0])
            running.append(stopped.pop(0))
        wait_until("two replicas of each run", self._runs, START_S)
        for worker in running:
            self.wait_until_ready(worker)
        return [*running, *stopped]

    def start_worker(self, worker: Pod) -> None:
        worker.start(*_ray_start(worker), f"--address={self.head.address}:6379", "--num-cpus=4")
        wait_until("a worker has started", lambda: "Ray runtime started" in worker.log, START_S)

    def deploy(self, rankers: int = 2) -> None:
        """Deploys as KubeRay does: two Routers and some rankers, each on a node of its own."""
        arguments = {
            "data_dir": str(self._data),
            "http": {"host": "0.0.0.0"},
            "auth": {"anonymous": True},
            "quota": {"requests_per_s": 100_000},  # so that the Routers have a keeper to miss
            "router": {"min_replicas": 2},
            "faq": {"min_replicas": 2},
        }
        scaling = {"min_replicas": rankers, "max_replicas": rankers}
        deployments = [
            {"name": "Router", "max_replicas_per_node": 1},
            {"name": "FaqRanker", "max_replicas_per_node": 1, "autoscaling_config": scaling},
        ]
        application = {
            "name": "scoring",
            "import_path": "serve_app:app",
            "args": arguments,
            "deployments": deployments,
        }
        config = {"http_options": {"host": "0.0.0.0"}, "applications": [application]}
        self._dashboard.put("/api/serve/applications/", json=config).raise_for_status()
        wait_until("the application runs", lambda: self._runs(rankers), START_S)

    def state(self) -> dict[str, Any] | None:
        """What Ray Serve says of its applications; None where it says nothing."""
        try:
            answer = self._dashboard.get("/api/serve/applications/")
        except httpx.HTTPError:
            return None
        return dict(answer.json()) if answer.is_success else None

    def close(self) -> None:
        self._dashboard.close()

    def _runs(self, rankers: int = 2) -> bool:
        application = (self.state() or {}).get("applications", {}).get("scoring", {})
        assert application.get("status") != "DEPLOY_FAILED", application["message"]
        counts = (len(self.addresses("Router")), len(self.addresses("FaqRanker")))
        return application.get("status") == "RUNNING" and counts == (2, rankers)

    def addresses(self, deployment: str) -> list[str]:
        """Of the nodes on which a deployment's replicas run."""
        applications = (self.state() or {}).get("applications", {})
        if (
            "scoring" not in applications
            or deployment not in applications["scoring"]["deployments"]
        ):
            return []
        replicas = applications["scoring"]["deployments"][deployment]["replicas"]
        return [replica["node_ip"] for replica in replicas if replica["state"] == "RUNNING"]

    def wait_until_ready(self, worker: Pod) -> None:
        """Until a pod is what the Service would send requests to."""

        def is_ready() -> bool:
            try:
                answers = [
                    httpx.get(f"http://{worker.address}:8000{path}", timeout=5, trust_env=False)
                    for path in ("/-/healthz", "/readyz/faq")
                ]
            except httpx.HTTPError:
                return False
            return all(answer.status_code == 200 for answer in answers)

        wait_until(f"{worker.name} is ready", is_ready, START_S)


def _ray_start(pod: Pod) -> list[str]:
    memory = "--object-store-memory=100000000"
    return ["ray", "start", "--block", f"--node-ip-address={pod.address}", memory]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("d"), data_dir)
    with network():
        try:
            cluster.start_head()
            for worker in cluster.workers[:2]:
                cluster.start_worker(worker)
            cluster.deploy()
            yield cluster
        finally:
            for pod in (*cluster.workers, cluster.head):
                pod.kill()
            cluster.close()


def _report(what: str, callers: Callers) -> None:
    figures = {
        "sent": callers.sent,
        "failed": len(callers.failures),
        "slowest_s": round(callers.slowest_s, 2),
    }
    print(f"{what}: {json.dumps(figures)}", *callers.failures[:20], sep="\n  ")


def _steady(callers: Callers, seconds: float = STEADY_S) -> None:
    """Waits for requests, not for a state: how many there are depends on the machine."""
    time.sleep(seconds)
    assert callers.sent


def test_a_drained_worker_loses_no_request(cluster: Cluster) -> None:
    leaving, staying, empty = cluster.two_workers()
    drained: list[Any] = []
    with Callers([leaving.address, staying.address], CALLERS) as callers:
        _steady(callers)
        # Where no node has room, the drain waits for one.
        started = time.monotonic()
        drain = threading.Thread(
            target=lambda: drained.append(
                leaving.run("scoring", "drain", "--timeout-s", str(DRAIN_S))
            )
        )
        drain.start()
        _steady(callers, ENDPOINTS_S)
        callers.endpoints = [staying.address]
        cluster.start_worker(empty)
        print(f"a node with room has started after {time.monotonic() - started:.1f} s")
        drain.join(DRAIN_S + 10)
        print(drained[0].stderr, f"after {time.monotonic() - started:.1f} s")
        leaving.terminate()
        wait_until("the pod has ended", lambda: not leaving.is_running, 30)
        print(f"ended after {time.monotonic() - started:.1f} s")
        leaving.kill()
        _steady(callers)
    _report("worker drained", callers)
    assert drained[0].returncode == 0
    assert set(callers.answered) == {leaving.address, staying.address}
    assert not callers.failures
    assert set(cluster.addresses("Router")) == {staying.address, empty.address}


def test_a_killed_worker_loses_only_the_requests_inside_it(cluster: Cluster) -> None:
    killed, other, _ = cluster.two_workers()
    with Callers([killed.address, other.address], CALLERS) as callers:
        _steady(callers)
        assert not callers.failures
        # First, so that no connection is refused: whoever sends tries those again elsewhere.
        callers.endpoints = [other.address]
        killed.kill()
        _steady(callers)
        at_once = len(callers.failures)
        _steady(callers, 20)
    _report("worker killed", callers)
    # Each caller had one request under way, in the pod's HAProxy or in its Router.
    assert at_once <= CALLERS
    assert len(callers.failures) == at_once


def test_a_lost_machine_loses_only_what_was_under_way(cluster: Cluster) -> None:
    lost, other, _ = cluster.two_workers()
    with Callers([lost.address, other.address], CALLERS) as callers:
        _steady(callers)
        assert not callers.failures
        callers.endpoints = [other.address]
        lost.lose()
        _steady(callers, 50)
    _report("machine lost", callers)
    # Each caller had one request under way, which may wait in vain; nothing that came later does.
    assert len(callers.failures) <= CALLERS


def test_a_head_that_is_away_costs_no_request(cluster: Cluster) -> None:
    *workers, new = cluster.two_workers()
    assert cluster.head.run("scoring", "drain", "--timeout-s", "30").returncode == 0
    with Callers([worker.address for worker in workers], CALLERS) as callers:
        _steady(callers)
        started = time.monotonic()
        cluster.head.kill()
        _steady(callers, 15)
        assert not callers.failures
        cluster.start_head()
        print(f"the head is back after {time.monotonic() - started:.1f} s")
        wait_until("the replicas are known again", lambda: cluster.addresses("Router"), 60)
        print(f"and knows the replicas after {time.monotonic() - started:.1f} s")
        _steady(callers, 15)
        # A changed configuration is deployed, and its replica finds its place.
        cluster.start_worker(new)
        cluster.deploy(rankers=3)
        print(f"a change is deployed after {time.monotonic() - started:.1f} s")
        _steady(callers)
    _report("head killed", callers)
    assert not callers.failures
