"""The application: the Router in front, a deployment for each model behind it.

A third model is a third folder in `deployments/` and one more `bind` in `build`.
"""

from typing import Any

import ray
from ray import serve
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy
from ray.serve.deployment import Application
from ray.serve.schema import LoggingConfig

from deployments.faq.deployment import FaqRankerDeployment
from deployments.faq.load import QuestionsPolicy
from deployments.faq.served import Following
from deployments.image.deployment import ImageClassifierDeployment
from deployments.registry import Accepted, ModelVersion
from serve_app.deployment import FAQ_RANKER, IMAGE_CLASSIFIER, ROUTER, RouterDeployment
from serve_app.models import Models, registry_of
from serve_app.requests_policy import RequestsPolicy
from serve_app.serve_config import GRACEFUL_SHUTDOWN_S, ROUTER_STAYS_S
from serve_app.settings import ImageSettings, Scaling, Settings

MAX_ONGOING_REQUESTS = 10_000
"""Ray Serve's own queues stay out of the way: our batchers bound what waits, and say so."""

FEWEST_IMAGE_CPUS, MOST_IMAGE_CPUS = 1.0, 8.0
"""What one replica takes of a node; on a large one, further replicas take the rest."""


def build(settings: Settings, models: Models) -> Application:
    """Binds the deployments that the registered models allow."""
    registry = registry_of(settings)
    faq, image = settings.faq, settings.image
    tracing = settings.tracing.options
    ranker = serve.deployment(
        name=FAQ_RANKER,
        **_options(
            faq, faq.num_cpus, faq.calls_per_replica, _policy(QuestionsPolicy, faq.target_questions)
        ),
    )(FaqRankerDeployment).bind(
        models.faq, registry, following(settings), settings.http.is_local, tracing
    )
    classifier = None
    if isinstance(models.image, ModelVersion):
        classifier = serve.deployment(
            name=IMAGE_CLASSIFIER,
            **_options(image, image_cpus(settings), image.target_images, num_gpus=_gpus(image)),
        )(ImageClassifierDeployment).bind(models.image, registry, image, settings.tuning, tracing)
    target = settings.router.target_requests
    router = serve.deployment(
        name=ROUTER,
        **_options(
            settings.router, settings.router.num_cpus, target, _policy(RequestsPolicy, target)
        ),
    )(serve.ingress()(RouterDeployment)).options(
        graceful_shutdown_timeout_s=ROUTER_STAYS_S + settings.http.deadline_s
    )
    return router.bind(settings, models, ranker, classifier)


def following(settings: Settings) -> Following | None:
    """How the rankers follow the alias; None where the version of the start is the one to serve.

    A corpus names its version: the newest that was trained on it when the application started.
    """
    faq = settings.faq
    if faq.corpus is not None or faq.refresh_s == 0:
        return None
    return Following(faq.alias, faq.refresh_s, Accepted(settings.data_dir / "accepted"))


def image_cpus(settings: Settings) -> float:
    """CPUs that a replica of the classifier reserves: as set, or what suits the cluster."""
    if settings.image.num_cpus is not None:
        return settings.image.num_cpus
    if _gpus(settings.image) or not ray.is_initialized():
        return FEWEST_IMAGE_CPUS
    nodes = [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]
    return share_of_node(max(nodes, default=0.0), settings)


def share_of_node(cpus: float, settings: Settings) -> float:
    """What a node with `cpus` has left for each replica of the classifier, from 1 to 8.

    The other deployments' replicas of the start have their place on it too.
    """
    others = (settings.router, settings.faq)
    left = cpus - sum(_initial(scaling) * scaling.num_cpus for scaling in others)
    return min(max(FEWEST_IMAGE_CPUS, left / _initial(settings.image)), MOST_IMAGE_CPUS)


def _initial(scaling: Scaling) -> int:
    return max(1, scaling.min_replicas)


def _options(
    scaling: Scaling,
    num_cpus: float,
    target: int,
    policy: AutoscalingPolicy | None = None,
    num_gpus: float = 0,
) -> dict[str, Any]:
    return {
        "ray_actor_options": {"num_cpus": num_cpus, "num_gpus": num_gpus},
        "max_ongoing_requests": MAX_ONGOING_REQUESTS,
        "graceful_shutdown_timeout_s": GRACEFUL_SHUTDOWN_S,
        # The request log is ours; Ray Serve's would cost each request a record that nobody reads,
        # built at level INFO even where the access log is off.
        "logging_config": LoggingConfig(enable_access_log=False, log_level="WARNING"),
        "autoscaling_config": AutoscalingConfig(
            min_replicas=scaling.min_replicas,
            initial_replicas=_initial(scaling),
            max_replicas=scaling.max_replicas,
            target_ongoing_requests=target,
            policy=policy or AutoscalingPolicy(),
        ),
    }


def _policy(policy: type[Any], target: int) -> AutoscalingPolicy:
    return AutoscalingPolicy(policy_function=policy, policy_kwargs={"target": target})


def _gpus(image: ImageSettings) -> float:
    if image.num_gpus is not None:
        return image.num_gpus
    has_gpu = ray.is_initialized() and ray.cluster_resources().get("GPU", 0) >= 1
    return 1.0 if has_gpu else 0.0
