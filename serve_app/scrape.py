"""One scrape of the whole application: every replica of every deployment is asked."""

import asyncio
from collections.abc import Sequence
from typing import Any

from ray.serve.handle import DeploymentHandle

from deployments.telemetry import exposition
from serve_app.handles import ask_all


class Scrape:
    """Collects what the replicas counted; a deployment without a replica adds nothing."""

    def __init__(self, handles: Sequence[DeploymentHandle[Any]]):
        self._handles = handles

    async def __call__(self) -> bytes:
        """Prometheus text."""
        reports = await asyncio.gather(*(ask_all(handle, "metrics") for handle in self._handles))
        return exposition([report for several in reports for report in several])
