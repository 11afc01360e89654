"""What Terraform and the Kubernetes manifests must agree on."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kuberay.aks.costs import read_prices, read_size
from kuberay.manifests.cluster import PodSize
from kuberay.manifests.files import Deployment, deployment, generated
from kuberay.manifests.times import grace_s
from tests.kuberay.aks.evaluation import CHOSEN, evaluate, sizes, terraform
from tests.kuberay.aks.terraform import AKS, Configuration

KUBERAY = AKS.parent
FOR_AZURE_VCPUS = 1.0
"""Of each node for the kubelet and the agents of network, metrics, logs, secrets and Defender."""

Object = dict[str, Any]


@pytest.fixture(scope="module")
def configuration() -> Configuration:
    return Configuration.read()


@pytest.fixture(scope="module")
def production() -> Deployment:
    return deployment(KUBERAY / "overlays" / "production")


def objects(production: Deployment) -> list[Object]:
    return [item for file in production.files().values() for item in file]


def worker_group(production: Deployment, name: str) -> Object:
    [service] = [item for item in objects(production) if item["kind"] == "RayService"]
    groups = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    [group] = [group for group in groups if group["groupName"] == name]
    return dict(group)


def test_the_federated_identities_are_those_of_the_service_accounts(
    configuration: Configuration, production: Deployment
) -> None:
    accounts = [o["metadata"] for o in objects(production) if o["kind"] == "ServiceAccount"]
    assert {o["name"] for o in accounts} == set(configuration.locals["service_accounts"])
    assert {o["namespace"] for o in accounts} == {configuration.locals["namespace"]}


@pytest.mark.parametrize("taint", ["gpu_taint", "spot_taint"])
def test_pods_of_the_gpu_group_tolerate_the_taints_of_the_gpu_pool(
    configuration: Configuration, production: Deployment, taint: str
) -> None:
    key_value, _, effect = configuration.locals[taint].partition(":")
    key, _, value = key_value.partition("=")
    wanted = {"key": key, "operator": "Equal", "value": value, "effect": effect}
    assert wanted in worker_group(production, "gpu")["template"]["spec"]["tolerations"]


def test_a_node_that_leaves_waits_as_long_as_its_pods_may_take(
    configuration: Configuration, production: Deployment
) -> None:
    cluster = configuration.resource("cluster").body["properties"]
    patience = int(cluster["autoScalerProfile"]["max-graceful-termination-sec"])
    assert patience >= grace_s(production.cluster)


def test_the_makefile_puts_the_secrets_where_the_pods_look(production: Deployment) -> None:
    text = (AKS / "Makefile").read_text("utf-8")
    vault = production.cluster.key_vault
    assert vault is not None
    for secret in (vault.keys, vault.redis_password):
        assert f"/secrets/{secret}?" in text


def test_the_tear_down_removes_every_namespace_that_the_manifests_make(
    production: Deployment,
) -> None:
    text = (AKS / "Makefile").read_text("utf-8")
    made = [o["metadata"]["name"] for o in objects(production) if o["kind"] == "Namespace"]
    assert f"AKS_NAMESPACES := {' '.join(made)}\n" in text


def test_the_operator_runs_where_the_manifests_expect_it(production: Deployment) -> None:
    text = (AKS / "Makefile").read_text("utf-8")
    assert f"--namespace {production.cluster.operator_namespace} " in text


@pytest.mark.parametrize("name", ["small", "medium", "large"])
def test_the_nodes_of_every_size_hold_the_pods(name: str, production: Deployment) -> None:
    size, cluster = read_size(name), production.cluster
    assert cluster.gpu is not None

    def holds(node: str, pod: PodSize) -> int:
        free = read_prices().vcpus[node] - FOR_AZURE_VCPUS
        return int(free // (pod.cpu_request or pod.cpus))

    cpu_node, gpu_node = size.cpu_pool.size, size.gpu_pool.size
    assert holds(gpu_node, cluster.gpu) >= 1
    each = min(holds(cpu_node, cluster.head), holds(cpu_node, cluster.cpu))
    pods = 1 + cluster.cpu.min_pods
    assert each * size.cpu_pool.min >= pods, "the head and the fewest workers"
    assert each * size.cpu_pool.max >= 2 * pods, "two clusters while an upgrade goes on"


def test_the_overlay_for_azure_is_production_with_this_deployments_names(
    configuration: Configuration, tmp_path: Path
) -> None:
    if terraform() is None or shutil.which("kubectl") is None:
        pytest.skip("terraform (or tofu) and kubectl are not both installed")
    (tmp_path / "plan").mkdir()
    planned = evaluate(configuration, {**CHOSEN, **sizes("small")}, tmp_path / "plan")
    root = tmp_path / "kuberay"
    shutil.copytree(KUBERAY, root, ignore=shutil.ignore_patterns("aks", "*.py", "__pycache__"))
    overlay = root / "overlays" / "aks"
    overlay.mkdir()
    for output in ("settings", "kustomization"):
        text = planned.outputs[output].replace('"TAG"', '"1.2.3"')
        (overlay / f"{output}.yaml").write_text(text, "utf-8")
    for path, text in generated(root).items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    made = subprocess.run(
        ["kubectl", "kustomize", str(overlay)], check=True, capture_output=True, text=True
    )
    assert "registry.example" not in made.stdout
    assert "azure.example/scoring-cpu:1.2.3" in made.stdout
    assert "azure.example/scoring-gpu:1.2.3" in made.stdout
    found = list(yaml.safe_load_all(made.stdout))
    [gateway] = [item for item in found if item["kind"] == "Gateway"]
    hosts = {listener.get("hostname") for listener in gateway["spec"]["listeners"]} - {None}
    assert len(hosts) == 1
    [host] = hosts
    label = gateway["spec"]["infrastructure"]["annotations"][
        "service.beta.kubernetes.io/azure-dns-label-name"
    ]
    assert host == f"{label}.{read_prices().region}.cloudapp.azure.com"
    identity = planned.resources["federation[scoring-head]"].body["properties"]
    assert identity["subject"] == "system:serviceaccount:scoring:scoring-head"
