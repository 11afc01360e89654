"""The pods: what Ray is told, what they may, and how they end."""

from decimal import Decimal
from typing import Any

import pytest

from kuberay.manifests.pods import AGENT_PORT, CONFINED, USER
from kuberay.manifests.times import STOP_S
from serve_app.fast_path import EVERY_MACHINE, FAST_PATH, LOCAL
from serve_app.serve_config import GRACEFUL_SHUTDOWN_S, ROUTER_STAYS_S
from tests.kuberay.manifests.rendering import (
    FOLDERS,
    amount,
    cluster,
    containers,
    find,
    of,
    templates,
)

Object = dict[str, Any]
every_folder = pytest.mark.parametrize("name", FOLDERS)


def groups(name: str) -> list[Object]:
    found: list[Object] = cluster(name)["workerGroupSpecs"]
    return found


def ray_containers(name: str) -> list[Object]:
    return [template["spec"]["containers"][0] for template in templates(name)]


@every_folder
def test_ray_is_told_what_the_workers_get(name: str) -> None:
    for group in groups(name):
        told = group["rayStartParams"]
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        assert amount(limits["cpu"]) == int(told["num-cpus"])
        assert amount(limits["memory"]) == int(told["memory"])
        assert amount(limits.get("nvidia.com/gpu", "0")) == int(told["num-gpus"])


