"""The HTTP API's table of contents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from deployments.tracing import step
from serve_app.access.admission import Admission
from serve_app.access.caller import Scope as Needed
from serve_app.capture import Capture
from serve_app.faq_gateway import FaqGateway
from serve_app.http.examples import Examples, ExamplesRoute
from serve_app.http.face import RECORD, Bookkeeping, HttpFace
from serve_app.http.faq import FaqRoutes
from serve_app.http.images import ImageRoutes
from serve_app.http.page import PageRoutes
from serve_app.http.system import SystemRoutes
from serve_app.image_gateway import ImageGateway
from serve_app.oip.http import ProtocolRoutes
from serve_app.oip.wiring import inference
from serve_app.readiness import Readiness
from serve_app.settings import Access, AuthSettings, HttpSettings

if TYPE_CHECKING:
    from deployments.spans import Spans

Handler = Callable[[Request], Awaitable[Response]]


def http_face(
    *,
    faq: FaqGateway,
    examples: Examples,
    image: ImageGateway | None,
    readiness: Readiness,
    scrape: Callable[[], Awaitable[bytes]],
    admission: Admission,
    settings: HttpSettings,
    auth: AuthSettings,
    books: Bookkeeping,
    spans: Spans | None = None,
    capture: Capture | None = None,
) -> HttpFace:
    """The ASGI application around the two gateways."""
    faqs = FaqRoutes(faq, readiness, settings, capture)
    images = ImageRoutes(image, readiness, admission, settings, capture)
    system = SystemRoutes(readiness, scrape)
    protocol = ProtocolRoutes(inference(faq, image, readiness, admission, settings), settings)

    def post(path: str, handler: Handler, needed: Needed) -> Route:
        return _route(path, _Admitted(path, handler, needed, admission, spans), "POST")

    def get_admitted(path: str, handler: Handler, needed: Needed) -> Route:
        return _route(path, _Admitted(path, handler, needed, admission, spans), "GET")

    def get(path: str, handler: Handler, access: Access = "open") -> list[Route]:
        """None where it is off."""
        if access == "off":
            return []
        if access == "open":
            return [_route(path, _Endpoint(handler), "GET")]
        return [get_admitted(path, handler, Needed.ADMIN)]

    def get_page() -> list[Route]:
        """None where it is off."""
        if not settings.page:
            return []
        page = PageRoutes(settings, auth)
        return [
            *get("/", page.page),
            *get("/page/config.json", page.configuration),
            *get("/page/{file}", page.file),
        ]

    known = ExamplesRoute(examples, readiness, settings)
    # The busiest route first: the router tries them in order.
    routes = [
        post("/v1/faq/rank", faqs.rank, Needed.FAQ),
        post("/v1/images/classify", images.classify, Needed.IMAGE),
        post("/faq/score", faqs.score, Needed.FAQ),
        post("/image/score", images.score, Needed.IMAGE),
        get_admitted("/v1/faq/examples", known.examples, Needed.FAQ),
        *(
            post(f"/v2/models/{scope}{version}/infer", partial(protocol.infer, scope.value), scope)
            for scope in (Needed.FAQ, Needed.IMAGE)
            for version in ("", "/versions/{version}")
        ),
        *get("/v2", protocol.server),
        *get("/v2/health/live", protocol.live),
        *get("/v2/health/ready", protocol.ready),
        *(
            route
            for model in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")
            for route in (
                *get(model, protocol.metadata),
                *get(f"{model}/ready", protocol.model_ready),
                _route(f"{model}/infer", _Endpoint(protocol.unknown), "POST"),
            )
        ),
        *get("/healthz", system.healthz),
        *get("/readyz", system.readyz),
        *get("/readyz/{model}", system.readyz_model),
        *get("/metrics", system.metrics, settings.metrics),
        *get("/openapi.json", system.openapi, settings.docs),
        *get("/docs", system.docs, settings.docs),
        *get("/docs/{file}", system.docs_file, settings.docs),
        *get_page(),
    ]
    return HttpFace(Router(routes, redirect_slashes=False), settings, books, spans)


class _Endpoint:
    """A handler as an ASGI application: without the error handling that `HttpFace` does anyway."""

    def __init__(self, handler: Handler):
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._handler(Request(scope, receive, send))
        await response(scope, receive, send)


class _Admitted(_Endpoint):
    """A handler that only callers with the scope reach; nothing is read of the others' bodies."""

    def __init__(
        self,
        path: str,
        handler: Handler,
        needed: Needed,
        admission: Admission,
        spans: Spans | None,
    ):
        super().__init__(handler)
        self._path = path
        self._needed = needed
        self._admission = admission
        self._spans = spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = scope[RECORD]
        record.route = self._path
        with step(self._spans, "admission"):
            record.caller = await self._admission.admit(scope["headers"], self._needed)
        await super().__call__(scope, receive, send)


def _route(path: str, endpoint: _Endpoint, method: str) -> Route:
    return Route(path, endpoint, methods=[method])
