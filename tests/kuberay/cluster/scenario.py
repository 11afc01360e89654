"""The steps of the end-to-end test, each with what it expects.

What is expected was read in KubeRay 1.7's rayservice_controller.go and raycluster_controller.go:
the Service `scoring-serve-svc` chooses pods by `ray.io/cluster` and `ray.io/serve`, and its
selector changes with the traffic; a changed `rayClusterConfig` makes a new cluster of another name,
a changed `serveConfigV2` none; the old cluster goes `rayClusterDeletionDelaySeconds` after the
traffic; a deleted pod is made anew, the head under the same name.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import grpc
import httpx
import pytest

from kuberay.manifests.objects import CPU_WORKER, HEAD, Object
from kuberay.rollout import ApplyOptions, Outcome, Revision, RolloutFailed, Smoke, View
from serve_app.client import ScoringClient
from serve_app.oip.wire import inference_pb2, inference_pb2_grpc
from tests.kuberay.cluster.cluster import Cluster, Pod, until
from tests.kuberay.cluster.load_result import LoadResult
from tests.kuberay.cluster.objects import (
    CLIENT,
    CLOSED_PORTS,
    ISOLATED,
    STRANGER,
    THE_API_SERVER,
    Credentials,
    Objects,
    Version,
    probed,
)
from tests.kuberay.cluster.settings import TestSettings

QUESTION = "what is a closure"
PULL_REASONS = ("ImagePullBackOff", "ErrImagePull", "InvalidImageName")
ASK_S = 30.0


class Rolling(Protocol):
    """The rollout client."""

    def apply(self, objects: tuple[Object, ...], options: ApplyOptions | None = None) -> Outcome:
        """Rolls out."""

    def rollback(self, revision: int | None = None, options: ApplyOptions | None = None) -> Outcome:
        """Rolls an earlier revision out."""

    def status(self) -> View:
        """The view at this moment."""

    def history(self) -> tuple[Revision, ...]:
        """Newest first."""

    def suspend(self, timeout_s: float = ...) -> View:
        """Ends all clusters."""

    def resume(self, timeout_s: float = ...) -> View:
        """Starts one again."""


class NotEnforced(Exception):
    """The cluster's network lets everything through."""


