"""Structural schemas of custom resources as strict JSON Schema.

Source: "Extend the Kubernetes API with CustomResourceDefinitions", kubernetes.io/docs: what a
structural schema is, pruning of unknown fields, and the `x-kubernetes-*` extensions.
"""

from collections.abc import Callable, Mapping
from typing import Any

Schema = dict[str, Any]

KEPT = frozenset(
    {
        *("type", "enum", "format", "pattern", "default", "required", "multipleOf"),
        *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"),
        *("minProperties", "maxProperties", "uniqueItems", "allOf", "anyOf", "oneOf", "not"),
        *("x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
    }
)
"""Keywords that mean the same in JSON Schema, or that `keywords.py` knows."""
CONVERTED = frozenset(
    {
        *("properties", "additionalProperties", "items", "nullable"),
        *("exclusiveMinimum", "exclusiveMaximum", "x-kubernetes-int-or-string"),
        *("x-kubernetes-embedded-resource", "x-kubernetes-preserve-unknown-fields"),
    }
)
WITHOUT_EFFECT = frozenset(
    {
        *("description", "title", "example", "externalDocs"),
        # Evaluated by `cel.py`; about merging alone.
        *("x-kubernetes-validations", "x-kubernetes-map-type"),
    }
)


class UnknownKeyword(ValueError):
    """A schema says something that nobody here would check."""


def strict(schema: Mapping[str, Any], metadata: Schema) -> Schema:
    """The schema of a whole object, its `metadata` replaced by the given one."""
    root = _strict(schema, lambda: metadata)
    root["properties"] |= {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": metadata,
    }
    root["required"] = sorted({*root.get("required", ()), "apiVersion", "kind", "metadata"})
    return root


def _strict(schema: Mapping[str, Any], metadata: Callable[[], Schema]) -> Schema:
    unknown = schema.keys() - KEPT - CONVERTED - WITHOUT_EFFECT
    if unknown:
        raise UnknownKeyword(f"{sorted(unknown)} in a schema")
    found = {key: value for key, value in schema.items() if key in KEPT}
    if "type" in found or "properties" in schema or "additionalProperties" in schema:
        found.setdefault("type", "object")
    if schema.get("x-kubernetes-int-or-string"):
        found.pop("anyOf", None)
        found["type"] = ["integer", "string"]
    if "items" in schema:
        found["items"] = _strict(schema["items"], metadata)
    for bound in ("minimum", "maximum"):
        exclusive = "exclusive" + bound.capitalize()
        if schema.get(exclusive):
            found[exclusive] = found.pop(bound)
    if found.get("type") == "object":
        _close(found, schema, metadata)
    if schema.get("nullable"):
        return {"anyOf": [found, {"type": "null"}]}
    return found


def _close(found: Schema, schema: Mapping[str, Any], metadata: Callable[[], Schema]) -> None:
    """Names the fields that an object may have, and says what becomes of others."""
    properties = {
        name: _strict(child, metadata) for name, child in schema.get("properties", {}).items()
    }
    if schema.get("x-kubernetes-embedded-resource"):
        text = {"type": "string"}
        properties |= {"apiVersion": text, "kind": text, "metadata": metadata()}
        found["required"] = sorted({*found.get("required", ()), "apiVersion", "kind"})
    found["properties"] = properties
    rest = schema.get("additionalProperties", False)
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        rest = True
    found["additionalProperties"] = rest if isinstance(rest, bool) else _strict(rest, metadata)


def defaulted(value: Any, schema: Mapping[str, Any]) -> Any:
    """The value with the schema's defaults, as rules see it."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        rest = schema.get("additionalProperties")
        filled = {
            key: defaulted(item, properties.get(key, rest if isinstance(rest, dict) else {}))
            for key, item in value.items()
        }
        for key, child in properties.items():
            if key not in filled and "default" in child:
                filled[key] = defaulted(child["default"], child)
        return filled
    if isinstance(value, list):
        return [defaulted(item, schema.get("items", {})) for item in value]
    return value
