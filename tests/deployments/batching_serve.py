"""Prints the batch sizes that `@serve.batch` forms under a steady load, as a JSON list.

Arguments: seconds of work a batch, seconds between arrivals, largest batch. It runs the real
decorator on a plain event loop: the replica context that it asks for is set by hand, so that no
Ray has to start.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from ray import serve
from ray.serve import context
from ray.serve._private.common import DeploymentID, ReplicaID
from ray.serve._private.config import DeploymentConfig
from ray.serve.schema import ReplicaRank

WAIT_S = 0.005
RUN_S = 1.5


async def batch_sizes(work_s: float, arrival_s: float, largest: int) -> list[int]:
    sizes: list[int] = []

    @serve.batch(max_batch_size=largest, batch_wait_timeout_s=WAIT_S)
    async def work(items: list[int]) -> list[int]:
        sizes.append(len(items))
        await asyncio.sleep(work_s)
        return items

    callers = []
    for item in range(round(RUN_S / arrival_s)):
        callers.append(asyncio.ensure_future(work(item)))
        await asyncio.sleep(arrival_s)
    return sizes


def main() -> None:
    work_s, arrival_s, largest = sys.argv[1:]
    context._set_internal_replica_context(
        replica_id=ReplicaID("only", DeploymentID("batching")),
        servable_object=batch_sizes,
        _deployment_config=DeploymentConfig(max_ongoing_requests=1000),
        rank=ReplicaRank(rank=0, node_rank=0, local_rank=0),
        world_size=1,
    )
    loop = asyncio.new_event_loop()
    sizes = loop.run_until_complete(batch_sizes(float(work_s), float(arrival_s), int(largest)))
    print(json.dumps(sizes), flush=True)
    os._exit(0)  # hundreds of items still wait; nobody waits for them


if __name__ == "__main__":
    main()
