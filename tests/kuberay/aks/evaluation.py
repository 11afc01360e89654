"""Bodies and outputs as Terraform itself computes them, without a provider and without Azure.

A module of outputs alone is written into a folder: the same variables and local values, every
resource's arguments as an output, and made-up values in the place of what Azure would answer.
Terraform plans that without `init`; a plan of outputs knows all their values.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kuberay.aks.terraform import AKS, Configuration, Expression, Resource, source

TENANT = "11111111-1111-1111-1111-111111111111"
ID = "22222222-2222-2222-2222-222222222222"
ANSWERED = {
    "clientId": ID,
    "principalId": ID,
    "oidcIssuerProfile": {"issuerURL": "https://issuer.example/"},
    "loginServer": "registry.example",
    "hostName": "redis.example",
    "endpoint": "https://grafana.example",
    "mlFlowTrackingUri": "azureml://models.example",
}
"""What Azure answers for any resource, as far as others ask for it."""

CHOSEN: Mapping[str, Any] = {
    "subscription_id": "00000000-0000-0000-0000-000000000000",
    "administrators": ["33333333-3333-3333-3333-333333333333"],
    "budget": {"amount": 1000, "start": "2027-01-01", "emails": ["team@example.com"]},
}
"""Variables without a default, beside the sizes."""


class Refused(ValueError):
    """Terraform does not take the variables; the message is its own."""


@dataclass(frozen=True)
class Planned:
    """One resource as it would be sent."""

    type: str
    name: str
    body: Any
    tags: Mapping[str, str] | None


@dataclass(frozen=True)
class Plan:
    """Resources by their address, and outputs by their name."""

    resources: Mapping[str, Planned]
    outputs: Mapping[str, Any]


def terraform() -> str | None:
    """The program: Terraform or OpenTofu."""
    return shutil.which("terraform") or shutil.which("tofu")


def sizes(name: str) -> dict[str, Any]:
    """Of sizes/NAME.tfvars.json."""
    return dict(json.loads((AKS / "sizes" / f"{name}.tfvars.json").read_text("utf-8")))


def evaluate(configuration: Configuration, variables: Mapping[str, Any], folder: Path) -> Plan:
    """Plan with these variables.

    Raises:
        Refused: a validation fails, or an expression cannot be computed.
    """
    program = terraform()
    assert program is not None
    (folder / "main.tf").write_text(_module(configuration), "utf-8")
    (folder / "chosen.tfvars.json").write_text(json.dumps(dict(variables)), "utf-8")
    arguments = ["plan", "-input=false", "-no-color", "-var-file=chosen.tfvars.json", "-out=plan"]
    planned = _run(program, arguments, folder)
    if planned.returncode:
        raise Refused(" ".join(re.sub(r"[│╷╵]", " ", planned.stderr).split()))
    shown = json.loads(_run(program, ["show", "-json", "plan"], folder).stdout)
    values = {
        name: output["value"] for name, output in shown["planned_values"]["outputs"].items()
    }
    resources = {
        f"{name}{key}": Planned(
            item["type"].partition("@")[0], item["name"], item.get("body"), item.get("tags")
        )
        for name, items in values.pop("resources").items()
        for key, item in items.items()
    }
    return Plan(resources, values)


def _run(program: str, arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "CHECKPOINT_DISABLE": "1"}
    return subprocess.run(
        [program, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


def _module(configuration: Configuration) -> str:
    lines = [
        _block(f'variable "{variable.name}"', variable.attributes)
        for variable in configuration.variables.values()
    ]
    lines.append(_block("locals", configuration.locals))
    for resource in configuration.resources:
        lines.append(_block("locals", {f"azapi_{resource.name}": Expression(_stand_in(resource))}))
    resources = {
        resource.name: Expression(_instances(resource)) for resource in configuration.resources
    }
    lines.append(_block('output "resources"', {"value": resources}))
    lines += [
        _block(f'output "{name}"', {"value": output["value"]})
        for name, output in configuration.outputs.items()
    ]
    text = "\n".join(lines)
    text = text.replace("azapi_resource.", "local.azapi_")
    text = text.replace("data.azapi_client_config.current.tenant_id", f'"{TENANT}"')
    return text.replace("${path.module}", str(AKS))


def _block(head: str, content: Mapping[str, Any]) -> str:
    lines = [head + " {"]
    for key, value in content.items():
        if key == "validation":
            lines += [_block("validation", block) for block in value]
        else:
            lines.append(f"{key} = {source(value)}")
    return "\n".join([*lines, "}"])


def _stand_in(resource: Resource) -> str:
    """What other blocks see of it."""
    one = source(
        {
            "id": f"/azure/{resource.name}",
            "name": resource.name,
            "type": f"{resource.type}@{resource.version}",
            "output": {"properties": ANSWERED},
            "identity": [{"principal_id": ID}],
        }
    )
    if "for_each" in resource.attributes:
        return f"{{ for key, value in {source(resource.attributes['for_each'])} : key => {one} }}"
    return f"[{one}]" if "count" in resource.attributes else one


def _instances(resource: Resource) -> str:
    """Its arguments, by the key of each instance."""
    wanted = ("type", "name", "body", "tags")
    one = source({key: resource.attributes[key] for key in wanted if key in resource.attributes})
    if "for_each" in resource.attributes:
        one = one.replace("each.key", "each_key").replace("each.value", "each_value")
        every = source(resource.attributes["for_each"])
        return f'{{ for each_key, each_value in {every} : "[${{each_key}}]" => {one} }}'
    if "count" in resource.attributes:
        count = source(resource.attributes["count"])
        return f'{{ for index in range({count}) : "[${{index}}]" => {one} }}'
    return f'{{ "" = {one} }}'
