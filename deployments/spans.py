"""OpenTelemetry spans of one replica: names, parents and an allow-list of attributes.

No span holds a question, a picture, a file name, a header or an error's message: what failed is
told by its code or type. Attributes follow OpenTelemetry's semantic conventions where there is one.
"""

import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from deployments.batching import Outcome
from deployments.tracing import TracingOptions

R = TypeVar("R")

SERVICE = "realtime-scoring"
METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
)
OTHER_METHOD = "_OTHER"
"""What the semantic conventions call a method that nobody knows."""

EXPORT_EVERY_MS = 1000
"""What a replica loses of its traces at most when its process is killed."""

EXPORT_TIMEOUT_S = 5.0
"""Of one export with its repeats: a replica that ends waits for them."""

_PROPAGATOR = TraceContextTextMapPropagator()


class Spans:
    """Makes spans and hands them on; those of traces that are not sampled cost next to nothing."""

    def __init__(self, provider: TracerProvider):
        self._provider = provider
        self._tracer: Tracer = provider.get_tracer(SERVICE)

    @classmethod
    def exported(cls, options: TracingOptions, deployment: str, replica: str) -> "Spans":
        """Spans that leave in batches, on a thread of their own, to the OTLP receiver."""
        exporter = OTLPSpanExporter(endpoint=options.endpoint, timeout=EXPORT_TIMEOUT_S)
        processor = BatchSpanProcessor(exporter, schedule_delay_millis=EXPORT_EVERY_MS)
        return cls.processed(processor, options, deployment, replica)

    @classmethod
    def processed(
        cls, processor: SpanProcessor, options: TracingOptions, deployment: str, replica: str
    ) -> "Spans":
        """Spans that the processor gets; a caller's decision holds, else the ratio decides."""
        provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(options.sample_ratio)),
            resource=Resource.create(
                {
                    "service.name": SERVICE,
                    "service.instance.id": replica,
                    "scoring.deployment": deployment,
                }
            ),
        )
        provider.add_span_processor(processor)
        return cls(provider)

    def close(self) -> None:
        """Sends what has not been sent, and ends."""
        self._provider.shutdown()

    def request(self, headers: Sequence[tuple[bytes, bytes]]) -> "RequestSpan":
        """The span of a request, now the current one; continues the trace that the headers name."""
        return RequestSpan(
            self._tracer.start_span("request", _continued(headers), kind=SpanKind.SERVER)
        )

    def current(self) -> str | None:
        """The `traceparent` of the current span; None where it is not sampled."""
        return _traceparent(trace.get_current_span())

    @property
    def is_sampled(self) -> bool:
        """Whether the current span is."""
        return trace.get_current_span().get_span_context().trace_flags.sampled

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A span below the current one."""
        with _ended(self._tracer.start_span(name)):
            yield

    @contextmanager
    def below(self, name: str, parent: str) -> Iterator[None]:
        """A span below one of another process or task, by its `traceparent`."""
        with _ended(self._tracer.start_span(name, _context(parent))):
            yield

    @contextmanager
    def batch(self, items: Sequence[str | None]) -> Iterator[str | None]:
        """The span of a batch, linked to the span of every item; gives its `traceparent`.

        A batch belongs to no single request. So that the trace of a lone request reaches the
        device, it stands in that of its first sampled item; the others find it by the links. None
        of the items sampled: no span, and None.
        """
        sampled = list(dict.fromkeys(item for item in items if item is not None))
        if not sampled:
            yield None
            return
        links = [
            Link(trace.get_current_span(_context(item)).get_span_context()) for item in sampled
        ]
        span = self._tracer.start_span(
            "batch",
            _context(sampled[0]),
            links=links,
            attributes={"scoring.batch.size": len(items)},
        )
        with _ended(span):
            yield _traceparent(span)

    async def queued(self, outcome: Awaitable[Outcome[R]], parent: str | None) -> Outcome[R]:
        """The outcome of an item; its wait, from now until its batch began, becomes a span."""
        if parent is None:
            return await outcome
        started_ns = time.time_ns()
        span = self._tracer.start_span("queue", _context(parent), start_time=started_ns)
        try:
            result = await outcome
        except BaseException as error:
            _fail(span, error)
            span.end()
            raise
        span.end(started_ns + round(result.queue_s * 1e9))
        return result


class RequestSpan:
    """The span of one request, while it is the current one of the request's task."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: Span):
        self._span = span
        self._token = contexts.attach(trace.set_span_in_context(span))

    def end(
        self, *, method: str, route: str, status: int, code: str | None, request_id: str
    ) -> None:
        """Ends it with what the request log says too; `code` is the problem's."""
        contexts.detach(self._token)
        span = self._span
        if not span.is_recording():
            return
        is_known = method in METHODS
        span.update_name(f"{method if is_known else 'HTTP'} {route}")
        span.set_attributes(
            {
                "http.request.method": method if is_known else OTHER_METHOD,
                "http.route": route,
                "http.response.status_code": status,
                "scoring.request.id": request_id,
            }
        )
        if code is not None:
            span.set_attribute("error.type", code)
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end()


@contextmanager
def _ended(span: Span) -> Iterator[None]:
    """The current span until the block ends; what the block raises is noted by its name alone."""
    with trace.use_span(
        span, end_on_exit=True, record_exception=False, set_status_on_exception=False
    ):
        try:
            yield
        except BaseException as error:
            _fail(span, error)
            raise


def _fail(span: Span, error: BaseException) -> None:
    span.set_attribute("error.type", str(getattr(error, "code", type(error).__name__)))
    span.set_status(Status(StatusCode.ERROR))


def _continued(headers: Sequence[tuple[bytes, bytes]]) -> Context:
    """W3C Trace Context, sections 3.2 and 3.3: one `traceparent`, any number of `tracestate`."""
    parents = [value.decode("latin-1") for name, value in headers if name == b"traceparent"]
    states = [value.decode("latin-1") for name, value in headers if name == b"tracestate"]
    if len(parents) != 1:
        return Context()
    carrier = {"traceparent": parents[0], "tracestate": ",".join(states)}
    return _PROPAGATOR.extract(carrier, Context())


def _context(traceparent: str) -> Context:
    return _PROPAGATOR.extract({"traceparent": traceparent}, Context())


def _traceparent(span: Span) -> str | None:
    context = span.get_span_context()
    if not context.trace_flags.sampled:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"
