"""The outermost ASGI layer: request id, errors as problem documents, the request log, metrics.

Every request ends here exactly once, whatever happens below: one answer, one line in the log.
"""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Router
from starlette.types import Message, Receive, Scope, Send

from deployments.contracts import ModelIdentity
from deployments.telemetry import Metrics
from serve_app.access.caller import Caller
from serve_app.errors import (
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    ScoringError,
)
from serve_app.http.answer_headers import AnswerHeaders
from serve_app.http.cors import PREFLIGHT
from serve_app.http.heads import check_head
from serve_app.request_log import RequestLog
from serve_app.settings import HttpSettings

if TYPE_CHECKING:
    from deployments.spans import RequestSpan, Spans

logger = logging.getLogger(__name__)

RECORD = "scoring.record"
MOST_ID_BYTES = 128
CLIENT_CLOSED = 499
"""Logged where the client left before its answer; the number is nginx's."""

PREFLIGHT_ROUTE = "preflight"
QUIET_ROUTES = frozenset(
    {
        *("/healthz", "/readyz", "/readyz/{model}", "/metrics"),
        *("/v2/health/live", "/v2/health/ready"),
        *("/v2/models/{name}/ready", "/v2/models/{name}/versions/{version}/ready"),
    }
)
"""Asked every few seconds by machines: counted, but not logged while they succeed."""


@dataclass(slots=True)
class RequestRecord:
    """What is known of one request; the allow-list of what the log may hold."""

    request_id: str
    method: str
    route: str = "unmatched"
    status: int = 0
    code: str | None = None
    caller: Caller | None = None
    request_bytes: int = 0
    response_bytes: int = 0
    items: int = 0
    model: ModelIdentity | None = None
    timing: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    def elapsed_ms(self) -> float:
        """Milliseconds since the request came."""
        return (time.perf_counter() - self.started) * 1000

    def line(self, total_ms: float) -> dict[str, Any]:
        """The log line: never the question, the picture, a file name or a header."""
        model = self.model
        return {
            "time": time.time(),
            "request_id": self.request_id,
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "code": self.code,
            "caller": self.caller and self.caller.id,
            "request_bytes": self.request_bytes,
            "response_bytes": self.response_bytes,
            "items": self.items,
            "model": model and model.name,
            "version": model and model.version,
            "digest": model and model.digest,
            **self.timing,
            "total_ms": round(total_ms, 3),
        }


class Bookkeeping:
    """Counts and logs each request once, whichever door it came through."""

    def __init__(self, metrics: Metrics, log: RequestLog):
        self._metrics = metrics
        self._log = log

    def finish(self, record: RequestRecord, *, is_quiet: bool) -> None:
        """Ends a request; a quiet one is not logged while it succeeds."""
        # Status 0: the task was cancelled before an answer, because the client left.
        record.status = record.status or CLIENT_CLOSED
        total_ms = record.elapsed_ms()
        self._metrics.observe_request(record.route, record.status, total_ms / 1000)
        if record.code is not None:
            caller = None if record.caller is None else record.caller.id
            self._metrics.observe_refusal(record.code, caller)
        if not is_quiet or record.status >= 400:
            self._log.write(record.line(total_ms))


class HttpFace:
    """Wraps the routes; an ASGI application."""

    def __init__(
        self,
        router: Router,
        settings: HttpSettings,
        books: Bookkeeping,
        spans: Spans | None = None,
    ):
        self.router = router
        self._limit_bytes = settings.header_limit_bytes
        self._headers = AnswerHeaders(settings)
        self._books = books
        self._spans = spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request (or the lifespan protocol)."""
        if scope["type"] != "http":
            await self.router(scope, receive, send)
            return
        scope["app"] = self  # with it, Starlette's router raises what it would answer in plain text
        exchange = _Exchange(scope, send, self._headers)
        record = exchange.record
        span = None if self._spans is None else self._spans.request(scope["headers"])
        try:
            check_head(scope, self._limit_bytes)
            if self._headers.is_preflight(scope):
                await exchange.allow()
            else:
                await self.router(scope, receive, exchange.send)
        except ClientDisconnect:
            record.status = CLIENT_CLOSED
        except ScoringError as error:
            await exchange.fail(error)
        except HTTPException as error:
            await exchange.fail(_from_starlette(error, scope))
        except Exception:
            logger.exception("request %s failed", record.request_id)
            await exchange.fail(InternalError("an unexpected error; quote the request id"))
        finally:
            self._books.finish(record, is_quiet=record.route in QUIET_ROUTES)
            if span is not None:
                end_span(span, record)


class _Exchange:
    """One request's way out: remembers status and size."""

    __slots__ = ("_headers", "_scope", "_send", "record")

    def __init__(self, scope: Scope, send: Send, headers: AnswerHeaders):
        self._scope = scope
        self._send = send
        self._headers = headers
        self.record = RequestRecord(_request_id(scope), scope["method"])
        scope[RECORD] = self.record

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.record.status = message["status"]
            message["headers"] = self._headers.added(message["headers"], self._scope)
        else:
            self.record.response_bytes += len(message.get("body", b""))
        await self._send(message)

    async def allow(self) -> None:
        """Answers a browser that asks if a page may send a request, before anybody is asked who."""
        self.record.route = PREFLIGHT_ROUTE
        await self.send({"type": "http.response.start", "status": 204, "headers": PREFLIGHT})
        await self.send({"type": "http.response.body", "body": b""})

    async def fail(self, error: ScoringError) -> None:
        record = self.record
        record.code = error.code
        if record.status:
            return  # the answer had begun; the connection ends with it
        kind, document = _error_document(self._scope["path"], error)
        body = orjson.dumps({**document, "instance": f"urn:request:{record.request_id}"})
        headers = [(b"content-type", kind)]
        headers.append((b"content-length", str(len(body)).encode()))
        headers += [(name.encode(), value.encode()) for name, value in error.headers().items()]
        await self.send({"type": "http.response.start", "status": error.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def end_span(span: RequestSpan, record: RequestRecord) -> None:
    """Ends a request's span with what its record may tell."""
    span.end(
        method=record.method,
        route=record.route,
        status=record.status,
        code=record.code,
        request_id=record.request_id,
    )


def _error_document(path: str, error: ScoringError) -> tuple[bytes, dict[str, Any]]:
    """The content type and the body in the form of the door: `error` is the protocol's own."""
    if path == "/v2" or path.startswith("/v2/"):
        return b"application/json", {"error": error.message(), "code": error.code}
    return b"application/problem+json", error.problem()


def _request_id(scope: Scope) -> str:
    """The id that Ray Serve took from the client or made, and that it returns as `x-request-id`."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return str(value[:MOST_ID_BYTES], "ascii", "replace")
    return uuid.uuid4().hex


def _from_starlette(error: HTTPException, scope: Scope) -> ScoringError:
    if error.status_code == 404:
        return NotFound("see /docs for the routes")
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        return MethodNotAllowed(f"{scope['method']} is not allowed here", allow=allow)
    return InvalidRequest(error.detail)
