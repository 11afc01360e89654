"""The HTTP API's table of contents."""

from collections.abc import Awaitable, Callable

from starlette.routing import Route, Router

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
        Route("/v1/faq/rank", faqs.rank, methods=["POST"]),
        Route("/v1/images/classify", images.classify, methods=["POST"]),
        Route("/faq/score", faqs.score, methods=["POST"]),
        Route("/image/score", images.score, methods=["POST"]),
        Route("/healthz", system.healthz),
        Route("/readyz", system.readyz),
        Route("/readyz/{model}", system.readyz_model),
        Route("/metrics", system.metrics),
        Route("/openapi.json", system.openapi),
        Route("/docs", system.docs),
        Route("/docs/{file}", system.docs_file),
    ]
    return HttpFace(Router(routes, redirect_slashes=False), metrics, log)
