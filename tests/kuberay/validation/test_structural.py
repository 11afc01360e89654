"""Structural schemas as strict JSON Schema, and the validator's own keywords."""

from typing import Any

import pytest

from tests.kuberay.validation.keywords import Validator, complaints
from tests.kuberay.validation.structural import UnknownKeyword, defaulted, strict

METADATA = {"type": "object", "properties": {"name": {"type": "string"}}}


def found(spec: dict[str, Any], value: Any) -> list[str]:
    """Complaints about an object with a `spec` of a structural schema."""
    schema = strict({"type": "object", "properties": {"spec": spec}}, METADATA)
    whole = {"apiVersion": "x/v1", "kind": "X", "metadata": {"name": "x"}, "spec": value}
    return complaints(Validator(schema), whole)


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


NUMBER, TEXT = {"type": "integer"}, {"type": "string"}


@pytest.mark.parametrize(
    ("spec", "value", "complaint"),
    [
        (an_object(a=NUMBER), {"a": 1}, None),
        (an_object(ports=NUMBER), {"port": 1}, "spec.port: unknown field; did you mean ports?"),
        (an_object(), {"a": 1}, "spec.a: unknown field"),
        ({"type": "object"}, {"a": 1}, "spec.a: unknown field"),
        (an_object(a=an_object(b=NUMBER)), {"a": {"c": 1}}, "spec.a.c: unknown field"),
        ({"type": "array", "items": an_object(a=NUMBER)}, [{"b": 1}], "spec[0].b: unknown field"),
        ({"type": "object", "additionalProperties": NUMBER}, {"any": 1}, None),
        (
            {"type": "object", "additionalProperties": an_object(a=NUMBER)},
            {"any": {"b": 1}},
            "spec.any.b: unknown field",
        ),
        ({"type": "object", "x-kubernetes-preserve-unknown-fields": True}, {"a": {"b": 1}}, None),
        (
            {**an_object(a=NUMBER), "x-kubernetes-preserve-unknown-fields": True},
            {"a": "x", "b": 1},
            "spec.a: 'x' is not of type 'integer'",
        ),
        (
            {"type": "object", "x-kubernetes-embedded-resource": True},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}},
            None,
        ),
        (
            {"type": "object", "x-kubernetes-embedded-resource": True},
            {"apiVersion": "v1", "metadata": {"name": 1}},
            "spec.kind: is missing",
        ),
        ({"x-kubernetes-int-or-string": True, "anyOf": [NUMBER, TEXT]}, "25%", None),
        ({"x-kubernetes-int-or-string": True, "anyOf": [NUMBER, TEXT]}, 3, None),
        (
            {"x-kubernetes-int-or-string": True, "anyOf": [NUMBER, TEXT]},
            True,
            "spec: True is not of type 'integer', 'string'",
        ),
        ({"x-kubernetes-int-or-string": True, "pattern": "^[0-9]+m?$"}, "1x", "spec: '1x'"),
        (NUMBER, None, "spec: None is not of type 'integer'"),
        ({**NUMBER, "nullable": True}, None, None),
        ({**NUMBER, "nullable": True}, "x", "spec: 'x' is not valid"),
        ({**NUMBER, "format": "int32"}, 2**31, "spec: 2147483648 is no int32"),
        ({**NUMBER, "format": "int32"}, -(2**31), None),
        ({**NUMBER, "format": "int64"}, 2**63, "spec: 9223372036854775808 is no int64"),
        ({**TEXT, "format": "byte"}, "e30=", None),
        ({**TEXT, "format": "byte"}, "e30", "spec: 'e30' is no byte"),
        ({**TEXT, "format": "date-time"}, "2026-12-01T00:00:00Z", None),
        ({**TEXT, "format": "date-time"}, "2026-12-01", "spec: '2026-12-01' is no date-time"),
        ({**TEXT, "format": "colour"}, "x", "spec: nobody here knows the format colour"),
        ({**TEXT, "pattern": "^a$"}, "a\n", "spec: 'a\\n' does not match"),
        ({**TEXT, "enum": ["a"]}, "b", "spec: 'b' is not one of ['a']"),
        ({**NUMBER, "minimum": 1}, 0, "spec: 0 is less than the minimum of 1"),
        ({**NUMBER, "minimum": 1, "exclusiveMinimum": True}, 1, "spec: 1 is less than or equal"),
        ({**NUMBER, "maximum": 1, "exclusiveMaximum": False}, 1, None),
        ({**an_object(a=NUMBER), "required": ["a"]}, {}, "spec.a: is missing"),
        (
            {"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"},
            ["a", "a"],
            "spec: item 'a' is given 2 times",
        ),
        ({"type": "array", "items": TEXT, "x-kubernetes-list-type": "atomic"}, ["a", "a"], None),
    ],
)
def test_a_structural_schema_is_strict(spec: Any, value: Any, complaint: str | None) -> None:
    complained = found(spec, value)
    if complaint is None:
        assert complained == []
    else:
        assert any(text.startswith(complaint) for text in complained), complained


def test_keys_of_lists_that_are_maps_count_their_defaults() -> None:
    ports = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["port", "protocol"],
        "items": an_object(port=NUMBER, protocol={**TEXT, "default": "TCP"}),
    }
    assert found(ports, [{"port": 1}, {"port": 1, "protocol": "UDP"}]) == []
    (complaint,) = found(ports, [{"port": 1}, {"port": 1, "protocol": "TCP"}])
    assert complaint == "spec: port, protocol [1, 'TCP'] is given 2 times"


def test_a_keyword_that_nobody_checks_is_refused() -> None:
    with pytest.raises(UnknownKeyword, match="dependentRequired"):
        found({"type": "object", "dependentRequired": {}}, {})


def test_metadata_has_its_own_schema() -> None:
    schema = strict({"type": "object", "properties": {"metadata": {"type": "object"}}}, METADATA)
    value = {"apiVersion": "x/v1", "kind": "X", "metadata": {"name": 1}}
    assert complaints(Validator(schema), value) == ["metadata.name: 1 is not of type 'string'"]
    assert complaints(Validator(schema), {}) == [
        "apiVersion: is missing",
        "kind: is missing",
        "metadata: is missing",
    ]


def test_defaults_are_filled_in_at_every_depth_and_no_value_is_replaced() -> None:
    schema = an_object(
        a={**NUMBER, "default": 1},
        b={**an_object(c={**NUMBER, "default": 2}), "default": {}},
        d=an_object(e={**NUMBER, "default": 3}),
        f={"type": "array", "items": an_object(g={**NUMBER, "default": 4})},
        h={"type": "object", "additionalProperties": an_object(i={**NUMBER, "default": 5})},
    )
    assert defaulted({}, schema) == {"a": 1, "b": {"c": 2}}
    assert defaulted({"a": 0, "d": {}, "f": [{}], "h": {"x": {}}}, schema) == {
        "a": 0,
        "b": {"c": 2},
        "d": {"e": 3},
        "f": [{"g": 4}],
        "h": {"x": {"i": 5}},
    }
