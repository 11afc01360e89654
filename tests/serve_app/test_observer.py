"""From what Ray Serve says of a deployment to a model's state."""

import pytest
from ray.serve._private.common import DeploymentStatus, DeploymentStatusTrigger
from ray.serve.schema import (
    ApplicationStatus,
    ApplicationStatusOverview,
    DeploymentStatusOverview,
    ServeStatus,
)

from serve_app.observer import Observer, state_of
from serve_app.readiness import ModelStatus, Readiness, State
from tests.serve_app.fakes import FAQ


def overview(status: DeploymentStatus, **replicas: int) -> DeploymentStatusOverview:
    trigger = DeploymentStatusTrigger.CONFIG_UPDATE_STARTED
    # Ray Serve fills the states with plain strings.
    return DeploymentStatusOverview(status, trigger, dict(replicas), "")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("deployment", "state"),
    [
        (overview(DeploymentStatus.UPDATING), State.LOADING),
        (overview(DeploymentStatus.UPDATING, STARTING=1), State.LOADING),
        (overview(DeploymentStatus.UPDATING, STARTING=1, RUNNING=1), State.READY),
        (overview(DeploymentStatus.HEALTHY, RUNNING=2), State.READY),
        (overview(DeploymentStatus.UNHEALTHY, RUNNING=1), State.READY),
        (overview(DeploymentStatus.UNHEALTHY), State.UNAVAILABLE),
        (overview(DeploymentStatus.DEPLOY_FAILED, STARTING=1), State.UNAVAILABLE),
        (overview(DeploymentStatus.UPDATING, STARTING=1, PENDING_MIGRATION=1), State.READY),
        (overview(DeploymentStatus.UPDATING, RECOVERING=1), State.READY),
        (overview(DeploymentStatus.UPDATING, STARTING=1, STOPPING=1), State.LOADING),
        (overview(DeploymentStatus.HEALTHY), State.SCALED_TO_ZERO),
        (overview(DeploymentStatus.UPSCALING, STARTING=1), State.LOADING),
    ],
)
def test_state(deployment: DeploymentStatusOverview, state: State) -> None:
    assert state_of(deployment) is state


async def test_replicas_and_states_are_passed_on() -> None:
    readiness = Readiness({"faq": ModelStatus("faq", FAQ, State.LOADING)})
    replicas: dict[str, int] = {}

    async def on_replicas(key: str, running: int) -> None:
        assert readiness.is_loading  # what the replicas say is known before the model is ready
        replicas[key] = running

    observer = Observer("scoring", {"faq": "FaqRanker"}, readiness, on_replicas)
    deployments = {"FaqRanker": overview(DeploymentStatus.HEALTHY, RUNNING=3)}
    application = ApplicationStatusOverview(ApplicationStatus.RUNNING, "", 0.0, deployments)
    await observer.note(ServeStatus(applications={"scoring": application}))
    assert readiness.status("faq").state is State.READY
    assert replicas == {"faq": 3}


async def test_nothing_is_known_before_the_application_is() -> None:
    readiness = Readiness({"faq": ModelStatus("faq", FAQ, State.LOADING)})

    async def on_replicas(key: str, running: int) -> None:
        raise AssertionError(f"{running} replicas of {key}")

    observer = Observer("scoring", {"faq": "FaqRanker"}, readiness, on_replicas)
    await observer.note(ServeStatus())
    assert readiness.status("faq").state is State.LOADING


def test_a_missing_model_stays_unavailable() -> None:
    readiness = Readiness({"image": ModelStatus("resnet152", None, State.UNAVAILABLE, "why")})
    readiness.set_state("image", State.READY)
    assert readiness.status("image").state is State.UNAVAILABLE