@every_folder
def test_the_head_gets_no_replica(name: str) -> None:
    head = cluster(name)["headGroupSpec"]
    limits = head["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert head["rayStartParams"]["num-cpus"] == head["rayStartParams"]["num-gpus"] == "0"
    assert int(head["rayStartParams"]["memory"]) == amount(limits["memory"])
    (service,) = find(name, "RayService")
    assert service["spec"]["excludeHeadPodFromServeSvc"] is True


@every_folder
def test_no_container_takes_memory_that_was_not_set_aside(name: str) -> None:
    for container in containers(name):
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert requests.keys() == limits.keys() >= {"cpu", "memory"}
        for what in limits.keys() - {"cpu"}:
            assert requests[what] == limits[what]
        assert amount(requests["cpu"]) <= amount(limits["cpu"])


def test_production_sets_aside_all_the_cpus_that_ray_is_told() -> None:
    for group in groups("production"):
        requests = group["template"]["spec"]["containers"][0]["resources"]["requests"]
        assert amount(requests["cpu"]) == int(group["rayStartParams"]["num-cpus"])


@every_folder
def test_the_object_store_fits_into_shared_memory_and_that_into_the_limit(name: str) -> None:
    config = cluster(name)
    for group in [config["headGroupSpec"], *config["workerGroupSpecs"]]:
        spec = group["template"]["spec"]
        mounts = {mount["mountPath"]: mount["name"] for mount in ray_mounts(spec)}
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        shm = volumes[mounts["/dev/shm"]]["emptyDir"]
        assert shm["medium"] == "Memory"
        store = int(group["rayStartParams"]["object-store-memory"])
        memory = spec["containers"][0]["resources"]["limits"]["memory"]
        assert store < amount(shm["sizeLimit"]) <= amount(memory) / 2


def ray_mounts(spec: Object) -> list[Object]:
    mounts: list[Object] = spec["containers"][0]["volumeMounts"]
    return mounts


@every_folder
def test_every_container_is_confined(name: str) -> None:
    found = list(containers(name))
    assert {container["name"] for container in found} >= {
        *("ray-head", "ray-worker", "request-log", "autoscaler"),
    }
    for container in found:
        assert container["securityContext"] == CONFINED
    assert CONFINED["readOnlyRootFilesystem"] is CONFINED["runAsNonRoot"] is True
    assert CONFINED["allowPrivilegeEscalation"] is CONFINED["privileged"] is False
    assert CONFINED["capabilities"] == {"drop": ["ALL"]}
    for template in templates(name):
        context = template["spec"]["securityContext"]
        assert context["fsGroup"] == context["runAsUser"] == USER == CONFINED["runAsUser"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & template["spec"].keys()


@every_folder
def test_the_namespace_keeps_the_restricted_standard(name: str) -> None:
    namespaces = {item["metadata"]["name"]: item for item in find(name, "Namespace")}
    labels = namespaces["scoring"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@every_folder
def test_what_must_be_written_is_mounted(name: str) -> None:
    data_dir = str(of(name).application.settings.data_dir)
    for template in templates(name):
        writable = {
            mount["mountPath"] for mount in ray_mounts(template["spec"]) if "readOnly" not in mount
        }
        assert writable == {"/tmp", "/dev/shm", data_dir}
        volumes = {volume["name"] for volume in template["spec"]["volumes"]}
        for container in [*template["spec"]["initContainers"], *template["spec"]["containers"]]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


@every_folder
def test_the_autoscaler_alone_can_ask_the_api_server(name: str) -> None:
    for template in templates(name):
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False
        tokens = {volume["name"] for volume in spec["volumes"] if "projected" in volume}
        for container in [*spec["initContainers"], *spec["containers"]]:
            assert not {mount["name"] for mount in container["volumeMounts"]} & tokens
    head = templates(name)[0]["spec"]
    (token,) = (volume for volume in head["volumes"] if "projected" in volume)
    mounts = cluster(name)["autoscalerOptions"]["volumeMounts"]
    assert {"/tmp", "/var/run/secrets/kubernetes.io/serviceaccount"} == {
        mount["mountPath"] for mount in mounts
    }
    assert token["name"] in {mount["name"] for mount in mounts}
    # Kept by KubeRay for an account of ours, it needs no more than this one container reads.
    kinds = {next(iter(source)) for source in token["projected"]["sources"]}
    assert kinds == {"serviceAccountToken", "configMap", "downwardAPI"}


@every_folder
def test_the_accounts_exist_and_no_role_is_given_to_them(name: str) -> None:
    known = {item["metadata"]["name"] for item in find(name, "ServiceAccount")}
    assert {template["spec"]["serviceAccountName"] for template in templates(name)} <= known
    for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"):
        assert list(find(name, kind)) == []


@every_folder
def test_the_fast_path_is_in_the_environment_of_every_node(name: str) -> None:
    for container in ray_containers(name):
        variables = {entry["name"]: entry["value"] for entry in container["env"]}
        assert variables.items() >= {**FAST_PATH, **EVERY_MACHINE}.items()
        # Settings come as arguments of the application; what is the image's is not repeated.
        assert not [key for key in variables if key.startswith("SCORING_")]
        assert not {"RAY_SERVE_HAPROXY_BINARY_PATH", "HAPROXY_BINARY"} & variables.keys()


def test_a_machine_of_its_own_has_all_that_every_machine_has() -> None:
    assert LOCAL.items() >= EVERY_MACHINE.items()


@every_folder
def test_one_number_says_how_long_a_pod_may_take_to_end(name: str) -> None:
    deployed = of(name)
    drain_s, deadline_s = deployed.cluster.drain_s, deployed.application.settings.http.deadline_s
    assert drain_s >= max(ROUTER_STAYS_S + deadline_s, GRACEFUL_SHUTDOWN_S)
    for group in groups(name):
        (ray,) = group["template"]["spec"]["containers"]
        command = ray["lifecycle"]["preStop"]["exec"]["command"]
        assert command == ["scoring", "drain", "--timeout-s", str(drain_s)]
    for template in templates(name):
        assert template["spec"]["terminationGracePeriodSeconds"] == drain_s + STOP_S


@every_folder
def test_the_old_cluster_stays_until_its_requests_are_answered(name: str) -> None:
    (service,) = find(name, "RayService")
    deadline_s = of(name).application.settings.http.deadline_s
    assert service["spec"]["rayClusterDeletionDelaySeconds"] >= deadline_s + 30


@every_folder
def test_probes_ask_ray_and_the_proxy_without_a_program_in_the_image(name: str) -> None:
    port = of(name).application.settings.http.port
    for index, container in enumerate(ray_containers(name)):
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe].keys() & {"exec", "tcpSocket", "grpc"} == set()
        node = {"port": AGENT_PORT, "path": "/api/healthz"}
        assert container["livenessProbe"]["httpGet"] == node
        assert container["startupProbe"]["httpGet"] == node
        ready = container["readinessProbe"]["httpGet"]
        assert ready == (node if index == 0 else {"port": port, "path": "/-/healthz"})
        told = [cluster(name)["headGroupSpec"], *groups(name)][index]["rayStartParams"]
        assert told["dashboard-agent-listen-port"] == str(AGENT_PORT)


@every_folder
def test_the_head_names_the_ports_that_kuberay_looks_for(name: str) -> None:
    ports = {port["name"]: port["containerPort"] for port in ray_containers(name)[0]["ports"]}
    settings = of(name).application.settings
    assert ports == {
        "metrics": 8080,
        "serve": settings.http.port,
        "grpc": settings.grpc.port,
        "gcs-server": 6379,
        "dashboard": 8265,
    }


@every_folder
def test_the_request_log_is_shipped_from_where_the_application_writes_it(name: str) -> None:
    settings = of(name).application.settings
    for template in templates(name):
        (sidecar,) = template["spec"]["initContainers"]
        assert sidecar["restartPolicy"] == "Always"
        assert sidecar["command"] == ["scoring", "logs", f"data_dir={settings.data_dir}"]
        (mount,) = sidecar["volumeMounts"]
        assert settings.log_file.is_relative_to(mount["mountPath"])
        assert mount["readOnly"] is True
        # KubeRay takes the first container for Ray's.
        assert template["spec"]["containers"][0]["name"] in ("ray-head", "ray-worker")


@every_folder
def test_keys_are_mounted_where_the_application_reads_them(name: str) -> None:
    keys = of(name).application.settings.keys_file
    for template in templates(name):
        (mount,) = (mount for mount in ray_mounts(template["spec"]) if mount["name"] == "keys")
        assert mount == {"name": "keys", "mountPath": str(keys.parent), "readOnly": True}


@every_folder
def test_replicas_of_a_group_are_spread(name: str) -> None:
    for template in templates(name):
        labels = template["metadata"]["labels"]
        keys = set()
        for constraint in template["spec"]["topologySpreadConstraints"]:
            assert labels.items() >= constraint["labelSelector"]["matchLabels"].items()
            assert constraint["matchLabelKeys"] == ["ray.io/cluster"]
            keys.add(constraint["topologyKey"])
        assert keys == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}


@every_folder
def test_priorities_exist_and_the_head_comes_first(name: str) -> None:
    values = {item["metadata"]["name"]: item["value"] for item in find(name, "PriorityClass")}
    wanted = [template["spec"]["priorityClassName"] for template in templates(name)]
    assert all(values[wanted[0]] > values[other] for other in wanted[1:])


@every_folder
def test_budgets_keep_workers_of_both_clusters_and_never_all_of_them(name: str) -> None:
    labels = {group["groupName"]: group["template"]["metadata"]["labels"] for group in groups(name)}
    fewest = {group["groupName"]: group["minReplicas"] for group in groups(name)}
    budgets = list(find(name, "PodDisruptionBudget"))
    assert budgets
    for budget in budgets:
        chosen = budget["spec"]["selector"]["matchLabels"]
        assert not [key for key in chosen if key.startswith("ray.io/")]
        (group,) = (key for key, label in labels.items() if label.items() >= chosen.items())
        # RayCluster has no scale: a budget with maxUnavailable or a percentage would do nothing.
        assert "maxUnavailable" not in budget["spec"]
        assert 0 < budget["spec"]["minAvailable"] < fewest[group]
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_a_gpu_pod_has_one_gpu_and_goes_where_gpus_are() -> None:
    (group,) = (group for group in groups("production") if group["groupName"] == "gpu")
    assert group["minReplicas"] == 0
    spec = group["template"]["spec"]
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert group["rayStartParams"]["num-gpus"] == "1"
    assert spec["tolerations"] == [
        {"key": "sku", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}
    ]
    assert spec["containers"][0]["image"] == "scoring-gpu"


@pytest.mark.parametrize("name", ["base", "kind"])
def test_without_gpus_there_is_no_gpu_group(name: str) -> None:
    assert [group["groupName"] for group in groups(name)] == ["cpu"]
    assert "gpu" not in str(templates(name)[1:])


def test_kind_has_a_worker_to_lose_on_a_machine_with_two_cpus() -> None:
    (group,) = groups("kind")
    assert group["minReplicas"] >= 2
    head, worker = templates("kind")
    autoscaler = cluster("kind")["autoscalerOptions"]

    def wanted(template: Object) -> Decimal:
        spec = template["spec"]
        every = [*spec["initContainers"], *spec["containers"]]
        return sum((amount(item["resources"]["requests"]["cpu"]) for item in every), Decimal(0))

    own = amount(autoscaler["resources"]["requests"]["cpu"])
    assert wanted(head) + own + 2 * wanted(worker) <= Decimal("0.5")
