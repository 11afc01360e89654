"""The objects of the test: the kind overlay, adapted, and the pods that ask it.

Everything is rendered by `kuberay.manifests`, so that not even kubectl is needed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kuberay.manifests.files import KUSTOMIZATION, ROOT, SETTINGS, deployment
from kuberay.manifests.objects import CPU_WORKER, HEAD, NAME, PODS, Object, component
from kuberay.manifests.pods import CONFINED, CPU_IMAGE, DASHBOARD_PORT, GCS_PORT
from serve_app.configuration import API_KEY
from tests.kuberay.cluster.settings import TestSettings

KIND = ROOT / "overlays" / "kind"
KEYS_SECRET, KEYS_FILE = "scoring-keys", "keys.json"
CLIENT_SECRET, CLIENT_KEY = "scoring-test-client", "key"
STORE, STORE_PORT = "scoring-test-store", 6379
STORE_PROGRAM = Path(__file__).with_name("state_store.py")
STORE_SECRET, STORE_PASSWORD = "scoring-test-store", "password"
SERVE_SERVICE = f"{NAME}-serve-svc"
"""KubeRay's name for the Service that the traffic goes through."""

PLACE = "scoring-test/place"
"""Label of the test's own pods; its value says what the policies let them do."""
CLIENT, STRANGER, ISOLATED = "client", "stranger", "isolated"
ROUND = "TEST_ROUND"
"""A variable that nothing reads: another value of it is another pod, and so another cluster."""

LOAD = "scoring-test-load"
LOAD_S = 4 * 3600
"""A load runs until it is stopped; longer than any test."""
CONNECTION_LIFE_S = 5
CONNECT_RETRIES, CONNECT_TIMEOUT_S = 20, 1
"""What was never sent is tried again, as clients do: a pod that is gone stands behind the Service
until kube-proxy has heard of it."""
ANSWER_TIMEOUT_S = 35
"""Longer than the service's own deadline."""

