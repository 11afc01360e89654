"""Which schema an object has: Kubernetes's own, KubeRay's, or one of `schemas/`."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate.utils as kubernetes_schemas
import pytest
from referencing import Registry, Resource

from tests.kuberay.validation.cel import broken_rules
from tests.kuberay.validation.documents import read
from tests.kuberay.validation.keywords import Validator, complaints
from tests.kuberay.validation.structural import Schema, defaulted, strict

KUBERNETES = "1.36"
"""The version of the clusters, as `kuberay/aks` makes them."""

SHARED = Path(os.environ.get("SCORING_SHARED_DATA", Path(__file__).parents[4] / "shared"))
KUBERAY_CRDS = SHARED / "kuberay-crds"
OWN = Path(__file__).parent / "schemas"

QUANTITY = (
    r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)"
    r"([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+(\.[0-9]*)?)?$"
)
DEFINITIONS = "/api/_definitions.json"
APIMACHINERY = "io.k8s.apimachinery.pkg"


@dataclass(frozen=True)
class Kind:
    """What is known of a kind: its schema, strict and as written (with rules), and its scope."""

    validator: Any
    written: Schema
    namespaced: bool

    def problems(self, value: Mapping[str, Any], before: Mapping[str, Any] | None) -> list[str]:
        """`path: message` for each breach of schema or rules; rules count once the schema holds."""
        # An API server fills defaults in first: a required field may have one.
        filled = defaulted(value, self.written)
        found = complaints(self.validator, filled)
        if found:
            return found
        old = {} if before is None else {"before": defaulted(before, self.written)}
        return list(broken_rules(self.written, filled, **old))


def kind_of(value: Mapping[str, Any]) -> Kind | None:
    """The kind of an object, or None where nobody knows it."""
    version, kind = value["apiVersion"], value["kind"]
    group = version.partition("/")[0] if "/" in version else ""
    if group == "ray.io":
        return kuberay_kinds().get((version, kind))
    return own_kinds().get((version, kind)) or _core_kind(version, kind)


@cache
def kuberay_kinds() -> dict[tuple[str, str], Kind]:
    """KubeRay's resources by apiVersion and kind; skips where their definitions are absent."""
    files = sorted(KUBERAY_CRDS.glob("*.yaml"))
    if not files:
        pytest.skip(f"KubeRay's definitions are not in {KUBERAY_CRDS}")
    return dict(entry for file in files for crd in read(file) for entry in custom_kinds(crd))


def custom_kinds(crd: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Kind]]:
    """Every served version of a CustomResourceDefinition."""
    spec = crd["spec"]
    for version in spec["versions"]:
        if version["served"]:
            name = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
            schema = version["schema"]["openAPIV3Schema"]
            yield name, _custom(schema, namespaced=spec["scope"] == "Namespaced")


@cache
def own_kinds() -> dict[tuple[str, str], Kind]:
    """The resources that `schemas/` describes, by apiVersion and kind."""
    found: dict[tuple[str, str], Kind] = {}
    for file in sorted(OWN.glob("*.yaml")):
        (described,) = read(file)
        definitions = described.get("definitions", {})
        for kind, entry in described["kinds"].items():
            schema = _inlined({"type": "object", **entry["schema"]}, definitions)
            custom = _custom(schema, namespaced=entry.get("namespaced", True))
            found |= {(version, kind): custom for version in entry["versions"]}
    return found


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema with `$ref: NAME` replaced by the definition of that name."""
    if isinstance(schema, dict):
        name = schema.get("$ref")
        if isinstance(name, str):
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            return _inlined({**definitions[name], **rest}, definitions)
        return {key: _inlined(value, definitions) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    return schema


def _custom(schema: Schema, *, namespaced: bool) -> Kind:
    reference = {
        "$ref": f"https://kubernetes.io{DEFINITIONS}#/$defs/{APIMACHINERY}.apis.meta.v1.ObjectMeta"
    }
    registry, _ = _definitions()
    return Kind(Validator(strict(schema, reference), registry=registry), schema, namespaced)


@cache
def _definitions() -> tuple[Registry[Any], str]:
    """Kubernetes's definitions without unknown fields, and the folder that has them.

    Quantities get their syntax, which the published schemas leave out.
    """
    # The package takes the newest of its versions that is not newer than the wanted one.
    version = max(
        (found for found in kubernetes_schemas.all_versions() if found.startswith(KUBERNETES)),
        key=lambda found: [int(part) for part in found.split(".")],
    )
    folder = f"kubernetes-json-schema/v{version}-local-strict"
    schema = kubernetes_schemas.schema_contents(f"{folder}/_definitions.json", KUBERNETES)
    schema["$defs"][f"{APIMACHINERY}.api.resource.Quantity"] = {
        "anyOf": [{"type": "number"}, {"type": "string", "pattern": QUANTITY}]
    }
    return Resource.from_contents(schema) @ Registry(), folder


@cache
def _core_kind(version: str, kind: str) -> Kind | None:
    registry, folder = _definitions()
    group, _, number = version.rpartition("/")
    name = "-".join(filter(None, [kind.lower(), group.partition(".")[0], number]))
    try:
        schema = kubernetes_schemas.schema_contents(f"{folder}/{name}.json", KUBERNETES)
    except FileNotFoundError:
        return None
    known = {
        (f"{entry['group']}/{entry['version']}".lstrip("/"), entry["kind"])
        for entry in schema.get("x-kubernetes-group-version-kind", ())
    }
    if (version, kind) not in known:
        return None
    namespaced = kind not in CLUSTER_SCOPED
    return Kind(Validator(schema, registry=registry), {}, namespaced)


CLUSTER_SCOPED = frozenset(
    {
        *("Namespace", "Node", "PersistentVolume", "PriorityClass", "StorageClass", "RuntimeClass"),
        *("ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "IngressClass"),
        *("APIService", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
        *("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"),
    }
)
"""Kubernetes's own kinds without a namespace; the schemas do not say it."""
