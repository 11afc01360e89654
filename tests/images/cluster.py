"""A Ray cluster of pods as containers on a network of their own, as KubeRay would start them."""

import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import httpx

from tests.images.pods import Pod
from tests.images.store import Store

NETWORK = IPv4Network("10.91.0.0/24")
HOST, HEAD, FIRST_WORKER = str(NETWORK[1]), str(NETWORK[2]), 3
MOST_WORDS = 4000
START_S, CHANGE_S, PERIOD_S = 240, 180, 1.0


class Cluster:
    """A head, and workers as they are added; `token` is Ray's own, as KubeRay makes one."""

    def __init__(self, store: Store, image: str, keys: Path, network: str) -> None:
        self._store = store
        self._image = image
        self._secrets = {"scoring-keys": keys}
        self.network = network
        self._count = 0
        self._token = secrets.token_hex(16)

    def start(self, pod: Pod) -> tuple[str, str]:
        """Starts a pod; gives its container's name and its address."""
        address = HEAD if pod.is_head else str(NETWORK[FIRST_WORKER + self._count])
        name = f"{self.network}-{'head' if pod.is_head else f'worker-{self._count}'}"
        self._count += not pod.is_head
        gcs = f"{HEAD}:6379"
        # What KubeRay adds to the environment that the manifest gives.
        added = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self._token,
            "RAY_ADDRESS": "127.0.0.1:6379" if pod.is_head else gcs,
            "FQ_RAY_IP": HEAD,
        }
        self._store.podman(
            *("run", "--detach", "--name", name, "--no-healthcheck"),
            *("--network", self.network, "--ip", address, "--hostname", name),
            *pod.options(self._store.folder / "pods" / name, self._secrets),
            *(word for pair in added.items() for word in ("--env", "=".join(pair))),
            self._image,
            *pod.command(gcs),
        )
        if pod.is_head:
            self._reach()
        return name, address

    def kill(self, name: str) -> None:
        """As a node that fails: nobody is told."""
        self._store.podman("kill", "--signal", "KILL", name)

    def logs(self, name: str) -> str:
        """What the container printed."""
        return self._store.run("podman", "logs", "--tail", "60", name, check=False).stdout

    def deploy(self, config: Mapping[str, Any]) -> None:
        """Gives Ray Serve its configuration, as KubeRay does."""

        def accepted() -> bool:
            answer = self._dashboard("PUT", config)
            assert answer.status_code < 400 or answer.status_code >= 500, answer.text
            return answer.is_success

        wait_until(accepted, START_S, lambda: self.logs(f"{self.network}-head"))

    def status(self) -> dict[str, Any]:
        """What Ray Serve says of its applications."""
        answer = self._dashboard("GET", None)
        status: dict[str, Any] = answer.json() if answer.is_success else {"applications": {}}
        return status

    def wait_for_replicas(self, timeout_s: float = START_S) -> None:
        """Until the application runs, with every replica of every deployment."""

        def runs() -> bool:
            found = self.status()["applications"].get("scoring", {"status": "absent"})
            assert found["status"] != "DEPLOY_FAILED", json.dumps(found)[:MOST_WORDS]
            return found["status"] == "RUNNING" and all(
                one["status"] == "HEALTHY" for one in found["deployments"].values()
            )

        wait_until(runs, timeout_s, lambda: json.dumps(self.status())[:MOST_WORDS])

    def _dashboard(self, method: str, body: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token}"}
        url = f"http://{HEAD}:8265/api/serve/applications/"
        with httpx.Client(trust_env=False, timeout=30) as client:
            try:
                return client.request(method, url, json=body, headers=headers)
            except httpx.TransportError as error:
                return httpx.Response(503, text=str(error))

    def _reach(self) -> None:
        """Gives this machine an address on the pods' network, which has no way out."""
        found = json.loads(self._store.podman("network", "inspect", self.network))
        bridge = found[0]["network_interface"]
        address = f"{HOST}/{NETWORK.prefixlen}"
        subprocess.run(["ip", "address", "add", address, "dev", bridge], check=True)


@contextmanager
def started(store: Store, image: str, keys: Path) -> Iterator[Cluster]:
    """A network for one cluster; everything on it ends with it."""
    network = f"scoring-{os.getpid()}"
    store.podman(
        *("network", "create", "--internal", "--disable-dns"),
        *("--subnet", str(NETWORK), "--ip-range", f"{NETWORK[128]}/25", network),
    )
    try:
        yield Cluster(store, image, keys, network)
    finally:
        store.run("podman", "rm", "--all", "--force", "--time", "0", check=False)
        store.run("podman", "network", "rm", "--force", network, check=False)


def wait_until(holds: Callable[[], bool], timeout_s: float, why: Callable[[], str]) -> None:
    """Looks once a second; fails with `why` when the time is up."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {timeout_s} s:\n{why()}"
        time.sleep(PERIOD_S)
