"""Between the messages of gRPC and what `Inference` takes and gives."""

from collections.abc import Mapping

import numpy as np

from serve_app.errors import BodyTooLarge, ContradictoryFields, InvalidField
from serve_app.oip.document import Parameters, flag, refuse_rest
from serve_app.oip.exchange import InferRequest, InferResponse, Parameter
from serve_app.oip.inference import Scorer
from serve_app.oip.tensors import BYTES, Declared, Tensor, declared, from_raw, from_values, to_raw
from serve_app.oip.wire import inference_pb2 as wire

CONTENTS = {
    BYTES: "bytes_contents",
    "UINT8": "uint_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
}
"""Which field of the contents has a datatype's elements."""

Input = wire.ModelInferRequest.InferInputTensor


def parse(message: wire.ModelInferRequest, scorer: Scorer) -> InferRequest:
    """The request of a message.

    Raises:
        BodyTooLarge: the message, or the numbers in its contents, are over the model's limit.
        InvalidRequest: it is no request of the protocol.
    """
    if message.ByteSize() > scorer.limit_bytes:
        raise BodyTooLarge(f"a request may have {scorer.limit_bytes:,} bytes")
    parameters = _parameters(message.parameters)
    # How the answer is written follows from the request; these say the same for HTTP.
    flag(parameters, "binary_data_output")
    for output in message.outputs:
        rest = _parameters(output.parameters)
        flag(rest, "binary_data")
        refuse_rest(rest, output.name)
    return InferRequest(
        message.model_name,
        message.model_version or None,
        message.id,
        parameters,
        _inputs(message, scorer),
        [output.name for output in message.outputs] or None,
    )


def written(response: InferResponse, is_raw: bool) -> wire.ModelInferResponse:
    """The message of an answer; raw contents where the request had them."""
    message = wire.ModelInferResponse(
        model_name=response.model, model_version=response.version, id=response.id
    )
    for name, value in response.parameters.items():
        message.parameters[name].string_param = value
    for tensor in response.outputs:
        output = message.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if is_raw:
            message.raw_output_contents.append(to_raw(tensor))
        else:
            values = np.asarray(tensor.elements).tolist() if tensor.datatype != BYTES else None
            getattr(output.contents, CONTENTS[tensor.datatype]).extend(values or tensor.elements)
    return message


def _inputs(message: wire.ModelInferRequest, scorer: Scorer) -> list[Tensor]:
    raw = message.raw_input_contents
    if not raw:
        return [_typed(item, scorer) for item in message.inputs]
    if len(raw) != len(message.inputs):
        counts = f"{len(raw)} raw contents for {len(message.inputs)} inputs"
        raise InvalidField(counts, field="raw_input_contents")
    return [_raw(item, data) for item, data in zip(message.inputs, raw, strict=True)]


def _typed(item: Input, scorer: Scorer) -> Tensor:
    head = _declared(item, None)
    values = getattr(item.contents, CONTENTS[head.datatype])
    if head.datatype != BYTES and len(values) > scorer.json_limit_bytes:
        limit = f"contents may have {scorer.json_limit_bytes:,} numbers; more goes as raw contents"
        raise BodyTooLarge(limit)
    return from_values(head, list(values))


def _raw(item: Input, data: bytes) -> Tensor:
    if item.HasField("contents"):
        message = f"{item.name}: give contents or raw contents, not both"
        raise ContradictoryFields(message, field=item.name)
    return from_raw(_declared(item, len(data)), data)


def _declared(item: Input, raw_bytes: int | None) -> Declared:
    parameters = _parameters(item.parameters)
    # The client of KServe says it here too.
    if parameters.pop("binary_data_size", raw_bytes) != raw_bytes:
        message = f"{item.name}: binary_data_size is not the size of the raw contents"
        raise InvalidField(message, field=item.name)
    refuse_rest(parameters, item.name)
    return declared(item.name, item.datatype, item.shape)


def _parameters(fields: Mapping[str, wire.InferParameter]) -> Parameters:
    return {name: _value(name, parameter) for name, parameter in fields.items()}


def _value(name: str, parameter: wire.InferParameter) -> Parameter:
    choice = parameter.WhichOneof("parameter_choice")
    if choice is None:
        raise InvalidField(f"the parameter {name[:64]!r} has no value", field=name[:64])
    value: Parameter = getattr(parameter, choice)
    return value
