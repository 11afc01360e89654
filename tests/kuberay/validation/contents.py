"""Texts inside objects that are documents of their own: files in config maps, lists of secrets."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tests.kuberay.validation.documents import parse
from tests.kuberay.validation.keywords import Validator, complaints
from tests.kuberay.validation.pods import at

VAULT_OBJECT = {
    "type": "object",
    "required": ["objectName", "objectType"],
    "additionalProperties": False,
    "properties": {
        "objectName": {"type": "string", "pattern": "^[0-9a-zA-Z-]{1,127}$"},
        "objectType": {"enum": ["secret", "key", "cert"]},
        "objectAlias": {"type": "string", "minLength": 1},
        "objectVersion": {"type": "string"},
        "objectVersionHistory": {"type": "integer", "minimum": 1},
        "objectFormat": {"enum": ["pem", "pfx"]},
        "objectEncoding": {"enum": ["utf-8", "hex", "base64"]},
        "filePermission": {"type": "string", "pattern": "^0[0-7]{3}$"},
    },
}
"""Source: "Get secrets" of azure.github.io/secrets-store-csi-driver-provider-azure."""


def content_problems(item: Mapping[str, Any]) -> Iterator[str]:
    """`path: message` for texts that do not read as what they are."""
    if item["kind"] == "ConfigMap":
        for key, text in item.get("data", {}).items():
            yield from (f"data.{key}: {problem}" for problem in _unreadable(key, text))
    if item["kind"] == "SecretProviderClass":
        yield from _vault(item["spec"])


def _unreadable(name: str, text: str) -> Iterator[str]:
    try:
        if name.endswith(".json"):
            json.loads(text)
        elif name.endswith((".yaml", ".yml")):
            parse(text)
    except (json.JSONDecodeError, yaml.YAMLError) as error:
        yield str(error)


def _vault(spec: Mapping[str, Any]) -> Iterator[str]:
    """Azure's provider reads YAML within YAML; secrets are made of the files that it brings."""
    path, files = "spec.parameters.objects", set()
    try:
        (listed,) = parse(spec["parameters"]["objects"])
        wanted = [entry for text in listed["array"] for entry in parse(text)]
    except (yaml.YAMLError, ValueError, TypeError, KeyError) as error:
        yield f"{path}: expected `array:` of texts that are YAML: {error}"
        return
    for number, entry in enumerate(wanted):
        found = complaints(Validator(VAULT_OBJECT), entry)
        yield from (f"{path}.array[{number}].{problem}" for problem in found)
        if not found:
            files.add(entry.get("objectAlias", entry["objectName"]))
    for number, secret in enumerate(at(spec, "secretObjects") or ()):
        for entry in secret["data"]:
            if entry["objectName"] not in files:
                yield f"spec.secretObjects[{number}].data: {entry['objectName']} is not fetched"
