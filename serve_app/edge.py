"""The outermost layer of a Router replica, around Ray Serve's own handling of HTTP.

Ray Serve watches each request's connection, counts it and passes it through its own layers, for
about 0.1 ms of the replica's one thread: half of what a question costs there. Questions are
answered in a few milliseconds or refused by the batcher's bound, so nothing of that is needed for
them: they go straight to the application. Everything else takes Ray Serve's way.

On both ways no header arrives by which a client could set or lift Ray Serve's time limits or choose
a replica, and no request id that Ray Serve or uvicorn could not repeat. WebSockets end here, and so
do bodies that never end.

Ray Serve calls `middlewares` in every process that serves HTTP when the environment names it
(`serve_app.fast_path`); without that, all requests take Ray Serve's way.
"""

import re
import uuid
from collections.abc import Iterator
from itertools import product

import orjson
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.errors import HeaderNotAllowed
from serve_app.grpc_port import keep_to_loopback
from serve_app.lingering import Lingering

STRAIGHT = frozenset({"/v1/faq/rank", "/faq/score"})
REQUEST_ID = b"x-request-id"
Header = tuple[bytes, bytes]


def _spellings(name: str) -> Iterator[bytes]:
    """Ray Serve takes "-" and "_" in names for the same, since proxies swap them."""
    first, *others = name.split("-")
    for signs in product("-_", repeat=len(others)):
        yield "".join(
            (first, *(sign + word for sign, word in zip(signs, others, strict=True)))
        ).encode()


CONTROL_HEADERS = frozenset(
    spelling
    for name in (
        "x-request-timeout-seconds",
        "x-request-disconnect-disabled",
        "serve-multiplexed-model-id",
        "x-session-id",
    )
    for spelling in _spellings(name)
)
"""What Ray Serve 2.60 reads in requests: time limits, and keys by which it chooses a replica."""
ROUTER_PREFIXES = frozenset(_spellings("x-serve-router-"))
"""How the names of headers begin that belong to Ray Serve's router of ingress requests."""
_PREFIX_BYTES = len("x-serve-router-")
_NOTICED = CONTROL_HEADERS | {REQUEST_ID}
_is_request_id = re.compile(rb"[\x21-\x7e]{1,128}").fullmatch
"""Visible ASCII: Ray Serve decodes it as UTF-8 and uvicorn sends no control character, else 500."""


class StraightWay:
    """The application of this process, once its replica has built it, and what is in flight."""

    def __init__(self) -> None:
        self.application: ASGIApp | None = None
        self.in_flight = 0

    async def __call__(
        self, application: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serves one request; adds the request id, which Ray Serve would have added."""
        headers, client_id = tidied(scope["headers"])
        request_id = client_id or uuid.uuid4().hex.encode()
        scope["headers"] = headers if client_id else [*headers, (REQUEST_ID, request_id)]

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (REQUEST_ID, request_id)]
            await send(message)

        self.in_flight += 1
        try:
            await application(scope, receive, send_with_id)
        finally:
            self.in_flight -= 1


straight_way = StraightWay()


class Edge:
    """ASGI middleware: questions straight to the application, the rest on Ray Serve's way."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "websocket":
            await _refuse_websocket(scope, send)
        elif scope["type"] == "http":
            lingering = Lingering(scope, receive, send)
            await self._serve(scope, lingering.receive, lingering.send)
            await lingering.finish()
        else:
            await self._app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        application = straight_way.application
        if application is not None and scope["path"] in STRAIGHT:
            await straight_way(application, scope, receive, send)
        else:
            scope["headers"], _ = tidied(scope["headers"])
            await self._app(scope, receive, send)


def middlewares() -> list[Middleware]:
    """What Ray Serve puts around its HTTP handling; gRPC servers start after it."""
    keep_to_loopback()
    return [Middleware(Edge)]


def tidied(headers: list[Header]) -> tuple[list[Header], bytes | None]:
    """What may pass of a request's headers, and the request id among it, where it has one."""
    noticed = [
        header
        for header in headers
        if header[0] in _NOTICED or header[0][:_PREFIX_BYTES] in ROUTER_PREFIXES
    ]
    if not noticed:
        return headers, None
    ids = [header for header in noticed if header[0] == REQUEST_ID and _is_request_id(header[1])]
    if len(ids) == len(noticed) == 1:
        return headers, ids[0][1]
    kept = [header for header in headers if header not in noticed]
    return (kept + ids[:1], ids[0][1]) if ids else (kept, None)


async def _refuse_websocket(scope: Scope, send: Send) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})
        return
    error = HeaderNotAllowed("Upgrade: the service speaks HTTP alone")
    headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
    start = {"type": "websocket.http.response.start", "status": error.status, "headers": headers}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": orjson.dumps(error.problem())})
