"""The HTTP API's table of contents."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from deployments.telemetry import Metrics
from serve_app.faq_gateway import FaqGateway
from serve_app.http.face import HttpFace
from serve_app.http.faq import FaqRoutes
from serve_app.http.images import ImageRoutes
from serve_app.http.system import SystemRoutes
from serve_app.image_gateway import ImageGateway
from serve_app.readiness import Readiness
from serve_app.request_log import RequestLog
from serve_app.settings import HttpSettings

Handler = Callable[[Request], Awaitable[Response]]


def http_face(
    *,
    faq: FaqGateway,
    image: ImageGateway | None,
    readiness: Readiness,
    scrape: Callable[[], Awaitable[bytes]],
    settings: HttpSettings,
    metrics: Metrics,
    log: RequestLog,
) -> HttpFace:
    """The ASGI application around the two gateways."""
    faqs = FaqRoutes(faq, readiness, settings)
    images = ImageRoutes(image, readiness, settings)
    system = SystemRoutes(readiness, scrape)
    # The busiest route first: the router tries them in order.
    routes = [
        _post("/v1/faq/rank", faqs.rank),
        _post("/v1/images/classify", images.classify),
        _post("/faq/score", faqs.score),
        _post("/image/score", images.score),
        _get("/healthz", system.healthz),
        _get("/readyz", system.readyz),
        _get("/readyz/{model}", system.readyz_model),
        _get("/metrics", system.metrics),
        _get("/openapi.json", system.openapi),
        _get("/docs", system.docs),
        _get("/docs/{file}", system.docs_file),
    ]
    return HttpFace(Router(routes, redirect_slashes=False), metrics, log)


class _Endpoint:
    """A handler as an ASGI application: without the error handling that `HttpFace` does anyway."""

    def __init__(self, handler: Handler):
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._handler(Request(scope, receive, send))
        await response(scope, receive, send)


def _post(path: str, handler: Handler) -> Route:
    return Route(path, _Endpoint(handler), methods=["POST"])


def _get(path: str, handler: Handler) -> Route:
    return Route(path, _Endpoint(handler), methods=["GET"])