THE_API_SERVER = ("$KUBERNETES_SERVICE_HOST", 443)
"""Kubernetes puts the address into every container's environment."""
PROBE = """
import json, os, socket, sys
found = {}
for host, port in json.loads(sys.argv[1]):
    try:
        socket.create_connection((os.path.expandvars(host), port), timeout=5).close()
        found[f"{host}:{port}"] = "open"
    except TimeoutError:
        found[f"{host}:{port}"] = "silent"
    except OSError as error:
        found[f"{host}:{port}"] = type(error).__name__
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Version:
    """What one rollout differs in: the image, the pods' round, and the application's settings."""

    image: str
    round: int = 1
    application: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Credentials:
    """The key that the test asks with: its text, and the file that the service knows it by."""

    key: str
    key_file: str
    store_password: str


class Objects:
    """Renders for one run; `folder` is an empty one to put an overlay in."""

    def __init__(
        self,
        settings: TestSettings,
        credentials: Credentials,
        namespace: str,
        operator_namespace: str,
        folder: Path,
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._namespace = namespace
        self._operator_namespace = operator_namespace
        self._folder = folder

    def service(self, version: Version) -> tuple[Object, ...]:
        """Everything that `scoring rollout apply` gets."""
        cluster: dict[str, Any] = {
            "namespace": self._namespace,
            "operator_namespace": self._operator_namespace,
        }
        if self._settings.store == "own":
            cluster["volume"] = None
            cluster["redis"] = {
                "address": f"redis://{STORE}:{STORE_PORT}",
                "secret": STORE_SECRET,
                "secret_key": STORE_PASSWORD,
            }
        elif self._settings.storage_class:
            cluster["volume"] = {"storage_class": self._settings.storage_class}
        content = {"application": dict(version.application or {}), "cluster": cluster}
        (self._folder / SETTINGS).write_text(yaml.safe_dump(content), encoding="utf-8")
        (self._folder / KUSTOMIZATION).write_text(
            yaml.safe_dump({"resources": [str(KIND)]}), encoding="utf-8"
        )
        files = deployment(self._folder).files()
        rendered = [each for objects in files.values() for each in objects]
        return tuple(self._adapted(each, version) for each in rendered)

    def surroundings(self) -> tuple[Object, ...]:
        """What stands beside the service: secrets, policies for the test's pods, the store."""
        found = [
            self._secret(KEYS_SECRET, {KEYS_FILE: self._credentials.key_file}),
            self._secret(CLIENT_SECRET, {CLIENT_KEY: self._credentials.key}),
            *self._client_policies(),
        ]
        if self._settings.store == "own":
            found += self._store()
        return tuple(found)

    def load(self) -> Object:
        """The pod that asks questions through the Service until it is stopped."""
        words = ["scoring", "load", "--url", f"http://{SERVE_SERVICE}:8000"]
        words += ["--rate", f"{self._settings.rate:g}", "--seconds", str(LOAD_S), "--warm-up", "0"]
        words += ["--timeout", str(ANSWER_TIMEOUT_S), "--json", "-"]
        words += ["--connection-life", str(CONNECTION_LIFE_S)]
        words += ["--connect-retries", str(CONNECT_RETRIES)]
        words += ["--connect-timeout", str(CONNECT_TIMEOUT_S)]
        reference = {"secretKeyRef": {"name": CLIENT_SECRET, "key": CLIENT_KEY}}
        return self._pod(LOAD, CLIENT, words, [{"name": API_KEY, "valueFrom": reference}])

    def probe(self, place: str, targets: Iterable[tuple[str, int]]) -> Object:
        """A pod that tries to connect, and prints what came of it."""
        words = ["python", "-c", PROBE, json.dumps(list(targets))]
        return self._pod(f"scoring-test-{place}", place, words)

    def _adapted(self, body: Object, version: Version) -> Object:
        if body["kind"] != "RayService":
            return body
        body = deepcopy(body)
        spec = body["spec"]["rayClusterConfig"]
        groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
        for pod in (group["template"]["spec"] for group in groups):
            self._with_secret(pod)
            for container in (*pod.get("initContainers", ()), *pod["containers"]):
                if container["image"] != CPU_IMAGE:
                    raise ValueError(f"the test has no image for {container['image']}")
                container["image"] = version.image
                container["imagePullPolicy"] = self._settings.pull_policy
            pod["containers"][0]["env"] = [
                *pod["containers"][0]["env"],
                {"name": ROUND, "value": str(version.round)},
            ]
        return body

    def _pod(
        self,
        name: str,
        place: str,
        words: Sequence[str],
        environment: Sequence[Object] = (),
        restart: str = "Never",
    ) -> Object:
        spec: Object = {
            "restartPolicy": restart,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 5,
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": CONFINED["seccompProfile"],
            },
            "containers": [
                {
                    "name": "test",
                    "image": self._settings.image,
                    "imagePullPolicy": self._settings.pull_policy,
                    "command": list(words),
                    "env": list(environment),
                    "securityContext": CONFINED,
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "256Mi"},
                        "limits": {"cpu": "1", "memory": "512Mi"},
                    },
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        }
        self._with_secret(spec)
        metadata = {"name": name, "namespace": self._namespace, "labels": {PLACE: place}}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}

    def _with_secret(self, pod: Object) -> None:
        if self._settings.pull_secret:
            pod["imagePullSecrets"] = [{"name": self._settings.pull_secret}]

    def _secret(self, name: str, content: Mapping[str, str]) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": self._namespace},
            "type": "Opaque",
            "stringData": dict(content),
        }

    def _client_policies(self) -> list[Object]:
        """What a gateway is in production, the pod with the load is here: it alone is let in.

        A stranger may send wherever it likes, so that what is refused is refused by the service's
        own policies. Nothing lets an isolated pod send at all.
        """
        senders = {
            "matchExpressions": [{"key": PLACE, "operator": "In", "values": [CLIENT, STRANGER]}]
        }
        workers = {"matchLabels": {**PODS, **component(CPU_WORKER)}}
        client = {"podSelector": {"matchLabels": {PLACE: CLIENT}}}
        return [
            self._policy("scoring-test-senders", senders, egress=[{}]),
            self._policy(
                "scoring-test-client",
                workers,
                ingress=[{"from": [client], "ports": [{"protocol": "TCP", "port": 8000}]}],
            ),
        ]

    def _store(self) -> list[Object]:
        """Where the head's state is kept: a pod, its Service, its password, and the way to it."""
        labels = {PLACE: "store"}
        words = ["python", "/program/" + STORE_PROGRAM.name, str(STORE_PORT)]
        reference = {"secretKeyRef": {"name": STORE_SECRET, "key": STORE_PASSWORD}}
        environment = [{"name": "STORE_PASSWORD", "valueFrom": reference}]
        pod = self._pod(STORE, "store", words, environment, restart="Always")
        pod["spec"]["volumes"].append({"name": "program", "configMap": {"name": STORE}})
        mount = {"name": "program", "mountPath": "/program", "readOnly": True}
        pod["spec"]["containers"][0]["volumeMounts"].append(mount)
        port = {"protocol": "TCP", "port": STORE_PORT}
        head = {"podSelector": {"matchLabels": {**PODS, **component(HEAD)}}}
        from_head = [{"from": [head], "ports": [port]}]
        metadata = {"name": STORE, "namespace": self._namespace}
        return [
            self._secret(STORE_SECRET, {STORE_PASSWORD: self._credentials.store_password}),
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": metadata,
                "data": {STORE_PROGRAM.name: STORE_PROGRAM.read_text(encoding="utf-8")},
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": metadata,
                "spec": {"selector": labels, "ports": [{**port, "targetPort": STORE_PORT}]},
            },
            self._policy(STORE, {"matchLabels": labels}, ingress=from_head),
            pod,
        ]

    def _policy(
        self,
        name: str,
        pods: Object,
        ingress: Sequence[Object] = (),
        egress: Sequence[Object] = (),
    ) -> Object:
        spec: Object = {"podSelector": pods, "policyTypes": []}
        for direction, rules in (("Ingress", ingress), ("Egress", egress)):
            if rules:
                spec["policyTypes"].append(direction)
                spec[direction.lower()] = list(rules)
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": self._namespace},
            "spec": spec,
        }


CLOSED_PORTS = {HEAD: (DASHBOARD_PORT, GCS_PORT, 8000), CPU_WORKER: (8001, 8404, 9101, 30000)}
"""Of the service's pods, to everybody outside: Ray's own, HAProxy's reports, the replicas'."""


def probed(log: str) -> dict[str, str]:
    """What came of each attempt, by `HOST:PORT`: `open`, `silent`, or an error's name."""
    found: dict[str, str] = json.loads(log.splitlines()[-1])
    return found
