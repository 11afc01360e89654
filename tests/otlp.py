"""A real OTLP receiver on loopback: it parses what exporters send, and keeps the spans."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Receiver:
    """What has arrived, with the deployment that each span came from."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.arrived = threading.Condition()
        self.port = 0

    @property
    def endpoint(self) -> str:
        """The setting `tracing.endpoint`."""
        return f"http://127.0.0.1:{self.port}/v1/traces"

    @property
    def raw(self) -> bytes:
        """Everything that arrived, to be searched."""
        return b"".join(request.SerializeToString() for request in self.requests)

    def resources(self) -> list[dict[str, str]]:
        """The resource attributes of each export."""
        return [
            {item.key: item.value.string_value for item in resource.resource.attributes}
            for request in self.requests
            for resource in request.resource_spans
        ]

    def spans(self) -> list[Span]:
        """Every span so far."""
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def named(self, name: str) -> list[Span]:
        """The spans of a name."""
        return [span for span in self.spans() if span.name == name]

    def wait_for(self, *names: str, timeout_s: float) -> None:
        """Returns once a span of each name is there."""
        with self.arrived:
            came = self.arrived.wait_for(
                lambda: {span.name for span in self.spans()} >= set(names), timeout_s
            )
        assert came, sorted(span.name for span in self.spans())

    def take(self, body: bytes) -> None:
        """Keeps one export."""
        with self.arrived:
            self.requests.append(ExportTraceServiceRequest.FromString(body))
            self.arrived.notify_all()


def attributes(span: Span) -> dict[str, Any]:
    """The attributes of a span as plain values."""
    return {
        item.key: getattr(item.value, item.value.WhichOneof("value") or "string_value")
        for item in span.attributes
    }


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of loopback."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.take(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its own name
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
