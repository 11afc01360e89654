"""The make targets, run with stand-ins for az, helm, kubectl and Terraform that note their call."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kuberay.aks.terraform import AKS

ROOT = AKS.parents[1]
OUTPUTS = {
    "cluster": "aks-scoring",
    "resource_group": "rg-scoring",
    "registry": "azure.example",
    "registry_name": "azure",
    "redis_name": "redis-scoring",
    "vault_id": "/azure/vault",
    "vault_api_version": "2026-05-15",
    "url": "https://scoring.example",
    "settings": "cluster: {}\n",
    "kustomization": 'images: [{newTag: "TAG"}]\n',
}
STAND_IN = """#!{python}
import json, pathlib, sys
name, arguments = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
body = sys.stdin.read() if "@-" in arguments else ""
with open({log!r}, "a") as log:
    log.write(json.dumps([name, arguments, body]) + "\\n")
if name == "terraform" and "output" in arguments:
    sys.stdout.write({outputs!r}[arguments[-1]])
if "list-keys" in arguments:
    sys.stdout.write(json.dumps({{"properties": {{"value": "of-redis"}}}}))
"""


@dataclass(frozen=True)
class Call:
    """One command as a stand-in saw it."""

    name: str
    arguments: list[str]
    body: str


@dataclass(frozen=True)
class Tools:
    """A folder with the stand-ins, and what they noted."""

    folder: Path

    def make(self, target: str, *variables: str) -> subprocess.CompletedProcess[str]:
        """Run a target."""
        settled = ["--old-file=.venv/.installed", f"TERRAFORM={self.folder / 'terraform'}"]
        return subprocess.run(
            ["make", "--no-print-directory", *settled, target, *variables],
            cwd=ROOT,
            env={"PATH": f"{self.folder}:/usr/bin:/bin", "HOME": str(self.folder)},
            capture_output=True,
            text=True,
        )

    def calls(self) -> list[Call]:
        """What was called, without the questions for outputs."""
        log = self.folder / "log"
        lines = log.read_text("utf-8").splitlines() if log.exists() else []
        found = [Call(*json.loads(line)) for line in lines]
        return [call for call in found if "output" not in call.arguments[1:2]]


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    text = STAND_IN.format(python=sys.executable, log=str(tmp_path / "log"), outputs=OUTPUTS)
    for name in ("az", "helm", "kubectl", "kubelogin", "terraform"):
        path = tmp_path / name
        path.write_text(text, "utf-8")
        path.chmod(0o755)
    return Tools(tmp_path)


def test_nothing_is_torn_down_without_the_clusters_name(tools: Tools) -> None:
    for confirmed in ([], ["CONFIRM="], ["CONFIRM=scoring"], ["CONFIRM=yes"]):
        refused = tools.make("aks-destroy", *confirmed)
        assert refused.returncode != 0
        assert "CONFIRM=aks-scoring" in refused.stdout
    assert tools.calls() == []


def test_the_tear_down_removes_the_application_first(tools: Tools) -> None:
    done = tools.make("aks-destroy", "CONFIRM=aks-scoring", "SIZE=large")
    assert done.returncode == 0, done.stderr
    service, clusters, namespaces, destroyed = tools.calls()
    # KubeRay empties Redis by a job, which needs the namespace.
    assert service.arguments[:2] == ["delete", "rayservices.ray.io"]
    assert clusters.arguments[:2] == ["wait", "rayclusters.ray.io"]
    assert namespaces.arguments[:3] == ["delete", "namespace", "scoring"]
    assert destroyed.arguments[1:] == ["destroy", "-var-file=sizes/large.tfvars.json"]
    assert "kubectl delete namespace" in done.stdout
    assert "destroy -var-file" in done.stdout


def test_a_plan_is_of_a_size_and_is_what_is_applied(tools: Tools) -> None:
    planned = tools.make(
        "aks-plan", f"--old-file={AKS.relative_to(ROOT)}/.terraform", "SIZE=medium"
    )
    assert planned.returncode == 0, planned.stderr
    plan = tools.calls()[-1].arguments
    assert plan[1:] == ["plan", "-var-file=sizes/medium.tfvars.json", "-out=aks.tfplan"]
    assert tools.make("aks-apply").returncode == 0
    assert tools.calls()[-1].arguments[1:] == ["apply", "aks.tfplan"]


def test_secrets_go_through_pipes_and_never_into_arguments(tools: Tools, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text('{"version": 1, "keys": ["very-secret"]}', "utf-8")
    done = tools.make("aks-secrets", f"KEYS={keys}")
    assert done.returncode == 0, done.stderr
    sent = [call for call in tools.calls() if call.name == "az" and "rest" in call.arguments]
    bodies = {call.arguments[-1].split("?")[0]: json.loads(call.body) for call in sent}
    assert bodies == {
        "/azure/vault/secrets/redis-password": {"properties": {"value": "of-redis"}},
        "/azure/vault/secrets/scoring-keys": {"properties": {"value": keys.read_text("utf-8")}},
    }
    for call in tools.calls():
        assert "very-secret" not in str(call.arguments)
        assert "of-redis" not in str(call.arguments)
    assert "very-secret" not in done.stdout


def test_secrets_without_a_file_are_refused(tools: Tools) -> None:
    refused = tools.make("aks-secrets")
    assert refused.returncode != 0
    assert "KEYS=FILE is missing" in refused.stdout
    assert tools.calls() == []


def test_charts_are_pinned_and_the_namespace_comes_first(tools: Tools) -> None:
    done = tools.make("aks-kuberay")
    assert done.returncode == 0, done.stderr
    namespace, *_, cert_manager, kuberay = tools.calls()
    assert namespace.arguments == ["apply", "--filename", "kuberay/base/namespace.yaml"]
    for call in (cert_manager, kuberay):
        version = call.arguments[call.arguments.index("--version") + 1]
        assert version.count(".") == 2
        values = call.arguments[call.arguments.index("--values") + 1]
        assert (ROOT / values).is_file()
        assert f"--version {version}" in done.stdout


def test_a_pool_is_scaled_between_two_numbers(tools: Tools) -> None:
    for missing in ([], ["POOL=system", "MIN=1", "MAX=2"], ["POOL=gpu", "MIN=1"]):
        assert tools.make("aks-scale", *missing).returncode != 0
    assert tools.calls() == []
    assert tools.make("aks-scale", "POOL=gpu", "MIN=1", "MAX=4").returncode == 0
    [call] = tools.calls()
    assert call.arguments[:3] == ["aks", "nodepool", "update"]
    assert call.arguments[-5:] == [
        "--update-cluster-autoscaler", "--min-count", "1", "--max-count", "4"
    ]  # fmt: skip


def test_the_overlay_is_written_with_the_tag_of_the_images(tools: Tools, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay"
    done = tools.make("aks-settings", f"AKS_OVERLAY={overlay}", "VERSION=1.2.3", "MAKE=:")
    assert done.returncode == 0, done.stderr
    assert (overlay / "settings.yaml").read_text("utf-8") == OUTPUTS["settings"]
    assert (overlay / "kustomization.yaml").read_text("utf-8") == 'images: [{newTag: "1.2.3"}]\n'


@pytest.mark.parametrize("target", ["aks-test", "aks-load"])
def test_asking_the_service_takes_a_key(tools: Tools, target: str) -> None:
    refused = tools.make(target)
    assert refused.returncode != 0
    assert "SCORING_API_KEY is missing" in refused.stdout
