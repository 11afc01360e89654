"""Bodies against schemas: unknown and read-only keys, missing ones, types, values."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.kuberay.aks.schemas import (
    Anything,
    ListOf,
    MapOf,
    Object,
    Scalar,
    Schema,
    UnknownType,
    body_schema,
)
from tests.kuberay.aks.terraform import Configuration, Expression, parsed

PYTHON = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}
TERRAFORM = {
    "string": {"string"},
    "boolean": {"bool"},
    "integer": {"number"},
    "number": {"number"},
}
FUNCTIONS = {"tostring": "string", "cidrhost": "string", "replace": "string", "length": "number"}
"""What functions give, as far as bodies use them."""


def all_problems(configuration: Configuration) -> list[str]:
    """Of every resource's body, each with the resource and the path."""
    found = []
    for resource in configuration.resources:
        try:
            schema = body_schema(resource.type, resource.version)
        except UnknownType as error:
            found.append(f"{resource.name}: {error}")
            continue
        found += [
            f"{resource.name}: {problem}"
            for problem in problems(resource.body, schema, configuration)
        ]
    return found


def problems(
    value: Any, schema: Schema, configuration: Configuration, path: str = "body"
) -> Iterator[str]:
    """What Azure would refuse. Null is as if the key were not there."""
    if value is None or isinstance(schema, Anything):
        return
    if isinstance(value, Expression):
        yield from _computed(value, schema, configuration, path)
    elif isinstance(schema, Object):
        yield from _object(value, schema, configuration, path)
    elif isinstance(schema, ListOf | MapOf):
        container, name = (list, "list") if isinstance(schema, ListOf) else (Mapping, "map")
        if not isinstance(value, container):
            yield f"{path}: {value!r} is no {name}"
            return
        items = enumerate(value) if isinstance(schema, ListOf) else value.items()
        for key, item in items:
            yield from problems(item, schema.item, configuration, f"{path}[{key}]")
    else:
        yield from _scalar(value, schema, path)


def _object(value: Any, schema: Object, configuration: Configuration, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{path}: {value!r} is no object ({schema.name})"
        return
    fields = schema.fields()
    for key, item in value.items():
        if (field := fields.get(key)) is None:
            yield f"{path}.{key}: {schema.name} has no such key"
        elif field.read_only:
            yield f"{path}.{key}: is read-only"
        else:
            yield from problems(item, field.schema, configuration, f"{path}.{key}")
    for key, field in fields.items():
        if field.required and not field.read_only and value.get(key) is None:
            yield f"{path}.{key}: {schema.name} needs it"


def _scalar(value: Any, schema: Scalar, path: str) -> Iterator[str]:
    right = isinstance(value, PYTHON[schema.type])  # type: ignore[arg-type]
    if not right or (isinstance(value, bool) and schema.type != "boolean"):
        yield f"{path}: {value!r} is no {schema.type}"
    elif schema.values is not None and value not in schema.values:
        yield f"{path}: {value!r} is none of {', '.join(sorted(schema.values))}"


def _computed(
    value: Expression, schema: Schema, configuration: Configuration, path: str
) -> Iterator[str]:
    """By the branches that are written out, or by the type of the variable or local value."""
    if value.template:
        if not (isinstance(schema, Scalar) and schema.type == "string"):
            yield f"{path}: a template is a string"
        return
    branches = value.branches
    if branches != [value]:
        for branch in branches:
            yield from problems(branch, schema, configuration, path)
        return
    if match := re.fullmatch(r"local\.(\w+)", value.text):
        yield from problems(configuration.locals.get(match[1]), schema, configuration, path)
    elif (type_ := _type(value.text, configuration)) is not None:
        yield from _typed(type_, schema, path)


def _type(text: str, configuration: Configuration) -> Any:
    """Terraform's type of an expression: None where it is not known here."""
    if match := re.fullmatch(r"(\w+)\(.*\)", text, re.DOTALL):
        return FUNCTIONS.get(match[1])
    if not (match := re.fullmatch(r"var\.(\w+)((?:\.\w+)*)", text)):
        return None
    variable = configuration.variables.get(match[1])
    if variable is None or variable.type is None:
        return None
    type_ = parse_type(variable.type)
    for attribute in match[2].split(".")[1:]:
        if not isinstance(type_, Mapping) or attribute not in type_:
            return f"{variable.name} without {attribute}"
        type_ = type_[attribute]
    return type_


def parse_type(text: str) -> Any:
    """`object({a = string})` to {"a": "string"}, `list(T)` to [T], others to their name."""
    if match := re.fullmatch(r"(list|set|map|object|optional)\((.*)\)", text.strip(), re.DOTALL):
        inner = match[2].strip()
        if match[1] == "object":
            return {
                key: parse_type(item.text if isinstance(item, Expression) else item)
                for key, item in parsed(inner).items()
            }
        return [parse_type(inner)] if match[1] in ("list", "set") else {"*": parse_type(inner)}
    return text.strip()


def _typed(type_: Any, schema: Schema, path: str) -> Iterator[str]:
    if isinstance(schema, Scalar):
        if type_ not in TERRAFORM[schema.type]:
            yield f"{path}: {type_} is no {schema.type}"
    elif isinstance(schema, ListOf):
        if not isinstance(type_, list):
            yield f"{path}: {type_} is no list"
        else:
            yield from _typed(type_[0], schema.item, f"{path}[]")
    elif not isinstance(type_, Mapping):
        yield f"{path}: {type_} is no object"
