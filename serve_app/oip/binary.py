"""Triton's binary tensor data extension: tensors as raw bytes behind the JSON of a body."""

from collections.abc import Sequence

from serve_app.errors import InvalidField
from serve_app.http.numbers import whole_number

LENGTH_HEADER = "Inference-Header-Content-Length"
"""How long the JSON is; without it the whole body is JSON."""

MOST_DIGITS = 15


class RawParts:
    """What follows the JSON, taken from the front, tensor by tensor."""

    def __init__(self, data: memoryview):
        self._data = data

    def take(self, name: str, size: int) -> memoryview:
        """The next `size` bytes, for the tensor `name`.

        Raises:
            InvalidField: there are not as many.
        """
        if not 0 <= size <= len(self._data):
            message = f"{name}: binary_data_size is {size:,}, the body has {len(self._data):,} more"
            raise InvalidField(message, field=name)
        part, self._data = self._data[:size], self._data[size:]
        return part

    def require_end(self) -> None:
        """Refuses bytes that belong to no tensor; raises `InvalidField`."""
        if self._data:
            raise InvalidField(f"{len(self._data):,} bytes at the end belong to no input")


def split(body: bytes, lengths: Sequence[str]) -> tuple[memoryview, RawParts]:
    """The JSON and what follows; `lengths` are the values of the header.

    Raises:
        InvalidField, ContradictoryFields: the header is no whole number up to the body's length.
    """
    whole = memoryview(body)
    length = whole_number(LENGTH_HEADER, lengths, most_digits=MOST_DIGITS)
    if length is None:
        return whole, RawParts(whole[:0])
    if not 0 <= length <= len(body):
        message = f"{LENGTH_HEADER} is {length:,}, the body has {len(body):,} bytes"
        raise InvalidField(message, field=LENGTH_HEADER)
    return whole[:length], RawParts(whole[length:])
