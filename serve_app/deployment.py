"""The Ray Serve deployment of the Router: puts the parts together in one replica."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments.registry import ModelVersion
from deployments.telemetry import Metrics, Report
from serve_app.access.admission import Admission
from serve_app.access.identification import identification
from serve_app.access.quota_keeper import RayKeeper, Renewal
from serve_app.access.quotas import SharedQuotas
from serve_app.binding import bound_host
from serve_app.capture import Capture
from serve_app.edge import straight_way
from serve_app.faq_gateway import FaqGateway
from serve_app.handles import ClassifierHandle, RankerHandle
from serve_app.http.face import Bookkeeping, HttpFace
from serve_app.http.routes import http_face
from serve_app.image_gateway import ImageGateway
from serve_app.models import Missing, Models, preprocessing_of
from serve_app.observer import Observer
from serve_app.oip.grpc import GrpcFace, GrpcMethods
from serve_app.oip.wiring import inference
from serve_app.ranker_calls import RankerCalls
from serve_app.readiness import ModelStatus, Readiness, State
from serve_app.request_log import RequestLog
from serve_app.requests_policy import METRIC
from serve_app.scrape import Scrape
from serve_app.settings import Settings

if TYPE_CHECKING:
    from deployments.spans import Spans

ROUTER, FAQ_RANKER, IMAGE_CLASSIFIER = "Router", "FaqRanker", "ImageClassifier"


class RouterDeployment(GrpcMethods):
    """One replica of the HTTP router, which answers gRPC too."""

    _spans: Spans | None = None  # also where the start failed, for `__del__`

    def __init__(
        self,
        settings: Settings,
        models: Models,
        ranker: DeploymentHandle[Any],
        classifier: DeploymentHandle[Any] | None,
    ):
        context = serve.get_replica_context()
        self._settings = settings
        self._replica = context.replica_id.unique_id
        quotas = SharedQuotas(settings.quota, settings.router.max_replicas)
        self._admission = Admission(identification(settings, bound_host()), quotas)
        renewal = Renewal(quotas, RayKeeper(context.app_name), self._replica)
        self._metrics = Metrics()
        tracing = settings.tracing.options
        self._spans = tracing.spans(ROUTER, self._replica) if tracing else None
        self._readiness = Readiness({"faq": _status(models.faq), "image": _status(models.image)})
        self._readiness.show(self._metrics)
        self._handle = RankerHandle(ranker, self._replica)
        self._ranker = RankerCalls(self._handle, self._handle.addresses, self._replica)
        self._faq = FaqGateway(self._ranker, settings.faq, self._metrics.model("faq"), self._spans)
        self._image: ImageGateway | None = None
        if classifier is not None and isinstance(models.image, ModelVersion):
            self._classifier = ClassifierHandle(classifier)
            self._image = ImageGateway(
                self._classifier,
                preprocessing_of(models.image),
                settings.image,
                self._metrics,
                spans=self._spans,
            )
        log = settings.log
        self._books = Bookkeeping(
            self._metrics,
            RequestLog(settings.log_file, max_bytes=log.max_bytes, files=log.files),
        )
        self.grpc_face = GrpcFace(
            inference(self._faq, self._image, self._readiness, self._admission, settings.http),
            self._admission,
            settings.http,
            self._books,
            self._spans,
        )
        own = serve.get_deployment_handle(ROUTER, context.app_name)
        self._scrape = Scrape([own, ranker] if classifier is None else [own, ranker, classifier])
        observed = {"faq": FAQ_RANKER} | ({"image": IMAGE_CLASSIFIER} if classifier else {})
        observer = Observer(context.app_name, observed, self._readiness, self._on_replicas)
        loop = asyncio.get_running_loop()
        self._background = [loop.create_task(observer.watch()), loop.create_task(renewal.run())]

    def __serve_build_asgi_app__(self) -> HttpFace:
        face = http_face(
            faq=self._faq,
            examples=self._handle.examples,
            image=self._image,
            readiness=self._readiness,
            scrape=self._scrape,
            admission=self._admission,
            settings=self._settings.http,
            auth=self._settings.auth,
            books=self._books,
            spans=self._spans,
            capture=Capture.of(self._settings.capture, self._settings.capture_file),
        )
        straight_way.application = face
        return face

    def __del__(self) -> None:
        """Ray Serve calls it when the replica ends: what was traced last is sent."""
        if self._spans is not None:
            self._spans.close()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Requests in flight that Ray Serve does not see, for `RequestsPolicy`."""
        return {METRIC: float(straight_way.in_flight)}

    async def metrics(self) -> Report:
        """What this replica counted."""
        return self._metrics.report(ROUTER, self._replica)

    async def _on_replicas(self, key: str, replicas: int) -> None:
        self._metrics.set_ready_replicas(key, replicas)
        if key == "faq":
            self._faq.set_replicas(replicas)
            if replicas != self._ranker.connected:
                await self._ranker.refresh()
            if replicas:
                self._readiness.set_versions(key, await self._handle.versions())
        elif self._image is not None:
            statuses = await self._classifier.statuses() if replicas else []
            self._image.set_replicas(replicas, [status.capacity for status in statuses])
            self._readiness.set_engines(key, [status.engine for status in statuses])


def _status(version: ModelVersion | Missing) -> ModelStatus:
    if isinstance(version, Missing):
        return ModelStatus(version.name, None, State.UNAVAILABLE, version.reason)
    return ModelStatus(version.name, version.identity, State.LOADING)
