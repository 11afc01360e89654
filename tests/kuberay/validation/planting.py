"""Errors for the checks to find: changes of right objects."""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.kuberay.validation.documents import read

Place = tuple[str | int, ...]
EXAMPLES = Path(__file__).with_name("examples.yaml")
REMOVED = object()
"""In place of a value: the key goes."""

FREE = frozenset(
    {
        *("labels", "annotations", "data", "stringData", "matchLabels", "nodeSelector"),
        *("limits", "requests", "rayStartParams", "volumeAttributes", "options", "params"),
    }
)
"""Fields whose keys are the writer's to choose."""


def examples() -> list[Any]:
    """Right objects of every kind, new ones each time."""
    return read(EXAMPLES)


def changed(value: Any, place: Place, to: Any) -> Any:
    """A copy with another value at a place; missing mappings on the way are made."""
    whole = copy.deepcopy(value)
    inner = whole
    for key in place[:-1]:
        inner = inner.setdefault(key, {}) if isinstance(inner, dict) else inner[key]
    if to is REMOVED:
        del inner[place[-1]]
    elif isinstance(inner, list) and place[-1] == len(inner):
        inner.append(to)
    else:
        inner[place[-1]] = to
    return whole


def renamed(value: Any, place: Place, name: str) -> Any:
    """A copy with another name for the key at a place."""
    whole = copy.deepcopy(value)
    inner = whole
    for key in place[:-1]:
        inner = inner[key]
    inner[name] = inner.pop(place[-1])
    return whole


def mappings(value: Any, place: Place = ()) -> Iterator[Place]:
    """Where an object has mappings whose keys are not free."""
    if isinstance(value, dict):
        if not is_free(place):
            yield place
        for key, item in value.items():
            yield from mappings(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from mappings(item, (*place, index))


def is_free(place: Place) -> bool:
    """Whether the keys at a place are the writer's to choose."""
    return bool(place) and (place[-1] in FREE)


def scalars(value: Any, place: Place = ()) -> Iterator[Place]:
    """Where an object has values that are no mappings and no lists."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from scalars(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from scalars(item, (*place, index))
    else:
        yield place


def at_place(value: Any, place: Sequence[str | int]) -> Any:
    """The part of an object at a place."""
    for key in place:
        value = value[key]
    return value
