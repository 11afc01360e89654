"""A Serve application that never becomes ready, and so holds a new cluster back.

KubeRay moves traffic to a new cluster when all applications on it run. `scoring rollout apply` adds
this one (`import_path: serve_app.hold:app`), tests the new cluster, and takes it away again.
"""

import asyncio

from ray import serve


@serve.deployment(
    name="Hold",
    num_replicas=1,
    # Nothing of the cluster is reserved for it, and nothing is to be drained when it ends.
    ray_actor_options={"num_cpus": 0},
    graceful_shutdown_timeout_s=0,
)
class Hold:
    """One replica that starts for as long as it lives."""

    # Ray Serve awaits a constructor that is a coroutine, and so its actor stays responsive.
    async def __init__(self) -> None:  # type: ignore[misc]
        await asyncio.Event().wait()

    async def __call__(self) -> None:
        """Never reached: there is no route, and no replica is ever ready."""


app = Hold.bind()  # type: ignore[attr-defined]
