"""What listens in the pods of a fake cluster: the service's HTTP API, and Ray's dashboard."""

import threading
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.kuberay.rollout.api_server import ApiServer
from tests.kuberay.rollout.field_managers import Json

DASHBOARD_TOKEN = "the-clusters-own-token"
MODEL = {"name": "javascript", "version": "3", "digest": "sha256:00"}
TIMING = {"queue_ms": 0.1, "inference_ms": 0.2, "total_ms": 0.3}


@dataclass
class ServeStub:
    """One cluster's Serve; `applications` is what the dashboard shows."""

    server: ApiServer
    answers: bool = True
    key: str | None = None
    faq_version: str = "3"
    image_state: str | None = "ready"
    applications: dict[str, Json] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _runners: list[web.AppRunner] = field(default_factory=list)

    def start(self) -> tuple[int, int]:
        """The local ports of the service and of the dashboard."""
        return self.server.run(self._start())

    def stop(self) -> None:
        """Nobody listens any more."""
        self.server.run(self._stop())

    async def _start(self) -> tuple[int, int]:
        service = web.Application()
        service.router.add_get("/readyz", self._ready)
        service.router.add_get("/readyz/{role}", self._ready_role)
        service.router.add_post("/v1/faq/rank", self._rank)
        service.router.add_post("/v1/images/classify", self._classify)
        dashboard = web.Application()
        dashboard.router.add_get("/api/serve/applications/", self._applications)
        return await self._listen(service), await self._listen(dashboard)

    async def _listen(self, app: web.Application) -> int:
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._runners.append(runner)
        port: int = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        return port

    async def _stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()

    def _states(self) -> dict[str, Json]:
        states: dict[str, Json] = {"faq": {**MODEL, "version": self.faq_version, "state": "ready"}}
        if self.image_state is not None:
            states["image"] = {
                "name": "resnet152",
                "version": "1" if self.image_state == "ready" else None,
                "digest": None,
                "state": self.image_state,
            }
        return states

    async def _ready(self, _request: web.Request) -> web.Response:
        self.asked.append("/readyz")
        if not self.answers:
            return web.json_response({"code": "internal", "detail": "broken"}, status=500)
        return web.json_response({"status": "ready", "models": list(self._states().values())})

    async def _ready_role(self, request: web.Request) -> web.Response:
        state = self._states().get(request.match_info["role"])
        if state is None:
            return web.json_response({"code": "not_found", "detail": "none"}, status=404)
        can = state["state"] in ("ready", "scaled_to_zero")
        document = {"status": "ready", "models": [state]}
        return web.json_response(document, status=200 if can else 503)

    async def _rank(self, request: web.Request) -> web.Response:
        self.asked.append("rank")
        if (problem := self._problem(request)) is not None:
            return problem
        match = {"id": "q1", "answer_id": "a1", "question": "why", "probability": 0.75}
        document = {
            "matches": [match],
            "matched": True,
            "model": {**MODEL, "version": self.faq_version},
            "timing": TIMING,
        }
        return web.json_response(document)

    async def _classify(self, request: web.Request) -> web.Response:
        self.asked.append(f"classify {len(await request.read())} bytes")
        if (problem := self._problem(request)) is not None:
            return problem
        prediction = {"class_index": 1, "label": "tabby", "probability": 0.5}
        model = {"name": "resnet152", "version": "1", "digest": "sha256:11"}
        document: dict[str, Any] = {
            "predictions": [prediction],
            "model": model,
            "timing": {**TIMING, "decode_ms": 0.1},
        }
        return web.json_response(document)

    def _problem(self, request: web.Request) -> web.Response | None:
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            return web.json_response({"code": "unauthorized", "detail": "no key"}, status=401)
        if not self.answers:
            return web.json_response({"code": "internal", "detail": "broken"}, status=500)
        return None

    async def _applications(self, request: web.Request) -> web.Response:
        if request.headers.get("authorization") != f"Bearer {DASHBOARD_TOKEN}":
            return web.Response(status=401)
        with self.lock:
            return web.json_response({"applications": self.applications})
