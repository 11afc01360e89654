"""Server-side apply by the API server's rules, for objects whose lists are atomic.

Source: kubernetes.io/docs/reference/using-api/server-side-apply.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str, ...]
Json = dict[str, Any]

IDENTITY = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}
ABSENT = object()


@dataclass
class Manager:
    """Which fields one manager owns, by one way of writing."""

    name: str
    operation: str
    fields: set[Path] = field(default_factory=set)


class Conflict(Exception):
    """Fields that others own: (owner, path)."""

    def __init__(self, found: list[tuple[str, Path]]):
        super().__init__(f"{len(found)} conflicts")
        self.found = found


def leaves(body: Any, prefix: Path = ()) -> Iterator[Path]:
    """The paths of all values; lists and empty objects are values."""
    if isinstance(body, dict) and body:
        for key, value in body.items():
            yield from leaves(value, (*prefix, key))
    else:
        yield prefix


def owned_paths(body: Json) -> set[Path]:
    """What an applied configuration speaks of."""
    left_out = {("metadata", "resourceVersion"), ("metadata", "managedFields")}
    return set(leaves(body)) - IDENTITY - left_out


def at(body: Any, path: Path) -> Any:
    """The value, or `ABSENT`."""
    for key in path:
        if not isinstance(body, dict) or key not in body:
            return ABSENT
        body = body[key]
    return body


def put(body: Json, path: Path, value: Any) -> None:
    """Sets a value; what is in its way goes."""
    for key in path[:-1]:
        if not isinstance(body.get(key), dict):
            body[key] = {}
        body = body[key]
    body[path[-1]] = copy.deepcopy(value)


def remove(body: Json, path: Path) -> None:
    """Removes a value, and the objects that it leaves empty."""
    if len(path) > 1:
        inner = body.get(path[0])
        if isinstance(inner, dict):
            remove(inner, path[1:])
            if not inner:
                body.pop(path[0])
    else:
        body.pop(path[0], None)


def overlap(one: Path, other: Path) -> bool:
    """Whether one is the other, or within it."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def apply(current: Json, managers: list[Manager], name: str, config: Json, force: bool) -> Json:
    """The object after `config` is applied; `managers` is changed. Raises Conflict."""
    mine = owned_paths(config)
    others = [each for each in managers if (each.name, each.operation) != (name, "Apply")]
    found = [
        (other.name, path)
        for other in others
        for path in sorted(mine)
        if at(current, path) != at(config, path)
        and any(overlap(path, owned) for owned in other.fields)
    ]
    if found and not force:
        raise Conflict(found)
    result = copy.deepcopy(current)
    before = next((each for each in managers if each not in others), None)
    for path in sorted((before.fields if before else set()) - mine):
        if not any(overlap(path, owned) for other in others for owned in other.fields):
            remove(result, path)
    for path in sorted(mine):
        put(result, path, at(config, path))
    for owner, path in found:
        for other in others:
            if other.name == owner:
                other.fields = {each for each in other.fields if not overlap(each, path)}
    if before is None:
        managers.append(Manager(name, "Apply", mine))
    else:
        before.fields = mine
    return result


def updated(before: Json, after: Json, managers: list[Manager], name: str) -> None:
    """Takes note of a write that is no apply: what it changed belongs to its manager now."""
    paths = (set(leaves(before)) | set(leaves(after))) - IDENTITY
    changed = {path for path in paths if at(before, path) != at(after, path)}
    if not changed:
        return
    for each in managers:
        if each.name != name or each.operation != "Update":
            each.fields -= changed
    mine = next(
        (each for each in managers if (each.name, each.operation) == (name, "Update")), None
    )
    if mine is None:
        mine = Manager(name, "Update")
        managers.append(mine)
    mine.fields |= {path for path in changed if at(after, path) is not ABSENT}


def managed_fields(managers: list[Manager]) -> list[Json]:
    """As `metadata.managedFields` shows them."""
    shown = []
    for each in managers:
        fields: Json = {}
        for path in sorted(each.fields):
            inner = fields
            for key in path:
                inner = inner.setdefault(f"f:{key}", {})
        shown.append({"manager": each.name, "operation": each.operation, "fieldsV1": fields})
    return shown
