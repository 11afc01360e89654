"""What must hold of the configuration beside Azure's schemas."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from tests.kuberay.aks.evaluation import Plan
from tests.kuberay.aks.terraform import Configuration, Expression, source

UNTAGGED = {
    "Microsoft.Authorization/locks",
    "Microsoft.Authorization/roleAssignments",
    "Microsoft.Cache/redisEnterprise/databases",
    "Microsoft.Consumption/budgets",
    "Microsoft.ContainerService/managedClusters/agentPools",
    "Microsoft.ContainerService/managedClusters/maintenanceConfigurations",
    "Microsoft.Insights/dataCollectionRuleAssociations",
    "Microsoft.Insights/diagnosticSettings",
    "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
}
"""Types that take no tags, or (agent pools) in their body."""

NAMES = {
    "Microsoft.ContainerRegistry/registries": r"[a-z0-9]{5,50}",
    "Microsoft.KeyVault/vaults": r"[a-zA-Z](-?[a-zA-Z0-9]){2,23}",
    "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
    "Microsoft.Cache/redisEnterprise": r"(?=.{1,60}$)[A-Za-z0-9]+(-[A-Za-z0-9]+)*",
    "Microsoft.Dashboard/grafana": r"[a-zA-Z][a-zA-Z0-9-]{0,21}[a-zA-Z0-9]",
    "Microsoft.MachineLearningServices/workspaces": r"[a-zA-Z0-9][\w-]{2,32}",
    "Microsoft.ContainerService/managedClusters": r"[a-zA-Z0-9]([-_a-zA-Z0-9]{0,61}[a-zA-Z0-9])?",
    "Microsoft.ContainerService/managedClusters/agentPools": r"[a-z][a-z0-9]{0,11}",
}
"""https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules"""

DNS_PREFIX = r"[a-zA-Z0-9]([-a-zA-Z0-9]{0,52}[a-zA-Z0-9])?"


def references(configuration: Configuration) -> list[str]:
    """References to what is not there, and variables and local values that nothing uses."""
    text = "\n".join(configuration.expressions)
    resources = {resource.name for resource in configuration.resources}
    known = {
        "var": set(configuration.variables),
        "local": set(configuration.locals),
        "azapi_resource": resources,
    }
    used = {kind: set(re.findall(rf"(?<![\w.]){kind}\.(\w+)", text)) for kind in known}
    for kind in known:
        # In lists such as depends_on a reference is alone, and counts as one all the same.
        assert used[kind]
    unresolved = [
        f"{kind}.{name} is not there" for kind in known for name in sorted(used[kind] - known[kind])
    ]
    unused = [
        f"{kind}.{name} is not used"
        for kind in ("var", "local")
        for name in sorted(known[kind] - used[kind])
    ]
    return unresolved + unused


ARGUMENTS = {
    *("type", "name", "parent_id", "location", "tags", "identity", "body"),
    *("response_export_values", "retry", "timeouts"),
    *("for_each", "count", "depends_on", "lifecycle"),
}
"""Of azapi_resource, as far as they are used, and Terraform's own."""


def arguments(configuration: Configuration) -> list[str]:
    """Arguments of resources that azapi_resource does not know."""
    return [
        f"{resource.name}: {argument} is no argument of azapi_resource"
        for resource in configuration.resources
        for argument in resource.attributes
        if argument not in ARGUMENTS
    ]


def circles(configuration: Configuration) -> list[str]:
    """Resources and local values that wait for each other."""
    blocks = {f"azapi_resource.{r.name}": r.attributes for r in configuration.resources}
    blocks |= {f"local.{name}": {"value": value} for name, value in configuration.locals.items()}
    graph = {
        name: set(re.findall(r"(?:azapi_resource|local)\.\w+", source(dict(block))))
        for name, block in blocks.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" -> ".join(error.args[1])]
    return []


def descriptions(configuration: Configuration) -> list[str]:
    """Variables and outputs without a description, variables without a type."""
    found = []
    for variable in configuration.variables.values():
        if not variable.description:
            found.append(f"var.{variable.name} has no description")
        if not variable.type:
            found.append(f"var.{variable.name} has no type")
    found += [
        f"output.{name} has no description"
        for name, output in configuration.outputs.items()
        if not output.get("description")
    ]
    return found


def tags(configuration: Configuration) -> list[str]:
    """Resources that could have the deployment's tags, and have not."""
    return [
        f"{resource.name}: no tags"
        for resource in configuration.resources
        if resource.type not in UNTAGGED
        and resource.attributes.get("tags") != Expression("local.tags")
    ]


