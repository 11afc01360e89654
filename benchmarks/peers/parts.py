"""Starts this application with one of its parts exchanged, as `scoring serve` starts it whole.

With the same settings and the same fast path, so that what differs is the part alone.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from serve_app.configuration import configure, parse_arguments
from serve_app.fast_path import FAST_PATH, LOCAL
from serve_app.models import Models, prepare
from serve_app.settings import Settings

Parts = dict[str, type[Any]]
"""Classes that stand in for the application's own, by the name of the deployment."""


def serve_until_stopped(parts: Callable[[], Parts]) -> None:
    """Serves with the settings of the command line; `parts` is called where Ray may be imported."""
    configuration = configure(parse_arguments(sys.argv[1:]), environment={})
    models = prepare(configuration)
    # Ray Serve reads the environment on import.
    os.environ.update({**LOCAL, **os.environ, **FAST_PATH})
    stop = {signal.SIGINT, signal.SIGTERM}
    _start(configuration.settings, models, parts)
    for number in stop:  # Ray puts handlers of its own in place
        signal.signal(number, lambda *_: sys.exit(0))
    signal.sigwait(stop)


def _start(settings: Settings, models: Models, parts: Callable[[], Parts]) -> None:
    import ray
    from ray import serve
    from ray.serve.api import RunTarget

    from deployments.faq.deployment import FaqRankerDeployment
    from deployments.registry import ModelVersion
    from serve_app.application import MAX_ONGOING_REQUESTS, following, image_cpus
    from serve_app.deployment import FAQ_RANKER, IMAGE_CLASSIFIER, ROUTER, RouterDeployment
    from serve_app.models import registry_of

    def deployment(name: str, num_cpus: float) -> Any:
        return serve.deployment(
            name=name,
            ray_actor_options={"num_cpus": num_cpus},
            max_ongoing_requests=MAX_ONGOING_REQUESTS,
        )

    ray.init(
        address="local",
        include_dashboard=False,
        num_cpus=max(2, os.cpu_count() or 1),
        log_to_driver=False,
        namespace="scoring",
    )
    serve.start(http_options={"host": settings.http.host, "port": settings.http.port})
    registry, exchanged = registry_of(settings), parts()
    ranker = deployment(FAQ_RANKER, settings.faq.num_cpus)(FaqRankerDeployment).bind(
        models.faq, registry, following(settings), settings.http.is_local
    )
    classifier = None
    if IMAGE_CLASSIFIER in exchanged and isinstance(models.image, ModelVersion):
        classifier = deployment(IMAGE_CLASSIFIER, image_cpus(settings))(
            exchanged[IMAGE_CLASSIFIER]
        ).bind(models.image, registry, settings.image)
    router = deployment(ROUTER, settings.router.num_cpus)(
        serve.ingress()(exchanged.get(ROUTER, RouterDeployment))
    )
    serve.run_many(
        [RunTarget(router.bind(settings, models, ranker, classifier), name="scoring")],
        wait_for_applications_running=False,
    )
