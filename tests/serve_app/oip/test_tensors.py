"""The codec: what goes in comes out, and what does not fit is refused."""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serve_app.errors import InvalidField, InvalidRequest, OutOfRange
from serve_app.oip.tensors import (
    BYTES,
    NUMBERS,
    Tensor,
    declared,
    from_json,
    from_raw,
    from_values,
    to_json,
    to_raw,
)

SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "UINT8": st.integers(0, 255),
    "INT64": st.integers(-(2**63), 2**63 - 1),
    "FP32": FINITE,
    BYTES: st.text(st.characters(codec="utf-8")).map(str.encode),
}


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """A tensor of any datatype; its BYTES are UTF-8."""
    datatype = draw(st.sampled_from(sorted(VALUES)))
    shape = draw(SHAPES)
    count = int(np.prod(shape, dtype=int))
    values = draw(st.lists(VALUES[datatype], min_size=count, max_size=count))
    elements: Any = values if datatype == BYTES else np.array(values, NUMBERS[datatype])
    return Tensor("x", datatype, shape, elements)


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors say the same."""
    heads = [(tensor.name, tensor.datatype, tensor.shape) for tensor in (one, other)]
    return heads[0] == heads[1] and list(one.elements) == list(other.elements)


@given(tensors())
def test_raw_bytes_come_back(tensor: Tensor) -> None:
    head = declared(tensor.name, tensor.datatype, tensor.shape)
    assert same(from_raw(head, to_raw(tensor)), tensor)


@example(Tensor("x", "FP32", (1,), np.full(1, np.finfo(np.float32).max)), False)
@given(tensors(), st.booleans())
def test_json_comes_back(tensor: Tensor, nested: bool) -> None:
    head = declared(tensor.name, tensor.datatype, tensor.shape)
    data = to_json(tensor)
    if nested and tensor.shape:
        data = np.array(data, object).reshape(tensor.shape).tolist()
    parsed = orjson.loads(orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY))
    assert same(from_json(head, parsed), tensor)


@given(st.sampled_from(sorted(VALUES)), SHAPES, st.binary(max_size=64))
def test_hostile_bytes_are_read_or_refused(
    datatype: str, shape: tuple[int, ...], raw: bytes
) -> None:
    head = declared("x", datatype, shape)
    try:
        tensor = from_raw(head, raw)
    except InvalidRequest:
        return
    assert len(tensor.elements) == head.count
    assert to_raw(tensor) == raw


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children),
    max_leaves=12,
)


@given(st.sampled_from(sorted(VALUES)), SHAPES, JSON)
def test_hostile_json_is_read_or_refused(
    datatype: str, shape: tuple[int, ...], data: object
) -> None:
    head = declared("x", datatype, shape)
    try:
        tensor = from_json(head, data)
    except InvalidRequest:
        return
    assert len(tensor.elements) == head.count


def test_length_prefixes_are_little_endian() -> None:
    assert to_raw(Tensor("x", BYTES, (2,), [b"ab", b""])) == b"\2\0\0\0ab\0\0\0\0"


@pytest.mark.parametrize("raw", [b"\1\0\0", b"\5\0\0\0abc", b"\xff\xff\xff\xff"])
def test_an_element_that_is_cut_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidField, match="within an element"):
        from_raw(declared("x", BYTES, (1,)), raw)


@pytest.mark.parametrize("values", [[256], [-1], [1.5], [True], ["1"], [None]])
def test_only_bytes_are_uint8(values: list[Any]) -> None:
    with pytest.raises(InvalidField):
        from_values(declared("x", "UINT8", (1,)), values)


def test_a_million_dimensions_are_refused_at_once() -> None:
    with pytest.raises(OutOfRange, match="8 dimensions"):
        declared("x", BYTES, [2**63 - 1] * 1_000_000)


@pytest.mark.parametrize("datatype", ["FP64", "bytes", "", "STRING"])
def test_unknown_datatypes_are_refused(datatype: str) -> None:
    with pytest.raises(InvalidField, match="BYTES, UINT8"):
        declared("x", datatype, (1,))


def test_a_negative_dimension_is_refused() -> None:
    with pytest.raises(OutOfRange, match="negative"):
        declared("x", BYTES, (-1, -1))


def test_wrong_nesting_is_refused() -> None:
    head = declared("x", "UINT8", (2, 2))
    with pytest.raises(InvalidField, match="nested"):
        from_json(head, [[1, 2, 3], [4]])
    assert list(from_json(head, [1, 2, 3, 4]).elements) == [1, 2, 3, 4]
