"""Tensors: from JSON, from raw bytes, from lists of values, and back.

Raw bytes are row-major and little-endian without padding; an element of BYTES is a length of 4
bytes and as many bytes (Triton's binary tensor data extension; gRPC's raw contents are the same).
Only the datatypes that a model here takes or gives are known.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from serve_app.errors import InvalidField, OutOfRange

NUMBERS: Mapping[str, np.dtype[Any]] = {
    "UINT8": np.dtype("u1"),
    "INT64": np.dtype("<i8"),
    "FP32": np.dtype("<f4"),
}
BYTES = "BYTES"
MOST_DIMENSIONS = 8
LARGEST_FP32 = 3.4028235e38
"""As JSON writes it, a little above the largest number of 32 bits, to which it is rounded."""

_LENGTH = struct.Struct("<I")
_VALUES: Mapping[str, Any] = {
    "UINT8": list[Annotated[int, msgspec.Meta(ge=0, le=255)]],
    "INT64": list[Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]],
    "FP32": list[Annotated[float, msgspec.Meta(ge=-LARGEST_FP32, le=LARGEST_FP32)]],
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """`elements` is flat and row-major: bytes for BYTES, else an array of the datatype.

    `is_text` says that the elements of BYTES came as JSON strings and are UTF-8.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    elements: Sequence[bytes] | NDArray[Any]
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class Declared:
    """What a request says of a tensor, before its data is looked at."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many elements the shape holds."""
        return math.prod(self.shape)


def declared(name: str, datatype: str, shape: Sequence[int]) -> Declared:
    """Checks what can be said without the data.

    Raises:
        InvalidField: the datatype is not known.
        OutOfRange: more than 8 dimensions, or a negative one.
    """
    if datatype != BYTES and datatype not in NUMBERS:
        known = ", ".join([BYTES, *NUMBERS])
        raise InvalidField(f"{name}: the datatype must be one of {known}", field=name)
    # First the number of dimensions: the product of a million of them takes minutes.
    if len(shape) > MOST_DIMENSIONS:
        raise OutOfRange(f"{name}: a shape may have {MOST_DIMENSIONS} dimensions", field=name)
    if any(size < 0 for size in shape):
        raise OutOfRange(f"{name}: a dimension of the shape is negative", field=name)
    return Declared(name, datatype, tuple(shape))


def from_json(declared: Declared, data: object) -> Tensor:
    """The tensor of parsed JSON: a flat list, or lists nested as the shape says.

    Raises:
        InvalidField: the data has another form than the shape, or elements of another type.
    """
    elements = _flat(declared, data)
    if declared.datatype != BYTES:
        return from_values(declared, elements)
    if not all(isinstance(element, str) for element in elements):
        raise InvalidField(f"{declared.name}: the data must be strings", field=declared.name)
    encoded = [_encoded(declared, element) for element in elements]
    return _tensor(declared, encoded, is_text=True)


def from_values(declared: Declared, values: Sequence[Any]) -> Tensor:
    """The tensor of a flat list of bytes or numbers.

    Raises:
        InvalidField: there are more or fewer than the shape holds, or of another type or range.
    """
    _require_count(declared, len(values))
    if declared.datatype == BYTES:
        return _tensor(declared, list(values))
    try:
        numbers = msgspec.convert(values, _VALUES[declared.datatype])
    except msgspec.ValidationError as error:
        raise InvalidField(f"{declared.name}: {error}", field=declared.name) from None
    return _tensor(declared, np.array(numbers, NUMBERS[declared.datatype]))


def from_raw(declared: Declared, raw: bytes | memoryview) -> Tensor:
    """The tensor of raw bytes; numbers are not copied.

    Raises:
        InvalidField: the bytes are more or fewer than the shape holds.
    """
    if declared.datatype == BYTES:
        elements = _split(declared, bytes(raw))
        _require_count(declared, len(elements))
        return _tensor(declared, elements)
    kind = NUMBERS[declared.datatype]
    expected = declared.count * kind.itemsize
    if len(raw) != expected:
        message = f"{declared.name}: the shape needs {expected:,} bytes, there are {len(raw):,}"
        raise InvalidField(message, field=declared.name)
    return _tensor(declared, np.frombuffer(raw, kind))


def to_json(tensor: Tensor) -> list[str] | NDArray[Any]:
    """The flat data for JSON; elements of BYTES must be UTF-8."""
    if isinstance(tensor.elements, np.ndarray):
        return tensor.elements
    return [element.decode() for element in tensor.elements]


def to_raw(tensor: Tensor) -> bytes:
    """The data as raw bytes."""
    if isinstance(tensor.elements, np.ndarray):
        return tensor.elements.tobytes()
    return b"".join(_LENGTH.pack(len(element)) + element for element in tensor.elements)


def _tensor(
    declared: Declared, elements: Sequence[bytes] | NDArray[Any], is_text: bool = False
) -> Tensor:
    return Tensor(declared.name, declared.datatype, declared.shape, elements, is_text)


def _flat(declared: Declared, data: object) -> list[Any]:
    if not isinstance(data, list):
        raise InvalidField(f"{declared.name}: data must be a list", field=declared.name)
    if len(declared.shape) < 2 or not any(isinstance(item, list) for item in data):
        _require_count(declared, len(data))
        return data
    rows = [data]
    for size in declared.shape:
        if not all(isinstance(row, list) and len(row) == size for row in rows):
            message = f"{declared.name}: the data is not nested as the shape says"
            raise InvalidField(message, field=declared.name)
        rows = list(chain.from_iterable(rows))
    return rows


def _encoded(declared: Declared, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidField(
            f"{declared.name}: a string is not Unicode", field=declared.name
        ) from None


def _split(declared: Declared, raw: bytes) -> list[bytes]:
    elements = []
    start = 0
    while start < len(raw):
        data = start + _LENGTH.size
        if data > len(raw):
            raise _cut(declared)
        (length,) = _LENGTH.unpack_from(raw, start)
        start = data + length
        if start > len(raw):
            raise _cut(declared)
        elements.append(raw[data:start])
    return elements


def _cut(declared: Declared) -> InvalidField:
    return InvalidField(f"{declared.name}: the data ends within an element", field=declared.name)


def _require_count(declared: Declared, found: int) -> None:
    if found != declared.count:
        message = (
            f"{declared.name}: the shape holds {declared.count:,} elements, the data {found:,}"
        )
        raise InvalidField(message, field=declared.name)
