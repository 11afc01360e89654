"""Errors for the checks to find: changes of right objects."""

from collections.abc import Iterable, Iterator, Sequence
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
    if not place:
        return to
    key, rest = place[0], place[1:]
    if isinstance(value, dict):
        without = {name: item for name, item in value.items() if name != key}
        if not rest and to is REMOVED:
            return without
        # In the old order: some checks report the first of several faults.
        new = changed(value.get(key, {}), rest, to)
        return {name: new if name == key else value[name] for name in (*value, key)}
    items = list(value)
    assert isinstance(key, int)
    items[key : key + 1] = [changed(items[key] if key < len(items) else {}, rest, to)]
    return items


def renamed(value: Any, place: Place, name: str) -> Any:
    """A copy with another name for the key at a place."""
    item = at_place(value, place)
    return changed(changed(value, place, REMOVED), (*place[:-1], name), item)


def misspelled(item: Any) -> Iterator[tuple[Place, Place]]:
    """Every key of an object that is not free, and the same with a letter too many."""
    for where in mappings(item):
        for key in at_place(item, where):
            # Without these two nothing is an object.
            if where or key not in ("apiVersion", "kind"):
                yield (*where, key), (*where, f"{key}x")


def one_of_each(places: Iterable[tuple[str, Place]]) -> Iterator[int]:
    """Numbers of the places that differ in more than the items of lists, kind by kind."""
    seen = set()
    for number, (kind, where) in enumerate(places):
        shape = (kind, *("*" if isinstance(key, int) else key for key in where))
        if shape not in seen:
            seen.add(shape)
            yield number


def mappings(value: Any, place: Place = ()) -> Iterator[Place]:
    """Where an object has mappings whose keys are not free."""
    if isinstance(value, dict):
        if not is_free(place, value):
            yield place
        for key, item in value.items():
            yield from mappings(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from mappings(item, (*place, index))


def is_free(place: Place, value: Any) -> bool:
    """Whether the keys at a place are the writer's to choose."""
    if place == ("spec", "selector"):
        # A Service's is a map of labels.
        return not {"matchLabels", "matchExpressions"} & set(value)
    return bool(place) and place[-1] in FREE


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
