"""The keeper as a process of its own on Ray, and how a Router stays in touch with it.

The keeper is a named actor that the first Router with a quota to keep starts, so that nothing runs
where nobody has a quota. That Router owns it: with the Router's replica it ends, and the next one
that misses it starts another. Nothing is left over when the application is deleted.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from typing import Any, Protocol

import ray
from ray.exceptions import RayError

from serve_app.access.keeper import Keeper
from serve_app.access.leases import PERIOD_S, Answer, Report
from serve_app.access.quotas import SharedQuotas

logger = logging.getLogger(__name__)

NAMESPACE = "realtime-scoring"
HEARTBEAT_S = 1.0
"""A Router without anything to report says so often that it is there."""
TIMEOUT_S = 1.0
"""A keeper that takes longer is not waited for."""


class KeeperLost(Exception):
    """The keeper did not answer."""


class QuotaKeeper(Protocol):
    """Whom a Router reports to."""

    async def renew(self, router: str, reports: Sequence[Report]) -> Answer:
        """Raises KeeperLost."""


class KeeperActor:
    """The keeper in its own process."""

    def __init__(self) -> None:
        self._keeper = Keeper(time.monotonic)

    def renew(self, router: str, reports: Sequence[Report]) -> Answer:
        """See Keeper.renew."""
        return self._keeper.renew(router, reports)


class RayKeeper:
    """The keeper of one application, started where there is none."""

    def __init__(self, application: str):
        self.name = f"{application}:quotas"
        self._search: asyncio.Task[Any] | None = None

    async def renew(self, router: str, reports: Sequence[Report]) -> Answer:
        """Asks the keeper; one that has ended is replaced by the next call.

        Raises:
            KeeperLost: it ended, could not be started, or took longer than a second.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S):
                actor = await asyncio.shield(self._searched())
                answer: Answer = await actor.renew.remote(router, reports)
        except TimeoutError as error:
            raise KeeperLost("no answer in time") from error
        except (RayError, ValueError) as error:
            # ValueError: the name is still that of a keeper which is about to be gone.
            self._search = None
            raise KeeperLost(str(error)) from error
        return answer

    def _searched(self) -> asyncio.Task[Any]:
        """The search for the keeper, of which there is one at a time.

        Without Ray's head it takes as long as the head is away. Each would hold a thread, and who
        else needs one would get none.
        """
        search = self._search
        if search is None or (search.done() and search.exception() is not None):
            search = self._search = asyncio.create_task(asyncio.to_thread(self._find))
        return search

    def _find(self) -> Any:
        # Without CPUs of its own: it works some microseconds a report.
        options = {"name": self.name, "namespace": NAMESPACE, "get_if_exists": True}
        return ray.remote(KeeperActor).options(num_cpus=0, max_restarts=0, **options).remote()


class Renewal:
    """Reports a Router's use of the quotas, in the background."""

    def __init__(self, quotas: SharedQuotas, keeper: QuotaKeeper, router: str):
        self._quotas = quotas
        self._keeper = keeper
        self._router = router
        self._is_lost = False

    async def run(self) -> None:
        """Renews once a period while callers with quotas come, for as long as the replica lives.

        A renewal that fails in another way than KeeperLost is logged and made again.
        """
        while True:
            await self._until_due()
            try:
                await self.renew()
            except Exception:
                logger.exception("the quotas could not be renewed")
                self._quotas.go_on()
            await asyncio.sleep(PERIOD_S)

    async def renew(self) -> None:
        """Reports once; where no answer comes, the Router goes on by itself."""
        reports = self._quotas.reports()
        try:
            answer = await self._keeper.renew(self._router, reports)
        except KeeperLost as error:
            self._quotas.go_on()
            if not self._is_lost:
                logger.warning("the keeper of the quotas is lost: %s", error)
            self._is_lost = True
        else:
            self._quotas.note(answer)
            self._is_lost = False

    async def _until_due(self) -> None:
        timeout_s = HEARTBEAT_S if self._quotas.is_used else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._quotas.needed.wait()
