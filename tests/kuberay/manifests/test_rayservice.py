"""The RayService: the application's settings, autoscaling, state, authentication, upgrades."""

from importlib.metadata import version

import pytest
import yaml

from serve_app.serve_config import serve_config
from serve_app.settings import Settings
from tests.kuberay.manifests.rendering import FOLDERS, cluster, find, of

every_folder = pytest.mark.parametrize("name", FOLDERS)


@every_folder
def test_what_is_deployed_is_what_serve_config_prints(name: str) -> None:
    (service,) = find(name, "RayService")
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    assert config == serve_config(of(name).application)


@every_folder
def test_the_application_reads_the_same_settings_from_its_arguments(name: str) -> None:
    (service,) = find(name, "RayService")
    (application,) = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"]
    assert application["import_path"] == "serve_app:app"
    assert Settings.model_validate(application["args"]) == of(name).application.settings


@every_folder
def test_every_deployment_and_group_scales(name: str) -> None:
    settings, config = of(name).application.settings, cluster(name)
    assert config["enableInTreeAutoscaling"] is True
    assert config["autoscalerOptions"]["version"] == "v2"
    for scaling in (settings.router, settings.faq, settings.image):
        assert scaling.min_replicas < scaling.max_replicas or name == "kind"
    for group in config["workerGroupSpecs"]:
        assert group["minReplicas"] == group["replicas"] < group["maxReplicas"]


@every_folder
def test_the_replicas_fit_the_pods(name: str) -> None:
    deployed = of(name)
    router, faq = deployed.application.settings.router, deployed.application.settings.faq
    group = deployed.cluster.cpu
    fewest = router.min_replicas * router.num_cpus + faq.min_replicas * faq.num_cpus
    most = router.max_replicas * router.num_cpus + faq.max_replicas * faq.num_cpus
    assert fewest <= group.min_pods * group.cpus
    assert most <= group.max_pods * group.cpus


@every_folder
def test_ray_asks_for_a_token_and_its_version_is_the_installed_one(name: str) -> None:
    assert cluster(name)["authOptions"] == {"mode": "token"}
    assert cluster(name)["rayVersion"] == version("ray")


@pytest.mark.parametrize("name", ["production", "gradual"])
def test_the_state_is_in_redis_with_tls_and_a_password(name: str) -> None:
    state = cluster(name)["gcsFaultToleranceOptions"]
    assert state["redisAddress"].startswith("rediss://")
    reference = state["redisPassword"]["valueFrom"]["secretKeyRef"]
    providers = {
        item["metadata"]["name"]: item["spec"] for item in find(name, "SecretProviderClass")
    }
    (secret,) = providers["scoring-redis"]["secretObjects"]
    assert reference["name"] == secret["secretName"]
    assert reference["key"] in {entry["key"] for entry in secret["data"]}
    mounted = {
        volume["csi"]["volumeAttributes"]["secretProviderClass"]
        for volume in cluster(name)["headGroupSpec"]["template"]["spec"]["volumes"]
        if "csi" in volume
    }
    assert mounted == {"scoring-keys", "scoring-redis"}


@pytest.mark.parametrize("name", ["production", "gradual"])
def test_workers_do_not_see_the_password_of_redis(name: str) -> None:
    for group in cluster(name)["workerGroupSpecs"]:
        assert "redis" not in str(group)


@pytest.mark.parametrize("name", ["production", "gradual"])
def test_what_the_vault_brings_has_the_names_that_its_readers_expect(name: str) -> None:
    keys = of(name).application.settings.keys_file.name
    for provider, alias in (("scoring-keys", keys), ("scoring-redis", "password")):
        (found,) = (
            item
            for item in find(name, "SecretProviderClass")
            if item["metadata"]["name"] == provider
        )
        wanted = yaml.safe_load(found["spec"]["parameters"]["objects"])["array"]
        assert [yaml.safe_load(entry)["objectAlias"] for entry in wanted] == [alias]


def test_on_kind_the_state_is_on_a_disk() -> None:
    state = cluster("kind")["gcsFaultToleranceOptions"]
    assert state["backend"] == "rocksdb"
    assert state["storage"]["deletionPolicy"] == "DeleteWithCluster"


def test_a_changed_pod_brings_a_new_cluster() -> None:
    (service,) = find("production", "RayService")
    assert service["spec"]["upgradeStrategy"] == {"type": "NewCluster"}


def test_gradual_moves_the_traffic_in_steps_by_a_gateway_of_another_class() -> None:
    (service,) = find("gradual", "RayService")
    strategy = service["spec"]["upgradeStrategy"]
    assert strategy["type"] == "NewClusterWithIncrementalUpgrade"
    options = strategy["clusterUpgradeOptions"]
    gateways = {item["spec"]["gatewayClassName"] for item in find("gradual", "Gateway")}
    assert options["gatewayClassName"] not in gateways
    assert 0 < options["stepSizePercent"] <= 100
    assert options["intervalSeconds"] > 0
