"""The real schema of a RayService, as strictly as `fieldValidation=Strict` is."""

import copy
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.kuberay.rollout.field_managers import Json

SHARED = Path(__file__).parents[4] / "shared"
SHOWN = 5


def crd() -> Path:
    """KubeRay's definition; skips where it is absent."""
    folder = Path(os.environ.get("SCORING_SHARED_DATA", SHARED)) / "kuberay-crds"
    path = folder / "ray.io_rayservices.yaml"
    if not path.exists():
        pytest.skip(f"{path} is absent; SCORING_SHARED_DATA names the shared folder")
    return path


@cache
def validator(path: Path) -> Callable[[Json], list[str]]:
    """What is wrong with an object, a line each."""
    definition = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    (version,) = [each for each in definition["spec"]["versions"] if each["name"] == "v1"]
    schema = _strict(copy.deepcopy(version["schema"]["openAPIV3Schema"]))
    schema["properties"]["metadata"] = {"type": "object"}
    checks = jsonschema.Draft7Validator(schema)

    def wrong(body: Json) -> list[str]:
        return [
            f".{'.'.join(map(str, error.absolute_path))}: {error.message}"
            for error in list(checks.iter_errors(body))[:SHOWN]
        ]

    return wrong


def _strict(schema: Any) -> Any:
    if isinstance(schema, dict):
        if schema.get("x-kubernetes-int-or-string"):
            return {"type": ["integer", "string", "number"]}
        preserved = schema.get("x-kubernetes-preserve-unknown-fields")
        if "properties" in schema and not preserved:
            schema.setdefault("additionalProperties", False)
        schema.pop("format", None)
        for key, value in schema.items():
            if key == "properties":
                schema[key] = {name: _strict(each) for name, each in value.items()}
            elif key in ("items", "additionalProperties"):
                schema[key] = _strict(value)
    return schema
