"""Differences as JSON patches."""

import json
from typing import Any

import jsonpatch
from hypothesis import example, given
from hypothesis import strategies as st

from kuberay.manifests.patches import difference

KEYS = st.text("ab/~0", max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | KEYS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS | st.sampled_from(["name", "groupName"]), inner, max_size=4)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)


@given(OBJECTS, OBJECTS)
@example({"a/b": 1, "a~1b": 2}, {"a/b": 2})
@example({"a": [{"name": "x", "v": 1}]}, {"a": [{"name": "x", "v": 2}, {"name": "y"}]})
@example({"a": [1, 2]}, {"a": [2]})
def test_a_patch_makes_one_of_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    operations = list(difference(before, after))
    assert jsonpatch.apply_patch(before, json.dumps(operations)) == after


@given(OBJECTS)
def test_equal_objects_differ_in_nothing(item: dict[str, Any]) -> None:
    assert list(difference(item, item)) == []


def test_one_number_is_one_operation() -> None:
    before = {"groups": [{"groupName": "cpu", "max": 1}, {"groupName": "gpu", "max": 1}]}
    after = {"groups": [{"groupName": "cpu", "max": 1}, {"groupName": "gpu", "max": 2}]}
    assert list(difference(before, after)) == [
        {"op": "replace", "path": "/groups/1/max", "value": 2}
    ]


def test_what_stands_elsewhere_is_no_change_of_the_neighbour() -> None:
    before = {"groups": [{"groupName": "cpu", "max": 1}]}
    after = {"groups": [{"groupName": "gpu", "max": 2}, {"groupName": "cpu", "max": 1}]}
    (operation,) = difference(before, after)
    assert operation == {"op": "replace", "path": "/groups", "value": after["groups"]}