SECRET_NAME = re.compile(
    r"""(?ix) (password | secret | token | api_?key | access_?key | connection_?string)
    \w* "? \s* [=:] \s* "([^"$]{6,})" """
)
SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|AccountKey=|SharedAccessSignature=|[?&]sig=|rts_[0-9a-f]{12}_"
)
RANDOM = re.compile(r"[A-Za-z0-9+_=-]{28,}")
HARMLESS = re.compile(r"Enabled|Disabled|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Switches, and ids of roles, subscriptions and principals: not secret under any name."""


def secrets(files: Mapping[str, str]) -> list[str]:
    """Lines with a known form, a literal under a secret's name, or random characters."""
    found = []
    for name, text in files.items():
        for number, line in enumerate(text.splitlines(), 1):
            literal = SECRET_NAME.search(line)
            if (
                SECRET_VALUE.search(line)
                or (literal and not HARMLESS.fullmatch(literal[2]))
                or any(_random(word) for word in RANDOM.findall(line))
            ):
                found.append(f"{name}:{number}")
    return found


def _random(word: str) -> bool:
    """Mixed letters and digits with more than 4 bits a character: keys have over 4.5, words 4."""
    kinds = [any(test(c) for c in word) for test in (str.isupper, str.islower, str.isdigit)]
    counts = Counter(word)
    bits = -sum(n / len(word) * math.log2(n / len(word)) for n in counts.values())
    return all(kinds) and bits > 4


def exposure(plan: Plan) -> list[str]:
    """Doors that are open: to the internet, or to whoever has a password."""
    return [f"{address}: {problem}" for address, problem in _exposure(plan)]


def _exposure(plan: Plan) -> Iterator[tuple[str, str]]:
    for address, resource in plan.resources.items():
        properties = (resource.body or {}).get("properties") or {}
        match resource.type:
            case "Microsoft.ContainerService/managedClusters":
                for problem in _cluster(properties):
                    yield address, problem
            case "Microsoft.ContainerRegistry/registries":
                if properties["publicNetworkAccess"] != "Disabled" and not _restricted(properties):
                    yield address, "open to the internet"
                for key in ("adminUserEnabled", "anonymousPullEnabled"):
                    if properties[key] is not False:
                        yield address, key
            case (
                "Microsoft.KeyVault/vaults"
                | "Microsoft.Storage/storageAccounts"
                | "Microsoft.Cache/redisEnterprise"
                | "Microsoft.Dashboard/grafana"
                | "Microsoft.MachineLearningServices/workspaces"
            ):
                if properties.get("publicNetworkAccess") != "Disabled":
                    yield address, "open to the internet"
                for key, wanted in SAFE.get(resource.type, {}).items():
                    if properties.get(key) != wanted:
                        yield address, f"{key} is not {wanted}"
            case "Microsoft.Cache/redisEnterprise/databases":
                if properties.get("clientProtocol") != "Encrypted":
                    yield address, "without TLS"
            case "Microsoft.Network/networkSecurityGroups":
                for rule in properties["securityRules"]:
                    if _lets_in(rule["properties"]):
                        yield address, f"{rule['name']} lets the internet in"
            case "Microsoft.Network/publicIPAddresses":
                yield address, "a public address"
            case "Microsoft.ContainerService/managedClusters/agentPools":
                if properties.get("enableNodePublicIP"):
                    yield address, "nodes with public addresses"


SAFE: Mapping[str, Mapping[str, Any]] = {
    "Microsoft.KeyVault/vaults": {
        "enableRbacAuthorization": True,
        "enableSoftDelete": True,
        "enablePurgeProtection": True,
    },
    "Microsoft.Storage/storageAccounts": {
        "allowBlobPublicAccess": False,
        "allowSharedKeyAccess": False,
        "minimumTlsVersion": "TLS1_2",
        "supportsHttpsTrafficOnly": True,
    },
    "Microsoft.Cache/redisEnterprise": {"minimumTlsVersion": "1.2"},
    "Microsoft.Dashboard/grafana": {"apiKey": "Disabled"},
}


def _cluster(properties: Mapping[str, Any]) -> Iterator[str]:
    access = properties["apiServerAccessProfile"]
    if not access["enablePrivateCluster"] and not access["authorizedIPRanges"]:
        yield "the API server is open to the internet"
    if properties.get("disableLocalAccounts") is not True:
        yield "local accounts are not disabled"
    if properties["aadProfile"].get("enableAzureRBAC") is not True:
        yield "not Azure RBAC"
    routing = properties["ingressProfile"]["webAppRouting"]
    if routing["nginx"]["defaultIngressControllerType"] != "None":
        yield "NGINX of application routing, which is at the end of its support"
    for pool in properties["agentPoolProfiles"]:
        if pool.get("enableNodePublicIP"):
            yield "nodes with public addresses"


def _restricted(properties: Mapping[str, Any]) -> bool:
    rules = properties["networkRuleSet"]
    return rules["defaultAction"] == "Deny" and len(rules["ipRules"]) > 0


def _lets_in(rule: Mapping[str, Any]) -> bool:
    """More than HTTP and HTTPS, from more than the network."""
    if rule["access"] != "Allow" or rule["direction"] != "Inbound":
        return False
    inside = rule.get("sourceAddressPrefix") in ("VirtualNetwork", "AzureLoadBalancer")
    ports = rule.get("destinationPortRanges") or [rule.get("destinationPortRange")]
    return not inside and not set(ports) <= {"80", "443"}


def names(plan: Plan) -> list[str]:
    """Names that Azure would refuse."""
    found = [
        f"{address}: {resource.name}"
        for address, resource in plan.resources.items()
        if resource.type in NAMES and not re.fullmatch(NAMES[resource.type], resource.name)
    ]
    prefix = plan.resources["cluster"].body["properties"]["dnsPrefix"]
    return found if re.fullmatch(DNS_PREFIX, prefix) else [*found, f"cluster: {prefix}"]
