"""The same as Terraform computes it: bodies, names and doors for every size; what it refuses."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kuberay.aks import rules
from tests.kuberay.aks.bodies import problems
from tests.kuberay.aks.evaluation import (
    CHOSEN,
    Plan,
    Refused,
    evaluate,
    sizes,
    terraform,
    validate,
)
from tests.kuberay.aks.schemas import body_schema
from tests.kuberay.aks.terraform import AKS, Configuration

if terraform() is None:
    pytest.skip("neither terraform nor tofu is installed", allow_module_level=True)

CASES: dict[str, Mapping[str, Any]] = {
    "small": {**CHOSEN, **sizes("small")},
    "medium": {**CHOSEN, **sizes("medium")},
    "large, the other way round": {
        **CHOSEN,
        **sizes("large"),
        "gpu_pool": {**sizes("large")["gpu_pool"], "spot": True},
        "api_server": {"private": False, "ranges": ["203.0.113.0/24"]},
        "registry_ranges": ["203.0.113.7/32"],
        "ddos_protection": True,
        "defender": False,
        "locks": False,
        "recover_vaults": True,
        "hostname": "scoring.example.com",
        "name": "a-name-of-12",
        "zones": [],
        "tags": {"owner": "team"},
    },
}


@pytest.fixture(scope="module")
def configuration() -> Configuration:
    return Configuration.read()


@pytest.fixture(scope="module", params=CASES.keys())
def plan(
    request: pytest.FixtureRequest,
    configuration: Configuration,
    tmp_path_factory: pytest.TempPathFactory,
) -> Plan:
    return evaluate(configuration, CASES[request.param], tmp_path_factory.mktemp("plan"))


def test_files_are_formatted() -> None:
    program = terraform()
    assert program is not None
    checked = subprocess.run(
        [program, "fmt", "-check", "-diff", "-recursive", str(AKS)], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout


def test_every_body_is_one_that_azure_takes(plan: Plan, configuration: Configuration) -> None:
    versions = {resource.name: resource.version for resource in configuration.resources}
    found = []
    for address, resource in plan.resources.items():
        schema = body_schema(resource.type, versions[address.partition("[")[0]])
        body = {} if resource.body is None else resource.body
        found += [f"{address}: {p}" for p in problems(body, schema, configuration)]
    assert found == []


def test_names_are_ones_that_azure_takes(plan: Plan) -> None:
    assert rules.names(plan) == []


def test_no_door_is_open(plan: Plan) -> None:
    assert rules.exposure(plan) == []


def test_everything_that_can_have_tags_has_them(plan: Plan) -> None:
    for address, resource in plan.resources.items():
        if resource.type not in rules.UNTAGGED:
            assert resource.tags is not None, address
            assert resource.tags["application"] == "realtime-scoring", address


def test_every_private_endpoint_has_its_zones(plan: Plan) -> None:
    zones = {r.name for r in plan.resources.values() if r.type.endswith("/privateDnsZones")}
    wanted = {
        config["name"]
        for resource in plan.resources.values()
        if resource.type.endswith("/privateDnsZoneGroups")
        for config in resource.body["properties"]["privateDnsZoneConfigs"]
    }
    assert wanted == {zone.replace(".", "-") for zone in zones}


def test_spot_nodes_can_be_taken_away_and_others_not(
    configuration: Configuration, tmp_path: Path
) -> None:
    pools = {}
    for spot in (False, True):
        gpu_pool = {**sizes("small")["gpu_pool"], "spot": spot}
        (tmp_path / str(spot)).mkdir()
        planned = evaluate(
            configuration, {**CASES["small"], "gpu_pool": gpu_pool}, tmp_path / str(spot)
        )
        pools[spot] = planned.resources["gpu_pool"].body["properties"]
    assert pools[True]["scaleSetPriority"] == "Spot"
    assert pools[True]["spotMaxPrice"] == -1
    assert "kubernetes.azure.com/scalesetpriority=spot:NoSchedule" in pools[True]["nodeTaints"]
    assert pools[False]["scaleSetPriority"] == "Regular"
    assert pools[False]["scaleSetEvictionPolicy"] is None
    assert pools[False]["nodeTaints"] == ["sku=gpu:NoSchedule"]


def test_every_alert_of_the_dashboard_is_a_rule_of_azure_monitor(plan: Plan) -> None:
    alerts = yaml.safe_load((AKS.parent / "monitoring" / "alerts.yaml").read_text("utf-8"))
    wanted = {
        rule["alert"] for group in alerts["groups"] for rule in group["rules"] if "alert" in rule
    }
    rules_ = [
        rule
        for address, resource in plan.resources.items()
        if address.startswith("alerts[")
        for rule in resource.body["properties"]["rules"]
    ]
    assert {rule["alert"] for rule in rules_ if rule["alert"]} == wanted
    assert all(rule["severity"] in (1, 3) and rule["actions"] for rule in rules_ if rule["alert"])


def test_the_budget_covers_the_nodes_too(plan: Plan) -> None:
    groups = plan.resources["budget"].body["properties"]["filter"]["dimensions"]["values"]
    cluster = plan.resources["cluster"].body["properties"]
    assert groups == [plan.resources["group"].name, cluster["nodeResourceGroup"]]


REFUSED: dict[str, tuple[Mapping[str, Any], str]] = {
    "a public API server": (
        {"api_server": {"private": False, "ranges": []}}, "open to the internet"
    ),
    "an API server for everybody": (
        {"api_server": {"private": False, "ranges": ["0.0.0.0/0"]}}, "no restriction"
    ),
    "a private API server with ranges": (
        {"api_server": {"private": True, "ranges": ["203.0.113.7/32"]}}, "takes no address ranges"
    ),
    "a registry for everybody": ({"registry_ranges": ["0.0.0.0/0"]}, "no wider than /8"),
    "no administrator": ({"administrators": []}, "at least one object id"),
    "an administrator by name": ({"administrators": ["team"]}, "at least one object id"),
    "a subscription that is none": ({"subscription_id": "mine"}, "is a UUID"),
    "a long name": ({"name": "realtime-scoring"}, "1 to 12 lower case letters"),
    "a region with a space": ({"region": "East US"}, "region is a name"),
    "a zone that is none": ({"zones": ["4"]}, "zones are"),
    "a hostname with a scheme": ({"hostname": "https://a.example"}, "full domain name"),
    "a range that is none": (
        {"clients": ["203.0.113.7"]}, "clients has at least one CIDR"
    ),
    "a patch of Kubernetes": ({"kubernetes_version": "1.36.2"}, "minor version"),
    "no node for the head": (
        {"cpu_pool": {"size": "S", "min": 0, "max": 1, "disk_gb": 64}}, "at least one node"
    ),
    "most below fewest": (
        {"gpu_pool": {"size": "S", "min": 2, "max": 1, "disk_gb": 64, "spot": False}}, "min"
    ),
    "a Redis of the old kind": (
        {"redis": {"sku": "Premium_P1", "high_availability": True}}, "Azure Managed Redis"
    ),
    "logs for a week": ({"logs": {"days": 7, "daily_gb": 1}}, "between 30 and 730"),
    "a day that is none": (
        {"maintenance": {"day": "sunday", "start": "02:00", "hours": 6, "utc_offset": "+00:00"}},
        "day of the week",
    ),
    "a budget from the middle of a month": (
        {"budget": {"amount": 1, "start": "2027-01-15"}},
        "first of a month",
    ),
    "alerts that nobody hears of": ({"contacts": []}, "at least one address"),
    "a string for a number": (
        {"logs": {"days": "many", "daily_gb": 1}}, "a number is required"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changed", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_meant_is_refused(
    configuration: Configuration, tmp_path: Path, changed: Mapping[str, Any], says: str
) -> None:
    with pytest.raises(Refused, match=says):
        validate(configuration, {**CASES["small"], **changed}, tmp_path)


EXPOSED = {
    "the registry": ("registry.tf", '> 0 ? "Enabled" : "Disabled"', '> 0 ? "Enabled" : "Enabled"'),
    "its administrator": (
        "registry.tf", "adminUserEnabled         = false", "adminUserEnabled = true"
    ),
    "the vaults": (
        "secrets.tf", 'publicNetworkAccess       = "Disabled"', 'publicNetworkAccess = "Enabled"'
    ),
    "Redis": ("redis.tf", 'publicNetworkAccess = "Disabled"', 'publicNetworkAccess = "Enabled"'),
    "Redis without TLS": (
        "redis.tf", 'clientProtocol = "Encrypted"', 'clientProtocol = "Plaintext"'
    ),
    "the storage": (
        "models.tf", "allowSharedKeyAccess         = false", "allowSharedKeyAccess = true"
    ),
    "the dashboards": ("monitoring.tf", 'publicNetworkAccess = "Disabled"', ""),
    "local accounts": ("cluster.tf", "disableLocalAccounts = true", "disableLocalAccounts = false"),
    "NGINX": ("cluster.tf", '= "None"', '= "External"'),
    "the API server": (
        "cluster.tf", "= var.api_server.private\n", "= false\n"
    ),
    "a port of Ray": ("network.tf", '"443"\n', '"8265"\n'),
}  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new"), EXPOSED.values(), ids=EXPOSED.keys())
def test_an_open_door_is_found(file: str, old: str, new: str, tmp_path: Path) -> None:
    sources = {path.name: path.read_text("utf-8") for path in AKS.glob("*.tf")}
    assert old in sources[file], "the error is not planted any more"
    sources[file] = sources[file].replace(old, new)
    planned = evaluate(Configuration.parse(sources), CASES["small"], tmp_path)
    assert rules.exposure(planned) != []
