"""One scrape of the whole application: every replica of every deployment is asked."""

import asyncio
from collections.abc import Sequence
from typing import Any

from ray.serve.exceptions import DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from deployments.telemetry import Report, exposition

TIMEOUT_S = 5.0


class Scrape:
    """Collects what the replicas counted; a deployment without a replica adds nothing."""

    def __init__(self, handles: Sequence[DeploymentHandle[Any]]):
        self._handles = handles

    async def __call__(self) -> bytes:
        """Prometheus text."""
        reports = await asyncio.gather(*(self._ask(handle) for handle in self._handles))
        return exposition([report for several in reports for report in several])

    async def _ask(self, handle: DeploymentHandle[Any]) -> list[Report]:
        try:
            response = handle.broadcast("metrics")
            answers = await response.results_async(timeout_s=TIMEOUT_S, return_exceptions=True)
        except DeploymentUnavailableError:
            return []
        # A replica that died between the question and its answer has no figures to give.
        return [answer for answer in answers if not isinstance(answer, BaseException)]
