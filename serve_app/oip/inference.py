"""Inference: the one place that both doors of the protocol call.

It checks what the protocol adds (names, datatypes, shapes, parameters) and hands on to what
version 1 of the API calls.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from deployments.contracts import ModelIdentity
from serve_app.errors import InvalidField, MissingField, OutOfRange, UnknownField
from serve_app.http.face import RequestRecord
from serve_app.oip.exchange import InferRequest, InferResponse, Parameter
from serve_app.oip.models import Catalogue, ModelSpec, version_missing
from serve_app.oip.tensors import Tensor

PARAMETERS = ("top_k", "timeout")


@dataclass(frozen=True, slots=True)
class Work:
    """One request: what is noted of it, and when its time is up (a moment of the loop's clock)."""

    record: RequestRecord
    deadline: float


@dataclass(frozen=True, slots=True)
class Scored:
    """Every output of a model, and which version made them."""

    model: ModelIdentity
    outputs: Sequence[Tensor]


class Scorer(Protocol):
    """One model behind the protocol."""

    spec: ModelSpec
    default_top_k: int
    most_top_k: int
    limit_bytes: int
    """Largest request."""
    json_limit_bytes: int
    """Largest JSON in a request."""

    def require_room(self) -> None:
        """Refuses before a body is read what `score` would refuse after.

        Raises:
            ModelUnavailable, ModelLoading, Overloaded
        """

    async def score(self, tensor: Tensor, top_k: int, work: Work) -> Scored:
        """All outputs for the input; raises `ScoringError`."""


class Inference:
    """From a request to the model that it names, and back."""

    def __init__(self, scorers: Sequence[Scorer], catalogue: Catalogue):
        self.catalogue = catalogue
        self._scorers = {scorer.spec.name: scorer for scorer in scorers}

    def scorer(self, model: str, version: str | None = None) -> Scorer:
        """The model's scorer.

        Raises:
            NotFound: there is no such model, or it does not serve the version.
        """
        self.catalogue.require(model, version)
        return self._scorers[model]

    async def infer(self, request: InferRequest, work: Work) -> InferResponse:
        """The answer with the outputs that were asked for; raises `ScoringError`."""
        scorer = self.scorer(request.model, request.version)
        _refuse_unknown(request.parameters)
        top_k = _top_k(request.parameters, scorer)
        work = Work(work.record, min(work.deadline, _timeout(request.parameters)))
        wanted = _wanted(scorer.spec, request.outputs)
        tensor = _only_input(scorer.spec, request.inputs)
        scorer.require_room()
        scored = await scorer.score(tensor, top_k, work)
        # While replicas change over, another version than the one asked for may have answered.
        if request.version and scored.model.version != request.version:
            raise version_missing(request.model, request.version)
        outputs = {output.name: output for output in scored.outputs}
        return InferResponse(
            request.model,
            scored.model.version,
            request.id,
            scored.model.digest,
            [outputs[name] for name in wanted],
        )


def _refuse_unknown(parameters: Mapping[str, Parameter]) -> None:
    for name in parameters:
        if name not in PARAMETERS:
            known = " and ".join(PARAMETERS)
            raise UnknownField(f"{name[:64]!r} is no parameter; there are {known}", field=name[:64])


def _top_k(parameters: Mapping[str, Parameter], scorer: Scorer) -> int:
    top_k = _whole(parameters, "top_k")
    if top_k is None:
        return scorer.default_top_k
    if not 1 <= top_k <= scorer.most_top_k:
        raise OutOfRange(f"top_k must be 1 to {scorer.most_top_k}", field="top_k")
    return top_k


def _timeout(parameters: Mapping[str, Parameter]) -> float:
    """When the time is up by `timeout`, which Triton defines in microseconds."""
    microseconds = _whole(parameters, "timeout")
    if microseconds is None:
        return float("inf")
    if microseconds < 1:
        raise OutOfRange("timeout must be at least 1 (microsecond)", field="timeout")
    # Divided as whole numbers: one of hundreds of digits is too large for a float.
    return asyncio.get_running_loop().time() + min(microseconds, 10**12) / 1e6


def _whole(parameters: Mapping[str, Parameter], name: str) -> int | None:
    value = parameters.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidField(f"{name} must be a whole number", field=name)
    return value


def _wanted(spec: ModelSpec, outputs: Sequence[str] | None) -> Sequence[str]:
    known = [output.name for output in spec.outputs]
    if outputs is None:
        return known
    for name in outputs:
        if name not in known:
            message = f"{spec.name} has no output {name[:64]!r}; it has {', '.join(known)}"
            raise UnknownField(message, field="outputs")
    if len(set(outputs)) < len(outputs):
        raise InvalidField("an output is asked for twice", field="outputs")
    return outputs


def _only_input(spec: ModelSpec, inputs: Sequence[Tensor]) -> Tensor:
    (wanted,) = (tensor.name for tensor in spec.inputs)
    for tensor in inputs:
        if tensor.name != wanted:
            message = f"{spec.name} has no input {tensor.name[:64]!r}; it has {wanted}"
            raise UnknownField(message, field="inputs")
    if not inputs:
        raise MissingField(f"the input {wanted} is missing", field="inputs")
    if len(inputs) > 1:
        raise InvalidField(f"the input {wanted} is given twice", field="inputs")
    return inputs[0]
