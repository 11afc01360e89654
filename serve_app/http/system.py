"""The routes about the service itself: health, readiness, metrics, documentation."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from swagger_ui_bundle import swagger_ui_path

from serve_app.http.answer_headers import page_headers
from serve_app.http.answers import json_answer, model_json, record_of
from serve_app.http.openapi import openapi
from serve_app.readiness import ModelStatus, Readiness

PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"
LOADING = "loading"

DOCS_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>realtime-scoring: API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
DOCS_START = """fetch("openapi.json").then((answer) => answer.json()).then((document) =>
  SwaggerUIBundle({spec: {...document, openapi: "3.0.3"}, dom_id: "#api"}));
"""
"""A file of its own: the page's policy lets no script run that stands in the page.

The bundled Swagger UI (4.15) refuses every document that calls itself 3.1. What this one uses of
3.1 are words of JSON Schema that Swagger UI passes over.
"""
DOCS_FILES = frozenset({"swagger-ui.css", "swagger-ui-bundle.js"})
DOCS_HEADERS = page_headers(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""Swagger UI styles elements in place and shows pictures that are data URLs."""


class SystemRoutes:
    """`/healthz`, `/readyz`, `/metrics`, `/docs` and `/openapi.json`."""

    def __init__(self, readiness: Readiness, scrape: Callable[[], Awaitable[bytes]]):
        self._readiness = readiness
        self._scrape = scrape
        self._openapi = openapi()

    async def healthz(self, request: Request) -> Response:
        """200 while the process lives."""
        record_of(request, "/healthz")
        return json_answer({"status": "alive"})

    async def readyz(self, request: Request) -> Response:
        """All models; 503 only while one is loading."""
        record_of(request, "/readyz")
        return _readiness(self._readiness.all(), not self._readiness.is_loading)

    async def readyz_model(self, request: Request) -> Response:
        """One model; 200 only when it can answer."""
        record_of(request, "/readyz/{model}")
        key = request.path_params["model"]
        if key not in ("faq", "image"):
            raise HTTPException(404)
        model = self._readiness.status(key)
        return _readiness([model], model.can_answer)

    async def metrics(self, request: Request) -> Response:
        """Prometheus text of every replica on every node."""
        record_of(request, "/metrics")
        return Response(await self._scrape(), media_type=PROMETHEUS_TEXT)

    async def openapi(self, request: Request) -> Response:
        """The API's description."""
        record_of(request, "/openapi.json")
        return json_answer(self._openapi)

    async def docs(self, request: Request) -> Response:
        """The API's description for people."""
        record_of(request, "/docs")
        return HTMLResponse(DOCS_PAGE, headers=DOCS_HEADERS)

    async def docs_file(self, request: Request) -> Response:
        """What the page loads; served from here, so that it needs no internet."""
        record_of(request, "/docs/{file}")
        name = request.path_params["file"]
        if name == "start.js":
            return Response(DOCS_START, media_type="text/javascript")
        if name not in DOCS_FILES:
            raise HTTPException(404)
        return FileResponse(Path(swagger_ui_path) / name)


def _readiness(models: list[ModelStatus], ready: bool) -> Response:
    states = [
        {
            **(
                model_json(model.identity)
                if model.identity
                else {"name": model.name, "version": None, "digest": None}
            ),
            "state": model.state,
            "refused": model.refused._asdict() if model.refused else None,
            "engine": model.engine._asdict() if model.engine else None,
        }
        for model in models
    ]
    status = "ready" if ready else LOADING
    return json_answer({"status": status, "models": states}, 200 if ready else 503)