@dataclass
class Scenario:
    """One service on one cluster, from nothing to nothing.

    `results` are the load's, by what happened meanwhile; `patience_s` is how long a rollout may
    have a pod that does not start.
    """

    settings: TestSettings
    credentials: Credentials
    objects: Objects
    cluster: Cluster
    rollout: Rolling
    patience_s: float = 120.0
    results: dict[str, LoadResult] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.version = Version(self.settings.image)
        self.fewest_workers = 1

    # Steps

    def install(self) -> None:
        """From an empty namespace to a service that answers."""
        objects = self.objects.service(self.version)
        namespaces = [each for each in objects if each["kind"] == "Namespace"]
        self.cluster.apply([*namespaces, *self.objects.surroundings()])
        self.cluster.will_make(objects)
        service = next(each for each in objects if each["kind"] == "RayService")
        group = service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]
        self.fewest_workers = int(group["minReplicas"])
        outcome = self.rollout.apply(objects, self._options("install"))
        assert outcome.cluster is not None
        assert outcome.smokes, "the rollout asked nothing"
        self.settled()

    def answers(self) -> None:
        """Every worker answers, with a key alone."""
        for worker in self.cluster.workers(self.active()):
            with self.cluster.reached(worker) as url:
                self._ask(url)

    def answers_grpc(self) -> None:
        """The Open Inference Protocol over gRPC, by port forwarding: no Service has its port."""
        worker = self.cluster.workers(self.active())[0]
        with (
            self.cluster.reached(worker, 8001) as url,
            grpc.insecure_channel(url.removeprefix("http://")) as channel,
        ):
            make_stub: Any = inference_pb2_grpc.GRPCInferenceServiceStub
            stub = make_stub(channel)
            request = inference_pb2.ModelInferRequest(
                model_name="faq",
                inputs=[
                    inference_pb2.ModelInferRequest.InferInputTensor(
                        name="question",
                        datatype="BYTES",
                        shape=[1],
                        contents=inference_pb2.InferTensorContents(
                            bytes_contents=[QUESTION.encode()]
                        ),
                    )
                ],
            )
            key = [("authorization", f"Bearer {self.credentials.key}")]
            answer = stub.ModelInfer(request, metadata=key, timeout=ASK_S)
            assert "id" in {each.name for each in answer.outputs}
            with pytest.raises(grpc.RpcError) as refused:
                stub.ModelInfer(request, timeout=ASK_S)
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED

    def refuses_strangers(self) -> None:
        """The policies let the client in, to the one port; nobody else. Raises NotEnforced."""
        control = self._probe(ISOLATED, [THE_API_SERVER])
        if "open" in control.values():
            raise NotEnforced("a pod that may not send at all has reached the API server")
        cluster = self.active()
        workers, head = self.cluster.workers(cluster), self.cluster.heads(cluster)[0]
        doors = [(worker.address, 8000) for worker in workers]
        closed = [(worker.address, port) for worker in workers for port in CLOSED_PORTS[CPU_WORKER]]
        closed += [(head.address, port) for port in CLOSED_PORTS[HEAD]]
        client = self._probe(CLIENT, [*doors, *closed])
        for host, port in doors:
            assert client[f"{host}:{port}"] == "open", f"the client was refused: {client}"
        stranger = self._probe(STRANGER, [*doors, *closed])
        entered = [
            f"{who} at {place}"
            for who, found in (("the client", client), ("a stranger", stranger))
            for place, came in found.items()
            if came == "open" and (who == "a stranger" or _split(place) not in doors)
        ]
        assert not entered, f"let in: {', '.join(entered)}"

    def change_in_place(self) -> None:
        """A changed setting changes the behaviour of the same cluster, and loses nothing."""
        before = self.active()
        self._expect_docs(200)
        changed = replace(self.version, application={"http": {"docs": "off"}})
        with self._loaded("a change in place"):
            outcome = self._roll_out(changed, "no docs")
            assert not outcome.plan.new_cluster, outcome.plan.summary
            assert self.settled() == before, "a new cluster for a changed Serve config"
            self._expect_docs(404)
        self._expect_nothing_lost("a change in place")

    def upgrade(self) -> None:
        """A new image, or a changed pod: a new cluster takes the traffic, the old one goes."""
        before = self.active()
        image = self.settings.image_2 or self.settings.image
        changed = replace(self.version, image=image, round=self.version.round + 1)
        with self._loaded("an upgrade to a new cluster"):
            outcome = self._roll_out(changed, "a new cluster", wait_old=True)
            assert outcome.plan.new_cluster, outcome.plan.summary
            after = self.settled()
            assert after != before, "the same cluster for a changed pod"
            assert not self.cluster.workers(before), "the old cluster's pods are still there"
        self._expect_nothing_lost("an upgrade to a new cluster")

    def delete_worker(self) -> None:
        """As when a node is emptied: the pod gives its work away first."""
        self._without("a worker deleted", self._a_worker, force=False)
        self._expect_nothing_lost("a worker deleted")

    def kill_worker(self) -> None:
        """As when a node fails: what the pod had under way is lost, and no more."""
        asked_s = self._without("a worker killed", self._a_worker, force=True)
        self.results["a worker killed"].expect_lost_under_way_only(
            "a worker killed", asked_s, self.settings.rate
        )

    def delete_head(self) -> None:
        """The head holds no replica, and its state outlives it."""
        self._without("the head deleted", self._the_head, force=False)
        self._expect_nothing_lost("the head deleted")

    def kill_head(self) -> None:
        """The same, without a word of warning."""
        self._without("the head killed", self._the_head, force=True)
        self._expect_nothing_lost("the head killed")

    def reject_broken_image(self) -> None:
        """The traffic stays where it is, and the reason is said."""
        before = self.active()
        broken = replace(
            self.version, image=self.settings.unstartable_image, round=self.version.round + 1
        )
        with self._loaded("a broken image"):
            with pytest.raises(RolloutFailed) as raised:
                self.rollout.apply(self.objects.service(broken), self._options("broken"))
            failed = raised.value
            assert failed.rolled_back, f"not rolled back: {failed}"
            assert any(reason in str(failed) for reason in PULL_REASONS), f"no reason: {failed}"
            # KubeRay may go back by one more cluster of the old form: which one has the traffic is
            # its own business, that one answers is not.
            after = self.settled()
            assert failed.cluster in (before, after), failed.cluster
            images = {each["image"] for each in self._containers()}
            assert broken.image not in images, images
        self._expect_nothing_lost("a broken image")
        self.answers()

    def remember(self) -> None:
        """Every rollout has its line, newest first."""
        history = self.rollout.history()
        numbers = [each.number for each in history]
        assert numbers == sorted(numbers, reverse=True)
        found = [(each.message, each.outcome) for each in reversed(history)]
        expected = [
            ("install", "active"),
            ("no docs", "active"),
            ("a new cluster", "active"),
            ("broken", "rolled back"),
        ]
        assert found[: len(expected)] == expected, found

    def roll_back(self) -> None:
        """By hand, to what ran before: another cluster again, and nothing lost."""
        before = self.active()
        images_before = {each["image"] for each in self._containers()}
        with self._loaded("a rollback"):
            number = next(e.number for e in self.rollout.history() if e.message == "no docs")
            self.rollout.rollback(number, self._options("back"))
            self.version = replace(self.version, image=self.settings.image, round=1)
            assert self.settled() != before, "a rollback of the pod needs a new cluster"
        self._expect_nothing_lost("a rollback")
        if self.settings.image_2:
            assert {each["image"] for each in self._containers()} != images_before
        self._expect_docs(404)

    def sleep_and_wake(self) -> None:
        """Suspended there is no pod; resumed it answers as before."""
        before = self.active()
        self.rollout.suspend(self.settings.limit_s)
        until(
            lambda: True if not self._pods(before) else None,
            self.settings.limit_s,
            "no pod of a suspended service",
        )
        self.rollout.resume(self.settings.limit_s)
        after = self.settled()
        assert after != before, "the same cluster after a suspension"
        self.answers()

    # What they share

    def active(self) -> str:
        """The Ray cluster that has the traffic."""
        view = self.rollout.status()
        assert view.active is not None, "no cluster has the traffic"
        return view.active.name

    def settled(self) -> str:
        """Waits until all of it runs; the cluster that has the traffic."""
        return until(self._whole, self.settings.limit_s, "the service is whole")

    def _whole(self) -> str | None:
        view = self.rollout.status()
        if not view.is_ready or view.active is None or view.pending is not None:
            return None
        name = view.active.name
        if not view.active.are_running(["scoring"]):
            return None
        heads, workers = self.cluster.heads(name), self.cluster.workers(name)
        everyone = [*heads, *workers]
        if len(heads) != 1 or len(workers) < self.fewest_workers:
            return None
        if any(each.is_ending or not each.is_ready for each in everyone):
            return None
        return name

    def _containers(self) -> Iterator[Object]:
        """Of the workers of the cluster that has the traffic, as they run."""
        for worker in self.cluster.workers(self.active()):
            yield from self.cluster.containers(worker)

    def _pods(self, cluster: str) -> list[Pod]:
        return [*self.cluster.heads(cluster), *self.cluster.workers(cluster)]

    def _options(self, message: str, *, wait_old: bool = False) -> ApplyOptions:
        return ApplyOptions(
            message=message,
            timeout_s=self.settings.limit_s,
            wait_old=wait_old,
            smoke=Smoke(key=self.credentials.key),
            patience_s=self.patience_s,
        )

    def _roll_out(self, version: Version, message: str, *, wait_old: bool = False) -> Outcome:
        outcome = self.rollout.apply(
            self.objects.service(version), self._options(message, wait_old=wait_old)
        )
        self.version = version
        return outcome

    @contextmanager
    def _loaded(self, during: str) -> Iterator[None]:
        with self.cluster.load(self.objects.load(), self.settings.settle_s) as results:
            yield
        self.results[during] = results[0]
        print(f"{during}: {results[0]}")

    def _expect_nothing_lost(self, during: str) -> None:
        self.results[during].expect_nothing_lost(during)

    def _without(self, during: str, choose: Callable[[], Pod], *, force: bool) -> float:
        """Takes a pod away under load until all is whole again; when it was taken."""
        self.settled()
        with self._loaded(during):
            pod = choose()
            asked_s = self.cluster.delete(pod, force=force)
            until(
                lambda: self.cluster.is_gone(pod) or None,
                self.settings.limit_s,
                f"the end of {pod.name}",
            )
            self.settled()
        self.answers()
        return asked_s

    def _a_worker(self) -> Pod:
        return self.cluster.workers(self.active())[0]

    def _the_head(self) -> Pod:
        return self.cluster.heads(self.active())[0]

    def _ask(self, url: str) -> None:
        with (
            ScoringClient(url, key=self.credentials.key, timeout_s=ASK_S) as client,
            httpx.Client(base_url=url, timeout=ASK_S, trust_env=False) as bare,
        ):
            assert client.ready().is_ready
            ranking = client.rank(QUESTION, top_k=1)
            assert ranking.matches, "a question without a match"
            question = {"question": QUESTION}
            _expect(bare.post("/v1/faq/rank", json=question), 401)
            wrong = {"Authorization": "Bearer rts_000000000000_wrong"}
            _expect(bare.post("/v1/faq/rank", json=question, headers=wrong), 401)
            assert "scoring_requests_total" in _expect(bare.get("/metrics"), 200).text
            key = {"Authorization": f"Bearer {self.credentials.key}"}
            tensor = {"name": "question", "datatype": "BYTES", "shape": [1], "data": [QUESTION]}
            asked = {"inputs": [tensor]}
            answer = _expect(bare.post("/v2/models/faq/infer", json=asked, headers=key), 200)
            assert "probability" in {each["name"] for each in answer.json()["outputs"]}

    def _expect_docs(self, status: int) -> None:
        """That all workers answer so: each has its own proxy, and these learn one by one."""
        for worker in self.cluster.workers(self.active()):
            with self.cluster.reached(worker) as url:
                until(partial(_docs, url, status), ASK_S, f"/openapi.json answers {status}")

    def _probe(self, place: str, targets: list[tuple[str, int]]) -> dict[str, str]:
        return probed(self.cluster.output(self.objects.probe(place, targets)))


def _expect(answer: httpx.Response, status: int) -> httpx.Response:
    found = f"{answer.request.url.path} answers {answer.status_code}, not {status}"
    assert answer.status_code == status, f"{found}: {answer.text[:500]}"
    return answer


def _docs(url: str, status: int) -> bool | None:
    found = httpx.get(f"{url}/openapi.json", timeout=ASK_S, trust_env=False).status_code
    return True if found == status else None


def _split(place: str) -> tuple[str, int]:
    host, _, port = place.rpartition(":")
    return host, int(port)
