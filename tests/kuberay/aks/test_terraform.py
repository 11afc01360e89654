"""The AKS configuration, as far as it can be checked without Azure and without Terraform."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import yaml

from tests.kuberay.aks import rules
from tests.kuberay.aks.bodies import all_problems
from tests.kuberay.aks.schemas import MODELS, OWN, api_versions
from tests.kuberay.aks.terraform import AKS, Configuration, Unreadable

SOURCES = {path.name: path.read_text("utf-8") for path in sorted(AKS.glob("*.tf"))}
TEXTS = {
    str(path.relative_to(AKS)): path.read_text("utf-8")
    for path in sorted(AKS.rglob("*"))
    if path.is_file() and ".terraform" not in path.parts and path.suffix != ".pyc"
}


@pytest.fixture(scope="module")
def configuration() -> Configuration:
    return Configuration.read()


def test_every_body_is_one_that_azure_takes(configuration: Configuration) -> None:
    assert all_problems(configuration) == []


def test_the_container_service_is_checked_against_the_models_of_its_newest_version(
    configuration: Configuration,
) -> None:
    service = [r for r in configuration.resources if "Microsoft.ContainerService/" in r.type]
    assert {resource.name for resource in service} == {
        "cluster", "cpu_pool", "gpu_pool", "maintenance"
    }  # fmt: skip
    assert {resource.version for resource in service} == {max(api_versions("containerservice"))}
    assert all(resource.type in MODELS for resource in service)


def test_every_schema_of_our_own_is_used(configuration: Configuration) -> None:
    used = {f"{resource.type}@{resource.version}" for resource in configuration.resources}
    assert set(OWN) <= used


def test_everything_that_is_referred_to_is_there_and_everything_there_is_used(
    configuration: Configuration,
) -> None:
    assert rules.references(configuration) == []


def test_resources_have_only_arguments_that_the_provider_knows(
    configuration: Configuration,
) -> None:
    assert rules.arguments(configuration) == []


def test_nothing_waits_for_itself(configuration: Configuration) -> None:
    assert rules.circles(configuration) == []


def test_variables_have_types_and_descriptions(configuration: Configuration) -> None:
    assert rules.descriptions(configuration) == []


def test_every_resource_has_the_tags(configuration: Configuration) -> None:
    assert rules.tags(configuration) == []


def test_nothing_looks_like_a_secret() -> None:
    assert rules.secrets(TEXTS) == []


def test_no_variable_that_may_be_secret_has_a_default(configuration: Configuration) -> None:
    for name, variable in configuration.variables.items():
        assert not re.search("password|secret|token|key", name) or (
            "default" not in variable.attributes and variable.attributes.get("sensitive")
        ), name


def test_files_that_terraform_reads_have_no_tabs_and_no_trailing_blanks() -> None:
    for name, text in SOURCES.items():
        assert text.endswith("\n"), name
        assert not re.search(r"\t|[ \t]+$", text, re.MULTILINE), name


def test_the_chart_of_the_operator_watches_the_namespace_of_the_application(
    configuration: Configuration,
) -> None:
    values = yaml.safe_load(TEXTS["charts/kuberay-operator.yaml"])
    tests = re.search(r"^AKS_TEST_NAMESPACE := (\S+)$", TEXTS["Makefile"], re.MULTILINE)
    assert tests is not None
    assert values["watchNamespace"] == [configuration.locals["namespace"], tests[1]]
    assert {"name": "RayServiceIncrementalUpgrade", "enabled": True} in values["featureGates"]
    assert values["securityContext"]["runAsNonRoot"]


@dataclass(frozen=True)
class Planted:
    """A change of a file, the check that must see it, and what it says."""

    file: str
    old: str
    new: str
    check: Callable[[Configuration], list[str]]
    says: str


PLANTED = {
    "a misspelled key": Planted(
        "cluster.tf", "apiServerAccessProfile =", "apiServerAccessProfil =", all_problems,
        "cluster: body.properties.apiServerAccessProfil: ManagedClusterProperties has no such key",
    ),
    "a misspelled key deep inside": Planted(
        "cluster.tf", "appRoutingIstio = {", "appRoutingIstio2 = {", all_problems,
        "body.properties.ingressProfile.webAppRouting.gatewayAPIImplementations.appRoutingIstio2",
    ),
    "a misspelled key in a list": Planted(
        "cluster.tf", "maxPods           = 110", "maxPod = 110", all_problems,
        "cluster: body.properties.agentPoolProfiles[0].maxPod:",
    ),
    "a misspelled key with hyphens": Planted(
        "cluster.tf", '"scan-interval" ', '"scan-intervall" ', all_problems,
        "autoScalerProfile.scan-intervall",
    ),
    "a misspelled key in a local value": Planted(
        "pools.tf", "maxSurge                  =", "maxSurges =", all_problems,
        "gpu_pool: body.properties.upgradeSettings.maxSurges",
    ),
    "a value that is none of the enum's": Planted(
        "cluster.tf", '= "cilium"', '= "celium"', all_problems, "'celium' is none of",
    ),
    "a value that is none of the enum's, in a branch": Planted(
        "pools.tf", '"Spot" :', '"spot" :', all_problems, "'spot' is none of Regular, Spot",
    ),
    "a string for a number": Planted(
        "cluster.tf", "intervalHours = 168", 'intervalHours = "168"', all_problems,
        "cluster: body.properties.securityProfile.imageCleaner.intervalHours: '168' is no integer",
    ),
    "a number for a string": Planted(
        "pools.tf", 'maxSurge                  = "1"', "maxSurge = 1", all_problems,
        "maxSurge: 1 is no string",
    ),
    "a boolean for a string": Planted(
        "cluster.tf", '"skip-nodes-with-system-pods"   = "true"',
        '"skip-nodes-with-system-pods" = true', all_problems, "True is no string",
    ),
    "a variable of another type": Planted(
        "pools.tf", "= var.cpu_pool.max", "= var.cpu_pool.size", all_problems,
        "cpu_pool: body.properties.maxCount: string is no integer",
    ),
    "an attribute that the variable has not": Planted(
        "pools.tf", "= var.gpu_pool.disk_gb", "= var.gpu_pool.disk", all_problems,
        "gpu_pool without disk",
    ),
    "a read-only key": Planted(
        "cluster.tf", "enableRBAC           = true",
        'enableRBAC = true\nprovisioningState = "Succeeded"', all_problems,
        "cluster: body.properties.provisioningState: is read-only",
    ),
    "a key that is missing": Planted(
        "cluster.tf", "dayOfWeek     = var.maintenance.day", "", all_problems,
        "dayOfWeek: WeeklySchedule needs it",
    ),
    "an API version that is none": Planted(
        "pools.tf", "agentPools@2026-08-01", "agentPools@2026-08-02", all_problems,
        "azure.mgmt.containerservice speaks no such version",
    ),
    "a misspelled key of another service": Planted(
        "registry.tf", "adminUserEnabled  ", "adminUsersEnabled  ", all_problems,
        "registry: body.properties.adminUsersEnabled",
    ),
    "a misspelled key of a schema of our own": Planted(
        "redis.tf", "evictionPolicy  ", "evictPolicy  ", all_problems,
        "redis_database: body.properties.evictPolicy",
    ),
    "a misspelled key in a for expression": Planted(
        "endpoints.tf", "privateDnsZoneId =", "privateDnsZoneID =", all_problems,
        "endpoint_zones: body.properties.privateDnsZoneConfigs[0].properties.privateDnsZoneID",
    ),
    "a variable that is not there": Planted(
        "pools.tf", "var.gpu_pool.min", "var.gpus.min", rules.references, "var.gpus is not there",
    ),
    "a local value that is not there": Planted(
        "group.tf", "local.names.group", "local.naming.group", rules.references,
        "local.naming is not there",
    ),
    "a resource that is not there": Planted(
        "pools.tf", "azapi_resource.cluster.id", "azapi_resource.aks.id", rules.references,
        "azapi_resource.aks is not there",
    ),
    "a variable that is not used": Planted(
        "group.tf", "body      = {}\n}", 'body = {}\n}\nvariable "spare" {}', rules.references,
        "var.spare is not used",
    ),
    "an argument that the provider has not": Planted(
        "pools.tf", "parent_id = azapi_resource.cluster.id", "parent = azapi_resource.cluster.id",
        rules.arguments, "cpu_pool: parent is no argument",
    ),
    "two resources that wait for each other": Planted(
        "cluster.tf", "[azapi_resource.cluster_role]", "[azapi_resource.administrator_role]",
        rules.circles, "azapi_resource.cluster -> ",
    ),
    "a variable without a type": Planted(
        "variables.tf", "type        = list(string)\n  default     = [\"1\"",
        "default     = [\"1\"", rules.descriptions, "var.zones has no type",
    ),
    "a variable without a description": Planted(
        "variables.tf", 'description = "Tags of every', 'deprecated = "Tags of every',
        rules.descriptions, "var.tags has no description",
    ),
    "a resource without tags": Planted(
        "registry.tf", "  tags      = local.tags\n", "", rules.tags, "registry: no tags",
    ),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
def test_an_error_is_found(planted: Planted) -> None:
    assert planted.old in SOURCES[planted.file], "the error is not planted any more"
    changed = SOURCES[planted.file].replace(planted.old, planted.new)
    found = planted.check(Configuration.parse({**SOURCES, planted.file: changed}))
    assert any(planted.says in problem for problem in found), found


def test_a_file_that_is_no_hcl_is_named() -> None:
    with pytest.raises(Unreadable, match=r"broken\.tf"):
        Configuration.parse({"broken.tf": 'resource "azapi_resource" {'})


@pytest.mark.parametrize(
    "line",
    [
        'password = "correct horse battery"',
        'administratorLoginPassword = "hunter2hunter2"',
        '"primary_access_key": "abcdef123456"',
        "-----BEGIN RSA PRIVATE KEY-----",
        "DefaultEndpointsProtocol=https;AccountKey=abc",
        'value = "qL8fZ0bT5xWv2nYk7RjC1mHs9DgU4aPe6iOtXo3B"',
        "key = rts_d1e933a550bd_abc",
    ],
)
def test_a_secret_is_found(line: str) -> None:
    assert rules.secrets({"secrets.tf": SOURCES["secrets.tf"] + line}) != []


def test_every_target_prints_what_it_runs_and_destructive_ones_ask() -> None:
    makefile = TEXTS["Makefile"]
    targets = re.findall(r"^(aks-[a-z]+):", makefile, re.MULTILINE)
    declared = re.search(r"\.PHONY: ((?:.*\\\n)*.*)", makefile)
    assert declared is not None
    assert set(declared[1].replace("\\", "").split()) == set(targets)
    silent = [line for line in makefile.splitlines() if re.match(r"\t@", line)]
    # Checks of what was given, and the table; no command that changes anything.
    assert all(re.match(r"\t@(test|case|name=|exec \S+ -m kuberay\.aks\.costs)", x) for x in silent)
    destroy = makefile[makefile.index("aks-destroy:") :]
    assert destroy.index("CONFIRM") < destroy.index("$(TF) destroy")


def test_the_documentation_goes_through_every_target_and_every_variable_without_a_default(
    configuration: Configuration,
) -> None:
    document = (AKS.parents[1] / "docs" / "aks.md").read_text("utf-8")
    for target in re.findall(r"^(aks-[a-z]+):", TEXTS["Makefile"], re.MULTILINE):
        assert f"make {target}" in document, target
    example = TEXTS["terraform.tfvars.example"] + TEXTS["sizes/small.tfvars.json"]
    for name, variable in configuration.variables.items():
        if "default" not in variable.attributes:
            assert re.search(rf'^[\s"]*{name}\b', example, re.MULTILINE), name
