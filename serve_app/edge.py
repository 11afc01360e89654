"""The outermost layer of a Router replica, around Ray Serve's own handling of HTTP.

Ray Serve watches each request's connection, counts it and passes it through its own layers, for
about 0.1 ms of the replica's one thread: half of what a question costs there. Questions are
answered in a few milliseconds or refused by the batcher's bound, so nothing of that is needed for
them: they go straight to the application. Everything else takes Ray Serve's way, without the
headers by which a client could set or lift Ray Serve's own time limits.

Ray Serve calls `middlewares` in every process that serves HTTP when the environment names it
(`serve_app.fast_path`); without that, all requests take Ray Serve's way.
"""

import uuid

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.grpc_port import keep_to_loopback

STRAIGHT = frozenset({"/v1/faq/rank", "/faq/score"})
REQUEST_ID = b"x-request-id"
CONTROL_HEADERS = frozenset({b"x-request-timeout-seconds", b"x-request-disconnect-disabled"})


class StraightWay:
    """The application of this process, once its replica has built it, and what is in flight."""

    def __init__(self) -> None:
        self.application: ASGIApp | None = None
        self.in_flight = 0

    async def __call__(
        self, application: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serves one request; adds the request id, which Ray Serve would have added."""
        request_id = _request_id(scope)

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
        if scope["type"] == "http":
            application = straight_way.application
            if application is not None and scope["path"] in STRAIGHT:
                await straight_way(application, scope, receive, send)
                return
            scope["headers"] = [
                header for header in scope["headers"] if header[0] not in CONTROL_HEADERS
            ]
        await self._app(scope, receive, send)


def middlewares() -> list[Middleware]:
    """What Ray Serve puts around its HTTP handling; gRPC servers start after it."""
    keep_to_loopback()
    return [Middleware(Edge)]


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == REQUEST_ID:
            return bytes(value)
    request_id = uuid.uuid4().hex.encode()
    scope["headers"] = [*scope["headers"], (REQUEST_ID, request_id)]
    return request_id
