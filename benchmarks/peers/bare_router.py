"""The Router without admission, telemetry and errors; see `bare_router_app`."""

import asyncio

import orjson
from starlette.routing import Router as StarletteRouter
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.contracts import Question
from serve_app.deployment import RouterDeployment
from serve_app.edge import straight_way
from serve_app.faq_gateway import FaqGateway
from serve_app.readiness import Readiness

DEADLINE_S = 30.0
RANK, READY = "/v1/faq/rank", "/readyz/faq"
_LIFESPAN = StarletteRouter()
"""Says that the application has started, and nothing else."""


class BareRouter(RouterDeployment):
    """Its application is another one."""

    def __serve_build_asgi_app__(self) -> ASGIApp:  # type: ignore[override]
        straight_way.application = Bare(self._faq, self._readiness)
        return straight_way.application


class Bare:
    """Answers `POST /v1/faq/rank` with one question, and says when it is ready."""

    def __init__(self, faq: FaqGateway, readiness: Readiness):
        self._faq = faq
        self._readiness = readiness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request (or the lifespan protocol)."""
        if scope["type"] != "http":
            await _LIFESPAN(scope, receive, send)
            return
        status, body = 200, b"{}"
        if scope["path"] == RANK:
            body = await self._rank(receive)
        elif scope["path"] != READY or not self._readiness.status("faq").can_answer:
            status = 503
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _rank(self, receive: Receive) -> bytes:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        asked = orjson.loads(body)
        question = Question(asked["question"], asked.get("top_k", 10))
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        ranked = await self._faq.rank(question, deadline)
        return orjson.dumps({"matches": orjson.Fragment(ranked.ranking.matches)})
