"""The model deployments behind Ray Serve handles; Ray's errors become the application's."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from ray.exceptions import RayActorError, RayError, TaskCancelledError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RayServeException
from ray.serve.handle import DeploymentHandle

from deployments.contracts import (
    ClassifiedBatch,
    ClassifierStatus,
    KnownDuplicates,
    Picture,
    Question,
    RankedBatch,
    VersionStatus,
)
from deployments.direct import Address
from serve_app.errors import InternalError, ModelUnavailable, Overloaded

logger = logging.getLogger(__name__)

R = TypeVar("R")

ASK_S = 5.0


class RankerHandle:
    """Calls the FAQ ranker's replicas."""

    def __init__(self, handle: DeploymentHandle[Any], router: str):
        self._handle = handle
        self._rank = _by_pickle(handle, "rank")
        self._examples = _by_pickle(handle, "examples")
        self._router = router

    async def rank(self, questions: Sequence[Question], held_per_replica: float) -> RankedBatch:
        """See `FaqBackend.rank`."""
        return await _call(lambda: self._rank.remote(questions, self._router, held_per_replica))

    async def examples(self) -> KnownDuplicates:
        """Duplicates to try, of whichever replica answers."""
        return await _call(lambda: self._examples.remote())

    async def addresses(self) -> Sequence[Address]:
        """Where the replicas that run now can be reached directly."""
        return await ask_all(self._handle, "address")

    async def versions(self) -> Sequence[VersionStatus]:
        """What the replicas that run now serve."""
        return await ask_all(self._handle, "version")


class ClassifierHandle:
    """Calls the image classifier's replicas."""

    def __init__(self, handle: DeploymentHandle[Any]):
        self._handle = handle
        self._classify = _by_pickle(handle, "classify")

    async def classify(self, pictures: Sequence[Picture], timeout_s: float) -> ClassifiedBatch:
        """See `ImageBackend.classify`."""
        return await _call(lambda: self._classify.remote(pictures, timeout_s))

    async def statuses(self) -> Sequence[ClassifierStatus]:
        """How the replicas that run now compute, and how much each takes on."""
        return await ask_all(self._handle, "status")


def _by_pickle(handle: DeploymentHandle[Any], method: str) -> DeploymentHandle[Any]:
    """Messages hold data of our own modules: plain pickle does, and is faster than cloudpickle."""
    return handle.options(
        method_name=method, request_serialization="pickle", response_serialization="pickle"
    )


async def ask_all(handle: DeploymentHandle[Any], method: str) -> list[Any]:
    """What every replica answers; one that does not, in time or at all, is left out."""
    try:
        async with asyncio.timeout(ASK_S):
            # The public way gives no answer at all where one replica is silent: the others would be
            # forgotten with one whose machine is lost.
            asked = await handle.broadcast(method)._fetch_replica_results_async()
    except (DeploymentUnavailableError, TimeoutError):
        return []
    in_time = (asyncio.wait_for(replica.get_async(), ASK_S) for replica in asked)
    answers = await asyncio.gather(*in_time, return_exceptions=True)
    return [answer for answer in answers if not isinstance(answer, BaseException)]


async def _call(call: Callable[[], Awaitable[R]]) -> R:
    """Scoring changes nothing, so a call whose replica died is made once more.

    Cancelled here, the call is cancelled in its replica too: gRPC passes that on.
    """
    try:
        return await call()
    except RayActorError:
        logger.warning("a replica died during a call; calling another one")
    except (RayError, RayServeException) as error:
        raise _translated(error) from error
    try:
        return await call()
    except (RayError, RayServeException) as error:
        raise _translated(error) from error


def _translated(error: Exception) -> Exception:
    if isinstance(error, BackPressureError):
        return Overloaded("too many calls are waiting", retry_after_s=1)
    if isinstance(error, (RayActorError, DeploymentUnavailableError)):
        return ModelUnavailable("no replica of the model answers", retry_after_s=5)
    if isinstance(error, TaskCancelledError):
        return InternalError("the call was cancelled")
    return InternalError("the model failed on this request")
