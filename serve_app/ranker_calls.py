"""How the Router reaches the FAQ ranker: over direct connections, else through the handle."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from deployments.contracts import ModelIdentity, Question, RankedBatch
from deployments.direct import Address, CallFailed, Connection
from deployments.faq import wire
from serve_app.backends import FaqBackend
from serve_app.errors import InternalError

logger = logging.getLogger(__name__)

DIRECT_CALLS = 2
"""A call that a replica left unanswered goes to another connection: Ray takes a minute to notice
that a machine is lost, and until then the handle calls its replicas too."""


class RankerCalls:
    """Sends each call to the replica with the fewest in flight.

    Where a question wants the answer of one version, those that answered with it last come first.
    The handle finds the replicas and takes the calls while there is no connection: at the start,
    after a scale from zero, and what the last connected replica leaves unanswered when it dies.
    """

    def __init__(
        self,
        handle: FaqBackend,
        addresses: Callable[[], Awaitable[Sequence[Address]]],
        router: str,
    ):
        self._handle = handle
        self._addresses = addresses
        self._router = router
        self._connections: list[Connection] = []
        self._models: dict[Connection, ModelIdentity] = {}

    @property
    def connected(self) -> int:
        """Replicas that can be called directly."""
        return sum(connection.is_open for connection in self._connections)

    async def rank(self, questions: Sequence[Question], held_per_replica: float) -> RankedBatch:
        """See `FaqBackend.rank`."""
        model = next((item.model for item in questions if item.model), None)
        for _ in range(DIRECT_CALLS):
            connection = self._choose(model)
            if connection is None:
                break
            call = wire.RankCall(list(questions), self._router, held_per_replica)
            try:
                batch = wire.decode_batch(await connection.call(wire.encode(call)))
                self._models[connection] = batch.model
                return batch
            except ConnectionError:
                logger.warning("a replica left during a call; calling another one")
            except CallFailed:
                raise InternalError("the model failed on this request") from None
        return await self._handle.rank(questions, held_per_replica)

    async def refresh(self) -> None:
        """Connects to the replicas that there are now, and leaves those that are gone.

        A replica that cannot be reached is left to the handle, and tried at the next refresh.
        """
        wanted = set(await self._addresses())
        kept = [item for item in self._connections if item.is_open and item.address in wanted]
        for connection in self._connections:
            if connection not in kept:
                connection.close()
        fresh = wanted - {connection.address for connection in kept}
        opened = await asyncio.gather(*map(Connection.open, fresh), return_exceptions=True)
        for result in opened:
            if isinstance(result, Connection):
                kept.append(result)
            else:
                logger.warning("no direct connection to a replica: %r", result)
        self._connections = kept
        self._models = {item: self._models[item] for item in kept if item in self._models}

    def _choose(self, model: ModelIdentity | None) -> Connection | None:
        return min(
            (connection for connection in self._connections if connection.is_open),
            key=lambda connection: (
                model is not None and self._models.get(connection) != model,
                connection.in_flight,
            ),
            default=None,
        )
