"""The difference between two objects, as a JSON patch (RFC 6902) that people can read.

The package `jsonpatch` finds shorter patches, in an order that changes from run to run.
"""

from collections.abc import Iterator
from typing import Any

Operation = dict[str, Any]


def difference(before: Any, after: Any, path: str = "") -> Iterator[Operation]:
    """What makes `after` of `before`; lists of another beginning are replaced as a whole."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before:
            if key not in after:
                yield {"op": "remove", "path": f"{path}/{_escaped(key)}"}
        for key, value in after.items():
            below = f"{path}/{_escaped(key)}"
            if key in before:
                yield from difference(before[key], value, below)
            else:
                yield {"op": "add", "path": below, "value": value}
    elif isinstance(before, list) and isinstance(after, list) and _grows(before, after):
        for index, (old, new) in enumerate(zip(before, after, strict=False)):
            yield from difference(old, new, f"{path}/{index}")
        for new in after[len(before) :]:
            yield {"op": "add", "path": f"{path}/-", "value": new}
    else:
        yield {"op": "replace", "path": path, "value": after}


def _grows(before: list[Any], after: list[Any]) -> bool:
    """Whether the elements are the old ones, perhaps changed inside, and perhaps more."""
    pairs = zip(before, after, strict=False)
    return len(before) <= len(after) and all(_named(old) == _named(new) for old, new in pairs)


def _named(element: Any) -> Any:
    """What an element is known by: its name, where it has one."""
    if isinstance(element, dict):
        return element.get("name") or element.get("groupName")
    return element


def _escaped(key: str) -> str:
    """RFC 6901: a key as part of a path."""
    return key.replace("~", "~0").replace("/", "~1")
