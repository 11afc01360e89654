"""Rules of custom resources: `x-kubernetes-validations` in the Common Expression Language.

Source: "Validation rules" in kubernetes.io/docs on CustomResourceDefinitions: what `self` and
`oldSelf` are, how field names are escaped, which lists are compared with their former items.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import celpy
from celpy import celtypes
from celpy.adapter import json_to_cel
from celpy.evaluation import CELEvalError

from tests.kuberay.validation.keywords import place

RESERVED = frozenset(
    {
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for"),
        *("function", "if", "import", "let", "loop", "package", "namespace", "return", "var"),
        *("void", "while"),
    }
)
_ABSENT = object()
_ENVIRONMENT = celpy.Environment()


def broken_rules(
    schema: Mapping[str, Any], value: Any, before: Any = _ABSENT, path: tuple[str | int, ...] = ()
) -> Iterator[str]:
    """`path: message` of every rule that does not hold; transition rules need the object before."""
    for rule in schema.get("x-kubernetes-validations", ()):
        problem = _broken(rule, schema, value, before)
        if problem is not None:
            yield f"{place(path)}: {problem}" if path else problem
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        rest = schema.get("additionalProperties")
        former = before if isinstance(before, dict) else {}
        for key, item in value.items():
            child = properties.get(key, rest)
            if isinstance(child, dict):
                yield from broken_rules(child, item, former.get(key, _ABSENT), (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            former_item = _former_item(schema, item, before)
            yield from broken_rules(schema.get("items", {}), item, former_item, (*path, index))


def _broken(
    rule: Mapping[str, Any], schema: Mapping[str, Any], value: Any, before: Any
) -> str | None:
    expression = rule["rule"]
    old = None
    if "oldSelf" in expression:
        if before is _ABSENT:
            return None
        old = json.dumps(_escaped(before, schema))
    problem = _evaluated(expression, json.dumps(_escaped(value, schema)), old)
    if problem is None:
        return None
    return problem or str(rule.get("message", f"breaks the rule {expression!r}"))


@lru_cache(maxsize=4096)
def _evaluated(expression: str, value: str, before: str | None) -> str | None:
    """None where a rule holds, an empty text where it does not, else what is wrong with the rule.

    Values as JSON: most of what is checked has been checked before, with one place changed.
    """
    variables = {"self": json_to_cel(json.loads(value))}
    if before is not None:
        variables["oldSelf"] = json_to_cel(json.loads(before))
    try:
        holds = _program(expression).evaluate(variables)
    except CELEvalError as error:
        return f"the rule {expression!r} cannot be evaluated: {str(error.args[0])[:80]}"
    if not isinstance(holds, celtypes.BoolType):
        return f"the rule {expression!r} gives no truth value"
    return None if holds else ""


@lru_cache(maxsize=1024)
def _program(expression: str) -> celpy.Runner:
    return _ENVIRONMENT.program(_ENVIRONMENT.compile(expression))


def _former_item(schema: Mapping[str, Any], item: Any, before: Any) -> Any:
    """The item with the same keys: only lists that are maps have one."""
    names = schema.get("x-kubernetes-list-map-keys")
    if not names or not isinstance(before, list):
        return _ABSENT
    keys = [item.get(name) for name in names]
    same = (old for old in before if [old.get(name) for name in names] == keys)
    return next(same, _ABSENT)


def _escaped(value: Any, schema: Mapping[str, Any]) -> Any:
    """Fields under the names that expressions can say; keys of maps stay."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return {
            _name(key) if key in properties else key: _escaped(item, properties.get(key, {}))
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_escaped(item, schema.get("items", {})) for item in value]
    return value


def _name(key: str) -> str:
    if key in RESERVED:
        return f"__{key}__"
    escaped = key.replace("__", "__underscores__").replace(".", "__dot__")
    return escaped.replace("-", "__dash__").replace("/", "__slash__")
