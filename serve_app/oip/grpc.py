"""The protocol over gRPC: thin methods around `Inference`, called by Ray Serve's gRPC ingress.

Ray Serve has read the whole message before a method is called, so that here, unlike over HTTP,
nobody is refused before the body is read; `GRPC_MESSAGE_BYTES` bounds it.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from grpc import StatusCode
from starlette.requests import Request

from deployments.tracing import step
from serve_app.access.admission import Admission, Headers
from serve_app.access.caller import Scope
from serve_app.errors import InternalError, ScoringError
from serve_app.http.deadlines import deadline_of
from serve_app.http.face import MOST_ID_BYTES, Bookkeeping, RequestRecord, end_span
from serve_app.oip.http import server_metadata
from serve_app.oip.inference import Inference, Work
from serve_app.oip.messages import parse, written
from serve_app.oip.wire import inference_pb2 as wire
from serve_app.settings import HttpSettings

if TYPE_CHECKING:
    from deployments.spans import Spans

logger = logging.getLogger(__name__)

M = TypeVar("M")

SERVICE = "inference.GRPCInferenceService"
CODES: Mapping[int, StatusCode] = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    405: StatusCode.UNIMPLEMENTED,
    413: StatusCode.INVALID_ARGUMENT,
    415: StatusCode.INVALID_ARGUMENT,
    422: StatusCode.INVALID_ARGUMENT,
    429: StatusCode.RESOURCE_EXHAUSTED,
    431: StatusCode.INVALID_ARGUMENT,
    500: StatusCode.INTERNAL,
    503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
}
"""The code for each HTTP status of an error."""

QUIET = frozenset({"ServerLive", "ServerReady", "ModelReady"})
"""Asked every few seconds by machines: counted, but not logged while they succeed."""


class Context(Protocol):
    """What is used of Ray Serve's context of a call (`ray.serve.grpc_util`)."""

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        """What the client sent along."""

    def trailing_metadata(self) -> Sequence[tuple[str, str]]:
        """What goes back; Ray Serve has put the request's id into it."""

    def set_trailing_metadata(self, trailing_metadata: list[tuple[str, str]]) -> None:
        """Adds to what goes back."""

    def set_code(self, code: StatusCode) -> None:
        """The status of the answer."""

    def set_details(self, details: str) -> None:
        """The message of an error."""


class GrpcFace:
    """Answers calls: one status, one line in the log for each, as `HttpFace` does for HTTP."""

    def __init__(
        self,
        inference: Inference,
        admission: Admission,
        settings: HttpSettings,
        books: Bookkeeping,
        spans: "Spans | None" = None,
    ):
        self._inference = inference
        self._admission = admission
        self._settings = settings
        self._books = books
        self._spans = spans

    async def call(
        self,
        method: str,
        context: Context,
        answer: Callable[[RequestRecord], Awaitable[M]],
        empty: M,
    ) -> M:
        """What `answer` returns; `empty` after an error, which is set on the context.

        Raised, an error would be logged by Ray Serve with its trace, at every bad request.
        """
        record = RequestRecord(_request_id(context), "gRPC", route=f"/{SERVICE}/{method}")
        span = None if self._spans is None else self._spans.request(_headers(context))
        try:
            result = await answer(record)
            record.status = 200
        except ScoringError as error:
            _fail(context, record, error)
            result = empty
        except Exception:
            logger.exception("request %s failed", record.request_id)
            hidden = InternalError("an unexpected error; quote the request id")
            _fail(context, record, hidden)
            result = empty
        finally:
            self._books.finish(record, is_quiet=method in QUIET)
            if span is not None:
                end_span(span, record)
        return result

    async def infer(
        self, message: wire.ModelInferRequest, context: Context, record: RequestRecord
    ) -> wire.ModelInferResponse:
        """Admission, then inference, within the deadline."""
        headers = _headers(context)
        deadline = deadline_of(
            Request({"type": "http", "headers": headers}), self._settings.deadline_s
        )
        self._inference.catalogue.require(message.model_name)
        with step(self._spans, "admission"):
            record.caller = await self._admission.admit(headers, Scope(message.model_name))
        record.request_bytes = message.ByteSize()
        version = message.model_version or None
        request = parse(message, self._inference.scorer(message.model_name, version))
        response = await self._inference.infer(request, Work(record, deadline))
        answer = written(response, is_raw=len(message.raw_input_contents) > 0)
        record.response_bytes = answer.ByteSize()
        return answer

    @property
    def inference(self) -> Inference:
        """What both doors call."""
        return self._inference


