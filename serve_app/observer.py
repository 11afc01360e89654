"""Watches the model deployments, so that readiness and the calls in flight follow them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from ray import serve
from ray.serve.schema import (
    ApplicationStatusOverview,
    DeploymentStatusOverview,
    ServeStatus,
)

from serve_app.readiness import Readiness, State

logger = logging.getLogger(__name__)

PERIOD_S = 5.0
LOADING_PERIOD_S = 0.5
"""A look costs 25 ms of the replica's time: seldom once every model can answer or cannot."""

HEALTHY = "HEALTHY"
ANSWERING = frozenset({"RUNNING", "PENDING_MIGRATION", "RECOVERING"})
"""A replica answers while another one starts in its place, since its node is to go, and while Ray
Serve's controller, which has started anew, gets to know it again."""
BROKEN = frozenset({"UNHEALTHY", "DEPLOY_FAILED"})


class Observer:
    """Asks Ray Serve for the state of each deployment, once a period."""

    def __init__(
        self,
        application: str,
        deployments: Mapping[str, str],
        readiness: Readiness,
        on_replicas: Callable[[str, int], Awaitable[None]],
    ):
        self._application = application
        self._deployments = deployments
        self._readiness = readiness
        self._on_replicas = on_replicas

    async def watch(self) -> None:
        """Looks for as long as the replica lives; a failed look is logged and made again."""
        while True:
            try:
                await self.note(await asyncio.to_thread(serve.status))
            except Exception:
                logger.exception("the state of the deployments is unknown")
            await asyncio.sleep(LOADING_PERIOD_S if self._readiness.is_loading else PERIOD_S)

    async def note(self, status: ServeStatus) -> None:
        """Passes on what one look saw."""
        application = status.applications.get(self._application)
        if application is None:
            return
        for key, name in self._deployments.items():
            await self._note_deployment(key, application, name)

    async def _note_deployment(
        self, key: str, application: ApplicationStatusOverview, name: str
    ) -> None:
        deployment = application.deployments.get(name)
        if deployment is None:
            return
        # First what the replicas say of themselves: a model is ready once that is known.
        await self._on_replicas(key, _answering(deployment))
        self._readiness.set_state(key, state_of(deployment))


def state_of(deployment: DeploymentStatusOverview) -> State:
    """A model's state from its deployment's: what can answer is ready, whatever else goes on."""
    if _answering(deployment):
        return State.READY
    if deployment.status in BROKEN:
        return State.UNAVAILABLE
    starting = sum(deployment.replica_states.values())
    return State.SCALED_TO_ZERO if deployment.status == HEALTHY and not starting else State.LOADING


def _answering(deployment: DeploymentStatusOverview) -> int:
    # The keys are declared as an enumeration of strings and arrive as plain strings.
    return sum(count for state, count in deployment.replica_states.items() if state in ANSWERING)
