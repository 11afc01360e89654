"""Head and workers as the real manifest has them, in the real image, with the real Serve config."""

import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.images import pods
from tests.images.cluster import CHANGE_S, HEAD, Cluster, started, wait_until
from tests.images.conftest import Image
from tests.images.pods import Pod
from tests.images.store import Store

pytestmark = pytest.mark.timeout(600)

GROUP = 10001
QUESTION = {"question": "forgot password"}


@dataclass(frozen=True)
class Running:
    """A cluster with one pod for each replica that the manifest wants, a key, and the config."""

    cluster: Cluster
    worker: Pod
    workers: dict[str, str]
    key: str
    config: dict[str, Any]

    def ask(self, address: str, *, key: str | None) -> httpx.Response:
        """Asks the proxy of one pod."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=f"http://{address}:8000", trust_env=False, timeout=60) as client:
            return client.post("/v1/faq/rank", json=QUESTION, headers=headers)

    def version(self, address: str) -> str:
        """The version that answers; what went wrong where none does."""
        try:
            answer = self.ask(address, key=self.key)
        except httpx.TransportError as error:
            return repr(error)
        return answer.json()["model"]["version"] if answer.is_success else answer.text

    def wait_for_version(self, number: str, address: str) -> None:
        """Until the proxy of a pod answers by this version."""
        wait_until(lambda: self.version(address) == number, CHANGE_S, lambda: self.version(address))


@pytest.fixture(scope="module")
def running(
    store: Store,
    image: Image,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    if not (pods.MANIFESTS / "kustomization.yaml").exists():
        pytest.skip(f"{pods.MANIFESTS} is absent")
    if shutil.which("kubectl") is None:
        pytest.skip("not installed: kubectl")
    spec = pods.rayservice()
    folder = tmp_path_factory.mktemp("keys")
    key = _key(folder / "keys.json")
    config = yaml.safe_load(spec["serveConfigV2"])
    worker = pods.pod(spec, "cpu")
    count = spec["rayClusterConfig"]["workerGroupSpecs"][0]["minReplicas"]
    with started(store, image.name, folder) as cluster:
        cluster.start(pods.pod(spec, None))
        workers = dict(cluster.start(worker) for _ in range(count))
        cluster.deploy(config)
        cluster.wait_for_replicas()
        made = Running(cluster, worker, workers, key, config)
        # A pod's proxy learns where the application is a moment after its replicas run.
        for address in workers.values():
            made.wait_for_version("2", address)
        yield made


def _key(file: Path) -> str:
    """A new key; its file can be read as the kubelet makes a secret readable."""
    command = [sys.executable, "-m", "serve_app.cli", "keys", "create", "--scope", "faq"]
    ended = subprocess.run(
        [*command, f"auth.keys={file}"], capture_output=True, text=True, check=True
    )
    os.chown(file, 0, GROUP)
    file.chmod(0o440)
    file.parent.chmod(0o755)
    return ended.stdout.strip()


def test_a_question_is_answered_by_the_baked_model(running: Running, image: Image) -> None:
    index = json.loads((image.models / "index.json").read_bytes())
    digests = {one["version"]: one["digest"] for one in index["versions"] if one["name"] == "faq"}
    for address in running.workers.values():
        answer = running.ask(address, key=running.key).raise_for_status().json()
        assert answer["matches"][0]["question"] == "How do I reset my password?"
        assert answer["model"] == {"name": "faq", "version": "2", "digest": digests["2"]}


def test_nobody_comes_in_without_a_key(running: Running) -> None:
    address = next(iter(running.workers.values()))
    assert running.ask(address, key=None).status_code == 401
    assert running.ask(address, key="rts_000000000000_wrong").status_code == 401


def test_the_dashboard_wants_rays_own_token(running: Running) -> None:
    with httpx.Client(trust_env=False) as client:
        answer = client.get(f"http://{HEAD}:8265/api/serve/applications/")
    assert answer.status_code == 401


def test_the_probes_of_the_manifest_are_answered(running: Running) -> None:
    address = next(iter(running.workers.values()))
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        probe = running.worker.container[name]["httpGet"]
        with httpx.Client(trust_env=False) as client:
            answer = client.get(f"http://{address}:{probe['port']}{probe['path']}")
        assert answer.status_code == 200, name


def test_nothing_is_written_outside_the_mounts(running: Running, store: Store) -> None:
    for name in (f"{running.cluster.network}-head", *running.workers):
        changed = store.podman("diff", name).splitlines()
        files = {line.split()[1] for line in changed}
        # Where something is mounted: made by the runtime.
        mounts = {"/tmp", "/var/lib/scoring", "/etc/scoring", "/dev", "/proc", "/sys", "/run"}
        mounts |= {"/etc", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname", "/etc/mtab"}
        mounts |= {"/run/.containerenv", "/var", "/var/lib"}
        assert files <= mounts


def test_a_changed_configuration_is_taken_over_in_place(running: Running, store: Store) -> None:
    ids = store.podman("ps", "--quiet", "--no-trunc")
    config = copy.deepcopy(running.config)
    config["applications"][0]["args"]["faq.alias"] = "challenger"
    running.cluster.deploy(config)
    for address in running.workers.values():
        running.wait_for_version("1", address)
    running.cluster.wait_for_replicas()
    assert store.podman("ps", "--quiet", "--no-trunc") == ids


def test_while_a_killed_worker_is_replaced_the_other_answers(running: Running) -> None:
    (killed, _), (_, other) = list(running.workers.items())[:2]
    running.cluster.kill(killed)
    running.wait_for_version("1", other)
    _, address = running.cluster.start(running.worker)
    running.wait_for_version("1", address)
    running.cluster.wait_for_replicas()