class GrpcMethods:
    """The service's methods by the names that Ray Serve calls; part of the Router deployment."""

    grpc_face: GrpcFace

    async def ServerLive(  # noqa: N802
        self,
        request: wire.ServerLiveRequest,  # noqa: ARG002 - Ray Serve passes it
        grpc_context: Context,
    ) -> wire.ServerLiveResponse:
        """Whether the process lives."""

        async def answer(_: RequestRecord) -> wire.ServerLiveResponse:
            return wire.ServerLiveResponse(live=True)

        empty = wire.ServerLiveResponse()
        return await self.grpc_face.call("ServerLive", grpc_context, answer, empty)

    async def ServerReady(  # noqa: N802
        self,
        request: wire.ServerReadyRequest,  # noqa: ARG002 - Ray Serve passes it
        grpc_context: Context,
    ) -> wire.ServerReadyResponse:
        """Whether every model has loaded."""

        async def answer(_: RequestRecord) -> wire.ServerReadyResponse:
            return wire.ServerReadyResponse(ready=self.grpc_face.inference.catalogue.is_ready)

        empty = wire.ServerReadyResponse()
        return await self.grpc_face.call("ServerReady", grpc_context, answer, empty)

    async def ModelReady(  # noqa: N802
        self, request: wire.ModelReadyRequest, grpc_context: Context
    ) -> wire.ModelReadyResponse:
        """Whether one model can answer."""

        async def answer(_: RequestRecord) -> wire.ModelReadyResponse:
            catalogue = self.grpc_face.inference.catalogue
            ready = catalogue.is_model_ready(request.name, request.version)
            return wire.ModelReadyResponse(ready=ready)

        empty = wire.ModelReadyResponse()
        return await self.grpc_face.call("ModelReady", grpc_context, answer, empty)

    async def ServerMetadata(  # noqa: N802
        self,
        request: wire.ServerMetadataRequest,  # noqa: ARG002 - Ray Serve passes it
        grpc_context: Context,
    ) -> wire.ServerMetadataResponse:
        """The server's metadata."""

        async def answer(_: RequestRecord) -> wire.ServerMetadataResponse:
            return wire.ServerMetadataResponse(**server_metadata())

        empty = wire.ServerMetadataResponse()
        return await self.grpc_face.call("ServerMetadata", grpc_context, answer, empty)

    async def ModelMetadata(  # noqa: N802
        self, request: wire.ModelMetadataRequest, grpc_context: Context
    ) -> wire.ModelMetadataResponse:
        """A model's metadata."""

        async def answer(_: RequestRecord) -> wire.ModelMetadataResponse:
            catalogue = self.grpc_face.inference.catalogue
            return wire.ModelMetadataResponse(**catalogue.metadata(request.name, request.version))

        empty = wire.ModelMetadataResponse()
        return await self.grpc_face.call("ModelMetadata", grpc_context, answer, empty)

    async def ModelInfer(  # noqa: N802
        self, request: wire.ModelInferRequest, grpc_context: Context
    ) -> wire.ModelInferResponse:
        """The outputs of a model for the inputs."""

        async def answer(record: RequestRecord) -> wire.ModelInferResponse:
            return await self.grpc_face.infer(request, grpc_context, record)

        empty = wire.ModelInferResponse()
        return await self.grpc_face.call("ModelInfer", grpc_context, answer, empty)


def _headers(context: Context) -> Headers:
    return [
        (name.encode("latin-1"), value if isinstance(value, bytes) else value.encode("latin-1"))
        for name, value in context.invocation_metadata()
    ]


def _request_id(context: Context) -> str:
    return dict(context.trailing_metadata()).get("request_id", "")[:MOST_ID_BYTES]


def _fail(context: Context, record: RequestRecord, error: ScoringError) -> None:
    record.status, record.code = error.status, error.code
    context.set_code(CODES[error.status])
    context.set_details(error.message())
    context.set_trailing_metadata([("code", error.code), *error.headers().items()])
