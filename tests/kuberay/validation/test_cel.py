"""Rules in the Common Expression Language, on small schemas: they bite where they should."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kuberay.validation.cel import broken_rules

TEXT = {"type": "string"}


def ruled(rule: str, **schema: Any) -> dict[str, Any]:
    return {**schema, "x-kubernetes-validations": [{"rule": rule, "message": "broken"}]}


def fields(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "integer"} for name in names}}


@pytest.mark.parametrize(
    ("rule", "right", "wrong"),
    [
        ("has(self.a)", {"a": 1}, {"b": 1}),
        ("!(has(self.a) && has(self.b))", {"a": 1}, {"a": 1, "b": 2}),
        ("self.a <= self.b", {"a": 1, "b": 2}, {"a": 3, "b": 2}),
        ("has(self.a) ? self.a > 0 : true", {}, {"a": 0}),
        ("self.all(x, x > 0)", [1, 2], [1, 0]),
        ("self.exists(x, x == 2)", [1, 2], [1]),
        ("self.exists_one(x, x == 2)", [1, 2], [2, 2]),
        ("self.filter(x, x > 1).size() <= 1", [1, 2], [2, 3]),
        ("self.map(x, x * 2) == [2, 4]", [1, 2], [1, 3]),
        ("self.matches('^[a-z]+$')", "abc", "aBc"),
        ("self.startsWith('a') && self.endsWith('c')", "abc", "abd"),
        ("self.size() < 4", "abc", "abcd"),
        ("size(self) == 2", {"x": 1, "y": 2}, {"x": 1}),
        ("self in ['a', 'b']", "a", "c"),
        ("'a' in self", {"a": 1}, {"b": 1}),
        ("self[0] == 1", [1], [2]),
        ("duration(self) >= duration('1h')", "90m", "5s"),
        (
            "timestamp(self) > timestamp('2026-01-01T00:00:00Z')",
            "2026-06-01T00:00:00Z",
            "2025-06-01T00:00:00Z",
        ),
        ("self == 'x' || self == 'y'", "y", "z"),
    ],
)
def test_a_rule_holds_or_is_broken(rule: str, right: Any, wrong: Any) -> None:
    assert list(broken_rules(ruled(rule), right)) == []
    assert list(broken_rules(ruled(rule), wrong)) == ["broken"]


def test_a_broken_rule_says_where() -> None:
    item = ruled("self.a < self.b", **fields("a", "b"))
    schema = {"properties": {"pairs": {"items": item}, "map": {"additionalProperties": item}}}
    value = {"pairs": [{"a": 1, "b": 2}, {"a": 2, "b": 1}], "map": {"one": {"a": 5, "b": 5}}}
    assert list(broken_rules(schema, value)) == ["pairs[1]: broken", "map.one: broken"]


def test_every_rule_of_a_place_is_asked() -> None:
    rules = [{"rule": "self > 1", "message": "one"}, {"rule": "self > 2", "message": "two"}]
    schema = {"x-kubernetes-validations": rules}
    assert list(broken_rules(schema, 0)) == ["one", "two"]
    assert list(broken_rules(schema, 2)) == ["two"]


def test_a_rule_without_a_message_shows_itself() -> None:
    schema = {"x-kubernetes-validations": [{"rule": "self > 1"}]}
    assert list(broken_rules(schema, 0)) == ["breaks the rule 'self > 1'"]


def test_a_rule_of_an_absent_field_is_not_asked() -> None:
    schema = {"properties": {"a": ruled("self > 1")}}
    assert list(broken_rules(schema, {"b": 0})) == []


@pytest.mark.parametrize(
    "rule", ["self.absent > 1", "self.unheard()", "self + 1", "self", "1 / 0 == 1"]
)
def test_a_rule_that_cannot_be_evaluated_is_a_problem(rule: str) -> None:
    (found,) = broken_rules(ruled(rule), {"a": 1})
    assert "the rule" in found


def test_a_transition_rule_needs_the_object_before() -> None:
    schema = {"properties": {"a": ruled("self == oldSelf")}}
    assert list(broken_rules(schema, {"a": 1})) == []
    assert list(broken_rules(schema, {"a": 1}, {"a": 1})) == []
    assert list(broken_rules(schema, {"a": 1}, {"a": 2})) == ["a: broken"]
    # A field that is new has no value before.
    assert list(broken_rules(schema, {"a": 1}, {"b": 2})) == []


def test_items_of_a_list_that_is_a_map_are_compared_by_their_keys() -> None:
    item = {"properties": {"name": TEXT, "size": ruled("self >= oldSelf", type="integer")}}
    schema = {
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": item,
    }
    before = [{"name": "a", "size": 1}, {"name": "b", "size": 2}]
    after = [{"name": "b", "size": 1}, {"name": "a", "size": 1}, {"name": "c", "size": 0}]
    assert list(broken_rules(schema, after, before)) == ["[0].size: broken"]
    assert list(broken_rules({"items": item}, after, before)) == []


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("namespace", "__namespace__"),
        ("in", "__in__"),
        ("x-y", "x__dash__y"),
        ("x.y", "x__dot__y"),
        ("x/y", "x__slash__y"),
        ("x__y", "x__underscores__y"),
    ],
)
def test_fields_that_expressions_cannot_name_are_escaped(field: str, said: str) -> None:
    schema = ruled(f"self.{said} == 1", **fields(field))
    assert list(broken_rules(schema, {field: 1})) == []
    assert list(broken_rules(schema, {field: 2})) == ["broken"]


def test_keys_of_maps_are_not_escaped() -> None:
    schema = ruled("self['x-y'] == 1", type="object", additionalProperties={"type": "integer"})
    assert list(broken_rules(schema, {"x-y": 1})) == []


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), st.integers(-5, 5)))
def test_rules_agree_with_python(value: dict[str, int]) -> None:
    schema = ruled(
        "(has(self.a) && has(self.b)) ? self.a < self.b : (!has(self.c) || self.c != 0)",
        **fields("a", "b", "c"),
    )
    holds = value["a"] < value["b"] if {"a", "b"} <= value.keys() else value.get("c", 1) != 0
    assert (list(broken_rules(schema, value)) == []) == holds, json.dumps(value)
