"""One inference request and its answer, as both doors see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serve_app.oip.tensors import Tensor

Parameter = bool | int | float | str


@dataclass(frozen=True, slots=True)
class InferRequest:
    """What is asked of a model; `version` is None where any will do, `outputs` where all are."""

    model: str
    version: str | None
    id: str
    parameters: Mapping[str, Parameter]
    inputs: Sequence[Tensor]
    outputs: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class InferResponse:
    """The answer: the outputs that were asked for, in the order in which they were."""

    model: str
    version: str
    id: str
    digest: str
    outputs: Sequence[Tensor]

    @property
    def parameters(self) -> dict[str, str]:
        """What the answer says beyond the protocol: the digest of the artifact that made it."""
        return {"digest": self.digest}
