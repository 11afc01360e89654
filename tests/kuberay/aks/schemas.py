"""What Azure takes in a resource's body: from the models of its SDK, and from schemas.yaml."""

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml

MODELS = {
    "Microsoft.ContainerService/managedClusters": ("containerservice", "ManagedCluster"),
    "Microsoft.ContainerService/managedClusters/agentPools": ("containerservice", "AgentPool"),
    "Microsoft.ContainerService/managedClusters/maintenanceConfigurations": (
        "containerservice",
        "MaintenanceConfiguration",
    ),
    "Microsoft.ContainerRegistry/registries": ("containerregistry", "Registry"),
    "Microsoft.KeyVault/vaults": ("keyvault", "VaultCreateOrUpdateParameters"),
    "Microsoft.Network/virtualNetworks": ("network", "VirtualNetwork"),
    "Microsoft.Network/networkSecurityGroups": ("network", "NetworkSecurityGroup"),
    "Microsoft.Network/ddosProtectionPlans": ("network", "DdosProtectionPlan"),
    "Microsoft.Network/privateEndpoints": ("network", "PrivateEndpoint"),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": ("network", "PrivateDnsZoneGroup"),
    "Microsoft.Network/privateDnsZones": ("privatedns", "PrivateZone"),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": ("privatedns", "VirtualNetworkLink"),
    "Microsoft.OperationalInsights/workspaces": ("loganalytics", "Workspace"),
    "Microsoft.Dashboard/grafana": ("dashboard", "ManagedGrafana"),
    "Microsoft.Storage/storageAccounts": ("storage", "StorageAccountCreateParameters"),
    "Microsoft.Consumption/budgets": ("consumption", "Budget"),
}
"""Azure's type to the package below azure.mgmt and its model."""

OWN: Mapping[str, Any] = yaml.safe_load(
    (Path(__file__).parent / "schemas.yaml").read_text("utf-8")
)
"""Types whose SDK is older than what is used here, or has no such model."""

ATTRIBUTES = frozenset({"id", "name", "type", "location", "tags", "identity"})
"""Arguments of azapi_resource: not in a body."""


@dataclass(frozen=True)
class Anything:
    """Not looked into."""


@dataclass(frozen=True)
class Scalar:
    """string, integer, number or boolean; `values` where only some are allowed."""

    type: str
    values: frozenset[str] | None = None


@dataclass(frozen=True)
class ListOf:
    """A list."""

    item: "Schema"


@dataclass(frozen=True)
class MapOf:
    """Any keys."""

    item: "Schema"


@dataclass(frozen=True)
class Field:
    """One key of an object."""

    schema: "Schema"
    required: bool = False
    read_only: bool = False


@dataclass(frozen=True)
class Object:
    """Known keys; `fields` finds them when asked, because models refer to each other in circles."""

    name: str
    fields: Callable[[], Mapping[str, Field]]


Schema = Anything | Scalar | ListOf | MapOf | Object


class UnknownType(LookupError):
    """A resource type that has no schema here."""


def body_schema(type_: str, version: str) -> Object:
    """Of a resource's body.

    Raises:
        UnknownType: no schema, or none of that API version.
    """
    if type_ in MODELS:
        package, model = MODELS[type_]
        if version not in api_versions(package):
            raise UnknownType(f"{type_}@{version}: azure.mgmt.{package} speaks no such version")
        whole = _of_model(getattr(importlib.import_module(f"azure.mgmt.{package}.models"), model))
        return Object(
            model, lambda: {k: f for k, f in whole.fields().items() if k not in ATTRIBUTES}
        )
    if (own := OWN.get(f"{type_}@{version}")) is None:
        raise UnknownType(f"{type_}@{version}: no model of an SDK and none in schemas.yaml")
    schema = _of_yaml(own, type_)
    assert isinstance(schema, Object)
    return schema


@cache
def api_versions(package: str) -> frozenset[str]:
    """The API versions that a package's operations speak."""
    module = importlib.import_module(f"azure.mgmt.{package}")
    assert module.__file__ is not None
    operations = Path(module.__file__).parent / "operations" / "_operations.py"
    pattern = r'"api-version", "(20\d\d-\d\d-\d\d(?:-preview)?)"'
    return frozenset(re.findall(pattern, operations.read_text("utf-8")))


@cache
def _of_model(model: Any) -> Object:
    """Of a class with `_attr_to_rest_field`: made when the first object is made."""

    def fields() -> dict[str, Field]:
        model({})
        package = importlib.import_module(model.__module__.rsplit(".", 1)[0])
        hints = get_type_hints(model, localns={"_models": package})
        return {
            field._rest_name: Field(
                _of_annotation(hints[name]),
                required=NoneType not in get_args(hints[name]),
                read_only=field._visibility == ["read"],
            )
            for name, field in model._attr_to_rest_field.items()
        }

    return Object(model.__name__, cache(fields))


SCALARS = {
    str: "string",
    bytes: "string",
    date: "string",
    datetime: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    Decimal: "number",
}


def _of_annotation(annotation: Any) -> Schema:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        some = [argument for argument in arguments if argument is not NoneType]
        enums = [item for item in some if isinstance(item, type) and issubclass(item, Enum)]
        if enums:
            values = frozenset(str(item.value) for enum in enums for item in enum)
            return Scalar("string", values)
        return _of_annotation(some[0]) if len(some) == 1 else Anything()
    if origin is list:
        return ListOf(_of_annotation(arguments[0]))
    if origin is dict:
        return MapOf(_of_annotation(arguments[1]))
    if isinstance(annotation, type) and hasattr(annotation, "_attr_to_rest_field"):
        return _of_model(annotation)
    return Scalar(SCALARS[annotation]) if annotation in SCALARS else Anything()


def _of_yaml(value: Any, name: str) -> Schema:
    """`string`, `A | B`, `[T]`, `{"*": T}`, `{key: T}`; a key with `!` is required."""
    if isinstance(value, list):
        return ListOf(_of_yaml(value[0], name))
    if isinstance(value, dict):
        if "*" in value:
            return MapOf(_of_yaml(value["*"], name))
        fields = {
            key.rstrip("!"): Field(_of_yaml(item, f"{name}.{key}"), required=key.endswith("!"))
            for key, item in value.items()
        }
        return Object(name, lambda: fields)
    if value == "any":
        return Anything()
    if value in SCALARS.values():
        return Scalar(value)
    return Scalar("string", frozenset(word.strip() for word in str(value).split("|")))
