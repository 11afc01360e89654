"""The JSON of a request, and of its answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import orjson

from serve_app.errors import (
    ContradictoryFields,
    InvalidField,
    InvalidRequest,
    MalformedJson,
    MissingField,
    UnknownField,
)
from serve_app.oip.binary import RawParts
from serve_app.oip.exchange import InferRequest, InferResponse, Parameter
from serve_app.oip.tensors import Tensor, declared, from_json, from_raw, to_json, to_raw

Parameters = dict[str, Parameter]
Dimension = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Input(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    shape: list[Dimension]
    datatype: str
    parameters: Parameters = {}
    data: Any = msgspec.UNSET


class _Output(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    parameters: Parameters = {}


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    inputs: list[_Input]
    outputs: list[_Output] | None = None
    parameters: Parameters = {}
    id: str = ""
    model_name: str | None = None
    model_version: str | None = None


_decoder = msgspec.json.Decoder(_Request)


@dataclass(frozen=True, slots=True)
class BinaryOutputs:
    """Which outputs the client wants as raw bytes: all or none, but for those named."""

    default: bool
    named: Mapping[str, bool]

    def wants(self, name: str) -> bool:
        """Whether this output goes as raw bytes."""
        return self.named.get(name, self.default)


def parse(
    model: str, version: str | None, document: bytes | memoryview, raw: RawParts
) -> tuple[InferRequest, BinaryOutputs]:
    """The request for the model that the path names, and how it wants its answer.

    Raises:
        MalformedJson: it is not JSON.
        InvalidRequest: it is, and not a request of the protocol.
    """
    parsed = _decoded(document)
    _require_same("model_name", parsed.model_name, model)
    _require_same("model_version", parsed.model_version, version)
    parameters = dict(parsed.parameters)
    default = flag(parameters, "binary_data_output") or False
    inputs = [_tensor(item, raw) for item in parsed.inputs]
    raw.require_end()
    named = {item.name: _is_binary(item, default) for item in parsed.outputs or ()}
    # An empty list of outputs asks for all of them, as Triton takes it.
    outputs = [item.name for item in parsed.outputs] if parsed.outputs else None
    request = InferRequest(model, version, parsed.id, parameters, inputs, outputs)
    return request, BinaryOutputs(default, named)


def written(response: InferResponse, binary: BinaryOutputs) -> tuple[bytes, Sequence[bytes]]:
    """The JSON of the answer, and the raw bytes that follow it."""
    outputs, parts = [], []
    for tensor in response.outputs:
        head: dict[str, Any] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": tensor.shape,
        }
        if binary.wants(tensor.name):
            parts.append(to_raw(tensor))
            head["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            head["data"] = to_json(tensor)
        outputs.append(head)
    document: dict[str, Any] = {
        "model_name": response.model,
        "model_version": response.version,
        "parameters": response.parameters,
        "outputs": outputs,
    }
    if response.id:
        document["id"] = response.id
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY), parts


def flag(parameters: Parameters, name: str) -> bool | None:
    """Takes a parameter that is true or false out; None where it is not given.

    Raises:
        InvalidField: it is something else.
    """
    value = parameters.pop(name, None)
    if value is not None and not isinstance(value, bool):
        raise InvalidField(f"{name} must be true or false", field=name)
    return value


def refuse_rest(parameters: Parameters, owner: str) -> None:
    """Refuses what nobody has taken out; raises `UnknownField`."""
    for name in parameters:
        raise UnknownField(f"{owner}: {name[:64]!r} is no parameter here", field=name[:64])


def _decoded(document: bytes | memoryview) -> _Request:
    try:
        return _decoder.decode(document)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedJson(f"the JSON does not parse: {error}") from None


def _require_same(field: str, inside: str | None, outside: str | None) -> None:
    # Clients of KServe repeat in the body what the path says.
    if inside and inside != outside:
        raise ContradictoryFields(f"{field} differs from the path's", field=field)


def _tensor(item: _Input, raw: RawParts) -> Tensor:
    head = declared(item.name, item.datatype, item.shape)
    parameters = dict(item.parameters)
    size = parameters.pop("binary_data_size", None)
    refuse_rest(parameters, item.name)
    if size is None:
        if item.data is msgspec.UNSET:
            raise MissingField(f"{item.name}: data is missing", field=item.name)
        return from_json(head, item.data)
    if item.data is not msgspec.UNSET:
        message = f"{item.name}: give data or binary_data_size, not both"
        raise ContradictoryFields(message, field=item.name)
    if not isinstance(size, int) or isinstance(size, bool):
        raise InvalidField("binary_data_size must be a whole number", field=item.name)
    return from_raw(head, raw.take(item.name, size))


def _is_binary(item: _Output, default: bool) -> bool:
    parameters = dict(item.parameters)
    asked = flag(parameters, "binary_data")
    refuse_rest(parameters, item.name)
    return default if asked is None else asked
